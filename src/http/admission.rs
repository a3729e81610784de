//! Who comes in when, so that no flood keeps a signed webhook out, wherever either comes from. Refusing by address would
//! not do: HighLevel sends for everybody from the same ones, and a proxy can make all the world one address.
//!
//! What is scarce is memory for bodies and time for verifying. A short body costs no more than its connection, so it is
//! read at once, however slowly it comes. For a long one there has to be room. Whoever had a webhook refused is a
//! *suspect* for a while, and waits for its turn, among suspects, until something signed comes from there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::source::Source;

/// A longer body, or one that does not say how long it is, needs room.
pub(super) const SHORT: usize = 32 * 1024;

/// Webhooks that may be worked at the same time; more are told to come again.
const OPEN: usize = 1024;

/// Long bodies that are read at the same time: with `MAX_BODY_BYTES` as it is, 256 MiB. As many again for suspects.
const LONG_BODIES: usize = 64;

/// Suspects' webhooks that are verified and stored at the same time.
const SUSPECTS: usize = 32;

/// Of those long_bodies and suspects_slots, what one source may have.
const PER_SOURCE: usize = 4;

/// So long after the last refusal a source is none like the others.
const SUSPICION: Duration = Duration::from_mins(10);

/// No more suspects are remembered; the one that was quiet for longest goes first.
const REMEMBERED: usize = 4096;

/// All of it.
#[derive(Debug)]
pub(super) struct Admission {
    open: Semaphore,
    long_bodies: Pool,
    suspects_long_bodies: Pool,
    suspects_slots: Pool,
    suspects: Mutex<HashMap<Source, Timestamp>>,
    /// Unix milliseconds: from then on there are none, and nobody takes that lock.
    until: AtomicI64,
}

/// In; the way out is to drop it.
#[derive(Debug)]
pub(super) enum Permit<'d> {
    /// One of the many.
    Open { _permit: SemaphorePermit<'d> },
    /// A suspect's.
    Suspect { _slot: Slot<'d> },
}

impl Admission {
    pub(super) fn new() -> Self {
        let (long_bodies, suspects_long_bodies, suspects_slots) =
            (Pool::new(LONG_BODIES), Pool::new(LONG_BODIES), Pool::new(SUSPECTS));
        let (suspects, until) = (Mutex::default(), AtomicI64::new(i64::MIN));
        Self { open: Semaphore::new(OPEN), long_bodies, suspects_long_bodies, suspects_slots, suspects, until }
    }

    /// Lets a webhook in to be verified; a suspect's waits for its turn. `None`: there are too many just now.
    pub(super) async fn enter(&self, source: Source, now: Timestamp) -> Option<Permit<'_>> {
        if self.is_suspect(source, now) {
            return Some(Permit::Suspect { _slot: self.suspects_slots.take(source).await });
        }
        self.open.try_acquire().ok().map(|permit| Permit::Open { _permit: permit })
    }

    /// Waits until there is room for a long body.
    pub(super) async fn long_body(&self, source: Source, now: Timestamp) -> Slot<'_> {
        let long_bodies = if self.is_suspect(source, now) { &self.suspects_long_bodies } else { &self.long_bodies };
        long_bodies.take(source).await
    }

    /// What this source sent was not signed, or never came whole. True: it was no suspect before.
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

    /// What this source sent was signed.
    pub(super) fn signed(&self, source: Source, now: Timestamp) {
        if self.any(now) {
            let mut suspects = self.suspects();
            suspects.remove(&source);
            if suspects.is_empty() {
                self.until.store(i64::MIN, Ordering::Relaxed);
            }
        }
    }

    /// A moment too late at worst: then one more goes through the open admission.
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

/// Places that are given out in the order of asking, [`PER_SOURCE`] to a source.
#[derive(Debug)]
struct Pool {
    all: Semaphore,
    sources: Mutex<HashMap<Source, Arc<Semaphore>>>,
}

/// A place in a pool.
#[derive(Debug)]
pub(super) struct Slot<'p> {
    _own: OwnedSemaphorePermit,
    _one: SemaphorePermit<'p>,
}

impl Pool {
    fn new(slots: usize) -> Self {
        Self { all: Semaphore::new(slots), sources: Mutex::default() }
    }

    #[expect(clippy::expect_used, reason = "nobody closes these semaphores")]
    async fn take(&self, source: Source) -> Slot<'_> {
        // First its own: whoever waits for the others' must not have more than its share of the queue.
        let own = self.own(source).acquire_owned().await.expect("open");
        Slot { _own: own, _one: self.all.acquire().await.expect("open") }
    }

    fn own(&self, source: Source) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // Held by the pool alone: nobody is in or waits.
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
        // All of them together have so many.
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
