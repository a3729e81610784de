//! Works the locations that this process owns: one loop a location, one task a contact.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Connection, Failure, Nudge, reconcile, unresolved};
use crate::model::ContactId;
use crate::store::{self, ContactKey, Store};

/// Contacts of one location that are worked at the same time. GHL takes 10 calls a second and Trafft two at once, so
/// more would only wait elsewhere.
const WORKERS: usize = 16;

/// After trouble of our own (the database, a panic), the contact is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);
const AFTER_PANIC: Duration = Duration::from_mins(1);

/// How far the work is, for whoever watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Is the location being worked, its customers indexed?
    pub working: bool,
    /// Contacts that are being worked.
    pub in_flight: usize,
    /// When the next one is due.
    pub next_due: Option<Timestamp>,
}

/// The worker of one location.
#[derive(Debug)]
pub struct Owner {
    store: Store,
    connection: Arc<Connection>,
    nudge: Nudge,
    progress: watch::Sender<Progress>,
}

impl Owner {
    /// Nothing runs before [`Owner::run`].
    pub fn new(store: Store, connection: Connection, nudge: Nudge) -> Self {
        Self { store, connection: Arc::new(connection), nudge, progress: watch::Sender::default() }
    }

    /// How far the work is; changes whenever it moves on.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until told to stop; then finishes what is in flight.
    pub async fn run(self, stop: CancellationToken) {
        if stop.run_until_cancelled(self.build_directory()).await.is_none() {
            return;
        }
        let (mut nudges, mut work, mut in_flight) = (self.nudge.listen(), JoinSet::new(), HashSet::new());
        loop {
            let next_due = match self.take(&mut work, &mut in_flight, &stop).await {
                Ok(next_due) => next_due,
                Err(failure) => {
                    error!(error = %failure, "the work cannot be looked up: {failure}");
                    Some(self.connection.clock.now() + PAUSE)
                }
            };
            self.progress.send_replace(Progress { working: true, in_flight: in_flight.len(), next_due });
            let sleep = async {
                match next_due {
                    Some(at) => self.connection.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = work.join_next() => {
                    if let Ok(contact) = ended {
                        in_flight.remove(&contact);
                    }
                }
                Ok(()) = nudges.changed() => {}
                () = sleep => {}
            }
        }
        while work.join_next().await.is_some() {}
    }

    /// Starts what is due and not in flight, as far as there are workers; tells when more will be due.
    async fn take(
        &self,
        work: &mut JoinSet<ContactId>,
        in_flight: &mut HashSet<ContactId>,
        stop: &CancellationToken,
    ) -> Result<Option<Timestamp>, store::Error> {
        let (location, now) = (&self.connection.location, self.connection.clock.now());
        for event in self.store.due_unresolved(location, now, 100).await? {
            unresolved::resolve(&self.store, &self.connection, &event).await?;
        }
        for key in self.store.due(location, now, WORKERS + in_flight.len()).await? {
            if in_flight.len() < WORKERS && in_flight.insert(key.contact.clone()) {
                work.spawn(one(self.store.clone(), self.connection.clone(), key, stop.clone()));
            }
        }
        self.store.next_due(location, now).await
    }

    async fn build_directory(&self) {
        let clock = &self.connection.clock;
        while let Err(failure) = self.connection.build_directory(&self.store).await {
            let wait = match &failure {
                Failure::Trafft(crate::clients::Error::RateLimited { retry_after: Some(wait) }) => *wait,
                _ => Duration::from_secs(15),
            };
            warn!(
                location.id = %self.connection.location, error = %failure,
                "Trafft's customers could not be read, nothing is synced until they are: {failure}; tried again in {} s", wait.as_secs()
            );
            clock.sleep(wait + clock.jitter(wait)).await;
        }
    }
}

/// One reconcile, whatever comes of it. Trouble of our own leaves the contact as due as it was, so the task lingers a
/// while before it gives the contact back.
async fn one(store: Store, connection: Arc<Connection>, key: ContactKey, stop: CancellationToken) -> ContactId {
    let pause = match AssertUnwindSafe(reconcile::reconcile(&store, &connection, &key)).catch_unwind().await {
        Ok(Ok(())) => return key.contact,
        Ok(Err(failure)) => {
            error!(contact.id = %key, error = %failure, "contact {key} could not be settled: {failure}");
            PAUSE
        }
        Err(_) => {
            error!(contact.id = %key, "contact {key}: a mistake of ours stopped its reconcile; please report it");
            AFTER_PANIC
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = connection.clock.sleep(pause) => {}
    }
    key.contact
}
