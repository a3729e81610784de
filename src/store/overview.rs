//! What people ask of the store: lists with filters and a cursor, one event, one contact, how much
//! waits.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::columns::{Flag, Time, readable, strip_nul, view};
use super::contacts::rare;
use super::{ContactKey, Decision, Result, Store};
use crate::model::{LocationId, Status};

/// Where a page begins, and how many rows to give.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// Where the page before ended; none for the first page.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: i64,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Those that were asked for, of all that were looked at.
    pub rows: Vec<T>,
    /// Where the next page begins; none: this was the last.
    pub next: Option<String>,
}

/// Rows that are read at most for one page of a filtered list. These filters have no index, since
/// an index would cost each event another page of the log. A filter that matches few rows gives
/// short pages, and the client goes on with the next page.
const LOOKED_AT: i64 = 10_000;

impl<T: for<'r> FromRow<'r, AnyRow>> Page<T> {
    /// The rows that can be read. `end`: the last row that was looked at, if there are more behind
    /// it. `at`: where in the list a row is.
    pub(super) fn of(
        table: &'static str,
        rows: &[AnyRow],
        limit: i64,
        end: Option<String>,
        at: impl Fn(&AnyRow) -> sqlx::Result<String>,
    ) -> Result<Self> {
        let last = rows.last().filter(|_| rows.len() as i64 == limit).map(at).transpose()?;
        Ok(Self { next: last.or(end), rows: readable(rows.iter().map(|row| view(table, row))) })
    }
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

/// An event, as it is shown.
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
    /// When GHL sent it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Time>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Time,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// The Trafft customer that it reached.
    #[sqlx(rename = "customer_id")]
    pub trafft_customer_id: Option<i64>,
    /// Calls to GHL by the reconcile that settled it.
    pub ghl_calls: Option<i64>,
    /// Calls to Trafft by the reconcile that settled it.
    pub trafft_calls: Option<i64>,
    /// When it was settled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Time>,
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
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// The linked Trafft customer.
    #[sqlx(rename = "customer_id")]
    pub trafft_customer_id: Option<i64>,
    /// Did we create that customer?
    #[schema(value_type = bool)]
    pub created_by_us: Flag,
    /// What a person decided.
    pub decision: Option<Decision>,
    /// The customer that a conflict is about.
    #[sqlx(rename = "conflict_customer")]
    pub conflict_trafft_customer_id: Option<i64>,
    /// When it will be worked next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Time>,
    /// Tries spent so far.
    pub attempt: i64,
    /// When it last was marked.
    #[schema(value_type = String, format = DateTime)]
    pub marked_at: Time,
    /// When it was last settled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Time>,
    /// When it was found to be deleted in GHL.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub gone_at: Option<Time>,
}

/// A write to Trafft, as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Write)]
pub struct WriteView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// `create`, `update` or `delete`.
    pub action: String,
    /// Which customer.
    #[sqlx(rename = "customer_id")]
    pub trafft_customer_id: Option<i64>,
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
pub(super) const EVENTS: &str = select_events!(
    "WHERE id < $1 AND id >= $2 AND (location_id = $3 OR $3 IS NULL) AND (contact_id = $4 OR $4 IS NULL)
        AND (status = $5 OR $5 IS NULL) AND (type = $6 OR $6 IS NULL)
     ORDER BY id DESC LIMIT $7"
);
pub(super) const EVENTS_END: &str = "SELECT id FROM events WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
const EVENT: &str = select_events!("WHERE id = $1");
// By way of the locations, which are few: a contact's key begins with its location.
pub(super) const CONTACTS_OF_ID: &str = "SELECT contacts.* FROM connections CROSS JOIN contacts
    WHERE contacts.location_id = connections.location_id AND contacts.contact_id = $1 AND contacts.location_id > $2
        AND (contacts.location_id = $3 OR $3 IS NULL) AND (contacts.status = $4 OR $4 IS NULL)
    ORDER BY contacts.location_id LIMIT $5";
const WRITES: &str = "SELECT * FROM writes WHERE location_id = $1 AND contact_id = $2 ORDER BY id DESC LIMIT 100";
pub(super) const QUEUED: &str = "SELECT COUNT(*) FROM contacts WHERE status = 'queued'";
pub(super) const LOAD: &str = concat!("SELECT COUNT(*) FROM contacts WHERE status = $1 AND ", rare!());

const DUE_NOW: &str =
    "SELECT (SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND lane IN (0, 1, 2, 3) AND due_at <= $2)
    + (SELECT COUNT(*) FROM events WHERE location_id = $1 AND due_at <= $2)
    + (SELECT COUNT(*) FROM sweeps WHERE location_id = $1 AND due_at <= $2)";

/// How a page of contacts is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// In any status.
    All,
    /// In one that the index holds.
    Rare,
    /// In one that it does not: of the next [`LOOKED_AT`] contacts those that are in it.
    Frequent,
}

impl Listing {
    pub(super) fn of(status: Option<Status>) -> Self {
        match status {
            None => Self::All,
            Some(Status::Queued | Status::Synced | Status::Unchanged) => Self::Frequent,
            Some(_) => Self::Rare,
        }
    }

    fn range(of_location: bool) -> &'static str {
        if of_location { "location_id = $1 AND contact_id > $2" } else { "(location_id, contact_id) > ($1, $2)" }
    }

    /// A page of `$3` rows, each time the range of an index.
    pub(super) fn page(self, of_location: bool) -> String {
        const ORDER: &str = "ORDER BY location_id, contact_id LIMIT";
        let range = Self::range(of_location);
        match self {
            Self::All => format!("SELECT * FROM contacts WHERE {range} {ORDER} $3"),
            Self::Rare => {
                format!("SELECT * FROM contacts WHERE status = $4 AND {} AND {range} {ORDER} $3", rare!())
            }
            Self::Frequent => format!(
                "SELECT * FROM (SELECT * FROM contacts WHERE {range} {ORDER} {LOOKED_AT}) AS looked_at
                WHERE status = $4 {ORDER} $3"
            ),
        }
    }

    /// The last row that such a page looks at, if there are more behind it.
    pub(super) fn end(of_location: bool) -> String {
        let range = Self::range(of_location);
        format!(
            "SELECT location_id, contact_id FROM contacts WHERE {range}
            ORDER BY location_id, contact_id LIMIT 1 OFFSET {}",
            LOOKED_AT - 1
        )
    }
}

impl Store {
    /// How many contacts, unresolved events and sweeps of the location are due.
    pub async fn due_now(&self, location: &LocationId, now: Timestamp) -> Result<i64> {
        let query = sqlx::query_scalar(DUE_NOW).bind(location.as_str()).bind(now.as_millisecond());
        Ok(query.fetch_one(&self.db.read).await?)
    }

    /// Events, the newest first.
    pub async fn events(&self, filter: &EventFilter, page: &Cursor) -> Result<Page<EventView>> {
        let before = page.after.as_deref().map_or_else(|| Uuid::max().to_string(), strip_nul);
        let end = self.end(EVENTS_END, &before).await?;
        let query = sqlx::query(EVENTS)
            .bind(&before)
            .bind(end.as_deref().unwrap_or_default())
            .bind(filter.location.as_deref().map(strip_nul))
            .bind(filter.contact.as_deref().map(strip_nul))
            .bind(filter.status.map(Status::name))
            .bind(filter.kind.as_deref().map(strip_nul))
            .bind(page.limit);
        let rows = query.fetch_all(&self.db.read).await?;
        Page::of("events", &rows, page.limit, end, |row| row.try_get("id"))
    }

    /// The last row that one page looks at, of those before that id; none: it looks at all of them.
    pub(super) async fn end(&self, statement: &'static str, before: &str) -> Result<Option<String>> {
        Ok(sqlx::query_scalar(statement).bind(before).bind(LOOKED_AT - 1).fetch_optional(&self.db.read).await?)
    }

    /// One event.
    pub async fn event(&self, id: &str) -> Result<Option<EventView>> {
        let row = sqlx::query(EVENT).bind(strip_nul(id)).fetch_optional(&self.db.read).await?;
        row.map(|row| view("events", &row)).transpose()
    }

    /// Contacts, by location and id; `after`: behind that one.
    pub async fn contacts(
        &self,
        filter: &EventFilter,
        after: Option<(&str, &str)>,
        limit: i64,
    ) -> Result<Page<ContactView>> {
        let location = filter.location.as_deref().map(strip_nul);
        let status = filter.status.map(Status::name);
        let listing = Listing::of(filter.status);
        let mut end = None;
        let (last_location, last) =
            after.map(|(location, contact)| (strip_nul(location), strip_nul(contact))).unwrap_or_default();
        let rows = if let Some(contact) = &filter.contact {
            let query = sqlx::query(CONTACTS_OF_ID).bind(strip_nul(contact)).bind(last_location);
            query.bind(location).bind(status).bind(limit).fetch_all(&self.db.read).await?
        } else {
            let of_location = location.is_some();
            let first = location.unwrap_or(last_location);
            let query = sqlx::query(sqlx::AssertSqlSafe(listing.page(of_location)));
            let query = query.bind(&first).bind(&last).bind(limit);
            let query = if status.is_some() { query.bind(status) } else { query };
            let rows = query.fetch_all(&self.db.read).await?;
            // A full page ends at its last row.
            if listing == Listing::Frequent && (rows.len() as i64) < limit {
                let query = sqlx::query_as(sqlx::AssertSqlSafe(Listing::end(of_location))).bind(first).bind(last);
                let last: Option<(String, String)> = query.fetch_optional(&self.db.read).await?;
                end = last.map(|(location, contact)| format!("{location}/{contact}"));
            }
            rows
        };
        let at = |row: &AnyRow| {
            let (location, contact): (String, String) = (row.try_get("location_id")?, row.try_get("contact_id")?);
            Ok(format!("{location}/{contact}"))
        };
        Page::of("contacts", &rows, limit, end, at)
    }

    /// The last hundred writes for a contact, the newest first.
    pub async fn writes(&self, key: &ContactKey) -> Result<Vec<WriteView>> {
        let query = sqlx::query(WRITES).bind(key.location.as_str()).bind(key.contact.as_str());
        let rows = query.fetch_all(&self.db.read).await?;
        Ok(readable(rows.iter().map(|row| view("writes", row))))
    }

    /// How much is waiting.
    pub async fn load(&self) -> Result<Load> {
        let count = async |status: Status| -> Result<i64> {
            Ok(sqlx::query_scalar(LOAD).bind(status.name()).fetch_one(&self.db.read).await?)
        };
        Ok(Load {
            queued: sqlx::query_scalar(QUEUED).fetch_one(&self.db.read).await?,
            failed: count(Status::Failed).await?,
            conflicts: count(Status::Conflict).await?,
        })
    }
}
