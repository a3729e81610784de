//! One row a contact: what is dirty, when it is due, what it is linked to, and how its last settle ended.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::rows::{Cell, Text};
use super::{Error, Result, Store, Tx};
use crate::model::{ContactId, CustomerId, Facet, Facets, Lane, LocationId};

/// After a settle, the same contact is not worked again for so long: what arrives meanwhile is read together.
pub(super) const COALESCE: Duration = Duration::from_millis(250);

/// A contact of a location.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContactKey {
    /// Whose.
    pub location: LocationId,
    /// Which.
    pub contact: ContactId,
}

impl fmt::Display for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.location, self.contact)
    }
}

/// What a person decided about a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Linked by hand: another customer with the same e-mail is no contradiction.
    Linked,
    /// To be created, whoever else looks like it.
    Create,
    /// Taken apart: stays so until somebody links or creates.
    Unlinked,
}

impl Decision {
    pub(super) fn name(self) -> &'static str {
        match self {
            Decision::Linked => "linked",
            Decision::Create => "create",
            Decision::Unlinked => "unlinked",
        }
    }
}

/// A customer that we meant to create, and whose id we have not seen yet.
#[derive(Debug, Clone)]
pub struct CreateIntent {
    /// Whatever is written back about this create must name it.
    pub id: String,
    /// What was sent, as JSON.
    pub customer: String,
    /// Customers up to this id were there before.
    pub newest: i64,
    /// When it was sent; when it ended without an answer.
    pub at: Timestamp,
}

/// A contact as it was when its reconcile began.
#[derive(Debug, Clone)]
pub struct Contact {
    /// Which.
    pub key: ContactKey,
    /// The number of the last mark that this reconcile covers.
    pub sequence: i64,
    /// Facets that may have changed since they were read.
    pub dirty: Facets,
    /// Tries spent.
    pub attempt: i64,
    /// How urgent it is.
    pub lane: Lane,
    /// The link.
    pub customer: Option<CustomerId>,
    /// Did our own POST make that customer?
    pub created_by_us: bool,
    /// What a person decided.
    pub decision: Option<Decision>,
    /// A create whose end we have not seen.
    pub intent: Option<CreateIntent>,
    /// What Trafft was last told; none: unknown.
    pub fingerprint: Option<String>,
    /// Trafft was seen to differ from what it was last told.
    pub drifted: bool,
    /// The GHL record as last read, as JSON.
    pub fields: Option<String>,
    /// Since when GHL has said that there is no such contact.
    pub missing_since: Option<Timestamp>,
    /// When that was believed.
    pub gone_at: Option<Timestamp>,
    /// As its events have it.
    pub(super) known_since: i64,
    pub(super) wanted: [i64; 4],
    pub(super) read: [i64; 4],
}

#[derive(FromRow)]
pub(super) struct Row {
    location_id: String,
    contact_id: String,
    sequence: i64,
    contact_wanted: i64,
    tasks_wanted: i64,
    notes_wanted: i64,
    appointments_wanted: i64,
    contact_read: i64,
    tasks_read: i64,
    notes_read: i64,
    appointments_read: i64,
    attempt: i64,
    lane: i64,
    pub(super) customer_id: Option<i64>,
    created_by_us: i64,
    decision: Option<String>,
    intent_id: Option<String>,
    intent_customer: Option<String>,
    intent_newest: Option<i64>,
    intent_at: Option<i64>,
    fingerprint: Option<String>,
    drifted: i64,
    fields: Option<String>,
    missing_since: Option<i64>,
    gone_at: Option<i64>,
    known_since: i64,
}

impl TryFrom<Row> for Contact {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let wanted = [row.contact_wanted, row.tasks_wanted, row.notes_wanted, row.appointments_wanted];
        let read = [row.contact_read, row.tasks_read, row.notes_read, row.appointments_read];
        let intent = match (row.intent_id, row.intent_customer, row.intent_newest, row.intent_at) {
            (Some(id), Some(customer), Some(newest), Some(at)) => {
                Some(CreateIntent { id, customer, newest, at: time(at)? })
            }
            _ => None,
        };
        let decision = match row.decision.as_deref() {
            None => None,
            Some("linked") => Some(Decision::Linked),
            Some("create") => Some(Decision::Create),
            Some(_) => Some(Decision::Unlinked),
        };
        Ok(Self {
            key: ContactKey { location: id(row.location_id)?, contact: id(row.contact_id)? },
            sequence: row.sequence,
            dirty: Facet::ALL.into_iter().filter(|facet| wanted[*facet as usize] > read[*facet as usize]).collect(),
            attempt: row.attempt,
            lane: Lane::from_number(row.lane),
            customer: row.customer_id.map(CustomerId),
            created_by_us: row.created_by_us != 0,
            decision,
            intent,
            fingerprint: row.fingerprint,
            drifted: row.drifted != 0,
            fields: row.fields,
            missing_since: row.missing_since.map(time).transpose()?,
            gone_at: row.gone_at.map(time).transpose()?,
            known_since: row.known_since,
            wanted,
            read,
        })
    }
}

pub(super) fn id<T: TryFrom<String>>(text: String) -> Result<T> {
    T::try_from(text).map_err(|_| Error::Corrupt("an id that is none".to_owned()))
}

pub(super) fn time(milliseconds: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| Error::Corrupt(error.to_string()))
}

#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    pub(super) location: &'a str,
    pub(super) contact: &'a str,
    pub(super) facets: Facets,
    pub(super) deleted: bool,
    pub(super) lane: Lane,
    pub(super) now: Timestamp,
}

// First sight wants every facet: one that the mark does not name gets the mark 0, and -1 as what was read. A later mark
// brings the due time forward, never back, but not into the breather after a settle, and makes what waits more urgent,
// never less; what was given up on gets its attempts again.
pub(super) static MARK: LazyLock<Text> = LazyLock::new(|| {
    let again = MARK_AGAIN.replace("COALESCE_MS", &COALESCE.as_millis().to_string());
    Text::new(
        &["location", "contact", "record", "tasks", "notes", "appointments", "lane", "now", "missing"],
        &format!(
            "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, due_at, status,
                marked_at, known_since, missing_since)
            SELECT location, contact, 1, record, tasks, notes, appointments, record - 1, tasks - 1, notes - 1,
                appointments - 1, lane, now, 'queued', now, now, missing
            FROM given WHERE TRUE {again}"
        ),
    )
});

impl Mark<'_> {
    /// As the statement takes it.
    pub(super) fn row(&self) -> [Cell<'_>; 9] {
        let wanted = |facet| Cell::from(i64::from(self.facets.has(facet)));
        let now = self.now.as_millisecond();
        [
            Cell::from(self.location),
            Cell::from(self.contact),
            wanted(Facet::Contact),
            wanted(Facet::Tasks),
            wanted(Facet::Notes),
            wanted(Facet::Appointments),
            Cell::from(self.lane as i64),
            Cell::from(now),
            Cell::from(self.deleted.then_some(now)),
        ]
    }
}

const MARK_AGAIN: &str = "ON CONFLICT (location_id, contact_id) DO UPDATE SET
    sequence = contacts.sequence + 1,
    contact_wanted = CASE WHEN excluded.contact_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.contact_wanted END,
    tasks_wanted = CASE WHEN excluded.tasks_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.tasks_wanted END,
    notes_wanted = CASE WHEN excluded.notes_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.notes_wanted END,
    appointments_wanted = CASE WHEN excluded.appointments_wanted = 1 THEN contacts.sequence + 1
        ELSE contacts.appointments_wanted END,
    lane = CASE WHEN contacts.status = 'queued' AND contacts.lane < excluded.lane THEN contacts.lane
        ELSE excluded.lane END,
    due_at = CASE
        WHEN contacts.settled_at + COALESCE_MS > excluded.due_at THEN contacts.settled_at + COALESCE_MS
        WHEN contacts.due_at < excluded.due_at THEN contacts.due_at
        ELSE excluded.due_at END,
    attempt = CASE WHEN contacts.status = 'queued' THEN contacts.attempt ELSE 0 END,
    status = 'queued',
    marked_at = excluded.marked_at,
    missing_since = COALESCE(excluded.missing_since, contacts.missing_since)";
const MARKED: &str = "SELECT sequence, known_since FROM contacts WHERE location_id = $1 AND contact_id = $2";

pub(super) const LOAD: &str = "SELECT * FROM contacts WHERE location_id = $1 AND contact_id = $2";
// Each lane by its own index range: a backlog in one must not be sorted for the sake of another.
pub(super) const DUE: &str = "SELECT contact_id, lane FROM (
        SELECT * FROM (SELECT contact_id, lane, due_at FROM contacts
            WHERE location_id = $1 AND lane = 0 AND due_at <= $2 ORDER BY due_at LIMIT $3) AS live
        UNION ALL SELECT * FROM (SELECT contact_id, lane, due_at FROM contacts
            WHERE location_id = $1 AND lane = 1 AND due_at <= $2 ORDER BY due_at LIMIT $3) AS retries
        UNION ALL SELECT * FROM (SELECT contact_id, lane, due_at FROM contacts
            WHERE location_id = $1 AND lane = 2 AND due_at <= $2 ORDER BY due_at LIMIT $3) AS sweeps
        UNION ALL SELECT * FROM (SELECT contact_id, lane, due_at FROM contacts
            WHERE location_id = $1 AND lane = 3 AND due_at <= $2 ORDER BY due_at LIMIT $3) AS backfill) AS due
    WHERE lane <= $4 ORDER BY lane, due_at LIMIT $3";
pub(super) const NEXT_DUE: &str = "SELECT MIN(due_at) FROM (
        SELECT MIN(due_at) AS due_at FROM contacts WHERE location_id = $1 AND lane = 0 AND due_at > $2
        UNION ALL SELECT MIN(due_at) FROM contacts WHERE location_id = $1 AND lane = 1 AND due_at > $2
        UNION ALL SELECT MIN(due_at) FROM contacts WHERE location_id = $1 AND lane = 2 AND due_at > $2
        UNION ALL SELECT MIN(due_at) FROM contacts WHERE location_id = $1 AND lane = 3 AND due_at > $2
        UNION ALL SELECT MIN(due_at) FROM events WHERE location_id = $1 AND due_at > $2
        UNION ALL SELECT MIN(due_at) FROM sweeps WHERE location_id = $1 AND due_at > $2) AS due";

pub(super) const REVIVE_CONFLICTS: &str = "UPDATE contacts SET due_at = $3, lane = 1
    WHERE location_id = $1 AND conflict_customer = $2 AND status = 'conflict'";

impl Store {
    /// Marks contacts dirty, each of them once, in the order in which every process locks them: by location and id.
    pub(super) async fn mark_all(&self, tx: &mut Tx<'_>, marks: &[Mark<'_>]) -> Result<()> {
        if !marks.is_empty() {
            let (statement, rows) = MARK.with(marks.iter().map(Mark::row).collect(), &self.db)?;
            sqlx::query_with(statement, rows).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// Marks a contact dirty; returns the number of the mark, and since when the contact is known.
    pub(super) async fn mark(&self, tx: &mut Tx<'_>, mark: &Mark<'_>) -> Result<(i64, i64)> {
        self.mark_all(tx, std::slice::from_ref(mark)).await?;
        Ok(sqlx::query_as(MARKED).bind(mark.location).bind(mark.contact).fetch_one(&mut **tx).await?)
    }

    /// The contact, as a reconcile needs it.
    pub async fn contact(&self, key: &ContactKey) -> Result<Option<Contact>> {
        let query = sqlx::query_as::<_, Row>(LOAD).bind(key.location.as_str()).bind(key.contact.as_str());
        query.fetch_optional(&self.db.read).await?.map(Contact::try_from).transpose()
    }

    /// Contacts of a location whose time has come, the most urgent first; none less urgent than `least`.
    pub async fn due(
        &self,
        location: &LocationId,
        least: Lane,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ContactId, Lane)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query_as(DUE);
        let query = query.bind(location.as_str()).bind(now.as_millisecond()).bind(limit).bind(least as i64);
        let rows: Vec<(String, i64)> = query.fetch_all(&self.db.read).await?;
        rows.into_iter().map(|(contact, lane)| Ok((id(contact)?, Lane::from_number(lane)))).collect()
    }

    /// When, after `now`, the next contact, unresolved event or sweep of the location is due.
    pub async fn next_due(&self, location: &LocationId, now: Timestamp) -> Result<Option<Timestamp>> {
        let query = sqlx::query_scalar(NEXT_DUE).bind(location.as_str()).bind(now.as_millisecond());
        let next: Option<i64> = query.fetch_one(&self.db.read).await?;
        next.map(time).transpose()
    }
}
