//! What a failure means for a contact: decided here and nowhere else.

use std::time::Duration;

use jiff::Timestamp;

use crate::clients::{About, Error};
use crate::model::{Vendor, Verdict};

/// When a contact whose reconcile failed is tried again: about three days in all, then a person is
/// asked.
const SCHEDULE: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(20),
    Duration::from_hours(36),
];

/// How long a vendor that asked for less traffic, without saying how long, is left alone (G §13).
const BREATHER: Duration = Duration::from_secs(10);

/// A refusal that names no field may be a gateway's JSON. It is believed after this many
/// repetitions, which take some minutes.
const REPEATED: i64 = 3;

/// How often we look whether refused credentials have been put right.
const UNTIL_MENDED: Duration = Duration::from_mins(15);

/// What happens next after `error` of `vendor`; `jitter` spreads what failed together.
pub(super) fn decide(
    vendor: Vendor,
    error: &Error,
    attempt: i64,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Verdict {
    let later = |wait: Duration| now + wait + jitter(wait);
    let reason = format!("{vendor}: {error}");
    match (error, error.about()) {
        (Error::BudgetUsedUp { until }, _) => Verdict::Snooze { until: *until, reason, waits_for: None },
        (Error::RateLimited { retry_after }, _) => {
            Verdict::Snooze { until: later(retry_after.unwrap_or(BREATHER)), reason, waits_for: None }
        }
        // Nothing is wrong with the contact: it waits, and goes on by itself once somebody has
        // mended the account.
        (_, About::Account) => Verdict::Snooze { until: later(UNTIL_MENDED), reason, waits_for: Some(vendor) },
        (_, About::Record) if error.names_any() || attempt >= REPEATED => Verdict::Dead {
            reason: match error.vendor_message() {
                Some(said) => format!("{reason}; it said: {said}; mend the contact in GoHighLevel, or replay"),
                None => format!("{reason}; mend the contact in GoHighLevel, or replay"),
            },
        },
        (_, About::Path | About::Unknown | About::Record) => {
            let retry_after = if let Error::Unavailable { retry_after, .. } = error { *retry_after } else { None };
            match SCHEDULE.get(usize::try_from(attempt).unwrap_or(usize::MAX)) {
                Some(wait) => Verdict::Retry { at: later(retry_after.unwrap_or_default().max(*wait)), reason },
                None => Verdict::Dead {
                    reason: format!(
                        "{reason}; given up after {attempt} attempts: see whether {vendor} works, then replay"
                    ),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{NotSent, VendorMessage};

    fn decided(error: &Error, attempt: i64) -> Verdict {
        decide(Vendor::Trafft, error, attempt, Timestamp::UNIX_EPOCH, |_| Duration::ZERO)
    }

    fn refused(about: About, status: u16) -> Error {
        Error::Refused { about, status, message: VendorMessage::default(), fields: vec![] }
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn trouble_on_the_way_is_retried_on_a_schedule_that_ends() {
        let busy = |retry_after| Error::Unavailable { status: 503, retry_after };
        for (error, attempt, seconds) in [
            (Error::NotSent { reason: NotSent::Kept("no connection") }, 0, 5),
            (Error::Unanswered { reason: "no answer in time" }, 1, 30),
            (Error::Unreadable { is_json: false }, 2, 120),
            (busy(None), 9, 36 * 3600),
            (busy(Some(Duration::from_secs(90))), 0, 90),
            (busy(Some(Duration::from_secs(1))), 2, 120),
            (refused(About::Path, 302), 0, 5),
            (refused(About::Unknown, 404), 1, 30),
            (Error::Unreadable { is_json: true }, 0, 5),
            (Error::AnotherRecord, 0, 5),
        ] {
            let verdict = decided(&error, attempt);
            assert!(matches!(verdict, Verdict::Retry { at, .. } if at == after(seconds)), "{error}: {verdict:?}");
        }
        for attempt in [10, 11, i64::MAX, -1] {
            assert!(matches!(decided(&busy(None), attempt), Verdict::Dead { .. }), "{attempt}");
        }
    }

    #[test]
    fn what_is_not_the_contacts_fault_spends_no_attempt() {
        let said = || VendorMessage::new("no");
        for (error, seconds) in [
            (Error::BudgetUsedUp { until: after(77) }, 77),
            (Error::RateLimited { retry_after: Some(Duration::from_secs(33)) }, 33),
            (Error::RateLimited { retry_after: None }, 10),
            (Error::CredentialsRefused { message: said() }, 900),
            (Error::ScopeMissing { scope: "contacts.readonly".to_owned() }, 900),
            (refused(About::Account, 402), 900),
        ] {
            let verdict = decided(&error, 5);
            assert!(
                matches!(verdict, Verdict::Snooze { until, .. } if until == after(seconds)),
                "{error}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_refusal_that_names_no_field_is_believed_once_it_is_repeated() {
        for (attempt, is_final) in [(0, false), (2, false), (3, true)] {
            let verdict = decided(&refused(About::Record, 422), attempt);
            assert_eq!(matches!(verdict, Verdict::Dead { .. }), is_final, "{attempt}: {verdict:?}");
        }
    }

    #[test]
    fn a_refusal_is_final_and_says_what_the_vendor_said() {
        let message = VendorMessage::new("e-mail is odd");
        let error = Error::Refused { about: About::Record, status: 422, message, fields: vec!["email".to_owned()] };
        let Verdict::Dead { reason } = decided(&error, 0) else { panic!("not final") };
        assert!(reason.contains("Trafft") && reason.contains("e-mail is odd") && reason.contains("replay"), "{reason}");
    }
}
