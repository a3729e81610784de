//! Taking events in: stored, deduplicated, their contacts marked dirty, all in one commit that many requests share.

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::contacts::{Mark, mark};
use super::{Error, Result, Store};
use crate::model::{ContactId, Facet, Facets, LocationId, ObjectId, Status};

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

/// An event whose contact has to be found.
#[derive(Debug, Clone)]
pub struct Unresolved {
    /// The event.
    pub event: String,
    /// Whose it is.
    pub location: LocationId,
    /// Tasks, notes or appointments.
    pub facet: Facet,
    /// Which.
    pub object: ObjectId,
    /// How often it was looked for.
    pub attempt: i64,
}

#[derive(FromRow)]
struct Stored {
    location_id: String,
    contact_id: Option<String>,
    object_id: Option<String>,
    facets: i64,
    status: String,
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
        let mut accepted = Vec::with_capacity(events.len());
        for event in events {
            accepted.push(accept(&mut tx, event).await?);
        }
        tx.commit().await?;
        Ok(accepted)
    }

    /// Sends a stored event round again: its contact is marked as it was then. `None`: no such event.
    pub async fn replay(&self, event: &str, now: Timestamp) -> Result<Option<Accepted>> {
        let mut tx = self.db.begin().await?;
        let row = sqlx::query_as::<_, Stored>(STORED).bind(event).fetch_optional(&mut *tx).await?;
        let Some(Stored { location_id: location, contact_id, object_id, facets, status }) = row else {
            return Ok(None);
        };
        let facets = Facets::from_bits(facets);
        let connected: bool = sqlx::query_scalar(CONNECTED).bind(&location).fetch_one(&mut *tx).await?;
        let status = match (contact_id, object_id) {
            (Some(contact), _) if connected => {
                let sequence =
                    mark(&mut tx, &Mark { location: &location, contact: &contact, facets, deleted: false, now })
                        .await?;
                sqlx::query(REPLAY).bind(event).bind(sequence).execute(&mut *tx).await?;
                Status::Queued
            }
            (None, Some(_)) if connected => {
                sqlx::query(LOOK_AGAIN).bind(event).bind(now.as_millisecond()).execute(&mut *tx).await?;
                Status::Unresolved
            }
            _ => status.parse().map_err(Error::Corrupt)?,
        };
        tx.commit().await?;
        Ok(Some(Accepted { event: event.to_owned(), status, reason: None }))
    }

    /// Events of a location whose contact has to be found, and whose time has come.
    pub async fn due_unresolved(&self, location: &LocationId, now: Timestamp, limit: i64) -> Result<Vec<Unresolved>> {
        let query = sqlx::query_as(DUE_UNRESOLVED).bind(location.as_str()).bind(now.as_millisecond()).bind(limit);
        let rows: Vec<(String, i64, String, i64)> = query.fetch_all(&self.db.read).await?;
        let parse = |(event, facets, object, attempt): (_, i64, String, _)| {
            let facet = Facets::from_bits(facets).iter().next()?;
            Some(Unresolved { event, location: location.clone(), facet, object: object.parse().ok()?, attempt })
        };
        Ok(rows.into_iter().filter_map(parse).collect())
    }

    /// The contact of an unresolved event was found: from here on it is an event like any other.
    pub async fn resolve(&self, event: &Unresolved, contact: &ContactId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let (location, contact) = (event.location.as_str(), contact.as_str());
        let wanted = Mark { location, contact, facets: event.facet.into(), deleted: false, now };
        let sequence = mark(&mut tx, &wanted).await?;
        sqlx::query(REQUEUE).bind(&event.event).bind(contact).bind(sequence).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Nobody could say whose it is: `again` when to look once more, or never.
    pub async fn leave_unresolved(&self, event: &Unresolved, reason: &str, again: Option<Timestamp>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(LEAVE)
            .bind(&event.event)
            .bind(reason)
            .bind(again.map(|at| at.as_millisecond()))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.notices.tell(std::slice::from_ref(&event.event));
        Ok(())
    }
}

const CONNECTED: &str = "SELECT EXISTS (SELECT 1 FROM connections WHERE location_id = $1)";
// The sequence is the one that the mark, in the same transaction, is about to give.
const INSERT: &str = "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
        sent_at, received_at, body, status, reason, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
        CASE WHEN $9 = 1 THEN COALESCE((SELECT sequence FROM contacts WHERE location_id = $2 AND contact_id = $6), 0) + 1 END,
        $10, $11, $12, $13, $14, $15)
    ON CONFLICT (location_id, delivery_key) DO NOTHING";
const FIRST: &str = "SELECT id FROM events WHERE location_id = $1 AND delivery_key = $2";
const STORED: &str = "SELECT location_id, contact_id, object_id, facets, status FROM events WHERE id = $1";
// A stale event stays stale: its contact is read again, but the event is not acted on as fresh.
const REQUEUE: &str = "UPDATE events SET contact_id = $2, sequence = $3, due_at = NULL, settled_at = NULL,
        status = CASE WHEN status = 'stale' THEN status ELSE 'queued' END, reason = NULL
    WHERE id = $1";
const REPLAY: &str =
    "UPDATE events SET sequence = $2, settled_at = NULL, status = 'queued', reason = NULL WHERE id = $1";
const LOOK_AGAIN: &str = "UPDATE events SET status = 'unresolved', attempt = 0, due_at = $2 WHERE id = $1";
const DUE_UNRESOLVED: &str = "SELECT id, facets, object_id, attempt FROM events
    WHERE location_id = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3";
const LEAVE: &str = "UPDATE events SET reason = $2, due_at = $3, attempt = attempt + 1 WHERE id = $1";

async fn accept(tx: &mut Transaction<'static, Sqlite>, event: &Accept) -> Result<Accepted> {
    let (status, reason) = standing(tx, event).await?;
    let connected = matches!(status, Status::Queued | Status::Stale | Status::Unresolved);
    let (contact, object, facets, deleted) = match &event.subject {
        Subject::Contact { id, facets, deleted } => (Some(id.as_str()), None, *facets, *deleted),
        Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet), false),
        Subject::Nothing(_) => (None, None, Facets::NONE, false),
    };
    let marks = connected && contact.is_some();
    let now = event.received_at;
    let inserted = sqlx::query(INSERT)
        .bind(&event.id)
        .bind(event.location.as_str())
        .bind(&event.delivery_key)
        .bind(event.source.name())
        .bind(&event.kind)
        .bind(contact)
        .bind(object)
        .bind(facets.bits())
        .bind(i64::from(marks))
        .bind(event.sent_at.map(|at| at.as_millisecond()))
        .bind(now.as_millisecond())
        .bind(&event.body)
        .bind(status.name())
        .bind(&reason)
        .bind((connected && object.is_some()).then(|| now.as_millisecond()))
        .execute(&mut **tx)
        .await?;
    if inserted.rows_affected() == 0 {
        let location = event.location.as_str();
        let first: String =
            sqlx::query_scalar(FIRST).bind(location).bind(&event.delivery_key).fetch_one(&mut **tx).await?;
        return Ok(Accepted { event: first, status: Status::Duplicate, reason: None });
    }
    if let (true, Some(contact)) = (marks, contact) {
        mark(tx, &Mark { location: event.location.as_str(), contact, facets, deleted, now }).await?;
    }
    Ok(Accepted { event: event.id.clone(), status, reason })
}

/// The status that a new event starts with.
async fn standing(tx: &mut Transaction<'static, Sqlite>, event: &Accept) -> Result<(Status, Option<String>)> {
    if let Subject::Nothing(reason) = &event.subject {
        return Ok((Status::Ignored, Some(reason.clone())));
    }
    let location = event.location.as_str();
    if !sqlx::query_scalar::<_, bool>(CONNECTED).bind(location).fetch_one(&mut **tx).await? {
        return Ok((Status::Parked, Some(format!("location `{location}` is not connected: check `GHL_LOCATION_ID`"))));
    }
    Ok(match &event.subject {
        _ if event.stale => (
            Status::Stale,
            Some("older than `FRESHNESS_SECONDS`, or from the future; its contact is read again".to_owned()),
        ),
        Subject::Object { .. } => (Status::Unresolved, Some("the event does not name its contact".to_owned())),
        _ => (Status::Queued, None),
    })
}
