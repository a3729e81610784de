//! Time zones by name.

use jiff::tz::{Offset, TimeZone};

/// The zone of that name: one of the time zone database, or a fixed one as in `GMT+5:30`. The
/// database comes with the program, so that it is the same on each system: Debian keeps older names
/// such as `US/Central` in a package of their own.
pub fn zone(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    TimeZone::get(name).ok().or_else(|| {
        let offset = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC"))?;
        let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "0"));
        let (sign, hours) = match hours.strip_prefix('-') {
            Some(hours) => (-1, hours),
            None => (1, hours.strip_prefix('+')?),
        };
        let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
        let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
        Offset::from_seconds(seconds).ok().filter(|_| hours <= 14 && minutes < 60).map(TimeZone::fixed)
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn zones_are_the_same_on_each_system() {
        let at: Timestamp = "2026-12-01T20:00:00Z".parse().unwrap();
        for (name, shown) in [
            ("America/New_York", "15:00"),
            ("US/Central", "14:00"),
            ("Asia/Calcutta", "01:30"),
            // It left its winter time in 2026.
            ("America/Vancouver", "13:00"),
            ("GMT+5:30", "01:30"),
            ("UTC-03", "17:00"),
            (" Europe/Berlin ", "21:00"),
        ] {
            assert_eq!(at.to_zoned_datetime(zone(name).unwrap()).strftime("%H:%M").to_string(), shown, "{name}");
        }
        for name in ["", "Mars/Olympus", "GMT+99", "GMT5", "UTC+5:75", "GMT+-5"] {
            assert_eq!(zone(name), None, "{name}");
        }
    }
}
