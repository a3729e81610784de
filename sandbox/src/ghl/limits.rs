//! Rate limits: 100 calls in 10 seconds and 200,000 a day for each token and location (G §5).

use std::collections::{HashMap, VecDeque};

use super::state::State;
use super::windows::Met;
use crate::front::Answer;

pub(super) const INTERVAL_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// How the ten seconds are counted. Nobody has published which; a client that survives `Sliding`
/// survives both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Counters that start again every full ten seconds.
    Fixed,
    /// At most so many in any ten seconds.
    #[default]
    Sliding,
}

#[derive(Default)]
struct Usage {
    recent: VecDeque<i64>,
    day: i64,
    today: u32,
    met: Met,
}

/// The allowances, and what is used up.
pub(crate) struct Limits {
    pub(crate) window: Window,
    pub(crate) burst: u32,
    pub(crate) daily: u32,
    usage: HashMap<String, Usage>,
    /// Calls that were refused here.
    pub(crate) over: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window: Window::default(), burst: 100, daily: 200_000, usage: HashMap::new(), over: 0 }
    }
}

/// What is left after a call.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    burst: u32,
    daily: u32,
    remaining: u32,
    daily_remaining: u32,
    /// Until the day starts anew.
    daily_reset_ms: i64,
}

impl Limits {
    /// What would be left for this key now.
    pub(crate) fn left(&mut self, key: &str, now: i64) -> Left {
        let (window, burst, daily) = (self.window, self.burst, self.daily);
        let usage = self.usage.entry(key.to_owned()).or_default();
        let since = match window {
            Window::Fixed => now - now.rem_euclid(INTERVAL_MS),
            Window::Sliding => now - INTERVAL_MS + 1,
        };
        while usage.recent.front().is_some_and(|at| *at < since) {
            usage.recent.pop_front();
        }
        // When the day resets is said by a header (G §5); midnight UTC here.
        let day = now.div_euclid(DAY_MS);
        if usage.day != day {
            (usage.day, usage.today) = (day, 0);
        }
        let used = u32::try_from(usage.recent.len()).unwrap_or(u32::MAX);
        Left {
            burst,
            daily,
            remaining: burst.saturating_sub(used),
            daily_remaining: daily.saturating_sub(usage.today),
            daily_reset_ms: DAY_MS - now.rem_euclid(DAY_MS),
        }
    }

    /// Counts a call; false when the allowance is used up, in which case it is not counted.
    pub(crate) fn spend(&mut self, key: &str, now: i64) -> bool {
        let left = self.left(key, now);
        let allowed = left.remaining > 0 && left.daily_remaining > 0;
        if let Some(usage) = self.usage.get_mut(key) {
            usage.met.count(now);
            if allowed {
                usage.recent.push_back(now);
                usage.today += 1;
            }
        }
        self.over += usize::from(!allowed);
        allowed
    }

    /// The most calls of this key in any ten seconds so far, refused ones included.
    pub(crate) fn most(&self, key: &str, window: Window) -> u32 {
        self.usage.get(key).map_or(0, |usage| usage.met.most(window))
    }
}

impl State {
    /// Counts a call for the owner of the token.
    pub(super) fn spend(&mut self, token: &str, now: i64) -> bool {
        self.limits.spend(self.oauth_tokens.payer(token), now)
    }

    /// What is left for the owner of the token.
    pub(super) fn left(&mut self, token: &str, now: i64) -> Left {
        self.limits.left(self.oauth_tokens.payer(token), now)
    }
}

impl Left {
    /// The five headers, and the sixth that is seen live.
    pub(crate) fn onto(self, answer: Answer) -> Answer {
        answer
            .with("x-ratelimit-limit-daily", self.daily)
            .with("x-ratelimit-daily-remaining", self.daily_remaining)
            .with("x-ratelimit-daily-reset", self.daily_reset_ms)
            .with("x-ratelimit-interval-milliseconds", INTERVAL_MS)
            .with("x-ratelimit-max", self.burst)
            .with("x-ratelimit-remaining", self.remaining)
    }
}
