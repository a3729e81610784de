//! A location of which no event comes any more, though its contacts change.

use std::time::Duration;

use jiff::Timestamp;

/// So many changes that no event told, found over so long a time: events are probably paused.
/// Single ones are nothing: some fields change without any event (G §8.5).
const CHANGES: i64 = 3;
const SPAN: Duration = Duration::from_hours(3);

/// What sweeps have found and no event has told, since the last event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// When the last event came; none: nothing was found since.
    pub since: Option<Timestamp>,
    /// How many changes.
    pub untold: i64,
    /// When the first of them was found.
    pub untold_since: Option<Timestamp>,
    /// When this was taken for a pause; none: it is not.
    pub paused_at: Option<Timestamp>,
}

/// A search for changed contacts that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Swept {
    /// It looked for what changed since then.
    pub from: Timestamp,
    /// Changes that no event had told.
    pub found: i64,
    /// When it ended.
    pub at: Timestamp,
}

impl Silence {
    /// What is known after another sweep. `heard`: when the last event came; none: none is known,
    /// so it cannot be missed.
    #[must_use]
    pub fn after(self, heard: Option<Timestamp>, swept: Swept) -> Self {
        let Some(heard) = heard else { return self };
        let Self { since, untold, untold_since, paused_at } = self;
        match since {
            // What this sweep found may have changed before that event came.
            Some(since) if heard > since => Self::default(),
            None if heard >= swept.from => self,
            _ if swept.found == 0 => self,
            _ => {
                let untold = untold + swept.found;
                let first = untold_since.unwrap_or(swept.at);
                let is_pause = untold >= CHANGES && swept.at >= first + SPAN;
                let paused_at = paused_at.or(is_pause.then_some(swept.at));
                Self { since: since.or(Some(heard)), untold, untold_since: Some(first), paused_at }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// A sweep each quarter of an hour from minute 15 on finds so many; the last event came then.
    fn after(heard: Option<i64>, found: &[i64]) -> Silence {
        found.iter().zip(1..).fold(Silence::default(), |silence, (found, number)| {
            let at = number * 15;
            silence.after(heard.map(minute), Swept { from: minute(at - 15), found: *found, at: minute(at) })
        })
    }

    #[test]
    fn changes_over_hours_without_any_event_are_a_pause() {
        let mut found = [0; 14];
        (found[0], found[3]) = (1, 1);
        assert_eq!(after(Some(-1), &found).paused_at, None, "two are not enough");
        found[12] = 1;
        let paused = after(Some(-1), &found);
        assert_eq!((paused.paused_at, paused.since, paused.untold), (Some(minute(195)), Some(minute(-1)), 3));
        assert_eq!(after(None, &found), Silence::default(), "of a location that has never sent any, none is missed");
        (found[12], found[11]) = (0, 50);
        assert_eq!(after(Some(-1), &found).paused_at, None, "within less than three hours they are no pause");
    }

    #[test]
    fn an_event_ends_it_and_begins_the_count_anew() {
        let swept = |at: i64| Swept { from: minute(at - 15), found: 5, at: minute(at) };
        let paused = after(Some(-1), &[5; 14]);
        assert!(paused.paused_at.is_some());
        assert_eq!(paused.after(Some(minute(215)), swept(225)), Silence::default());
        // Still nothing.
        assert_eq!(paused.after(Some(minute(-1)), swept(225)).paused_at, paused.paused_at);
        // Where an event came during the sweep's own time, what it finds says nothing.
        assert_eq!(Silence::default().after(Some(minute(220)), swept(225)), Silence::default());
    }
}
