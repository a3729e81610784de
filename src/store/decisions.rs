//! What people decide about a contact and its customer.

use jiff::Timestamp;

use super::columns::id;
use super::contacts::{LOAD, Row};
use super::customers::{FREE, HOLDER, made_for_another};
use super::index::revive;
use super::{ContactKey, Decision, Result, Signal, Store};
use crate::model::{ContactId, CustomerId};

/// What came of a person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Recorded; the contact is due again.
    Recorded,
    /// There is no such contact here.
    NoContact,
    /// There is no such customer in our index of that account.
    NoCustomer,
    /// The customer belongs to another contact.
    Taken(ContactId),
    /// The contact has a customer already.
    HasCustomer(CustomerId),
    /// A customer is being made for the contact: until Trafft's answer is known, nobody knows which
    /// one a decision would leave behind.
    Creating,
}

// A contact that was settled as a conflict after the create does not count: the create may have
// made several customers, and a person is asked.
const CREATING: &str = "SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND contact_id = $2
    AND customer_id IS NULL AND intent_id IS NOT NULL AND NOT (status = 'conflict' AND settled_at > intent_at)";
const KNOWN: &str = "SELECT COUNT(*) FROM customers WHERE location_id = $1 AND customer_id = $2";
const DECIDE: &str = "UPDATE contacts SET decision = $3, customer_id = $4,
        created_by_us = CASE WHEN customer_id = $4 THEN created_by_us ELSE $6 END,
        fingerprint = NULL, agreed = NULL, lost_customer = NULL, customer_missing_since = NULL, drifted = 0, intent_id = CASE WHEN $4 IS NULL THEN intent_id END,
        sequence = sequence + 1, due_at = $5, lane = 0, attempt = 0, status = 'queued'
    WHERE location_id = $1 AND contact_id = $2";

const WAITS_FOR: &str =
    "SELECT contact_id FROM contacts WHERE location_id = $1 AND conflict_customer = $2 AND contact_id <> $3
        AND gone_at IS NULL ORDER BY contact_id LIMIT 1";

impl Store {
    /// A contact, other than this one, that is in conflict over the customer, or was when it was
    /// last settled.
    pub async fn waits_for(&self, key: &ContactKey, customer: CustomerId) -> Result<Option<ContactId>> {
        let query =
            sqlx::query_scalar(WAITS_FOR).bind(key.location.as_str()).bind(customer.0).bind(key.contact.as_str());
        let other: Option<String> = query.fetch_optional(&self.db.read).await?;
        other.map(|other| id("contacts.contact_id", other)).transpose()
    }

    /// Records what a person decided about a contact and makes it due. `customer`: to be linked
    /// with.
    pub async fn decide(
        &self,
        key: &ContactKey,
        decision: Decision,
        customer: Option<CustomerId>,
        now: Timestamp,
    ) -> Result<Decided> {
        let location = key.location.as_str();
        let contact = key.contact.as_str();
        let mut tx = self.db.begin().await?;
        let row = sqlx::query_as::<_, Row>(LOAD).bind(location).bind(contact).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(Decided::NoContact) };
        if let (Decision::Create, Some(linked)) = (decision, row.customer_id) {
            return Ok(Decided::HasCustomer(CustomerId(linked)));
        }
        let creating: i64 = sqlx::query_scalar(CREATING).bind(location).bind(contact).fetch_one(&mut *tx).await?;
        if creating > 0 && decision != Decision::Create {
            return Ok(Decided::Creating);
        }
        let mut created = false;
        if let Some(customer) = customer {
            created = made_for_another(&mut tx, location, customer, contact).await?;
            let known: i64 = sqlx::query_scalar(KNOWN).bind(location).bind(customer.0).fetch_one(&mut *tx).await?;
            if known == 0 {
                return Ok(Decided::NoCustomer);
            }
            let holder: Option<String> =
                sqlx::query_scalar(HOLDER).bind(location).bind(customer.0).fetch_optional(&mut *tx).await?;
            match holder {
                Some(holder) if holder != contact => return Ok(Decided::Taken(id("contacts.contact_id", holder)?)),
                _ => sqlx::query(FREE).bind(location).bind(customer.0).bind(contact).execute(&mut *tx).await?,
            };
        }
        sqlx::query(DECIDE)
            .bind(location)
            .bind(contact)
            .bind(decision.name())
            .bind(customer.map(|customer| customer.0))
            .bind(now.as_millisecond())
            .bind(i64::from(created))
            .execute(&mut *tx)
            .await?;
        if let Some(freed) = row.customer_id.map(CustomerId).filter(|former| Some(*former) != customer) {
            revive(&mut tx, location, freed, now).await?;
        }
        self.signal(&mut tx, &Signal::Due(location.to_owned())).await?;
        tx.commit().await?;
        Ok(Decided::Recorded)
    }
}
