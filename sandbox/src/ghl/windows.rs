//! How many calls came in ten seconds at most, whatever the limit in force: what a test of a
//! client's own brake asks.

use std::collections::VecDeque;

use super::limits::{INTERVAL_MS, Window};

/// The calls of one token, counted both ways.
#[derive(Default)]
pub(super) struct Met {
    /// Moments of the last ten seconds, and how many calls each of them saw.
    recent: VecDeque<(i64, u32)>,
    in_recent: u32,
    most_sliding: u32,
    /// Number of the full ten seconds that the last call was in.
    tens: i64,
    in_tens: u32,
    most_fixed: u32,
}

impl Met {
    pub(super) fn count(&mut self, now: i64) {
        match self.recent.back_mut() {
            Some((at, calls)) if *at >= now => *calls += 1,
            _ => self.recent.push_back((now, 1)),
        }
        self.in_recent += 1;
        while let Some((_, calls)) = self.recent.pop_front_if(|(at, _)| *at <= now - INTERVAL_MS) {
            self.in_recent -= calls;
        }
        self.most_sliding = self.most_sliding.max(self.in_recent);
        let tens = now.div_euclid(INTERVAL_MS);
        if self.tens != tens {
            (self.tens, self.in_tens) = (tens, 0);
        }
        self.in_tens += 1;
        self.most_fixed = self.most_fixed.max(self.in_tens);
    }

    pub(super) fn most(&self, window: Window) -> u32 {
        match window {
            Window::Fixed => self.most_fixed,
            Window::Sliding => self.most_sliding,
        }
    }
}
