//! What people ask of the store: lists with filters and a cursor, one event, one contact, how much waits.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::FromRow;

use super::db::plain;
use super::{ContactKey, Result, Store};
use crate::model::{LocationId, Status};

/// Where a page begins: the last id of the page before, and how many rows to give.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The last id seen; none for the first page.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: i64,
}

/// Which events or contacts to list; whatever is none does not filter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this location.
    pub location: Option<String>,
    /// About this contact.
    pub contact: Option<String>,
    /// That ended so.
    pub status: Option<Status>,
    /// Of this type.
    pub kind: Option<String>,
}

/// An event, as it is shown. Times are RFC 3339 once rendered; here Unix milliseconds.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Our id for it; newer ids sort later.
    pub id: String,
    /// The GHL location.
    pub location_id: String,
    /// `marketplace`, `workflow` or `operator`.
    pub source: String,
    /// GHL's name for the event.
    pub r#type: String,
    /// The contact that it is about, once known.
    pub contact_id: Option<String>,
    /// The task, note or appointment of an event that named no contact.
    pub object_id: Option<String>,
    /// When GHL sent it, Unix milliseconds.
    pub sent_at: Option<i64>,
    /// When it arrived, Unix milliseconds.
    pub received_at: i64,
    /// How it ended.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The Trafft customer that it reached.
    pub customer_id: Option<i64>,
    /// Calls to GHL by the reconcile that settled it.
    pub ghl_calls: Option<i64>,
    /// Calls to Trafft by the reconcile that settled it.
    pub trafft_calls: Option<i64>,
    /// When it was settled, Unix milliseconds.
    pub settled_at: Option<i64>,
}

/// A contact, as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Contact)]
pub struct ContactView {
    /// The GHL location.
    pub location_id: String,
    /// The GHL contact.
    pub contact_id: String,
    /// How its last settle ended, or `queued`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The linked Trafft customer.
    pub customer_id: Option<i64>,
    /// Did we create that customer?
    pub created_by_us: i64,
    /// What a person decided: `linked`, `create` or `unlinked`.
    pub decision: Option<String>,
    /// The customer that a conflict is about.
    pub conflict_customer: Option<i64>,
    /// When it will be worked next, Unix milliseconds.
    pub due_at: Option<i64>,
    /// Tries spent so far.
    pub attempt: i64,
    /// When it last was marked, Unix milliseconds.
    pub marked_at: i64,
    /// When it was last settled, Unix milliseconds.
    pub settled_at: Option<i64>,
    /// When it was found to be deleted in GHL, Unix milliseconds.
    pub gone_at: Option<i64>,
}

/// A write to Trafft, as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Write)]
pub struct WriteView {
    /// When, Unix milliseconds.
    pub at: i64,
    /// `create`, `update` or `delete`.
    pub action: String,
    /// Which customer.
    pub customer_id: Option<i64>,
    /// The events up to which number of the contact's it answered.
    pub sequence: i64,
    /// The fields that were sent.
    pub fields: String,
    /// What came back.
    pub result: String,
}

/// How much is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Contacts that wait to be worked, or to be tried again.
    pub queued: i64,
    /// Contacts given up on.
    pub failed: i64,
    /// Contacts that wait for a decision.
    pub conflicts: i64,
}

// All but the body, which can be megabytes.
macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT id, location_id, source, type, contact_id, object_id, sent_at, received_at, status, reason,
                customer_id, ghl_calls, trafft_calls, settled_at
             FROM events ",
            $rest
        )
    };
}
const EVENTS: &str = select_events!(
    "WHERE (location_id = $1 OR $1 IS NULL) AND (contact_id = $2 OR $2 IS NULL) AND (status = $3 OR $3 IS NULL)
        AND (type = $4 OR $4 IS NULL) AND (id < $5 OR $5 IS NULL)
     ORDER BY id DESC LIMIT $6"
);
const EVENT: &str = select_events!("WHERE id = $1");
const CONTACTS: &str = "SELECT * FROM contacts
    WHERE (location_id = $1 OR $1 IS NULL) AND (contact_id = $2 OR $2 IS NULL) AND (status = $3 OR $3 IS NULL)
        AND (contact_id > $4 OR $4 IS NULL)
    ORDER BY contact_id, location_id LIMIT $5";
const WRITES: &str = "SELECT * FROM writes WHERE location_id = $1 AND contact_id = $2 ORDER BY id DESC LIMIT 100";
const LOAD: &str = "SELECT COUNT(*) FROM contacts WHERE status = $1";

const DUE_NOW: &str =
    "SELECT (SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND lane IN (0, 1, 2, 3) AND due_at <= $2)
    + (SELECT COUNT(*) FROM events WHERE location_id = $1 AND due_at <= $2)
    + (SELECT COUNT(*) FROM sweeps WHERE location_id = $1 AND due_at <= $2)";

impl Store {
    /// How many contacts, unresolved events and sweeps of the location are due.
    pub async fn due_now(&self, location: &LocationId, now: Timestamp) -> Result<i64> {
        let query = sqlx::query_scalar(DUE_NOW).bind(location.as_str()).bind(now.as_millisecond());
        Ok(query.fetch_one(&self.db.read).await?)
    }

    /// Events, the newest first.
    pub async fn events(&self, filter: &EventFilter, page: &Cursor) -> Result<Vec<EventView>> {
        let query = sqlx::query_as(EVENTS)
            .bind(filter.location.as_deref().map(plain))
            .bind(filter.contact.as_deref().map(plain))
            .bind(filter.status.map(Status::name))
            .bind(filter.kind.as_deref().map(plain))
            .bind(page.after.as_deref().map(plain))
            .bind(page.limit);
        Ok(query.fetch_all(&self.db.read).await?)
    }

    /// One event.
    pub async fn event(&self, id: &str) -> Result<Option<EventView>> {
        Ok(sqlx::query_as(EVENT).bind(plain(id)).fetch_optional(&self.db.read).await?)
    }

    /// Contacts, by id.
    pub async fn contacts(&self, filter: &EventFilter, page: &Cursor) -> Result<Vec<ContactView>> {
        let query = sqlx::query_as(CONTACTS)
            .bind(filter.location.as_deref().map(plain))
            .bind(filter.contact.as_deref().map(plain))
            .bind(filter.status.map(Status::name))
            .bind(page.after.as_deref().map(plain))
            .bind(page.limit);
        Ok(query.fetch_all(&self.db.read).await?)
    }

    /// The last hundred writes for a contact, the newest first.
    pub async fn writes(&self, key: &ContactKey) -> Result<Vec<WriteView>> {
        let query = sqlx::query_as(WRITES).bind(key.location.as_str()).bind(key.contact.as_str());
        Ok(query.fetch_all(&self.db.read).await?)
    }

    /// How much is waiting.
    pub async fn load(&self) -> Result<Load> {
        let count = async |status: Status| -> Result<i64> {
            Ok(sqlx::query_scalar(LOAD).bind(status.name()).fetch_one(&self.db.read).await?)
        };
        Ok(Load {
            queued: count(Status::Queued).await?,
            failed: count(Status::Failed).await?,
            conflicts: count(Status::Conflict).await?,
        })
    }
}
