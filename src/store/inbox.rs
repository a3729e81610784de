//! Taking events in: stored, deduplicated, their contacts marked dirty, all in one commit that many requests share.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{Error, Result, Store};
use crate::clock::Clock;
use crate::model::{CompanyId, ContactId, Facet, Facets, Installer, LocationId, ObjectId, Status};

/// Where an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A signed webhook of a marketplace app.
    Marketplace,
    /// A webhook action inside a GHL workflow.
    Workflow,
    /// A person, through the admin API.
    Operator,
}

impl Source {
    /// The word as it is stored, shown and counted.
    pub fn name(self) -> &'static str {
        match self {
            Source::Marketplace => "marketplace",
            Source::Workflow => "workflow",
            Source::Operator => "operator",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A contact, and what of it may have changed.
    Contact {
        /// Which.
        id: ContactId,
        /// What to read again.
        facets: Facets,
        /// The event says that the contact is gone.
        deleted: bool,
    },
    /// A task, note or appointment of a contact that the event does not name (G §10 #332).
    Object {
        /// Tasks, notes or appointments.
        facet: Facet,
        /// Which.
        id: ObjectId,
    },
    /// The app was installed in a location of an agency.
    Installed {
        /// Where.
        location: LocationId,
        /// By whom; installs onto future locations need not say (G §8.5).
        company: Option<CompanyId>,
    },
    /// The app was uninstalled there.
    Uninstalled(Installer),
    /// Nothing that we act on, and why.
    Nothing(String),
}

/// An event on its way in.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Our id for it.
    pub id: String,
    /// Whose it is.
    pub location: LocationId,
    /// What makes a second delivery recognisable, unique within the location; printable ASCII.
    pub delivery_key: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// GHL's name for it; printable ASCII.
    pub kind: String,
    /// What it is about.
    pub subject: Subject,
    /// Too old to be acted on as fresh.
    pub stale: bool,
    /// When GHL says it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it came.
    pub received_at: Timestamp,
    /// As received.
    pub body: String,
}

impl Accept {
    /// The contact that it names.
    pub fn contact(&self) -> Option<&ContactId> {
        match &self.subject {
            Subject::Contact { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// What became of an event at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Ours, or that of the first delivery when this is a duplicate.
    pub event: String,
    /// Queued, or why there is nothing to wait for.
    pub status: Status,
    /// More on that.
    pub reason: Option<String>,
}

/// How many events may wait for their commit, and how many one commit takes.
const WAITING: usize = 4096;
const BATCH: usize = 512;

/// Where several come at a time, commits begin no sooner after each other. Each writes the pages that all events change, and waits
/// for the disk: without a pause a fast disk is given hundreds of commits a second of a few events each, and whoever comes while
/// the log is copied pays for it.
const PACE: Duration = Duration::from_millis(4);

/// The way in: hands events to the group commit.
#[derive(Clone, Debug)]
pub struct Inbox(mpsc::Sender<(Accept, oneshot::Sender<Result<Accepted>>)>);

impl Inbox {
    /// Returns once the event is on disk, or was found there already.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many wait; any other means that nothing was stored.
    pub async fn accept(&self, event: Accept) -> Result<Accepted> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send((event, answer)).map_err(|_| Error::Overloaded)?;
        answered.await.unwrap_or(Err(Error::Overloaded))
    }
}

impl Store {
    /// The inbox, and the group commit that serves it until every [`Inbox`] is dropped: run it as a task.
    pub fn inbox(&self) -> (Inbox, impl Future<Output = ()> + Send + 'static) {
        let (send, mut waiting) = mpsc::channel(WAITING);
        let store = self.clone();
        let serve = async move {
            let (mut batch, clock) = (Vec::with_capacity(BATCH), Clock::system());
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                // Whoever comes alone is answered, and the next one taken, as soon as can be.
                let is_busy = batch.len() > 1;
                let pace = async {
                    if is_busy {
                        clock.sleep(PACE).await;
                    }
                };
                tokio::join!(store.commit(std::mem::take(&mut batch)), pace);
            }
        };
        (Inbox(send), serve)
    }

    async fn commit(&self, batch: Vec<(Accept, oneshot::Sender<Result<Accepted>>)>) {
        let (events, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let results = match self.accept_all(&events).await {
            Ok(accepted) => accepted.into_iter().map(Ok).collect(),
            Err(error) if events.len() == 1 => vec![Err(error)],
            // One event that the database refuses must not take the others down with it.
            Err(_) => {
                let mut results = Vec::with_capacity(events.len());
                for event in &events {
                    results.push(self.accept_all(std::slice::from_ref(event)).await.map(|mut one| one.remove(0)));
                }
                results
            }
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // An error means that the request is gone; the event is stored all the same.
            let _ = answer.send(result);
        }
    }
}
