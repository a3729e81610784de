//! What a failure means: the only place with that opinion.

use std::time::Duration;

use jiff::Timestamp;

use crate::clients::Error;
use crate::model::Verdict;

/// When a contact whose reconcile failed is tried again: about three days in all, then a person is asked.
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

/// How often we look whether refused credentials have been put right.
const UNTIL_MENDED: Duration = Duration::from_mins(15);

/// What happens next after `error`. `vendor` is for people; `jitter` spreads what failed together.
pub(super) fn decide(
    vendor: &str,
    error: &Error,
    attempt: i64,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Verdict {
    let later = |wait: Duration| now + wait + jitter(wait);
    let reason = format!("{vendor}: {error}");
    match error {
        Error::BudgetUsedUp { until } => Verdict::Snooze { until: *until, reason },
        Error::RateLimited { retry_after } => Verdict::Snooze { until: later(retry_after.unwrap_or(BREATHER)), reason },
        Error::NotSent { .. } | Error::Unanswered { .. } | Error::Unavailable { .. } => {
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
        // Nothing is wrong with the contact: it waits, and goes on by itself once somebody has mended the settings.
        Error::CredentialsRefused { .. } | Error::ScopeMissing { .. } => {
            Verdict::Snooze { until: later(UNTIL_MENDED), reason }
        }
        Error::NotFound | Error::Duplicate { .. } | Error::Refused { .. } => Verdict::Dead {
            reason: match error.vendor_message() {
                Some(said) => format!("{reason}; it said: {said}; mend the contact in GoHighLevel, or replay"),
                None => format!("{reason}; mend the contact in GoHighLevel, or replay"),
            },
        },
    }
}
