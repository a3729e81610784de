//! One row a contact: what is dirty, when it is due, what it is linked to, and how its last settle
//! ended.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::columns::{corrupt, id, time};
use super::{Agreed, CreateIntent, Error, Link, Linked, Result, Store, Tx};
use crate::model::{ContactId, CustomerId, Facet, Facets, Lane, LocationId, Presence, Vendor};

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
    /// To be created, even if another customer looks like it.
    Create,
    /// Unlinked: stays so until a person links or creates.
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

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Linked, Self::Create, Self::Unlinked].into_iter().find(|decision| decision.name() == name)
    }
}

/// What a sweep over Trafft's customers saw of a linked customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Nothing new.
    None,
    /// It looks different from what it was last told.
    Edited,
    /// Two whole passes have not shown it.
    Unseen,
}

impl Drift {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Edited => 1,
            Self::Unseen => 2,
        }
    }
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
    /// When the next try is scheduled: an earlier look that fails as well spends no attempt.
    pub retry_at: Option<Timestamp>,
    /// How urgent it is.
    pub lane: Lane,
    /// Its customer in Trafft.
    pub link: Link,
    /// What a person decided.
    pub decision: Option<Decision>,
    /// What a sweep saw of its customer.
    pub drift: Drift,
    /// The GHL record as last read, as JSON.
    pub fields: Option<String>,
    /// Is it there in GHL?
    pub presence: Presence,
    /// When an event said that GHL deleted it, until GHL has been asked twice.
    pub deletion_told_at: Option<Timestamp>,
    /// Since when Trafft says that the customer is not there.
    pub customer_missing_since: Option<Timestamp>,
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
    retry_at: Option<i64>,
    pub(super) customer_id: Option<i64>,
    created_by_us: i64,
    decision: Option<String>,
    intent_id: Option<String>,
    intent_customer: Option<String>,
    intent_newest: Option<i64>,
    intent_at: Option<i64>,
    fingerprint: Option<String>,
    agreed: Option<String>,
    drifted: i64,
    fields: Option<String>,
    missing_since: Option<i64>,
    gone_at: Option<i64>,
    deletion_told_at: Option<i64>,
    customer_missing_since: Option<i64>,
    known_since: i64,
}

impl TryFrom<Row> for Contact {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let wanted = [row.contact_wanted, row.tasks_wanted, row.notes_wanted, row.appointments_wanted];
        let read = [row.contact_read, row.tasks_read, row.notes_read, row.appointments_read];
        let intent = (row.intent_id, row.intent_customer, row.intent_newest, row.intent_at);
        let link = match (row.customer_id, intent) {
            (Some(customer), _) => Link::Linked(Linked {
                customer: CustomerId(customer),
                ours: row.created_by_us != 0,
                fingerprint: row.fingerprint,
                agreed: match row.agreed {
                    None => Agreed::default(),
                    Some(json) => {
                        serde_json::from_str(&json).map_err(|_| corrupt("contacts.agreed", "JSON of another shape"))?
                    }
                },
            }),
            (None, (Some(id), Some(customer), Some(newest), Some(at))) => {
                Link::Creating(CreateIntent { id, customer, newest, at: time("contacts.intent_at", at)? })
            }
            (None, _) => Link::None,
        };
        let presence = match (row.missing_since, row.gone_at) {
            (_, Some(at)) => Presence::Gone { at: time("contacts.gone_at", at)? },
            (Some(since), None) => Presence::Missing { since: time("contacts.missing_since", since)? },
            (None, None) => Presence::Present,
        };
        let drift = match row.drifted {
            // What was seen of a customer says nothing once the link is gone.
            _ if row.customer_id.is_none() => Drift::None,
            0 => Drift::None,
            1 => Drift::Edited,
            2 => Drift::Unseen,
            other => return Err(corrupt("contacts.drifted", other)),
        };
        let known = |name: &str| Decision::from_name(name).ok_or_else(|| corrupt("contacts.decision", name));
        let decision = row.decision.as_deref().map(known).transpose()?;
        Ok(Self {
            key: ContactKey {
                location: id("contacts.location_id", row.location_id)?,
                contact: id("contacts.contact_id", row.contact_id)?,
            },
            sequence: row.sequence,
            dirty: Facet::ALL.into_iter().filter(|facet| wanted[*facet as usize] > read[*facet as usize]).collect(),
            attempt: row.attempt,
            lane: Lane::from_number(row.lane).ok_or_else(|| corrupt("contacts.lane", row.lane))?,
            retry_at: row.retry_at.map(|at| time("contacts.retry_at", at)).transpose()?,
            link,
            decision,
            drift,
            fields: row.fields,
            presence,
            deletion_told_at: row.deletion_told_at.map(|at| time("contacts.deletion_told_at", at)).transpose()?,
            customer_missing_since: row
                .customer_missing_since
                .map(|at| time("contacts.customer_missing_since", at))
                .transpose()?,
            known_since: row.known_since,
            wanted,
            read,
        })
    }
}

/// The condition of the partial index of statuses. It leaves out the statuses that change with
/// every event: each change would cost a page of the log. A statement that is to use the index has
/// to repeat the condition word by word.
macro_rules! rare {
    () => {
        "status NOT IN ('queued', 'synced', 'unchanged')"
    };
}
pub(super) use rare;

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

const WAKE: &str = "UPDATE contacts SET due_at = $3 WHERE location_id = $1 AND waits_for = $2 AND due_at > $3";

const SAME: &str = "UPDATE contacts SET known_since = known_since
    WHERE location_id = $1 AND contact_id = $2 AND known_since = $3";

/// [`Error::Erased`] unless the contact is the one that was loaded. If it is, nothing can erase it
/// before the transaction ends. One that was erased and has come back has another `known_since`.
pub(super) async fn not_erased(tx: &mut Tx, contact: &Contact) -> Result<()> {
    let query = sqlx::query(SAME).bind(contact.key.location.as_str()).bind(contact.key.contact.as_str());
    match query.bind(contact.known_since).execute(&mut **tx).await?.rows_affected() {
        0 => Err(Error::Erased),
        _ => Ok(()),
    }
}

impl Store {
    /// The vendor works again, or its credentials were changed: what waits for it is due at once.
    pub async fn wake(&self, location: &LocationId, vendor: Vendor, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(WAKE).bind(location.as_str()).bind(vendor.label()).bind(now.as_millisecond());
        query.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// The contact, as a reconcile needs it.
    pub async fn contact(&self, key: &ContactKey) -> Result<Option<Contact>> {
        let query = sqlx::query_as::<_, Row>(LOAD).bind(key.location.as_str()).bind(key.contact.as_str());
        query.fetch_optional(&self.db.read).await?.map(Contact::try_from).transpose()
    }

    /// Contacts of a location that are due, the most urgent first; none less urgent than `least`.
    /// One whose id cannot be read is set aside.
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
        let mut due = Vec::with_capacity(rows.len());
        for (contact, lane) in rows {
            let is_lane = Lane::from_number(lane).ok_or_else(|| corrupt("contacts.lane", lane));
            match (id("contacts.contact_id", contact.clone()), is_lane) {
                (Ok(contact), Ok(lane)) => due.push((contact, lane)),
                (Err(error), _) | (_, Err(error)) => {
                    self.set_aside(location.as_str(), &contact, &error, now).await?;
                }
            }
        }
        Ok(due)
    }

    /// When, after `now`, the next contact, unresolved event or sweep of the location is due.
    pub async fn next_due(&self, location: &LocationId, now: Timestamp) -> Result<Option<Timestamp>> {
        let query = sqlx::query_scalar(NEXT_DUE).bind(location.as_str()).bind(now.as_millisecond());
        let next: Option<i64> = query.fetch_one(&self.db.read).await?;
        next.map(|at| time("contacts.due_at", at)).transpose()
    }
}
