//! How far our clock is from HighLevel's.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clients::http::Answer;

/// The difference, measured with every answer of HighLevel's by its `Date`. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Skew(Arc<Mutex<Option<SignedDuration>>>);

impl Skew {
    /// `now`: when the answer came. One without a `Date` changes nothing. To be called with
    /// HighLevel's own answers only: a gateway's clock is another one.
    pub(super) fn learn(&self, answer: &Answer, now: Timestamp) {
        if let Some(theirs) = answer.date() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now.duration_since(theirs));
        }
    }

    /// How far ours is ahead, to the second; none: no answer has said.
    pub(super) fn get(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What HighLevel's clock shows when ours shows `ours`; the same where no answer has said.
    pub(super) fn theirs(&self, ours: Timestamp) -> Timestamp {
        ours - self.get().unwrap_or_default()
    }
}
