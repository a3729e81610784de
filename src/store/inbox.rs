//! Taking events in: stored, deduplicated, their contacts marked dirty, all in one commit that many
//! requests share.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::accept::locations;
use super::engine::Ahead;
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
        /// The task, note or appointment of it that the event names.
        object: Option<(Facet, ObjectId)>,
    },
    /// A task, note or appointment of a contact that the event does not name (G §8.5, #332).
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
    /// A new version of the app was taken there.
    Updated(Installer),
    /// Nothing that we act on, and why.
    Nothing(String),
}

/// An event on its way in.
#[derive(Debug, Clone)]
pub struct IncomingEvent {
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
    /// May its location be connected later, though nothing here says so yet? Not where no
    /// marketplace app is set: HighLevel's signature is then that of any app, anywhere.
    pub may_wait: bool,
    /// When GHL says it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it came.
    pub received_at: Timestamp,
    /// As received; what is ignored is stored without it.
    pub body: String,
}

impl IncomingEvent {
    /// An event that is stored only to see whether one can be.
    pub(super) fn rehearsal(location: LocationId) -> Result<Self> {
        let id = Uuid::now_v7().to_string();
        let contact = id.parse().map_err(|_| Error::Corrupt(id.clone()))?;
        Ok(Self {
            location,
            delivery_key: Some(id.clone()),
            source: Source::Operator,
            kind: "rehearsal".to_owned(),
            subject: Subject::Contact { id: contact, facets: Facets::NONE, deleted: false, object: None },
            may_wait: true,
            sent_at: None,
            received_at: Timestamp::UNIX_EPOCH,
            body: String::new(),
            id,
        })
    }

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
pub struct Receipt {
    /// Ours, or that of the first delivery when this is a duplicate.
    pub event: String,
    /// Queued, or why there is nothing to wait for.
    pub status: Status,
    /// More on that.
    pub reason: Option<String>,
}

/// How many events may wait for their commit, and how many one commit takes. In a smaller batch
/// each event waits for less; a larger batch saves hardly anything. A power of two fills its
/// statements.
const WAITING: usize = 4096;
const BATCH: usize = 64;

/// How many commits may be on their way to the disk.
const AHEAD: usize = 8;

/// Shortest time between the starts of two commits while 2 to 31 events are queued. Each commit
/// rewrites the same hot pages: without this pause a fast machine makes hundreds of small commits a
/// second, and events that arrive during a checkpoint wait longer.
const PACE: Duration = Duration::from_millis(4);

/// An event that waits to be stored, and the channel for its answer.
type Waiting = (IncomingEvent, oneshot::Sender<Result<Receipt>>);

/// The way in: hands events to the group commit.
#[derive(Clone, Debug)]
pub struct Inbox(mpsc::Sender<Waiting>);

impl Inbox {
    /// Returns once the event is on disk, or was found there already.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many wait; any other means that the event may be lost. It may
    /// also be stored: sent again, it is a duplicate then.
    pub async fn accept(&self, event: IncomingEvent) -> Result<Receipt> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send((event, answer)).map_err(|_| Error::Overloaded)?;
        answered.await.unwrap_or(Err(Error::Overloaded))
    }
}

/// Events whose commit has ended: as soon as it is on the disk, they are stored.
struct Committed {
    commit: Ahead,
    locations: Vec<LocationId>,
    answers: Vec<(oneshot::Sender<Result<Receipt>>, Receipt)>,
}

impl Store {
    /// The inbox, and the two tasks that serve it until every [`Inbox`] is dropped: the group
    /// commit, and a task that sends the answers. `stored` is called with each location that a
    /// commit stored something for, once per commit.
    pub fn inbox(
        &self,
        stored: impl Fn(&LocationId) + Send + 'static,
    ) -> (Inbox, impl Future<Output = ()> + Send + 'static, impl Future<Output = ()> + Send + 'static) {
        let (send, waiting) = mpsc::channel(WAITING);
        let (ahead, committed) = mpsc::channel(AHEAD);
        let store = self.clone();
        (Inbox(send), async move { store.commit_all(waiting, ahead).await }, answer_all(committed, stored))
    }

    async fn commit_all(&self, mut waiting: mpsc::Receiver<Waiting>, ahead: mpsc::Sender<Committed>) {
        let mut batch = Vec::with_capacity(BATCH);
        let clock = Clock::system();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            // A single event is committed at once.
            let is_paced = (2..BATCH / 2).contains(&batch.len());
            let pace = async {
                if is_paced {
                    clock.sleep(PACE).await;
                }
            };
            let (committed, ()) = tokio::join!(self.commit(std::mem::take(&mut batch), &ahead), pace);
            if let Err(error) = committed {
                // The database does not work: events that are queued behind this batch are refused
                // now, without a wait of their own.
                refuse(std::iter::from_fn(|| waiting.try_recv().ok()).map(|(_, answer)| answer), &error);
            }
        }
    }

    /// # Errors
    /// The database does not work; the senders of these events have been told.
    async fn commit(
        &self,
        batch: Vec<Waiting>,
        ahead: &mpsc::Sender<Committed>,
    ) -> std::result::Result<(), Arc<Error>> {
        let (events, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        // A sender may have closed its connection. Its event is stored all the same.
        let error = match self.accept_all(&events).await {
            Ok((accepted, commit)) => {
                let locations = locations(&events).into_iter().cloned().collect();
                let answers = answers.into_iter().zip(accepted).collect();
                let _ = ahead.send(Committed { commit, locations, answers }).await;
                return Ok(());
            }
            Err(error) => error,
        };
        let is_about_rows = self.db.refuses_rows(&error);
        let error = Arc::new(error);
        let mut each = events.into_iter().zip(answers);
        if is_about_rows && each.len() > 1 {
            // One event that the database refuses must not take the others down with it.
            while let Some(one) = each.next() {
                if let Err(error) = Box::pin(self.commit(vec![one], ahead)).await {
                    refuse(each.map(|(_, answer)| answer), &error);
                    return Err(error);
                }
            }
            return Ok(());
        }
        refuse(each.map(|(_, answer)| answer), &error);
        if is_about_rows { Ok(()) } else { Err(error) }
    }
}

fn refuse(answers: impl Iterator<Item = oneshot::Sender<Result<Receipt>>>, error: &Arc<Error>) {
    answers.for_each(|answer| _ = answer.send(Err(Error::Shared(error.clone()))));
}

async fn answer_all(mut committed: mpsc::Receiver<Committed>, stored: impl Fn(&LocationId)) {
    while let Some(Committed { commit, locations, answers }) = committed.recv().await {
        let arrived = commit.arrived().await.map_err(Arc::new);
        // Even if it has not: it can be read, and will be as soon as the disk is well again.
        locations.iter().for_each(&stored);
        for (answer, accepted) in answers {
            let _ = answer.send(arrived.clone().map(|()| accepted).map_err(Error::Shared));
        }
    }
}
