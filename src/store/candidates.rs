//! Which contacts and customers a sweep has to look at.

use jiff::Timestamp;

use super::columns::{id, readable, time};
use super::{Result, Store};
use crate::model::{ContactId, CustomerId, Lane, LocationId};

// Only a queued contact counts as one to be read: one that was given up on is not read.
const STANDING: &str =
    "SELECT updated_at, CASE WHEN contact_wanted > contact_read AND status = 'queued' THEN 1 ELSE 0 END,
        CASE WHEN gone_at IS NOT NULL OR missing_since IS NOT NULL THEN 1 ELSE 0 END
    FROM contacts WHERE location_id = $1 AND contact_id = $2";
const LONGEST_UNREAD: &str = "SELECT contact_id, CASE WHEN rotated_at IS NULL THEN 1 ELSE 0 END FROM contacts
    WHERE location_id = $1 AND gone_at IS NULL
        AND (customer_id IS NOT NULL OR status = 'failed' AND settled_at <= $2)
        AND (rotated_at IS NULL OR rotated_at <= $2) AND status <> 'queued'
    ORDER BY rotated_at NULLS FIRST LIMIT $3";
// Compares with the last mark, not the last settle: a contact can be settled without being read,
// and such a settle says nothing about GHL.
const NOT_MET: &str = "SELECT contact_id FROM contacts WHERE location_id = $1 AND gone_at IS NULL
        AND (met_at IS NULL OR met_at < $2) AND marked_at < $2 AND status <> 'queued' LIMIT $3";
const WAITING: &str =
    "SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND lane = $2 AND due_at IS NOT NULL AND status = 'queued'";
// Leaves out a customer whose contact is marked as unseen already: it is looked at together with
// that contact, which the filter may leave out for now.
const UNSEEN: &str = "SELECT customers.customer_id, contacts.contact_id FROM customers
    LEFT JOIN contacts ON contacts.location_id = customers.location_id AND contacts.customer_id = customers.customer_id
        AND contacts.gone_at IS NULL
    WHERE customers.location_id = $1 AND customers.seen_at < $2
        AND (contacts.contact_id IS NULL OR contacts.drifted <> 2)
    LIMIT $3";

/// What is known of a contact.
#[derive(Debug)]
pub struct Standing {
    /// Its `dateUpdated` as last read.
    pub updated: Option<Timestamp>,
    /// It is to be read anyway.
    pub is_to_be_read: bool,
    /// It counts as missing or gone.
    pub is_absent: bool,
}

impl Store {
    /// What is known of a contact that a search shows; none: an unknown contact.
    pub async fn contact_standing(&self, location: &LocationId, contact: &ContactId) -> Result<Option<Standing>> {
        let query = sqlx::query_as(STANDING).bind(location.as_str()).bind(contact.as_str());
        let row: Option<(Option<i64>, i64, i64)> = query.fetch_optional(&self.db.read).await?;
        // Without a time that can be read it is read again.
        let updated = |at| readable([time("contacts.updated_at", at)]).pop();
        Ok(row.map(|(at, waits, absent)| Standing {
            updated: at.and_then(updated),
            is_to_be_read: waits != 0,
            is_absent: absent != 0,
        }))
    }

    /// Linked contacts whose other facets were read longest ago, and before `before`; `true`: they
    /// were never read.
    pub async fn longest_unread(
        &self,
        location: &LocationId,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<(ContactId, bool)>> {
        let query = sqlx::query_as(LONGEST_UNREAD).bind(location.as_str()).bind(before.as_millisecond()).bind(limit);
        let rows: Vec<(String, i64)> = query.fetch_all(&self.db.read).await?;
        Ok(readable(rows.into_iter().map(|(contact, never)| Ok((id("contacts.contact_id", contact)?, never != 0)))))
    }

    /// Contacts that the pass which began then has not met, that were there before it, and that do
    /// not wait to be read: so many at most, and others once these are marked.
    pub async fn not_met(&self, location: &LocationId, since: Timestamp, limit: i64) -> Result<Vec<ContactId>> {
        let query = sqlx::query_scalar::<_, String>(NOT_MET);
        let query = query.bind(location.as_str()).bind(since.as_millisecond()).bind(limit);
        let rows = query.fetch_all(&self.db.read).await?;
        Ok(readable(rows.into_iter().map(|contact| id("contacts.contact_id", contact))))
    }

    /// Customers that no page has shown since `since`, each with its linked contact, unless that
    /// contact is marked for this already. At most `limit`; the next call returns others once these
    /// are marked or forgotten.
    pub async fn unseen_customers(
        &self,
        location: &LocationId,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<(CustomerId, Option<ContactId>)>> {
        let query = sqlx::query_as(UNSEEN).bind(location.as_str()).bind(since.as_millisecond()).bind(limit);
        let rows: Vec<(i64, Option<String>)> = query.fetch_all(&self.db.read).await?;
        let row = |(customer, contact): (_, Option<String>)| {
            Ok((CustomerId(customer), contact.map(|contact| id("contacts.contact_id", contact)).transpose()?))
        };
        Ok(readable(rows.into_iter().map(row)))
    }

    /// How many contacts wait in a lane.
    pub async fn waiting(&self, location: &LocationId, lane: Lane) -> Result<i64> {
        let query = sqlx::query_scalar(WAITING).bind(location.as_str()).bind(lane as i64);
        Ok(query.fetch_one(&self.db.read).await?)
    }
}
