//! Trouble that meets many at once, or comes again every second: the log has one line when it
//! begins, and one when it is over that says how often it came.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What has not come for so long is over, once something shows that it works. Shorter pauses belong
/// to the same trouble.
const QUIET: Duration = Duration::from_secs(10);

/// The same where nothing shows that it works.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// One kind of trouble, as long as it lasts.
#[derive(Debug, Default)]
pub struct Spell(Mutex<Option<Lasting>>);

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// When it came first.
    pub since: Instant,
    /// When it came last.
    pub last: Instant,
    /// How often it came.
    pub times: u64,
}

impl Spell {
    /// It has not come yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Counts one case. True: the trouble is new, and has to be logged.
    pub fn came(&self, now: Instant) -> bool {
        let mut lasting = self.lasting();
        match lasting.as_mut() {
            Some(lasting) if now.duration_since(lasting.last) < FORGOTTEN => {
                lasting.last = now;
                lasting.times += 1;
                false
            }
            _ => {
                *lasting = Some(Lasting { since: now, last: now, times: 1 });
                true
            }
        }
    }

    /// What was done worked. If that ends it: what it was.
    pub fn over(&self, now: Instant) -> Option<Lasting> {
        self.lasting().take_if(|lasting| now.duration_since(lasting.last) >= QUIET)
    }

    fn lasting(&self) -> MutexGuard<'_, Option<Lasting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lasting {
    /// How long it lasted, in whole seconds.
    pub fn seconds(&self) -> u64 {
        self.last.duration_since(self.since).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_once_it_has_not_come_for_a_while() {
        let spell = Spell::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(spell.over(at(0)), None);
        assert!(spell.came(at(0)));
        assert!(!spell.came(at(1)));
        assert_eq!(spell.over(at(10)), None, "it may come again");
        assert!(!spell.came(at(11)));
        let lasted = spell.over(at(21)).unwrap();
        assert_eq!((lasted.times, lasted.seconds()), (3, 11));
        assert_eq!(spell.over(at(22)), None);
        assert!(spell.came(at(23)) && !spell.came(at(600)) && spell.came(at(1200)));
    }
}
