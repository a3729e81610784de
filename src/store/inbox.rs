//! Taking events in: stored, deduplicated, their contacts marked dirty, all in one commit that many requests share.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::contacts::{Mark, mark};
use super::db::plain;
use super::{Error, Result, Signal, Store, Tx};
use crate::model::{ContactId, Facet, Facets, Lane, LocationId, ObjectId, Status};

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
    /// What makes a second delivery recognisable, unique within the location.
    pub delivery_key: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// GHL's name for it.
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
    fn contact(&self) -> Option<&ContactId> {
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
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                store.commit(std::mem::take(&mut batch)).await;
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

    async fn accept_all(&self, events: &[Accept]) -> Result<Vec<Accepted>> {
        let mut tx = self.db.begin().await?;
        let mut accepted = vec![None; events.len()];
        // Always in the same order: two processes that mark the same contacts must not wait for each other in a circle.
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|at| (&events[*at].location, events[*at].contact()));
        for at in order {
            accepted[at] = Some(accept(&mut tx, &events[at]).await?);
        }
        for location in events.iter().map(|event| &event.location).collect::<BTreeSet<_>>() {
            self.signal(&mut tx, &Signal::Due(location.to_string())).await?;
        }
        tx.commit().await?;
        // What went into a file that nobody will open again was not stored.
        self.db.is_there()?;
        Ok(accepted.into_iter().flatten().collect())
    }
}

pub(super) const CONNECTED: &str = "SELECT COUNT(*) FROM connections WHERE location_id = $1";
const STANDING: &str = "SELECT (SELECT COUNT(*) FROM connections WHERE location_id = $1),
    (SELECT id FROM events WHERE location_id = $1 AND delivery_key = $2)";
const INSERT: &str =
    "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
        sent_at, received_at, body, status, reason, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT (location_id, delivery_key) DO NOTHING";

async fn accept(tx: &mut Tx, event: &Accept) -> Result<Accepted> {
    let (connected, first) = standing(tx, event).await?;
    if let Some(first) = first {
        return Ok(Accepted { event: first, status: Status::Duplicate, reason: None });
    }
    let (status, reason) = status(event, connected);
    let acted_on = matches!(status, Status::Queued | Status::Stale | Status::Unresolved);
    let (contact, object, facets, deleted) = match &event.subject {
        Subject::Contact { id, facets, deleted } => (Some(id.as_str()), None, *facets, *deleted),
        Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet), false),
        Subject::Nothing(_) => (None, None, Facets::NONE, false),
    };
    let (location, now) = (event.location.as_str(), event.received_at);
    let sequence = match contact.filter(|_| acted_on) {
        Some(contact) => Some(mark(tx, &Mark { location, contact, facets, deleted, lane: Lane::Live, now }).await?),
        None => None,
    };
    let inserted = sqlx::query(INSERT)
        .bind(&event.id)
        .bind(location)
        .bind(event.delivery_key.as_deref().map(plain))
        .bind(event.source.name())
        .bind(plain(&event.kind))
        .bind(contact)
        .bind(object)
        .bind(facets.bits())
        .bind(sequence)
        .bind(event.sent_at.map(|at| at.as_millisecond()))
        .bind(now.as_millisecond())
        .bind(&event.body)
        .bind(status.name())
        .bind(reason.as_deref().map(plain))
        .bind((acted_on && object.is_some()).then(|| now.as_millisecond()))
        .execute(&mut **tx)
        .await?;
    if inserted.rows_affected() == 0 {
        // Another process took the same delivery in at this very moment; the mark costs one read too many.
        let (_, first) = standing(tx, event).await?;
        let first = first.ok_or_else(|| Error::Corrupt("an event that is there and is not".to_owned()))?;
        return Ok(Accepted { event: first, status: Status::Duplicate, reason: None });
    }
    Ok(Accepted { event: event.id.clone(), status, reason })
}

/// Is the location connected, and which event was the first with this delivery key?
async fn standing(tx: &mut Tx, event: &Accept) -> Result<(bool, Option<String>)> {
    let query = sqlx::query_as(STANDING).bind(event.location.as_str()).bind(event.delivery_key.as_deref().map(plain));
    let (connected, first): (i64, Option<String>) = query.fetch_one(&mut **tx).await?;
    Ok((connected == 1, first))
}

/// The status that a new event starts with.
fn status(event: &Accept, connected: bool) -> (Status, Option<String>) {
    let location = &event.location;
    match &event.subject {
        Subject::Nothing(reason) => (Status::Ignored, Some(reason.clone())),
        _ if !connected => {
            (Status::Parked, Some(format!("location `{location}` is not connected: check `GHL_LOCATION_ID`")))
        }
        _ if event.stale => (
            Status::Stale,
            Some("older than `FRESHNESS_SECONDS`, or from the future; its contact is read again".to_owned()),
        ),
        Subject::Object { .. } => (Status::Unresolved, Some("the event does not name its contact".to_owned())),
        _ => (Status::Queued, None),
    }
}
