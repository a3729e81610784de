//! Admission of webhooks: a flood of unsigned requests must not keep a signed webhook out, even
//! when both come from the same address. Blocking addresses would not work: HighLevel sends for all
//! its customers from the same ones, and behind a proxy all requests can have one address.
//!
//! Memory for bodies and time for verifying are limited. A short body costs no more than its
//! connection, so it is read at once, however slowly it arrives. A long body needs a slot. A source
//! whose webhook was refused is a *suspect* for some minutes: its webhooks queue with those of
//! other suspects, until one of them is signed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::source::Source;

/// Bytes. A longer body, or one that does not tell its length, needs a slot.
pub(super) const SHORT: usize = 32 * 1024;

/// Webhooks that are processed at the same time; more are answered 429, so that the sender retries.
const OPEN: usize = 1024;

/// Long bodies that are read at the same time: 256 MiB with the default of `MAX_BODY_BYTES`.
/// Suspects have as many of their own.
const LONG_BODIES: usize = 64;

/// Suspects' webhooks that are verified and stored at the same time.
const SUSPECTS: usize = 32;

/// Slots that one source may hold in each pool.
const PER_SOURCE: usize = 4;

/// A source stops being a suspect this long after its last refusal.
const SUSPICION: Duration = Duration::from_mins(10);

/// Suspects that are remembered; of more, the one that was quiet for longest is forgotten.
const REMEMBERED: usize = 4096;

/// The limits of one process.
#[derive(Debug)]
pub(super) struct Admission {
    open: Semaphore,
    long_bodies: Pool,
    suspects_long_bodies: Pool,
    suspects_slots: Pool,
    suspects: Mutex<HashMap<Source, Timestamp>>,
    /// Unix milliseconds. Later than this there are no suspects, and the lock need not be taken.
    until: AtomicI64,
}

/// Held while a webhook is processed; dropped at its end.
#[derive(Debug)]
pub(super) enum Permit<'d> {
    /// Of a source without refusals.
    Open { _permit: SemaphorePermit<'d> },
    /// Of a suspect.
    Suspect { _slot: Slot<'d> },
}

impl Admission {
    pub(super) fn new() -> Self {
        let long_bodies = Pool::new(LONG_BODIES);
        let suspects_long_bodies = Pool::new(LONG_BODIES);
        let suspects_slots = Pool::new(SUSPECTS);
        let suspects = Mutex::default();
        let until = AtomicI64::new(i64::MIN);
        Self { open: Semaphore::new(OPEN), long_bodies, suspects_long_bodies, suspects_slots, suspects, until }
    }

    /// Waits for the permit to verify a webhook; only suspects wait. `None`: too many webhooks are
    /// processed just now.
    pub(super) async fn enter(&self, source: Source, now: Timestamp) -> Option<Permit<'_>> {
        if self.is_suspect(source, now) {
            return Some(Permit::Suspect { _slot: self.suspects_slots.take(source).await });
        }
        self.open.try_acquire().ok().map(|permit| Permit::Open { _permit: permit })
    }

    /// Waits for a slot for a long body.
    pub(super) async fn long_body(&self, source: Source, now: Timestamp) -> Slot<'_> {
        let long_bodies = if self.is_suspect(source, now) { &self.suspects_long_bodies } else { &self.long_bodies };
        long_bodies.take(source).await
    }

    /// A webhook of this source was not signed, or did not arrive whole. True: the source was no
    /// suspect before.
    pub(super) fn refused(&self, source: Source, now: Timestamp) -> bool {
        let mut suspects = self.suspects();
        if suspects.len() >= REMEMBERED && !suspects.contains_key(&source) {
            suspects.retain(|_, last| *last + SUSPICION > now);
            let quietest = suspects.iter().min_by_key(|(_, last)| **last).map(|(source, _)| *source);
            if let Some(quietest) = quietest.filter(|_| suspects.len() >= REMEMBERED) {
                suspects.remove(&quietest);
            }
        }
        let before = suspects.insert(source, now);
        self.until.fetch_max((now + SUSPICION).as_millisecond(), Ordering::Relaxed);
        before.is_none_or(|last| last + SUSPICION <= now)
    }

    /// A webhook of this source was signed.
    pub(super) fn signed(&self, source: Source, now: Timestamp) {
        if self.any(now) {
            let mut suspects = self.suspects();
            suspects.remove(&source);
            if suspects.is_empty() {
                self.until.store(i64::MIN, Ordering::Relaxed);
            }
        }
    }

    /// Without the lock, so it can be a moment late: then one suspect is admitted like others.
    fn any(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.until.load(Ordering::Relaxed)
    }

    fn is_suspect(&self, source: Source, now: Timestamp) -> bool {
        self.any(now) && self.suspects().get(&source).is_some_and(|last| *last + SUSPICION > now)
    }

    fn suspects(&self) -> MutexGuard<'_, HashMap<Source, Timestamp>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slots, given out in the order of asking, at most [`PER_SOURCE`] to one source.
#[derive(Debug)]
struct Pool {
    all: Semaphore,
    sources: Mutex<HashMap<Source, Arc<Semaphore>>>,
}

/// A slot of a pool.
#[derive(Debug)]
pub(super) struct Slot<'p> {
    _own: OwnedSemaphorePermit,
    _one: SemaphorePermit<'p>,
}

impl Pool {
    fn new(slots: usize) -> Self {
        Self { all: Semaphore::new(slots), sources: Mutex::default() }
    }

    #[expect(clippy::expect_used, reason = "these semaphores are never closed")]
    async fn take(&self, source: Source) -> Slot<'_> {
        // The limit of the source first, so that one source cannot fill the queue of the pool.
        let own = self.own(source).acquire_owned().await.expect("open");
        Slot { _own: own, _one: self.all.acquire().await.expect("open") }
    }

    fn own(&self, source: Source) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the pool holds it: no slot of this source is in use or waited for.
        sources.retain(|_, own| Arc::strong_count(own) > 1);
        sources.entry(source).or_insert_with(|| Arc::new(Semaphore::new(PER_SOURCE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use futures_util::FutureExt;

    use super::*;

    fn source(n: usize) -> Source {
        Source::new(IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(n).unwrap())))
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    #[test]
    fn a_suspect_has_its_share_of_turns_and_the_others_theirs() {
        let admission = Admission::new();
        assert!(admission.refused(source(1), now()) && !admission.refused(source(1), now()));
        let turn = |n| admission.enter(source(n), now()).now_or_never();
        let mut held: Vec<_> = (0..PER_SOURCE).map(|_| turn(1).expect("a turn")).collect();
        assert!(turn(1).is_none(), "it waits");
        assert!(matches!(turn(2), Some(Some(Permit::Open { .. }))), "who is clean does not");
        admission.refused(source(3), now());
        assert!(matches!(turn(3), Some(Some(Permit::Suspect { .. }))));
        held.pop();
        assert!(turn(1).is_some());
        // All suspects together have `SUSPECTS` turns.
        for n in 10..10 + SUSPECTS {
            admission.refused(source(n), now());
            held.extend(turn(n));
        }
        assert_eq!(held.len(), SUSPECTS);
        admission.signed(source(1), now());
        assert!(matches!(turn(1), Some(Some(Permit::Open { .. }))));
    }

    #[test]
    fn suspicion_ends_and_is_bounded() {
        let admission = Admission::new();
        admission.refused(source(0), now());
        let at = |n, at| matches!(admission.enter(source(n), at).now_or_never(), Some(Some(Permit::Suspect { .. })));
        assert!(at(0, now() + SUSPICION - Duration::from_millis(1)) && !at(0, now() + SUSPICION));
        for n in 0..REMEMBERED + 100 {
            admission.refused(source(n), now() + Duration::from_millis(n as u64));
        }
        assert_eq!(admission.suspects().len(), REMEMBERED);
        assert!(!at(0, now()) && at(REMEMBERED + 99, now()));
        let long_bodies: Vec<_> =
            (0..1000).filter_map(|n| admission.long_body(source(n), now()).now_or_never()).collect();
        drop(long_bodies);
        for (n, pool) in [(1, &admission.long_bodies), (999, &admission.suspects_long_bodies)] {
            drop(admission.long_body(source(n), now()).now_or_never());
            assert_eq!(pool.sources.lock().unwrap().len(), 1, "who has left is forgotten");
        }
    }
}
