//! The index of Trafft's customers, kept as what is seen of them, and who has to be looked at again because of it.

use jiff::Timestamp;

use super::contacts::{Mark, REVIVE_CONFLICTS, mark};
use super::customers::{BY_ID, Row};
use super::db::plain;
use super::{Customer, Result, Store, Tx};
use crate::model::{ContactId, CustomerId, EmailKey, Facets, Lane, LocationId, Phone};

const PUT: &str = "INSERT INTO customers (location_id, customer_id, first_name, last_name, email, phone_number,
        email_key, phone_key, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (location_id, customer_id) DO UPDATE SET first_name = excluded.first_name, last_name = excluded.last_name,
        email = excluded.email, phone_number = excluded.phone_number, email_key = excluded.email_key,
        phone_key = excluded.phone_key, seen_at = excluded.seen_at";
const FORGET: &str = "DELETE FROM customers WHERE location_id = $1 AND customer_id = $2";
pub(super) const DRIFT: &str = "UPDATE contacts SET drifted = 1 WHERE location_id = $1 AND contact_id = $2";
// What a person has taken apart is no question any more.
const REVIVE_ALL: &str = "UPDATE contacts SET due_at = $2, lane = 3
    WHERE location_id = $1 AND status = 'conflict' AND due_at IS NULL AND (decision IS NULL OR decision <> 'unlinked')";

impl Store {
    /// Takes in customers that we wrote ourselves, or read to compare them.
    pub async fn index_customers(&self, location: &LocationId, customers: &[Customer], now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for customer in customers {
            put(&mut tx, location, customer, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes in a page of customers as Trafft shows it. One that is not as we left it was edited by staff: its contact is
    /// marked in the same transaction, whoever it was that read the page, because the next look will find no difference.
    /// Returns those contacts.
    pub async fn customers_shown(
        &self,
        location: &LocationId,
        customers: &[Customer],
        now: Timestamp,
    ) -> Result<Vec<ContactId>> {
        let (mut tx, mut edited) = (self.db.begin().await?, Vec::new());
        for customer in customers {
            let known = put(&mut tx, location, customer, now).await?;
            let Some(contact) = known.filter(|known| differ(known, customer)).and_then(|known| known.held_by) else {
                continue;
            };
            let (name, id) = (location.as_str(), contact.as_str());
            let facets = Facets::NONE;
            mark(&mut tx, &Mark { location: name, contact: id, facets, deleted: false, lane: Lane::Sweep, now })
                .await?;
            sqlx::query(DRIFT).bind(name).bind(id).execute(&mut *tx).await?;
            edited.push(contact);
        }
        tx.commit().await?;
        Ok(edited)
    }

    /// The customer is not in Trafft any more.
    pub async fn forget_customer(&self, location: &LocationId, customer: CustomerId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(FORGET).bind(location.as_str()).bind(customer.0).execute(&mut *tx).await?;
        revive(&mut tx, location, customer, now).await?;
        Ok(tx.commit().await?)
    }

    /// Every conflict is looked at again: what it was about may be over without anybody having told.
    pub async fn revive_conflicts(&self, location: &LocationId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(REVIVE_ALL).bind(location.as_str()).bind(now.as_millisecond()).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

/// Returns what the index knew before. Who was in conflict over another customer than it is now gets another chance.
async fn put(tx: &mut Tx, location: &LocationId, customer: &Customer, now: Timestamp) -> Result<Option<Customer>> {
    let query = sqlx::query_as::<_, Row>(BY_ID).bind(location.as_str()).bind(customer.id.0);
    let known = query.fetch_optional(&mut **tx).await?.map(Customer::try_from).transpose()?;
    sqlx::query(PUT)
        .bind(location.as_str())
        .bind(customer.id.0)
        .bind(plain(&customer.first_name))
        .bind(plain(&customer.last_name))
        .bind(plain(&customer.email))
        .bind(plain(&customer.phone_number))
        .bind(EmailKey::new(&customer.email).as_ref().map(EmailKey::as_str))
        .bind(customer.phone.as_ref().map(Phone::as_str))
        .bind(now.as_millisecond())
        .execute(&mut **tx)
        .await?;
    if known.as_ref().is_some_and(|known| differ(known, customer)) {
        revive(tx, location, customer.id, now).await?;
    }
    Ok(known)
}

async fn revive(tx: &mut Tx, location: &LocationId, customer: CustomerId, now: Timestamp) -> Result<()> {
    let query = sqlx::query(REVIVE_CONFLICTS).bind(location.as_str()).bind(customer.0).bind(now.as_millisecond());
    query.execute(&mut **tx).await?;
    Ok(())
}

fn differ(known: &Customer, shown: &Customer) -> bool {
    known.first_name != plain(&shown.first_name)
        || known.last_name != plain(&shown.last_name)
        || known.email != plain(&shown.email)
        || known.phone_number != plain(&shown.phone_number)
}
