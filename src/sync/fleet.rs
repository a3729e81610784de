//! Which locations this process works: keeps its heartbeat, starts an owner for what it has taken
//! over, stops it when the location is another's, hands back what is more than its share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error_span, info, warn};

use super::owner::Owner;
use super::progress::Progress;
use super::{Connection, Lease, Nudge, OpenVendors, VendorClients};
use crate::clock::Clock;
use crate::model::LocationId;
use crate::store::{self, Store};

/// The locations of one process.
pub struct Fleet {
    store: Store,
    process: String,
    lease: Duration,
    candidates: Vec<LocationId>,
    reach: OpenVendors,
    nudge: Nudge,
    clock: Clock,
    progress: watch::Sender<Progress>,
}

/// How long this process leaves a location alone that it could not start: another process may try.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Until when a location that cannot be worked here is left alone. By revision, because a change
/// may have fixed the cause.
type LeftAlone = HashMap<(LocationId, i64), Instant>;

/// An owner at work.
struct Running {
    epoch: i64,
    revision: i64,
    lease: Lease,
    stop: CancellationToken,
}

impl Fleet {
    /// `process`: a name that no other process has. `lease`: how long a process may be silent
    /// before others take over. `candidates`: the locations that the settings know how to reach.
    /// `clock`: the clock of all work; it is set by the database's clock with each heartbeat.
    pub fn new(
        store: Store,
        process: String,
        lease: Duration,
        candidates: Vec<LocationId>,
        reach: OpenVendors,
        nudge: Nudge,
        clock: Clock,
    ) -> Self {
        Self { store, process, lease, candidates, reach, nudge, clock, progress: watch::Sender::default() }
    }

    /// How far the work is; changes whenever it moves on.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until told to stop; then finishes what is in flight and hands the locations back. Ends
    /// by itself only when an owner died.
    pub async fn run(self, stop: CancellationToken) {
        // Heartbeats use a clock of their own: other processes do not wait for a clock that is
        // moved by hand.
        let clock = Clock::system();
        let mut owners = JoinSet::new();
        let mut running: HashMap<LocationId, Running> = HashMap::new();
        let mut left_alone = LeftAlone::new();
        loop {
            self.set_clock(&running).await;
            let sent = Instant::now();
            left_alone.retain(|_, until| *until > sent);
            let is_left_alone = |connection: &store::Connection| {
                left_alone.contains_key(&(connection.location.clone(), connection.revision))
            };
            match self.store.beat(&self.process, self.lease, &self.candidates, is_left_alone).await {
                Ok(beat) => {
                    let until = sent + self.lease;
                    renew(&running, &beat.owned, until);
                    for refused in self.follow(beat, until, &mut running, &mut owners).await {
                        self.give_back(&refused.location).await;
                        left_alone.insert((refused.location, refused.revision), sent + LEFT_ALONE);
                    }
                }
                Err(error) if error.tell_outage() => {}
                Err(error) => warn!(error = %error, "the heartbeat of this process could not be stored: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = clock.sleep(self.lease / 3) => {}
                () = self.nudge.fleet.notified() => {}
                Some(ended) = owners.join_next() => {
                    let Ok(location) = ended else { return };
                    running.remove(&location);
                    self.give_back(&location).await;
                }
            }
        }
        running.values().for_each(|owner| owner.stop.cancel());
        while let Some(ended) = owners.join_next().await {
            if let Ok(location) = ended {
                self.give_back(&location).await;
            }
        }
    }

    /// Sets the clock by the database's. After a large step the owners begin anew: what they have
    /// in hand was planned by another time.
    async fn set_clock(&self, running: &HashMap<LocationId, Running>) {
        // Where the database cannot be asked, the heartbeat that follows says so.
        let Ok(time) = self.store.time().await else { return };
        if self.clock.set_by(&time) {
            running.values().for_each(|owner| owner.stop.cancel());
        }
    }

    /// Starts and stops owners, until what runs is what is owned. Returns what cannot be worked
    /// here: another process may have the key to its secrets, or the settings that it takes.
    async fn follow(
        &self,
        beat: store::Heartbeat,
        until: Instant,
        running: &mut HashMap<LocationId, Running>,
        owners: &mut JoinSet<LocationId>,
    ) -> Vec<store::Connection> {
        let store::Heartbeat { mut owned, share } = beat;
        owned.truncate(share);
        for (location, owner) in running.iter() {
            if !owned.iter().any(|owned| is_that(owned, location, owner)) {
                owner.stop.cancel();
            }
        }
        let mut refused = Vec::new();
        for connection in owned {
            if running.contains_key(&connection.location) {
                continue;
            }
            let store::Connection { location, epoch, revision, .. } = connection.clone();
            let (stop, lease) = (CancellationToken::new(), Lease::default());
            lease.set(Some(until));
            let entered = match self.store.entered(&location).await {
                Ok(entered) => entered,
                // The database's own trouble passes, and others have it as well.
                Err(error) if error.tell_outage() => continue,
                Err(error) => {
                    warn!(location.id = %location, error = %error, "location {location} cannot be worked: {error}");
                    refused.push(connection);
                    continue;
                }
            };
            let connected = match (self.reach)(&location, entered).and_then(|reached| feeds(reached, &connection)) {
                Ok(reached) => Connection::new(&connection, reached, lease.clone(), self.clock.clone()),
                Err(problem) => {
                    warn!(location.id = %location, "location {location} cannot be worked: {problem}");
                    refused.push(connection);
                    continue;
                }
            };
            info!(location.id = %location, epoch, "working location {location}");
            let owner =
                Owner::new(self.store.clone(), connected, self.nudge.clone(), self.progress.clone(), stop.clone());
            running.insert(location.clone(), Running { epoch, revision, lease, stop });
            let span = error_span!(parent: None, "location", location.id = %location);
            let owner = async move {
                owner.run().await;
                location
            };
            owners.spawn(owner.instrument(span));
        }
        refused
    }

    /// Releases a location that is no longer worked here, so that another process can take it.
    async fn give_back(&self, location: &LocationId) {
        self.progress.send_modify(|progress| {
            progress.ended(location);
        });
        if let Err(error) = self.store.release(&self.process, location).await
            && !error.tell_outage()
        {
            warn!(location.id = %location, error = %error, "location {location} could not be released, so no other process can take it over while this one runs: {error}");
        }
    }
}

/// An owner that is stopped because this process has more than its share finishes what it has in
/// hand. One whose location another process has taken over writes nothing any more.
fn renew(running: &HashMap<LocationId, Running>, owned: &[store::Connection], until: Instant) {
    for (location, owner) in running {
        let is_owned = owned.iter().any(|owned| owned.location == *location && owned.epoch == owner.epoch);
        owner.lease.set(is_owned.then_some(until));
    }
}

/// Checks the account: the links of the location belong to one, and a person may have changed the
/// settings.
fn feeds(reached: VendorClients, owned: &store::Connection) -> Result<VendorClients, String> {
    match reached.trafft.account() {
        asked if asked == owned.account => Ok(reached),
        asked => Err(format!("its links belong to the Trafft account `{}`, not to `{asked}`", owned.account)),
    }
}

/// Does the running owner work this connection as it is now? A new revision ends the owner as a new
/// epoch does; the next heartbeat starts another.
fn is_that(owned: &store::Connection, location: &LocationId, running: &Running) -> bool {
    owned.location == *location && owned.epoch == running.epoch && owned.revision == running.revision
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("process", &self.process).finish_non_exhaustive()
    }
}
