//! Keeps contacts away from a vendor that is down, and lets one at a time see whether it is back.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clients::{About, Error};
use crate::model::ContactId;

/// So many failures in a row close it.
const FAILURES: usize = 3;
/// How long it stays closed: at first, and at most after doubling.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(5);
/// How long one contact may take to find out; then the next one tries.
const PROBE: Duration = Duration::from_secs(40);

/// The gate between one location and one vendor. Reads no clock: the time is passed in.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures in a row that were not about a contact.
    down: usize,
    /// Contacts that failed since the last good answer, perhaps for a reason of their own: the same
    /// one again and again counts once.
    suspects: HashSet<ContactId>,
    closed: Option<Closed>,
    /// The vendor answers again after failures that were not about a contact, and that has not been
    /// announced yet.
    is_mended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    until: Timestamp,
    wait: Duration,
    /// One call is trying whether the vendor is back.
    probing: bool,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Open,
    /// Until then.
    Closed(Timestamp),
    /// One contact may try whether the vendor is back.
    Ajar,
}

impl Gate {
    /// The state of the gate, for the decision which work to start.
    pub(super) fn look(&self, now: Timestamp) -> Look {
        match self.state().closed {
            None => Look::Open,
            Some(closed) if now < closed.until => Look::Closed(closed.until),
            Some(_) => Look::Ajar,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// May a call be made? If not, when to ask again. After the pause one contact is let through,
    /// to find out whether the vendor is back.
    pub(super) fn pass(&self, now: Timestamp) -> Result<(), Timestamp> {
        let mut state = self.state();
        match &mut state.closed {
            None => Ok(()),
            Some(closed) if now < closed.until => Err(closed.until),
            Some(closed) => {
                (closed.until, closed.probing) = (now + PROBE, true);
                Ok(())
            }
        }
    }

    /// The vendor answered as it should.
    pub(super) fn worked(&self) {
        self.state().answered();
    }

    /// Does the vendor answer again, after failures that were not about a contact? True once: the
    /// caller wakes the contacts that wait.
    pub(super) fn is_mended(&self) -> bool {
        std::mem::take(&mut self.state().is_mended)
    }

    /// Records a failed call. Returns until when the gate is closed, if it is closed now.
    pub(super) fn failed(&self, contact: &ContactId, error: &Error, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state();
        match error {
            // The vendor says how long to wait; it is not down.
            Error::RateLimited { retry_after: Some(wait) } => return Some(state.close(now, *wait, FIRST)),
            Error::BudgetUsedUp { .. } | Error::RateLimited { retry_after: None } => return None,
            // No record can be the cause of this.
            Error::NotSent { .. } | Error::NoToken { .. } => state.down += 1,
            _ if error.about() == About::Account => state.down += 1,
            // Any answer shows that the vendor works, even one about this record that cannot be
            // used.
            _ if error.about() == About::Record || error.is_answer() => {
                state.answered();
                return None;
            }
            // A vendor can fail on one record for ever (T §5.3: 500 for data that it does not like;
            // a gateway's 504 where one record takes too long, or its page where a filter dislikes
            // a text). That is the contact's trouble, until other contacts fail as well.
            _ => _ = state.suspects.insert(contact.clone()),
        }
        match state.closed {
            // The probe failed: wait twice as long, then the next contact probes.
            Some(Closed { probing: true, wait, .. }) => {
                let wait = (wait * 2).min(LONGEST);
                Some(state.close(now, wait, wait))
            }
            // This call was already on its way when the gate closed.
            Some(closed) => Some(closed.until),
            None if state.down + state.suspects.len() < FAILURES => None,
            None => Some(state.close(now, FIRST, FIRST)),
        }
    }
}

impl State {
    fn answered(&mut self) {
        let is_mended = self.is_mended || self.closed.is_some() || self.down > 0;
        *self = Self { is_mended, ..Self::default() };
    }

    fn close(&mut self, now: Timestamp, time: Duration, wait: Duration) -> Timestamp {
        let until = now + time;
        self.closed = Some(Closed { until, wait, probing: false });
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::NotSent;

    const AWAY: Error = Error::NotSent { reason: NotSent::Kept("no connection") };
    const REFUSED: Error = Error::Duplicate { contact_id: None };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn contact(id: &str) -> ContactId {
        id.parse().unwrap()
    }

    #[test]
    fn three_failures_in_a_row_close_it_and_one_probe_at_a_time_finds_out() {
        let gate = Gate::default();
        let a = contact("a");
        assert_eq!(gate.failed(&a, &AWAY, at(0)), None);
        assert_eq!(gate.failed(&a, &AWAY, at(0)), None);
        gate.worked();
        assert_eq!(gate.failed(&a, &AWAY, at(1)), None, "the row was broken");
        assert_eq!(gate.failed(&a, &AWAY, at(1)), None);
        assert_eq!(gate.failed(&a, &AWAY, at(1)), Some(at(11)));
        assert_eq!((gate.look(at(5)), gate.look(at(11))), (Look::Closed(at(11)), Look::Ajar));
        assert_eq!(gate.pass(at(5)), Err(at(11)));
        assert_eq!(gate.failed(&a, &AWAY, at(5)), Some(at(11)), "one that was on its way changes nothing");
        assert_eq!(gate.pass(at(11)), Ok(()), "the probe");
        assert!(gate.pass(at(11)).is_err(), "one at a time");
        assert_eq!(gate.failed(&a, &AWAY, at(12)), Some(at(32)), "twice as long");
        let mut until = at(32);
        for _ in 0..10 {
            assert_eq!(gate.pass(until), Ok(()));
            let next = gate.failed(&a, &AWAY, until).unwrap();
            assert!(next <= until + LONGEST);
            until = next;
        }
        assert_eq!(gate.pass(until), Ok(()));
        gate.worked();
        assert_eq!(gate.pass(until), Ok(()));
    }

    #[test]
    fn a_vendor_that_fails_over_one_contact_is_not_down() {
        let unavailable = |status| Error::Unavailable { status, retry_after: None };
        for trouble in [unavailable(500), unavailable(503), unavailable(504), Error::Unanswered { reason: "no answer" }]
        {
            let gate = Gate::default();
            for _ in 0..20 {
                assert_eq!(gate.failed(&contact("poison"), &trouble, at(0)), None, "{trouble}");
            }
            assert_eq!(gate.failed(&contact("b"), &trouble, at(0)), None, "{trouble}");
            assert_eq!(gate.failed(&contact("c"), &trouble, at(0)), Some(at(10)), "over everyone it is: {trouble}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_an_answer() {
        let gate = Gate::default();
        for id in ["a", "b", "c", "d", "e"] {
            assert_eq!(gate.failed(&contact(id), &Error::Unreadable { is_json: true }, at(0)), None);
        }
        for _ in 0..3 {
            gate.failed(&contact("a"), &AWAY, at(0));
        }
        assert_eq!(gate.pass(at(10)), Ok(()));
        assert_eq!(
            gate.failed(&contact("a"), &Error::Unreadable { is_json: true }, at(11)),
            None,
            "the vendor is back"
        );
        assert_eq!(gate.look(at(11)), Look::Open);
    }

    #[test]
    fn those_that_wait_are_told_once_also_by_an_answer_about_a_record() {
        let gate = Gate::default();
        let a = contact("a");
        gate.worked();
        assert!(!gate.is_mended(), "nothing was wrong");
        gate.failed(&a, &AWAY, at(0));
        assert!(!gate.is_mended(), "it is away");
        gate.failed(&a, &REFUSED, at(1));
        gate.worked();
        assert_eq!((gate.is_mended(), gate.is_mended()), (true, false));
    }

    #[test]
    fn who_asks_to_be_left_alone_is() {
        let gate = Gate::default();
        let wait = Error::RateLimited { retry_after: Some(Duration::from_secs(77)) };
        assert_eq!(gate.failed(&contact("a"), &wait, at(0)), Some(at(77)));
        assert_eq!(gate.pass(at(76)), Err(at(77)));
        assert_eq!(gate.failed(&contact("a"), &REFUSED, at(20)), None, "it answers, so it is not down");
        assert_eq!(gate.pass(at(20)), Ok(()));
    }
}
