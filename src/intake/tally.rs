//! Counts how signed deliveries are answered, in memory, and hands it to the store now and then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::{Deliveries, Status};

/// How many refused deliveries this process remembers, to recognise their repeats. A repeat of a
/// forgotten one counts as a first delivery.
const REMEMBERED: usize = 20_000;

/// What was counted and is not stored yet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: AtomicI64,
    refused: AtomicI64,
    /// The keys of those that were refused and have not come again successfully.
    awaited: Mutex<HashSet<String>>,
    /// Held while the count is handed over: until it ends, what is stored is counted twice.
    pub(super) handing_over: tokio::sync::Mutex<()>,
    /// Has the log said that too few are accepted?
    pub(super) is_told: AtomicBool,
}

impl Tally {
    /// `key`: what makes a repeat recognisable. `answered`: what became of it; none: it was
    /// refused.
    pub(super) fn note(&self, key: Option<String>, answered: Option<Status>) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let is_repeat = !awaited.is_empty() && key.as_ref().is_some_and(|key| awaited.contains(key));
        match (answered, key) {
            (Some(_), Some(key)) if is_repeat => _ = awaited.remove(&key),
            (_, _) if is_repeat => {}
            // Accepted before, perhaps by another process.
            (Some(Status::Duplicate), _) => {}
            (Some(_), _) => _ = self.accepted.fetch_add(1, Ordering::Relaxed),
            (None, key) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if awaited.len() >= REMEMBERED {
                    // Many of them came again elsewhere, or never will.
                    awaited.clear();
                }
                awaited.extend(key);
            }
        }
    }

    /// What was counted.
    pub(super) fn counted(&self) -> Deliveries {
        let count = |of: &AtomicI64| of.load(Ordering::Relaxed);
        Deliveries { accepted: count(&self.accepted), refused: count(&self.refused) }
    }

    /// So much is stored now.
    pub(super) fn stored(&self, counted: Deliveries) {
        self.accepted.fetch_sub(counted.accepted, Ordering::Relaxed);
        self.refused.fetch_sub(counted.refused, Ordering::Relaxed);
    }
}
