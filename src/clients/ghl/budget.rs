//! Keeps a location's calls within what GHL allows: 100 per 10 s and 200,000 a day (G §5).

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use crate::model::Lane;

/// How long to wait before looking again, where HighLevel does not say when the day's allowance
/// starts anew (G §5).
const DAY_USED_UP: SignedDuration = SignedDuration::from_hours(1);

/// Limits of what is believed about that time, in milliseconds: a day at most, a minute at least.
const DAY: u64 = 86_400_000;
const DAY_SOON: u64 = 60_000;

/// After this many answers without the headers of G §5, none are expected any more.
const SILENT: usize = 2;

/// How much of the burst window a lane may fill, and how much of the day's allowance it leaves to
/// the lanes before it, in percent: a backfill must not make a webhook wait. No lane fills the
/// window to its end: a process that takes over makes its first call without knowing what was
/// spent.
fn shares(lane: Lane) -> (usize, u64) {
    match lane {
        Lane::Live => (95, 0),
        Lane::Retry => (90, 5),
        Lane::Sweep => (70, 20),
        Lane::Backfill => (50, 30),
    }
}

/// What a call has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The first answer: it tells what GHL has counted so far.
    Answer,
    /// A time.
    Until(Timestamp),
}

/// What may still be sent. Pure: the time is handed in.
///
/// Calls that were sent before a restart, or by an owner before us, still count at GHL. So one call
/// goes alone, and what its answer says is spent counts as spent.
///
/// Whether GHL counts in fixed or in sliding windows is not known, nor when exactly it counts a
/// call. So a call takes its place from before it is sent until one window *after it was answered*:
/// GHL has counted it somewhere in between, and thus never counts more than `max` in any window of
/// either kind.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    window: SignedDuration,
    in_flight: usize,
    answered: VecDeque<Timestamp>,
    /// Calls that GHL counted and we did not send: another process, another app of the same token.
    foreign: usize,
    foreign_until: Timestamp,
    closed_until: Timestamp,
    /// Has any answer told what is spent? If the first answers do not, later ones will not either.
    told: bool,
    silent: usize,
    day: Option<u64>,
    day_left: Option<u64>,
    day_opens: Timestamp,
    /// When the day's allowance starts anew, as far as HighLevel says so.
    day_resets: Option<Timestamp>,
    /// When a call of a lane that leaves the rest of the day to others goes ahead all the same:
    /// there may be no call of those others to tell of the new day.
    day_looks: Option<Timestamp>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            max: 100,
            window: SignedDuration::from_secs(10),
            in_flight: 0,
            answered: VecDeque::new(),
            foreign: 0,
            foreign_until: Timestamp::MIN,
            closed_until: Timestamp::MIN,
            told: false,
            silent: 0,
            day: None,
            day_left: None,
            day_opens: Timestamp::MIN,
            day_resets: None,
            day_looks: None,
        }
    }
}

impl Budget {
    /// Takes a place for one call, to be given back with [`Budget::answered`]; or says what to wait
    /// for.
    pub(super) fn reserve(&mut self, lane: Lane, now: Timestamp) -> Result<(), Wait> {
        let (_, of_day) = shares(lane);
        if let Some(until) = self.full_until(lane, now) {
            return Err(Wait::Until(until));
        }
        if !self.told && self.in_flight > 0 {
            return Err(Wait::Answer);
        }
        if self.day_left == Some(0) {
            if now < self.day_opens {
                return Err(Wait::Until(self.day_opens));
            }
            // One call goes ahead and sees whether the day has begun.
            self.day_left = Some(1);
        } else if let (Some(day), Some(left)) = (self.day, self.day_left)
            && left <= day * of_day / 100
        {
            let next = self.next_day(now);
            let looks = *self.day_looks.get_or_insert(next);
            if now < looks {
                return Err(Wait::Until(looks));
            }
            self.day_looks = Some(next);
        }
        self.in_flight += 1;
        if let Some(left) = self.day_left {
            self.day_left = Some(left - 1);
            if left == 1 {
                self.day_opens = self.next_day(now);
            }
        }
        Ok(())
    }

    /// When it is worth asking again once the day's allowance is used up.
    fn next_day(&self, now: Timestamp) -> Timestamp {
        let told = self.day_resets.filter(|at| *at > now);
        told.unwrap_or_else(|| after(now, DAY_USED_UP))
    }

    /// Has the burst window no room for this lane, or has GHL asked to be left alone? Until when.
    pub(super) fn full_until(&mut self, lane: Lane, now: Timestamp) -> Option<Timestamp> {
        self.forget_old(now);
        if self.day_resets.is_some_and(|at| at <= now) {
            // What was left of yesterday's allowance says nothing any more.
            (self.day_resets, self.day_left) = (None, None);
        }
        if now < self.closed_until {
            return Some(self.closed_until);
        }
        let (of_window, _) = shares(lane);
        if self.in_flight + self.answered.len() + self.foreign < (self.max * of_window / 100).max(1) {
            return None;
        }
        let frees = self.answered.front().map(|at| after(*at, self.occupied()));
        let foreign_ends = (self.foreign > 0).then_some(self.foreign_until);
        let next = frees.into_iter().chain(foreign_ends).min();
        Some(next.unwrap_or_else(|| after(now, self.window)))
    }

    /// A call has ended, with or without an answer.
    pub(super) fn answered(&mut self, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answered.push_back(now);
    }

    /// Reads the headers (G §5) of an answer to a call that still holds its place.
    pub(super) fn learn(&mut self, headers: &HeaderMap, now: Timestamp) {
        self.forget_old(now);
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if let Some(max) = number("x-ratelimit-max").filter(|max| (1..=100_000).contains(max)) {
            self.max = max as usize;
        }
        if let Some(millis) =
            number("x-ratelimit-interval-milliseconds").filter(|millis| (1..=3_600_000).contains(millis))
        {
            self.window = SignedDuration::from_millis(millis as i64);
        }
        if let Some(day) = number("x-ratelimit-limit-daily") {
            self.day = Some(day);
        }
        if let Some(left) = number("x-ratelimit-remaining") {
            self.told = true;
            let counted = self.max.saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
            self.foreign = counted.saturating_sub(self.in_flight + self.answered.len());
            self.foreign_until = after(now, self.window);
            if left == 0 {
                self.close(after(now, self.window));
            }
        }
        self.silent += 1;
        self.told |= self.silent >= SILENT;
        if let Some(millis) = number("x-ratelimit-daily-reset").filter(|millis| (1..=DAY).contains(millis)) {
            self.day_resets = Some(after(now, SignedDuration::from_millis(millis.max(DAY_SOON) as i64)));
        }
        if let Some(left) = number("x-ratelimit-daily-remaining") {
            self.learn_day(left, now);
        }
    }

    /// Answers overtake each other, so an older, larger number must not win; one that is larger by
    /// more than can be under way is a new day.
    fn learn_day(&mut self, told: u64, now: Timestamp) {
        let under_way = self.in_flight.saturating_sub(1) as u64;
        let left = told.saturating_sub(under_way);
        let known = self.day_left.filter(|known| left <= known.saturating_add(self.max as u64));
        let left = known.map_or(left, |known| known.min(left));
        if left == 0 && self.day_left != Some(0) || told == 0 {
            self.day_opens = self.day_opens.max(self.next_day(now));
        }
        self.day_left = Some(left);
    }

    /// Nothing more until then: GHL has said so.
    pub(super) fn close(&mut self, until: Timestamp) {
        self.closed_until = self.closed_until.max(until);
    }

    /// How long an answered call keeps its place: the window, and the millisecond that our clock
    /// cuts off.
    fn occupied(&self) -> SignedDuration {
        self.window + SignedDuration::from_millis(1)
    }

    fn forget_old(&mut self, now: Timestamp) {
        let occupied = self.occupied();
        while self.answered.front().is_some_and(|at| after(*at, occupied) <= now) {
            self.answered.pop_front();
        }
        if self.foreign_until <= now {
            self.foreign = 0;
        }
    }

    /// The window as GHL last named it.
    pub(super) fn window(&self) -> Duration {
        self.window.unsigned_abs()
    }
}

fn after(at: Timestamp, time: SignedDuration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
