//! The index of Trafft's customers, kept as what is seen of them, and who has to be looked at again because of it.

use jiff::Timestamp;

use super::contacts::REVIVE_CONFLICTS;
use super::customers::{BY_ID, Row};
use super::db::plain;
use super::sweeps::Finding;
use super::{Customer, Result, Store, Tx};
use crate::model::{CustomerId, EmailKey, LocationId, Phone, Sweep};

const PUT: &str = "INSERT INTO customers (location_id, customer_id, first_name, last_name, email, phone_number,
        email_key, phone_key, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (location_id, customer_id) DO UPDATE SET first_name = excluded.first_name, last_name = excluded.last_name,
        email = excluded.email, phone_number = excluded.phone_number, email_key = excluded.email_key,
        phone_key = excluded.phone_key, seen_at = excluded.seen_at";
const FORGET: &str = "DELETE FROM customers WHERE location_id = $1 AND customer_id = $2";

impl Store {
    /// Takes a page of Trafft's into the index. A linked customer that looks different from what the index said was edited there:
    /// its contact is looked at again, and that is told among the findings. In one transaction, whoever it was that read the
    /// page, because the next look will find no difference. Returns how many.
    pub async fn index_customers(&self, location: &LocationId, customers: &[Customer], now: Timestamp) -> Result<i64> {
        let (mut tx, mut edited) = (self.db.begin().await?, 0);
        for customer in customers {
            let known = put(&mut tx, location, customer, now).await?;
            if let Some(contact) = known.filter(|known| differ(known, customer)).and_then(|known| known.held_by) {
                let finding = Finding::drifted(contact, "edited in Trafft");
                edited += self.found(&mut tx, location, Sweep::Customers, &finding, now).await?;
            }
        }
        tx.commit().await?;
        Ok(edited)
    }

    /// What we have just written, or read for the contact that holds it, is what the index should say.
    pub async fn index_written(&self, location: &LocationId, customer: &Customer, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        put(&mut tx, location, customer, now).await?;
        tx.commit().await
    }

    /// The customer is not in Trafft any more.
    pub async fn forget_customer(&self, location: &LocationId, customer: CustomerId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(FORGET).bind(location.as_str()).bind(customer.0).execute(&mut *tx).await?;
        revive(&mut tx, location, customer, now).await?;
        tx.commit().await
    }
}

/// Returns what the index knew before. Who was in conflict over another customer than it is now gets another chance.
async fn put(tx: &mut Tx<'_>, location: &LocationId, customer: &Customer, now: Timestamp) -> Result<Option<Customer>> {
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

async fn revive(tx: &mut Tx<'_>, location: &LocationId, customer: CustomerId, now: Timestamp) -> Result<()> {
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
