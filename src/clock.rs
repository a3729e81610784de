//! The clock and the jitter source that everyone is handed. The only file that asks the machine for the time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

/// Tells the time, and waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start))))
    }

    /// The time, to the millisecond, as everything that is stored keeps it.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn now(&self) -> Timestamp {
        let now = match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(time) => *time.borrow(),
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
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
            // In steps: a laptop that slept or a clock that was set right must not make us late by hours.
            Source::System => {
                while let Ok(left) = Duration::try_from(at.duration_since(self.now())) {
                    if left.is_zero() {
                        return;
                    }
                    tokio::time::sleep(left.min(Duration::from_secs(60))).await;
                }
            }
            Source::Manual(time) => {
                // An error means that the clock itself is gone, and with it everyone who could wait for it.
                let _ = time.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    /// Waits for so long, whatever anybody sets the machine's clock to meanwhile.
    #[expect(clippy::disallowed_methods, reason = "the one place that may wait")]
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(time).await,
            Source::Manual(_) => self.sleep_until(self.now() + time).await,
        }
    }

    /// Gives up on `work` after so long: `None`.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }

    /// A random part, up to a tenth, of `time`: spreads what would otherwise happen all at once. None by hand-moved clock.
    pub fn jitter(&self, time: Duration) -> Duration {
        match self.0 {
            Source::System => time.mul_f64(rand::random_range(0.0..0.1)),
            Source::Manual(_) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
