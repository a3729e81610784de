//! The time both emulators live by: the computer's own, or one that a test moves by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use tokio::sync::watch;

/// A clock that everybody who holds a clone of it shares.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System,
    Manual(watch::Sender<i64>),
}

impl Clock {
    /// The computer's own time; sleeping takes as long as it says.
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock that stands at `start_ms` (Unix milliseconds) until [`Clock::advance_ms`] moves it.
    pub fn manual(start_ms: i64) -> Self {
        Self(Arc::new(Source::Manual(watch::Sender::new(start_ms))))
    }

    /// Unix time in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn now_ms(&self) -> i64 {
        match &*self.0 {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Moves a manual clock and wakes the tasks that slept until then. The computer's own clock
    /// cannot be moved: nothing happens.
    pub fn advance_ms(&self, by: i64) {
        if let Source::Manual(now) = &*self.0 {
            now.send_modify(|value| *value += by);
        }
    }

    /// Waits until `ms` have passed on this clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that may wait")]
    pub async fn sleep_ms(&self, ms: i64) {
        match &*self.0 {
            Source::System => {
                tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap_or(0))).await;
            }
            Source::Manual(now) => {
                let until = self.now_ms() + ms;
                // The sender lives in this very clock, so waiting cannot fail.
                let _ = now.subscribe().wait_for(|value| *value >= until).await;
            }
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Clock({})", iso(self.now_ms()))
    }
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// As `Date` has it (RFC 9110).
pub(crate) fn http_date(ms: i64) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp(ms)).unwrap_or_default()
}

/// ISO 8601 in UTC with milliseconds and `Z` (G §2).
pub(crate) fn iso(ms: i64) -> String {
    format!("{:.3}", stamp(ms))
}

/// RFC 3339 with the zone's offset, as appointment webhooks (G §8.5) and Trafft (T §2) show times.
pub(crate) fn with_offset(ms: i64, zone: &TimeZone) -> String {
    stamp(ms).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// `YYYY-MM-DD HH:MM:SS` on the wall of that zone, without saying which (G §6.19).
pub(crate) fn wall(ms: i64, zone: &TimeZone) -> String {
    stamp(ms).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads an ISO time with an offset, or a wall time in `zone`, as Unix milliseconds.
pub(crate) fn parse(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(civil.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// The zone of that IANA name; UTC where the name is unknown.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}
