//! Keeps the calls of one location, or of one agency, within what HighLevel allows (G §5).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::budget::{Budget, Wait};
use crate::clients::error::Error;
use crate::clients::http::Answer;
use crate::clock::Clock;
use crate::model::Lane;

/// Longest wait of a call for its slot in the budget; a longer wait is an error that says when to
/// try again.
const BUDGET_WAIT: Duration = Duration::from_secs(2);

/// A budget that many calls share.
#[derive(Debug)]
pub(super) struct Allowance {
    budget: Mutex<Budget>,
    /// Rung when a call was answered: the budget may know more now.
    answered: Notify,
    clock: Clock,
}

impl Allowance {
    pub(super) fn new(clock: Clock) -> Self {
        Self { budget: Mutex::default(), answered: Notify::new(), clock }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when the burst window has no slot for a call of this lane; none: it has one now.
    pub(super) fn full_until(&self, lane: Lane) -> Option<Timestamp> {
        self.budget().full_until(lane, self.clock.now())
    }

    /// A slot for one call.
    pub(super) async fn slot(&self, lane: Lane) -> Result<BudgetSlot<'_>, Error> {
        let latest = self.clock.now() + BUDGET_WAIT;
        loop {
            let answered = self.answered.notified();
            let reserved = self.budget().reserve(lane, self.clock.now());
            match reserved {
                Ok(()) => return Ok(BudgetSlot(self)),
                Err(Wait::Answer) => answered.await,
                Err(Wait::Until(until)) if until <= latest => self.clock.sleep_until(until).await,
                Err(Wait::Until(until)) => return Err(Error::BudgetUsedUp { until }),
            }
        }
    }

    /// What an answer says is spent counts as spent; `refused`: what it means, if it is no good.
    pub(super) fn learn(&self, answer: &Answer, refused: Option<&Error>) {
        let now = self.clock.now();
        let mut budget = self.budget();
        budget.learn(&answer.headers, now);
        if let Some(Error::RateLimited { retry_after }) = refused {
            let wait = retry_after.unwrap_or(budget.window());
            budget.close(now.checked_add(wait).unwrap_or(Timestamp::MAX));
        }
    }
}

/// A call's slot, from before it is sent until after its answer, or until its caller loses
/// interest.
pub(super) struct BudgetSlot<'a>(&'a Allowance);

impl Drop for BudgetSlot<'_> {
    fn drop(&mut self) {
        let Self(allowance) = self;
        allowance.budget().answered(allowance.clock.now());
        allowance.answered.notify_waiters();
    }
}
