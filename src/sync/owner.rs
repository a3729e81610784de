//! Works one location as long as this process owns it: one loop, one task a contact, one sweep at a
//! time.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, error, error_span, info, warn};

use super::gate::Look;
use super::progress::{LocationProgress, Progress};
use super::{Connection, Failure, Nudge, reconcile, sweeps, unresolved};
use crate::clients;
use crate::model::{ContactId, Lane, LocationId, Vendor};
use crate::store::{self, ContactKey, Store};

/// Tasks of one location that run at the same time. GHL takes 10 calls a second and Trafft two at
/// once, so more tasks would only wait there.
const WORKERS: usize = 16;

/// A task of this lane begins only while fewer tasks than this are in flight. Background work must
/// not fill the queue for Trafft's two concurrent calls, where webhooks wait too.
fn room(lane: Lane) -> usize {
    match lane {
        Lane::Live => WORKERS,
        Lane::Retry => 14,
        Lane::Sweep => 8,
        Lane::Backfill => 4,
    }
}

/// Pause for a contact after an error of our own: of the database, or a panic.
const PAUSE: Duration = Duration::from_secs(1);
const AFTER_PANIC: Duration = Duration::from_mins(1);

/// How often due work is looked for without a signal: the signal of another process may be lost.
const LOOK_ANYWAY: Duration = Duration::from_secs(15);

/// A piece of work, by which it is known while it is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    Contact(ContactId),
    /// Finding the contacts of events that do not name theirs.
    Unresolved,
    Sweep,
}

impl Work {
    /// What every line of the log that belongs to it has to name.
    fn span(&self, location: &LocationId) -> Span {
        match self {
            Self::Contact(id) => error_span!(parent: None, "contact", location.id = %location, contact.id = %id),
            Self::Unresolved => error_span!(parent: None, "unresolved", location.id = %location),
            Self::Sweep => error_span!(parent: None, "sweep", location.id = %location, sweep = Empty),
        }
    }
}

/// The pieces of work in flight, each in a task of its own.
#[derive(Debug, Default)]
struct InFlight {
    tasks: JoinSet<()>,
    /// By the task's id, which is known however the task ends: one that panicked cannot say what it
    /// worked.
    works: HashMap<task::Id, Work>,
}

impl InFlight {
    fn begin(&mut self, work: Work, doing: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(doing);
        self.works.insert(task.id(), work);
    }

    fn len(&self) -> usize {
        self.works.len()
    }

    /// There are few: no second map is kept for this.
    fn holds(&self, work: &Work) -> bool {
        self.works.values().any(|worked| worked == work)
    }

    /// Waits until a task has ended, and frees its slot; waits for ever while there is no task. Can
    /// be dropped at any time.
    async fn one_ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => {
                let id = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
                self.works.remove(&id);
            }
            None => std::future::pending().await,
        }
    }

    async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
        self.works.clear();
    }
}

/// What looking for work brought.
struct Taken {
    /// When to look again.
    next: Option<Timestamp>,
    /// Was something that is due left alone on purpose?
    held_back: bool,
}

/// The worker of one location.
#[derive(Debug)]
pub(super) struct Owner {
    store: Store,
    connection: Arc<Connection>,
    nudge: Nudge,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
}

impl Owner {
    /// Nothing runs before [`Owner::run`].
    pub(super) fn new(
        store: Store,
        connection: Connection,
        nudge: Nudge,
        progress: watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Self {
        Self { store, connection: Arc::new(connection), nudge, progress, stop }
    }

    /// Works until told to stop; then finishes what is in flight.
    pub(super) async fn run(self) {
        let location = &self.connection.location;
        let clock = &self.connection.clock;
        let mut nudges = self.nudge.listen(location);
        if self.stop.run_until_cancelled(self.build_directory()).await.is_none() {
            return;
        }
        while !self.prepare().await {
            if self.stop.run_until_cancelled(clock.sleep(PAUSE)).await.is_none() {
                return;
            }
        }
        let mut parked = self.release_parked().await;
        let mut work = InFlight::default();
        loop {
            if parked.is_some_and(|at| at <= clock.now()) {
                parked = self.release_parked().await;
            }
            let taken = self.take(&mut work).await.unwrap_or_else(|failure| {
                if !failure.tell_outage() {
                    error!(error = %failure, "the queue of due work cannot be read, trying again: {failure}");
                }
                Taken { next: Some(clock.now() + PAUSE), held_back: true }
            });
            let revision = self.connection.revision;
            let state =
                LocationProgress { revision, in_flight: work.len(), held_back: taken.held_back, next: taken.next };
            // While all workers are busy, nudges are ignored: a thousand events a second would
            // otherwise be a thousand queries for work that cannot start.
            let has_room = state.in_flight < WORKERS;
            self.progress.send_modify(|progress| progress.moved(location, state));
            let anyway = self.store.is_shared().then(|| clock.now() + LOOK_ANYWAY);
            let sleep = async {
                match taken.next.into_iter().chain(anyway).chain(parked).min() {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = work.one_ended() => {}
                Ok(()) = nudges.changed(), if has_room => {}
                () = sleep, if has_room => {}
            }
        }
        work.all_ended().await;
    }

    /// What comes before the work on the location. False: the database is away, so all of it has to
    /// be done again, which does no harm.
    async fn prepare(&self) -> bool {
        let Connection { location, clock, epoch, .. } = &*self.connection;
        let now = clock.now();
        let ended = self.store.end_future(location, *epoch, now).await;
        if let Ok(ended @ 1..) = ended {
            warn!(
                ended,
                "location {location}: {ended} times lay in the future, because a clock ran ahead; they are now"
            );
        }
        let mut steps = vec![("times that a clock ahead has set could not be corrected", ended.map(drop))];
        for vendor in Vendor::ALL {
            // What made this process start (credentials, settings, a restart) may have fixed the
            // cause for which contacts wait.
            steps.push(("contacts that wait for a vendor still wait", self.store.wake(location, vendor, now).await));
        }
        let forgotten = sweeps::projection::forget_other(&self.store, &self.connection).await;
        steps.push(("contacts may stay as other rules have projected them", forgotten));
        let planned = sweeps::plan(&self.store, &self.connection).await;
        steps.push(("sweeps could not be planned anew", planned));
        for (meaning, step) in steps {
            match step {
                Err(error) if error.tell_outage() => return false,
                Err(error) => error!(error = %error, "location {location}: {meaning}: {error}"),
                Ok(()) => {}
            }
        }
        true
    }

    /// Lets go the events that came before the location was connected. Tells when to do so again:
    /// another process may be storing one in the belief that it is not connected yet; and what
    /// failed is tried again.
    async fn release_parked(&self) -> Option<Timestamp> {
        let location = &self.connection.location;
        let now = self.connection.clock.now();
        let released = self.store.release_parked(location, now).await;
        if let Err(error) = &released
            && !error.tell_outage()
        {
            error!(error = %error, "parked events of location {location} could not be released, trying again: {error}");
        }
        (released.is_err() || self.store.is_shared()).then(|| now + LOOK_ANYWAY)
    }

    /// Starts what is due and not in flight, as far as there are workers and vendors; tells when to
    /// look again.
    async fn take(&self, work: &mut InFlight) -> Result<Taken, store::Error> {
        let location = &self.connection.location;
        let now = self.connection.clock.now();
        if let Some(until) = self.connection.ghl.full_until(Lane::Live) {
            let reason = Failure::Ghl(clients::Error::BudgetUsedUp { until }).to_string();
            let is_worked = |contact: &ContactId| work.holds(&Work::Contact(contact.clone()));
            self.store.tell_put_off(location, &reason, is_worked);
            return Ok(Taken { next: Some(until), held_back: true });
        }
        let looks = [self.connection.gates.ghl.look(now), self.connection.gates.trafft.look(now)];
        let closed: Vec<_> =
            looks.iter().filter_map(|look| if let Look::Closed(until) = look { Some(*until) } else { None }).collect();
        // While a vendor is down only live contacts start, so that their waiting request is
        // answered at once; the others stay queued.
        let least = if closed.is_empty() { Lane::Backfill } else { Lane::Live };
        let limit = match looks.contains(&Look::Ajar) {
            // One contact tries whether the vendor is back.
            true => 1_usize.saturating_sub(work.len()),
            false => WORKERS + work.len(),
        };
        let due = self.store.due(location, least, now, limit).await?;
        for (contact, lane) in due {
            let key = ContactKey { location: location.clone(), contact };
            let store = self.store.clone();
            let connection = self.connection.clone();
            self.start(work, Work::Contact(key.contact.clone()), lane, async move {
                reconcile::reconcile(&store, &connection, &key).await
            });
        }
        if unresolved::is_due(&self.store, &self.connection).await? {
            let store = self.store.clone();
            let connection = self.connection.clone();
            self.start(
                work,
                Work::Unresolved,
                Lane::Retry,
                async move { unresolved::resolve(&store, &connection).await },
            );
        }
        if let Some(sweep) = self.store.due_sweep(location, now).await? {
            let store = self.store.clone();
            let connection = self.connection.clone();
            self.start(work, Work::Sweep, Lane::Sweep, async move { sweeps::step(&store, &connection, sweep).await });
        }
        let next = self.store.next_due(location, now).await?.into_iter().chain(closed.iter().copied()).min();
        Ok(Taken { next, held_back: !closed.is_empty() })
    }

    /// Starts one piece of work, unless it is in flight or there is no room. An error of our own
    /// leaves the work as due as before, so the task waits a while before it frees its slot.
    fn start(
        &self,
        in_flight: &mut InFlight,
        work: Work,
        lane: Lane,
        doing: impl Future<Output = Result<(), store::Error>> + Send + 'static,
    ) {
        if in_flight.len() >= room(lane) || in_flight.holds(&work) {
            return;
        }
        let connection = self.connection.clone();
        let stop = self.stop.clone();
        let span = work.span(&connection.location);
        let doing = async move {
            let pause = match AssertUnwindSafe(doing).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(store::Error::NotOwner)) => {
                    info!("another process works this location now: the work is left to it");
                    PAUSE
                }
                Ok(Err(failure)) => {
                    if !failure.tell_outage() {
                        error!(error = %failure, "the outcome could not be recorded, so the work is repeated: {failure}");
                    }
                    PAUSE
                }
                Err(_) => {
                    error!("a mistake of ours stopped the work; please report it");
                    AFTER_PANIC
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection.clock.sleep(pause) => {}
            }
        };
        in_flight.begin(work, doing.instrument(span));
    }

    async fn build_directory(&self) {
        let clock = &self.connection.clock;
        let mut failed = Vec::new();
        let mut is_waiting = false;
        while let Err(failure) = self.connection.build_directory(&self.store).await {
            if let Failure::Ghl(error) | Failure::Trafft(error) = &failure {
                let vendor = if matches!(failure, Failure::Ghl(_)) { Vendor::Ghl } else { Vendor::Trafft };
                self.connection.note_start(&self.store, vendor, Some(error)).await;
                failed.push(vendor);
            }
            let wait = match &failure {
                Failure::Trafft(clients::Error::RateLimited { retry_after: Some(wait) }) => *wait,
                _ => Duration::from_secs(15),
            };
            let is_told = matches!(&failure, Failure::Store(error) if error.tell_outage());
            if !is_told && !std::mem::replace(&mut is_waiting, true) {
                warn!(
                    error = %failure,
                    "Trafft's customers are not indexed yet: {failure}; nothing is synced until they are, it is tried again every {} s",
                    wait.as_secs()
                );
            }
            clock.sleep(wait + clock.jitter(wait)).await;
        }
        for vendor in failed {
            self.connection.note_start(&self.store, vendor, None).await;
        }
    }
}
