//! What HighLevel makes of a webhook URL that does not accept its deliveries (G §8.6).
//!
//! Every three days it looks at the past three. A URL that was busy and accepted too few is warned
//! about, and at the next such look it is off: nothing is sent until a person switches the events
//! on again, and what happens meanwhile is told to nobody.

use serde::Serialize;

/// From one look to the next; each is about the time since the one before (G §8.6).
pub const LOOK_MS: i64 = 3 * 86_400_000;
/// A URL with no more than so many deliveries is left alone (G §8.6).
pub const BUSY: usize = 10_000;
/// Of a hundred deliveries, as many must be accepted (G §8.6).
pub const ACCEPTED_PERCENT: usize = 90;

/// How a webhook URL stands.
#[derive(Clone, Debug, Serialize)]
pub struct Breaker {
    /// More deliveries than so many between two looks, and the share counts.
    pub busy: usize,
    /// Tries since the last look. Whether repeats count is not published; here they do, which is
    /// the harsher reading.
    pub tries: usize,
    /// Those answered 2xx.
    pub accepted: usize,
    /// The last look found too few accepted: the next one that does switches the URL off.
    pub warned: bool,
    /// Since when the URL is off, on the sandbox clock.
    pub paused_at_ms: Option<i64>,
    /// Events that nobody was told of because of that.
    pub unsent: usize,
    #[serde(skip)]
    next_look_ms: i64,
}

impl Breaker {
    pub(super) fn new(now: i64) -> Self {
        let next_look_ms = now + LOOK_MS;
        Self { busy: BUSY, tries: 0, accepted: 0, warned: false, paused_at_ms: None, unsent: 0, next_look_ms }
    }

    /// Looks that were due by now; then, is the URL off?
    pub(super) fn is_paused(&mut self, now: i64) -> bool {
        while self.paused_at_ms.is_none() && self.next_look_ms <= now {
            let is_bad = self.tries > self.busy && self.accepted * 100 < self.tries * ACCEPTED_PERCENT;
            self.paused_at_ms = (is_bad && self.warned).then_some(self.next_look_ms);
            self.warned = is_bad;
            (self.tries, self.accepted) = (0, 0);
            self.next_look_ms += LOOK_MS;
        }
        self.paused_at_ms.is_some()
    }

    pub(super) fn tried(&mut self, accepted: bool) {
        self.tries += 1;
        self.accepted += usize::from(accepted);
    }

    /// A person switches the events on again.
    pub(super) fn switch_on(&mut self, now: i64) {
        *self = Self { busy: self.busy, unsent: self.unsent, ..Self::new(now) };
    }
}
