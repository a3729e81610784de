//! Where the contacts of a location live: how their times and numbers are read and told.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clients::ghl::wire::LocationRecord;
use crate::model::{Policy, Region, zone};

/// What of a location's record is not known to us: what that means, and what to set.
pub(super) type Unread = Vec<(String, &'static str)>;

/// How to read times and numbers that do not say. What is not known is not guessed.
#[derive(Debug, Clone)]
pub(super) struct Locale {
    /// None: times are told in UTC, and say so; local times are not read.
    pub(super) zone: Option<TimeZone>,
    /// None: numbers without `+` are left out.
    pub(super) region: Option<Region>,
    /// False: the location's record is refused for now, and could say more.
    pub(super) is_told: bool,
}

impl Locale {
    /// As the settings say, else as the location's record does; and what of the record cannot be
    /// read, with what to set.
    pub(super) fn new(set: (Option<TimeZone>, Option<Region>), record: &LocationRecord) -> (Self, Unread) {
        let mut unread = Vec::new();
        let timezone = filled(&record.timezone);
        let country = filled(&record.country);
        let locale = Self {
            zone: set.0.or_else(|| timezone.and_then(zone)),
            region: set.1.or_else(|| country.and_then(Region::new)),
            is_told: true,
        };
        if let (None, Some(name)) = (&locale.zone, timezone) {
            let what = format!("the location's time zone `{name}` is not known: times are told in UTC");
            unread.push((what, "set `TIME_ZONE`, as in `Europe/Berlin`"));
        }
        if let (None, Some(name)) = (locale.region, country) {
            let what = format!("the location's country `{name}` is not known: phones without `+` are left out");
            unread.push((what, "set `PHONE_REGION`, as in `US`"));
        }
        (locale, unread)
    }

    /// Are times and numbers read and told as by the other one?
    pub(super) fn reads_like(&self, other: &Self) -> bool {
        (&self.zone, self.region) == (&other.zone, other.region)
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// A time as GHL gives it: with an offset, in the location's own zone (G §6.19), or counted from
/// 1970.
pub(super) fn instant(text: &str, locale: &Locale) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    if let Ok(number) = text.parse() {
        return counted(number);
    }
    let (local, zone) = match text.strip_suffix("UTC") {
        Some(local) => (wall_clock(local.trim_end())?, TimeZone::UTC),
        None => (wall_clock(text)?, locale.zone.clone()?),
    };
    Some(zone.to_ambiguous_zoned_datetime(local).compatible().ok()?.timestamp())
}

/// Milliseconds since 1970, or seconds, where they can be told apart: from 2001 to 5138.
fn counted(number: i64) -> Option<Timestamp> {
    match number {
        1_000_000_000..100_000_000_000 => Timestamp::from_second(number).ok(),
        100_000_000_000.. => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

fn wall_clock(text: &str) -> Option<DateTime> {
    let spoken =
        || ["%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p"].iter().find_map(|form| DateTime::strptime(form, text).ok());
    text.parse().ok().or_else(spoken)
}

pub(super) fn day(at: Timestamp, locale: &Locale) -> String {
    told(at, locale, "%Y-%m-%d")
}

pub(super) fn day_and_time(at: Timestamp, locale: &Locale) -> String {
    told(at, locale, "%Y-%m-%d %H:%M")
}

/// In the location's zone; where that is not known, in UTC, and so that the reader sees it.
fn told(at: Timestamp, locale: &Locale, format: &str) -> String {
    match &locale.zone {
        Some(zone) => at.to_zoned_datetime(zone.clone()).strftime(format).to_string(),
        None => format!("{} UTC", at.strftime(format)),
    }
}

/// What of the location's record is not known to us, where the settings do not say it.
pub fn unknown(policy: &Policy, record: &LocationRecord) -> Unread {
    Locale::new((policy.zone.clone(), policy.region), record).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form_they_come_in() {
        let locale = Locale { zone: zone("America/New_York"), region: None, is_told: true };
        for text in [
            "2030-09-16T15:00:00Z",
            "2030-09-16T15:00:00.000+00:00",
            "2030-09-16 11:00:00",
            "2030-09-16 11:00 AM",
            "2030-09-16 11:00:00 am",
            "2030-09-16 15:00:00 UTC",
            "1915801200000",
            "1915801200",
        ] {
            assert_eq!(instant(text, &locale), Some("2030-09-16T15:00:00Z".parse().unwrap()), "{text}");
        }
        for text in ["", "soon", "17", "20300916", "16/09/2030 11:00"] {
            assert_eq!(instant(text, &locale), None, "{text}");
        }
    }
}
