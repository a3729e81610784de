//! How a reconcile ended, recorded in one transaction.

use jiff::Timestamp;

use super::activities::Mirrored;
use super::contacts::{COALESCE, REVIVE_CONFLICTS};
use super::db::plain;
use super::owners::fence;
use super::{Contact, Result, Signal, Store};
use crate::model::{CustomerId, Facet, Facets, Lane, Status, Verdict};

// A fingerprint is of the customer that was written: a link that a person changed meanwhile starts without one.
const SETTLE: &str = "UPDATE contacts SET
        contact_read = $4, tasks_read = $5, notes_read = $6, appointments_read = $7,
        due_at = CASE WHEN sequence > $8 THEN $9 ELSE $10 END,
        lane = CASE WHEN sequence > $8 THEN lane ELSE $11 END,
        attempt = $12,
        status = CASE WHEN sequence > $8 THEN 'queued' ELSE $13 END,
        reason = $14, settled_at = $15, conflict_customer = $16,
        fingerprint = CASE WHEN customer_id = $21 THEN $17 END,
        fields = COALESCE($18, fields), missing_since = $19, gone_at = $20,
        updated_at = COALESCE($3, updated_at), rotated_at = CASE WHEN $22 = 1 THEN $15 ELSE rotated_at END,
        drifted = CASE WHEN sequence = $8 AND $13 IN ('synced', 'unchanged') THEN 0 ELSE drifted END
    WHERE location_id = $1 AND contact_id = $2";
const SETTLE_EVENTS: &str = "UPDATE events SET status = $4, reason = $5, customer_id = $6, ghl_calls = $7,
        trafft_calls = $8, settled_at = $9
    WHERE location_id = $1 AND contact_since = $10 AND contact_id = $2 AND sequence <= $3 AND status = 'queued'
    RETURNING id";

/// How a reconcile ended, to be recorded in one transaction.
#[derive(Debug)]
pub struct Settle<'a> {
    /// The contact as it was loaded, with whatever the reconcile learnt: link, fingerprint, missing and gone times.
    pub contact: &'a Contact,
    /// The facets that were read.
    pub read: Facets,
    /// The GHL record, when it was read.
    pub fields: Option<String>,
    /// Its `dateUpdated`.
    pub updated: Option<Timestamp>,
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
    /// Records how a reconcile ended: the mirror, what was read, the verdict, and the events that it answers.
    ///
    /// # Errors
    /// [`super::Error::NotOwner`]: another process has taken over; the contact is still dirty.
    pub async fn settle(&self, epoch: i64, settle: &Settle<'_>) -> Result<()> {
        let Settle { contact, verdict, now, .. } = settle;
        let (location, id) = (contact.key.location.as_str(), contact.key.contact.as_str());
        let after = After::of(settle);
        let read = |facet: Facet| {
            let facet_read = if settle.read.has(facet) { contact.wanted } else { contact.read };
            facet_read[facet as usize]
        };
        let whole = [Facet::Tasks, Facet::Notes, Facet::Appointments].into_iter().all(|facet| settle.read.has(facet));
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location, epoch).await?;
        sqlx::query(SETTLE)
            .bind(location)
            .bind(id)
            .bind(settle.updated.map(|at| at.as_millisecond()))
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
            .bind(after.reason.map(plain))
            .bind(now.as_millisecond())
            .bind(after.conflict.map(|customer| customer.0))
            .bind(&contact.fingerprint)
            .bind(&settle.fields)
            .bind(contact.missing_since.map(|at| at.as_millisecond()))
            .bind(contact.gone_at.map(|at| at.as_millisecond()))
            .bind(contact.customer.map(|customer| customer.0))
            .bind(i64::from(whole))
            .execute(&mut *tx)
            .await?;
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
            .bind(after.reason.map(plain))
            .bind(contact.customer.map(|customer| customer.0))
            .bind(settle.ghl_calls)
            .bind(settle.trafft_calls)
            .bind(settled.then(|| now.as_millisecond()))
            .bind(contact.known_since)
            .fetch_all(&mut *tx)
            .await?;
        self.signal(&mut tx, &Signal::Told(told.clone())).await?;
        let committed = tx.commit().await;
        // Even if the disk may not hold it: it is done, and whoever waits has waited for that.
        self.notices.tell(&told);
        committed
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
            // A second try of what was not urgent is not urgent.
            lane: settle.contact.lane.max(Lane::Retry),
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
