//! The clock and the jitter source that everyone is handed. The only file that asks the machine for
//! the time.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::warn;

/// Tells the time, and waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<Mutex<Counted>>),
    Manual(Arc<watch::Sender<Timestamp>>),
}

/// Time counted by the monotonic clock, which cannot be set.
#[derive(Debug)]
struct Counted {
    /// The time at `since`.
    base: Timestamp,
    since: Instant,
    /// After a small step back the time stands still here until it is reached again.
    floor: Timestamp,
}

impl Counted {
    fn at(&self, instant: Instant) -> Timestamp {
        (self.base + instant.saturating_duration_since(self.since)).max(self.floor)
    }
}

/// What another clock said, and when it was asked and answered.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The other clock's time.
    pub time: Timestamp,
    /// Before the question was sent.
    pub asked: Instant,
    /// After the answer had come.
    pub answered: Instant,
}

/// An answer that took longer says too little about the time at which it was given.
const LONGEST_TRIP: Duration = Duration::from_secs(1);

/// A difference of less is within what a round trip can measure.
const TOLERANCE: Duration = Duration::from_millis(50);

/// A step of so much takes effect at once also backwards, is logged, and makes stored times wrong.
const LARGE_STEP: Duration = Duration::from_secs(5);

impl Clock {
    /// The machine's clock as it is now; from here on time is counted by the monotonic clock, and
    /// set only by [`Clock::set_by`].
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn system() -> Self {
        let counted = Counted { base: Timestamp::now(), since: Instant::now(), floor: Timestamp::MIN };
        Self(Source::System(Arc::new(Mutex::new(counted))))
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start))))
    }

    /// The time, to the millisecond, as everything that is stored keeps it.
    pub fn now(&self) -> Timestamp {
        let now = match &self.0 {
            Source::System(counted) => locked(counted).at(Instant::now()),
            Source::Manual(time) => *time.borrow(),
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Sets the clock, and all its clones, by another one that counts for several processes. A step
    /// forward takes effect at once, a small one back by standing still. Returns whether the step
    /// was so large that times stored before may be wrong. A manual clock is left alone.
    pub fn set_by(&self, other: &Reading) -> bool {
        let Source::System(counted) = &self.0 else { return false };
        let trip = other.answered.saturating_duration_since(other.asked);
        if trip > LONGEST_TRIP {
            return false;
        }
        // The other clock was read at some time during the round trip.
        let read_at = other.asked + trip / 2;
        let mut counted = locked(counted);
        let step = other.time.duration_since(counted.at(read_at));
        if step.unsigned_abs() <= TOLERANCE + trip / 2 {
            return false;
        }
        let is_large = step.unsigned_abs() >= LARGE_STEP;
        let floor = if is_large { Timestamp::MIN } else { counted.at(Instant::now()) };
        *counted = Counted { base: other.time, since: read_at, floor };
        if is_large {
            let way = if step.is_negative() { "back" } else { "forward" };
            warn!(
                "the time is set {way} by {} s, to the database's clock; keep the clocks of all machines right by NTP",
                step.as_secs().unsigned_abs()
            );
        }
        is_large
    }

    /// Moves a manual clock; the machine's own clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.0 {
            time.send_modify(|now| *now += by);
        }
    }

    /// Waits until the time has come.
    #[expect(clippy::disallowed_methods, reason = "the one place that may wait")]
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            // In steps: a laptop that slept or a clock that was set right must not make us late by
            // hours.
            Source::System(_) => {
                while let Ok(left) = Duration::try_from(at.duration_since(self.now())) {
                    if left.is_zero() {
                        return;
                    }
                    tokio::time::sleep(left.min(Duration::from_secs(60))).await;
                }
            }
            Source::Manual(time) => {
                // An error means that the clock was dropped, and with it all that wait for it.
                let _ = time.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    /// Waits for so long, whatever anybody sets the machine's clock to meanwhile.
    #[expect(clippy::disallowed_methods, reason = "the one place that may wait")]
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            Source::System(_) => tokio::time::sleep(time).await,
            Source::Manual(_) => self.sleep_until(self.now() + time).await,
        }
    }

    /// Gives up on `work` after this time: `None`.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }

    /// A random part, up to a tenth, of `time`: spreads what would otherwise happen all at once.
    /// None by hand-moved clock.
    pub fn jitter(&self, time: Duration) -> Duration {
        match self.0 {
            Source::System(_) => time.mul_f64(rand::random_range(0.0..0.1)),
            Source::Manual(_) => Duration::ZERO,
        }
    }
}

fn locked(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_clock_follows_another_one_and_goes_back_only_by_a_large_step() {
        const SECOND: i64 = 1000;
        // The other clock's difference and its round trip in ms; what ours differs then at once;
        // does stored time become wrong?
        for (ahead, trip, step, is_large) in [
            (30, 0, 0, false),
            (-30, 0, 0, false),
            (700, 0, 700, false),
            (700, 2000, 0, false),
            (300, 800, 0, false),
            (-4 * SECOND, 0, 0, false),
            (70 * SECOND, 10, 70 * SECOND, true),
            (-3600 * SECOND, 10, -3600 * SECOND, true),
        ] {
            let clock = Clock::system();
            let shown = format!("{ahead} ms ahead, {trip} ms on the way");
            let before = clock.now();
            let asked = Instant::now();
            let trip = Duration::from_millis(trip);
            let time = before + SignedDuration::from_millis(ahead) + trip / 2;
            assert_eq!(clock.set_by(&Reading { time, asked, answered: asked + trip }), is_large, "{shown}");
            let found = clock.clone().now().duration_since(before).as_millis();
            assert!((i128::from(step)..i128::from(step) + 30).contains(&found), "{shown}: {found}");
        }
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_those_whose_time_has_come() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("woke a second early"),
            () = tokio::task::yield_now() => {}
        }
        clock.advance(Duration::from_secs(1));
        assert!(waiting.await.is_ok());
    }
}
