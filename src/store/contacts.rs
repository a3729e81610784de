//! One row a contact: what is dirty, when it is due, what it is linked to, and how its last settle ended.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Sqlite, Transaction};

use super::activities::Mirrored;
use super::{Error, Result, Store};
use crate::model::{ContactId, CustomerId, Facet, Facets, Lane, LocationId, Status, Verdict};

/// After a settle, the same contact is not worked again for so long: what arrives meanwhile is read together.
const COALESCE: Duration = Duration::from_millis(250);

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
    /// When it was sent.
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
    /// The GHL record as last read, as JSON.
    pub fields: Option<String>,
    /// Since when GHL has said that there is no such contact.
    pub missing_since: Option<Timestamp>,
    /// When that was believed.
    pub gone_at: Option<Timestamp>,
    wanted: [i64; 4],
    read: [i64; 4],
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
    pub(super) customer_id: Option<i64>,
    created_by_us: i64,
    decision: Option<String>,
    intent_id: Option<String>,
    intent_customer: Option<String>,
    intent_newest: Option<i64>,
    intent_at: Option<i64>,
    fingerprint: Option<String>,
    fields: Option<String>,
    missing_since: Option<i64>,
    gone_at: Option<i64>,
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
            customer: row.customer_id.map(CustomerId),
            created_by_us: row.created_by_us != 0,
            decision,
            intent,
            fingerprint: row.fingerprint,
            fields: row.fields,
            missing_since: row.missing_since.map(time).transpose()?,
            gone_at: row.gone_at.map(time).transpose()?,
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

pub(super) struct Mark<'a> {
    pub(super) location: &'a str,
    pub(super) contact: &'a str,
    pub(super) facets: Facets,
    pub(super) deleted: bool,
    pub(super) now: Timestamp,
}

// First sight wants every facet. A later mark brings the due time forward, never back, but not into the breather
// after a settle; what was given up on gets its attempts again.
const MARK: &str = "INSERT INTO contacts (location_id, contact_id, sequence,
        contact_wanted, tasks_wanted, notes_wanted, appointments_wanted, lane, due_at, status, marked_at, missing_since)
    VALUES ($1, $2, 1, 1, 1, 1, 1, 0, $3, 'queued', $3, $4)
    ON CONFLICT (location_id, contact_id) DO UPDATE SET
        sequence = contacts.sequence + 1,
        contact_wanted = CASE WHEN $5 = 1 THEN contacts.sequence + 1 ELSE contacts.contact_wanted END,
        tasks_wanted = CASE WHEN $6 = 1 THEN contacts.sequence + 1 ELSE contacts.tasks_wanted END,
        notes_wanted = CASE WHEN $7 = 1 THEN contacts.sequence + 1 ELSE contacts.notes_wanted END,
        appointments_wanted = CASE WHEN $8 = 1 THEN contacts.sequence + 1 ELSE contacts.appointments_wanted END,
        lane = 0,
        due_at = CASE
            WHEN contacts.settled_at + $9 > $3 THEN contacts.settled_at + $9
            WHEN contacts.due_at < $3 THEN contacts.due_at
            ELSE $3 END,
        attempt = CASE WHEN contacts.status = 'queued' THEN contacts.attempt ELSE 0 END,
        status = 'queued',
        marked_at = $3,
        missing_since = COALESCE($4, contacts.missing_since)
    RETURNING sequence";

/// Marks a contact dirty; returns the number of the mark.
pub(super) async fn mark(tx: &mut Transaction<'static, Sqlite>, mark: &Mark<'_>) -> Result<i64> {
    let now = mark.now.as_millisecond();
    let query = sqlx::query_scalar(MARK)
        .bind(mark.location)
        .bind(mark.contact)
        .bind(now)
        .bind(mark.deleted.then_some(now))
        .bind(i64::from(mark.facets.has(Facet::Contact)))
        .bind(i64::from(mark.facets.has(Facet::Tasks)))
        .bind(i64::from(mark.facets.has(Facet::Notes)))
        .bind(i64::from(mark.facets.has(Facet::Appointments)))
        .bind(milliseconds(COALESCE));
    Ok(query.fetch_one(&mut **tx).await?)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) const LOAD: &str = "SELECT * FROM contacts WHERE location_id = $1 AND contact_id = $2";
const DUE: &str =
    "SELECT contact_id FROM contacts WHERE location_id = $1 AND due_at <= $2 ORDER BY lane, due_at LIMIT $3";
const NEXT_DUE: &str = "SELECT MIN(due_at) FROM (
        SELECT due_at FROM contacts WHERE location_id = $1 AND due_at IS NOT NULL
        UNION ALL SELECT due_at FROM events WHERE location_id = $1 AND due_at IS NOT NULL) AS due
    WHERE due_at > $2";

// A fingerprint is of the customer that was written: a link that a person changed meanwhile starts without one.
const SETTLE: &str = "UPDATE contacts SET
        contact_read = $4, tasks_read = $5, notes_read = $6, appointments_read = $7,
        due_at = CASE WHEN sequence > $8 THEN $9 ELSE $10 END,
        lane = CASE WHEN sequence > $8 THEN 0 ELSE $11 END,
        attempt = $12,
        status = CASE WHEN sequence > $8 THEN 'queued' ELSE $13 END,
        reason = $14, settled_at = $15, conflict_customer = $16,
        fingerprint = CASE WHEN customer_id = $21 THEN $17 END,
        fields = COALESCE($18, fields), missing_since = $19, gone_at = $20
    WHERE location_id = $1 AND contact_id = $2
        AND EXISTS (SELECT 1 FROM connections WHERE location_id = $1 AND epoch = $3)";
const SETTLE_EVENTS: &str = "UPDATE events SET status = $4, reason = $5, customer_id = $6, ghl_calls = $7,
        trafft_calls = $8, settled_at = $9
    WHERE location_id = $1 AND contact_id = $2 AND sequence <= $3 AND status = 'queued' RETURNING id";
pub(super) const REVIVE_CONFLICTS: &str = "UPDATE contacts SET due_at = $3, lane = 1
    WHERE location_id = $1 AND conflict_customer = $2 AND status = 'conflict'";

/// How a reconcile ended, to be recorded in one transaction.
#[derive(Debug)]
pub struct Settle<'a> {
    /// The contact as it was loaded, with whatever the reconcile learnt: link, fingerprint, missing and gone times.
    pub contact: &'a Contact,
    /// The facets that were read.
    pub read: Facets,
    /// The GHL record, when it was read.
    pub fields: Option<String>,
    /// What was read of tasks, notes and appointments.
    pub mirrored: &'a [Mirrored],
    /// What happens next.
    pub verdict: &'a Verdict,
    /// When a settled contact has to be looked at again without any event: something that is shown runs out.
    pub look_again: Option<Timestamp>,
    /// Calls spent.
    pub ghl_calls: i64,
    /// Calls spent.
    pub trafft_calls: i64,
    /// Contacts in conflict over this customer get another chance.
    pub released: Option<CustomerId>,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// The contact, as a reconcile needs it.
    pub async fn contact(&self, key: &ContactKey) -> Result<Option<Contact>> {
        let query = sqlx::query_as::<_, Row>(LOAD).bind(key.location.as_str()).bind(key.contact.as_str());
        query.fetch_optional(&self.db.read).await?.map(Contact::try_from).transpose()
    }

    /// Contacts of a location whose time has come, the most urgent first.
    pub async fn due(&self, location: &LocationId, now: Timestamp, limit: usize) -> Result<Vec<ContactKey>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query_scalar::<_, String>(DUE).bind(location.as_str()).bind(now.as_millisecond()).bind(limit);
        let contacts = query.fetch_all(&self.db.read).await?.into_iter();
        contacts.map(|contact| Ok(ContactKey { location: location.clone(), contact: id(contact)? })).collect()
    }

    /// When, after `now`, the next contact or unresolved event of the location is due.
    pub async fn next_due(&self, location: &LocationId, now: Timestamp) -> Result<Option<Timestamp>> {
        let query = sqlx::query_scalar(NEXT_DUE).bind(location.as_str()).bind(now.as_millisecond());
        let next: Option<i64> = query.fetch_one(&self.db.read).await?;
        next.map(time).transpose()
    }

    /// Records how a reconcile ended: the mirror, what was read, the verdict, and the events that it answers.
    /// `false`: another owner has taken over, nothing was recorded and the contact is still dirty.
    pub async fn settle(&self, epoch: i64, settle: &Settle<'_>) -> Result<bool> {
        let Settle { contact, verdict, now, .. } = settle;
        let (location, id) = (contact.key.location.as_str(), contact.key.contact.as_str());
        let after = After::of(settle);
        let read = |facet: Facet| {
            let facet_read = if settle.read.has(facet) { contact.wanted } else { contact.read };
            facet_read[facet as usize]
        };
        let mut tx = self.db.begin().await?;
        let updated = sqlx::query(SETTLE)
            .bind(location)
            .bind(id)
            .bind(epoch)
            .bind(read(Facet::Contact))
            .bind(read(Facet::Tasks))
            .bind(read(Facet::Notes))
            .bind(read(Facet::Appointments))
            .bind(contact.sequence)
            .bind((*now + COALESCE).as_millisecond())
            .bind(after.due_at.map(|at| at.as_millisecond()))
            .bind(after.lane as i64)
            .bind(after.attempt)
            .bind(after.status.name())
            .bind(after.reason)
            .bind(now.as_millisecond())
            .bind(after.conflict.map(|customer| customer.0))
            .bind(&contact.fingerprint)
            .bind(&settle.fields)
            .bind(contact.missing_since.map(|at| at.as_millisecond()))
            .bind(contact.gone_at.map(|at| at.as_millisecond()))
            .bind(contact.customer.map(|customer| customer.0))
            .execute(&mut *tx)
            .await?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        for mirrored in settle.mirrored {
            super::activities::mirror(&mut tx, &contact.key, mirrored, *now).await?;
        }
        if let Some(customer) = settle.released {
            let query = sqlx::query(REVIVE_CONFLICTS).bind(location).bind(customer.0).bind(now.as_millisecond());
            query.execute(&mut *tx).await?;
        }
        let settled = !matches!(verdict, Verdict::Retry { .. } | Verdict::Snooze { .. });
        let told: Vec<String> = sqlx::query_scalar(SETTLE_EVENTS)
            .bind(location)
            .bind(id)
            .bind(contact.sequence)
            .bind(after.status.name())
            .bind(after.reason)
            .bind(contact.customer.map(|customer| customer.0))
            .bind(settle.ghl_calls)
            .bind(settle.trafft_calls)
            .bind(settled.then(|| now.as_millisecond()))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        self.notices.tell(&told);
        Ok(true)
    }
}

/// What a verdict means for the row.
struct After<'a> {
    status: Status,
    reason: Option<&'a str>,
    due_at: Option<Timestamp>,
    lane: Lane,
    attempt: i64,
    conflict: Option<CustomerId>,
}

impl<'a> After<'a> {
    fn of(settle: &'a Settle<'_>) -> Self {
        let at_rest = |status, reason| Self {
            status,
            reason,
            due_at: settle.look_again,
            lane: Lane::Retry,
            attempt: 0,
            conflict: None,
        };
        let waiting = |at, reason: &'a str, attempt| Self {
            status: Status::Queued,
            reason: Some(reason),
            due_at: Some(at),
            lane: Lane::Retry,
            attempt,
            conflict: None,
        };
        match settle.verdict {
            Verdict::Done(outcome) => at_rest(outcome.status, outcome.reason.as_deref()),
            Verdict::Retry { at, reason } => waiting(*at, reason, settle.contact.attempt + 1),
            Verdict::Snooze { until, reason } => waiting(*until, reason, settle.contact.attempt),
            Verdict::Dead { reason } => Self { due_at: None, ..at_rest(Status::Failed, Some(reason)) },
            Verdict::Conflict { reason, customer } => {
                Self { due_at: None, conflict: *customer, ..at_rest(Status::Conflict, Some(reason)) }
            }
        }
    }
}
