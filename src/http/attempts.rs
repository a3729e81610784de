//! Guessing the token: how often one may be wrong.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::source::Source;

/// What was wrong so long ago is forgotten.
const WINDOW: Duration = Duration::from_mins(10);

/// Wrong tokens from one source, then it waits.
const EACH: usize = 5;

/// Wrong tokens of all sources together; from then on each source has one guess instead of
/// [`EACH`]. The right token still works: otherwise an attacker with many addresses could lock the
/// operator out.
const ALL: usize = 100;

/// No more is remembered; the oldest go first.
const REMEMBERED: usize = 4096;

/// The wrong tokens of the last minutes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<VecDeque<(Timestamp, Source)>>);

impl Attempts {
    /// Was the token right? Check and count are one step, so that many guesses at once do not pass
    /// the limit.
    ///
    /// # Errors
    /// How long the source has to wait; nothing is told about its token.
    pub(super) fn judge(&self, right: bool, source: Source, now: Timestamp) -> Result<bool, Duration> {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while wrong.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            wrong.pop_front();
        }
        let allowed = if wrong.len() >= ALL { 1 } else { EACH };
        let mut latest_first = wrong.iter().rev().filter(|(_, from)| *from == source);
        if let Some((at, _)) = latest_first.nth(allowed - 1) {
            return Err(Duration::try_from((*at + WINDOW).duration_since(now)).unwrap_or_default());
        }
        if !right {
            if wrong.len() >= REMEMBERED {
                wrong.pop_front();
            }
            wrong.push_back((now, source));
        }
        Ok(right)
    }
}
