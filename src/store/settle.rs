//! How a reconcile ended, recorded in one transaction.

use jiff::Timestamp;

use super::activities::Mirrored;
use super::columns::strip_nul;
use super::index::revive;
use super::marks::COALESCE;
use super::owners::fence;
use super::{Agreed, Contact, Drift, Error, Result, Signal, Store};
use crate::model::{CustomerId, Facet, Facets, Lane, Presence, Status, Vendor, Verdict};

// A fingerprint is of the customer that was written: a link that a person changed meanwhile starts
// without one. A contact that is tried again, or that was given up on, still waits for the customer
// that its conflict is about. One that is gone keeps the time since when it was missing: a person
// may have confirmed that.
const SETTLE: &str = "UPDATE contacts SET
        contact_read = $4, tasks_read = $5, notes_read = $6, appointments_read = $7,
        due_at = CASE WHEN sequence > $8 THEN $9 ELSE $10 END,
        lane = CASE WHEN sequence > $8 THEN lane ELSE $11 END,
        attempt = $12,
        status = CASE WHEN sequence > $8 THEN 'queued' ELSE $13 END,
        reason = $14, settled_at = $15,
        conflict_customer = CASE WHEN $13 IN ('queued', 'failed') THEN conflict_customer ELSE $16 END,
        fingerprint = CASE WHEN customer_id = $21 THEN $17 END, agreed = CASE WHEN customer_id = $21 THEN $23 END,
        fields = COALESCE($18, fields), missing_since = CASE WHEN $20 IS NULL THEN $19 ELSE missing_since END, gone_at = $20,
        deletion_told_at = CASE WHEN sequence > $8 THEN deletion_told_at ELSE $24 END, customer_missing_since = $25,
        retry_at = $26, waits_for = $27,
        updated_at = COALESCE($3, updated_at), rotated_at = CASE WHEN $22 = 1 THEN $15 ELSE rotated_at END,
        drifted = CASE WHEN sequence = $8 AND $13 IN ('synced', 'unchanged') THEN 0
            WHEN drifted = 0 THEN $29 ELSE drifted END
    WHERE location_id = $1 AND contact_id = $2 AND known_since = $28";
const SETTLE_EVENTS: &str = "UPDATE events SET status = $4, reason = $5, customer_id = $6, ghl_calls = $7,
        trafft_calls = $8, settled_at = $9
    WHERE location_id = $1 AND contact_since = $10 AND contact_id = $2 AND sequence <= $3 AND status = 'queued'
    RETURNING id";

/// How a reconcile ended, to be recorded in one transaction.
#[derive(Debug)]
pub struct Settle<'a> {
    /// The contact as it was loaded, with whatever the reconcile learnt: link, fingerprint, missing
    /// and gone times.
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
    /// When a settled contact has to be looked at again without any event: something that is shown
    /// runs out.
    pub look_again: Option<Timestamp>,
    /// When GHL is asked once more about the contact, whatever became of it.
    pub ask_again: Option<Timestamp>,
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
    /// Records how a reconcile ended: the mirror, what was read, the verdict, and the events that
    /// it answers, whose ids it returns.
    ///
    /// # Errors
    /// [`Error::NotOwner`]: another process has taken over; the contact is still dirty.
    /// [`Error::Erased`]: nothing is kept.
    pub async fn settle(&self, epoch: i64, settle: &Settle<'_>) -> Result<Vec<String>> {
        let Settle { contact, verdict, now, .. } = settle;
        let location = contact.key.location.as_str();
        let id = contact.key.contact.as_str();
        let after = After::of(settle);
        let whole = [Facet::Tasks, Facet::Notes, Facet::Appointments].into_iter().all(|facet| settle.read.has(facet));
        let linked = contact.link.linked();
        let agreed = linked.filter(|linked| linked.agreed != Agreed::default());
        let agreed = agreed.and_then(|linked| serde_json::to_string(&linked.agreed).ok());
        let missing_since = if let Presence::Missing { since } = contact.presence { Some(since) } else { None };
        let changes = self.changes(epoch, contact, settle.mirrored, *now).await?;
        // A contested facet does not count as read: it is read once more, now that the other
        // contact is read, too.
        let is_read = |facet: Facet| settle.read.has(facet) && !changes.contested.has(facet);
        let read = |facet: Facet| {
            let sequences = if is_read(facet) { contact.wanted } else { contact.read };
            sequences[facet as usize]
        };
        let is_contested = changes.contested != Facets::NONE;
        let due_at = is_contested.then(|| *now + COALESCE).into_iter().chain(after.due_at).min();
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location, epoch).await?;
        let kept = sqlx::query(SETTLE)
            .bind(location)
            .bind(id)
            .bind(settle.updated.map(|at| at.as_millisecond()))
            .bind(read(Facet::Contact))
            .bind(read(Facet::Tasks))
            .bind(read(Facet::Notes))
            .bind(read(Facet::Appointments))
            .bind(contact.sequence)
            .bind((*now + COALESCE).as_millisecond())
            .bind(due_at.map(|at| at.as_millisecond()))
            .bind(after.lane as i64)
            .bind(after.attempt)
            .bind(after.status.name())
            .bind(after.reason.map(strip_nul))
            .bind(now.as_millisecond())
            .bind(after.conflict.map(|customer| customer.0))
            .bind(linked.and_then(|linked| linked.fingerprint.as_ref()))
            .bind(&settle.fields)
            .bind(missing_since.map(|at| at.as_millisecond()))
            .bind(contact.presence.gone_at().map(|at| at.as_millisecond()))
            .bind(contact.link.customer().map(|customer| customer.0))
            .bind(i64::from(whole))
            .bind(agreed)
            .bind(contact.deletion_told_at.map(|at| at.as_millisecond()))
            .bind(contact.customer_missing_since.map(|at| at.as_millisecond()))
            .bind(after.retry_at.map(|at| at.as_millisecond()))
            .bind(after.waits_for.map(Vendor::label))
            .bind(contact.known_since)
            .bind(i64::from(contact.drift == Drift::Edited))
            .execute(&mut *tx)
            .await?;
        if kept.rows_affected() == 0 {
            return Err(Error::Erased);
        }
        changes.write(&mut tx, self.db.dialect()).await?;
        if let Some(customer) = settle.released {
            revive(&mut tx, location, customer, *now).await?;
        }
        let settled = !matches!(verdict, Verdict::Retry { .. } | Verdict::Snooze { .. });
        let told: Vec<String> = sqlx::query_scalar(SETTLE_EVENTS)
            .bind(location)
            .bind(id)
            .bind(contact.sequence)
            .bind(after.status.name())
            .bind(after.reason.map(strip_nul))
            .bind(contact.link.customer().map(|customer| customer.0))
            .bind(settle.ghl_calls)
            .bind(settle.trafft_calls)
            .bind(settled.then(|| now.as_millisecond()))
            .bind(contact.known_since)
            .fetch_all(&mut *tx)
            .await?;
        self.signal(&mut tx, &Signal::Told(told.clone())).await?;
        let committed = tx.commit().await;
        // Even if the disk may not hold it yet: the work is done, and the waiting request is
        // answered.
        self.notices.tell(&told);
        committed.map(|()| told)
    }
}

/// What a verdict means for the row.
struct After<'a> {
    status: Status,
    reason: Option<&'a str>,
    due_at: Option<Timestamp>,
    lane: Lane,
    attempt: i64,
    retry_at: Option<Timestamp>,
    waits_for: Option<Vendor>,
    conflict: Option<CustomerId>,
}

impl<'a> After<'a> {
    fn of(settle: &'a Settle<'_>) -> Self {
        let at_rest = |status, reason| Self {
            status,
            reason,
            due_at: settle.look_again.into_iter().chain(settle.ask_again).min(),
            lane: Lane::Retry,
            attempt: 0,
            retry_at: None,
            waits_for: None,
            conflict: None,
        };
        let waiting = |at, reason: &'a str, attempt| Self {
            status: Status::Queued,
            reason: Some(reason),
            due_at: Some(at),
            // A second try of what was not urgent is not urgent.
            lane: settle.contact.lane.max(Lane::Retry),
            attempt,
            retry_at: settle.contact.retry_at,
            waits_for: None,
            conflict: None,
        };
        match settle.verdict {
            Verdict::Done(outcome) => at_rest(outcome.status, outcome.reason.as_deref()),
            Verdict::Retry { at, reason } => {
                Self { retry_at: Some(*at), ..waiting(*at, reason, settle.contact.attempt + 1) }
            }
            Verdict::Snooze { until, reason, waits_for } => {
                Self { waits_for: *waits_for, ..waiting(*until, reason, settle.contact.attempt) }
            }
            Verdict::Dead { reason } => Self { due_at: settle.ask_again, ..at_rest(Status::Failed, Some(reason)) },
            Verdict::Conflict { reason, customer } => {
                Self { due_at: settle.ask_again, conflict: *customer, ..at_rest(Status::Conflict, Some(reason)) }
            }
        }
    }
}
