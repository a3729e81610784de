//! The index of Trafft's customers, kept as what is seen of them, and who has to be looked at again
//! because of it.

use jiff::Timestamp;

use super::columns::{id, readable, strip_nul};
use super::contacts::REVIVE_CONFLICTS;
use super::customers::{BY_EMAIL, BY_ID, Row};
use super::owners::fence;
use super::sweeps::{Finding, tell};
use super::{ContactKey, Customer, Decision, Drift, Result, Store, Tx};
use crate::model::{ContactId, CustomerId, EmailKey, LocationId, Phone, Sweep};

const PUT: &str = "INSERT INTO customers (location_id, customer_id, first_name, last_name, email, phone_number,
        email_key, phone_key, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (location_id, customer_id) DO UPDATE SET first_name = excluded.first_name, last_name = excluded.last_name,
        email = excluded.email, phone_number = excluded.phone_number, email_key = excluded.email_key,
        phone_key = excluded.phone_key, seen_at = excluded.seen_at";
const LINKED: &str = "SELECT contacts.contact_id, fields, phone_number FROM contacts
    JOIN customers ON customers.location_id = contacts.location_id AND customers.customer_id = contacts.customer_id
    WHERE contacts.location_id = $1 AND contacts.contact_id > $2 AND gone_at IS NULL AND fields IS NOT NULL
    ORDER BY contacts.contact_id LIMIT 500";
const KEYED: &str = "SELECT customer_id, phone_number, phone_key FROM customers
    WHERE location_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT 500";
const KEY: &str =
    "UPDATE customers SET phone_key = $4 WHERE location_id = $1 AND customer_id = $2 AND phone_number = $3";
const KEYS_MADE: &str = "UPDATE connections SET phone_keys = $2 WHERE location_id = $1";
// A customer that Trafft said was not there is seen again: its contact is linked with it as before.
const RELINK: &str = "UPDATE contacts SET customer_id = lost_customer, created_by_us = lost_ours, lost_customer = NULL,
        decision = NULL, drifted = 0, sequence = sequence + 1, due_at = $3, lane = 2, attempt = 0, status = 'queued'
    WHERE location_id = $1 AND lost_customer = $2 AND customer_id IS NULL AND decision = 'unlinked'
        AND NOT EXISTS (SELECT 1 FROM contacts AS holder WHERE holder.location_id = $1 AND holder.customer_id = $2)";
// Two passes had not shown the customer, and now it is shown.
const SEEN_AGAIN: &str = "UPDATE contacts SET drifted = 0 WHERE location_id = $1 AND customer_id = $2 AND drifted = 2";
const LINKED_WITH: &str = "SELECT contact_id FROM contacts WHERE location_id = $1 AND customer_id = $2";
const UNLINK: &str = "UPDATE contacts SET lost_customer = customer_id, lost_ours = created_by_us,
        customer_id = NULL, created_by_us = 0, fingerprint = NULL, agreed = NULL, decision = $4
    WHERE location_id = $1 AND contact_id = $2 AND customer_id = $3";
const FORGET: &str = "DELETE FROM customers WHERE location_id = $1 AND customer_id = $2";

impl Store {
    /// Takes a page of Trafft's into the index. A linked customer that looks different from what
    /// the index said was edited there: its contact is looked at again, and that is told among the
    /// findings. In one transaction, because the next look will find no difference. Returns how
    /// many.
    pub async fn index_customers(&self, location: &LocationId, customers: &[Customer], now: Timestamp) -> Result<i64> {
        let mut tx = self.db.begin().await?;
        let mut edited = 0;
        for customer in customers {
            let known = put(&mut tx, location, customer, now).await?;
            edited += tell_doubles(&mut tx, location, known.as_ref(), customer, now).await?;
            if let Some(contact) = known.filter(|known| differ(known, customer)).and_then(|known| known.held_by) {
                let finding = Finding::drifted(contact, Drift::Edited, "edited in Trafft");
                edited += self.found(&mut tx, location, Sweep::Customers, &finding, now).await?;
            }
        }
        tx.commit().await?;
        Ok(edited)
    }

    /// What was read for the contact that holds it is what the index should say.
    pub async fn index_read(&self, location: &LocationId, customer: &Customer, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        put(&mut tx, location, customer, now).await?;
        tx.commit().await
    }

    /// What we have just written is what the index should say, if the contact still holds the
    /// customer. Else another write may have come in between: the index stays as it is, and the
    /// next pass over the customers sees the difference.
    ///
    /// # Errors
    /// [`Error::NotOwner`](super::Error::NotOwner), for the same reason.
    pub async fn index_written(
        &self,
        epoch: i64,
        contact: &ContactKey,
        customer: &Customer,
        now: Timestamp,
    ) -> Result<()> {
        let location = &contact.location;
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        let holder: Option<String> = sqlx::query_scalar(LINKED_WITH)
            .bind(location.as_str())
            .bind(customer.id.0)
            .fetch_optional(&mut *tx)
            .await?;
        if holder.as_deref() == Some(contact.contact.as_str()) {
            put(&mut tx, location, customer, now).await?;
        }
        tx.commit().await
    }

    /// Linked contacts that are not gone, and what Trafft shows as their phone: a batch, by id,
    /// after this one.
    pub async fn linked_phones(&self, location: &LocationId, after: &str) -> Result<Vec<LinkedPhone>> {
        let query = sqlx::query_as(LINKED).bind(location.as_str()).bind(after);
        let rows: Vec<(String, String, String)> = query.fetch_all(&self.db.read).await?;
        let rows = rows.into_iter().map(|(contact, fields, shown)| {
            Ok(LinkedPhone { contact: id("contacts.contact_id", contact)?, fields, shown })
        });
        Ok(readable(rows))
    }

    /// Makes the phone keys of the location's customers anew, a batch at a time, and then stores by
    /// what. Returns how many were others before. What was broken off begins anew the next time.
    pub async fn key_phones(
        &self,
        location: &LocationId,
        epoch: i64,
        made_by: &str,
        key: impl Fn(&str) -> Option<Phone> + Send,
    ) -> Result<u64> {
        let name = location.as_str();
        let mut after = i64::MIN;
        let mut changed = 0;
        loop {
            let query = sqlx::query_as(KEYED).bind(name).bind(after);
            let batch: Vec<(i64, String, Option<String>)> = query.fetch_all(&self.db.read).await?;
            let mut tx = self.db.begin().await?;
            fence(&mut tx, name, epoch).await?;
            let Some((last, ..)) = batch.last() else {
                sqlx::query(KEYS_MADE).bind(name).bind(made_by).execute(&mut *tx).await?;
                tx.commit().await?;
                return Ok(changed);
            };
            after = *last;
            for (customer, phone, old) in batch {
                let new = key(&phone);
                if new.as_ref().map(Phone::as_str) != old.as_deref() {
                    let query = sqlx::query(KEY).bind(name).bind(customer).bind(phone);
                    changed += query.bind(new.as_ref().map(Phone::as_str)).execute(&mut *tx).await?.rows_affected();
                }
            }
            tx.commit().await?;
        }
    }

    /// The customer is not in Trafft any more.
    pub async fn forget_customer(&self, location: &LocationId, customer: CustomerId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        forget(&mut tx, location.as_str(), customer, now).await?;
        tx.commit().await
    }

    /// The customer is gone from Trafft: the index forgets it, and a link of this contact with it
    /// is removed. The contact has no customer until this one is seen there again or, if `decision`
    /// says so, until a person decides.
    ///
    /// # Errors
    /// [`Error::NotOwner`](super::Error::NotOwner): another process works the contact. What it has
    /// written since stays, and the next pass over the customers tells what became of this one.
    pub async fn unlink(
        &self,
        epoch: i64,
        key: &ContactKey,
        customer: CustomerId,
        decision: Option<Decision>,
        now: Timestamp,
    ) -> Result<()> {
        let location = key.location.as_str();
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location, epoch).await?;
        forget(&mut tx, location, customer, now).await?;
        sqlx::query(UNLINK)
            .bind(location)
            .bind(key.contact.as_str())
            .bind(customer.0)
            .bind(decision.map(Decision::name))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// A contact's linked customer, as far as its phone goes.
#[derive(Debug)]
pub struct LinkedPhone {
    /// The contact.
    pub contact: ContactId,
    /// Its record in GHL, as JSON.
    pub fields: String,
    /// What Trafft shows; empty when it has none.
    pub shown: String,
}

/// Returns what the index knew before. If the customer has changed, contacts that were in conflict
/// over it are tried again.
async fn put(tx: &mut Tx, location: &LocationId, customer: &Customer, now: Timestamp) -> Result<Option<Customer>> {
    let query = sqlx::query_as::<_, Row>(BY_ID).bind(location.as_str()).bind(customer.id.0);
    let known = readable(query.fetch_optional(&mut **tx).await?.map(Customer::try_from)).pop();
    sqlx::query(PUT)
        .bind(location.as_str())
        .bind(customer.id.0)
        .bind(strip_nul(&customer.first_name))
        .bind(strip_nul(&customer.last_name))
        .bind(strip_nul(&customer.email))
        .bind(strip_nul(&customer.phone_number))
        .bind(EmailKey::new(&customer.email).as_ref().map(EmailKey::as_str))
        .bind(customer.phone.as_ref().map(Phone::as_str))
        .bind(now.as_millisecond())
        .execute(&mut **tx)
        .await?;
    sqlx::query(RELINK)
        .bind(location.as_str())
        .bind(customer.id.0)
        .bind(now.as_millisecond())
        .execute(&mut **tx)
        .await?;
    sqlx::query(SEEN_AGAIN).bind(location.as_str()).bind(customer.id.0).execute(&mut **tx).await?;
    if known.as_ref().is_some_and(|known| differ(known, customer)) {
        revive(tx, location.as_str(), customer.id, now).await?;
    }
    Ok(known)
}

/// A customer that is new, or has another e-mail than before, may have the e-mail of one that is
/// linked: two records of one person, which only staff can merge. Returns how many were told.
async fn tell_doubles(
    tx: &mut Tx,
    location: &LocationId,
    known: Option<&Customer>,
    shown: &Customer,
    now: Timestamp,
) -> Result<i64> {
    let Some(email) = EmailKey::new(&shown.email) else { return Ok(0) };
    if known.is_some_and(|known| EmailKey::new(&known.email).as_ref() == Some(&email)) {
        return Ok(0);
    }
    let query = sqlx::query_as::<_, Row>(BY_EMAIL).bind(location.as_str()).bind(email.as_str());
    let same: Vec<Row> = query.fetch_all(&mut **tx).await?;
    let mut told = 0;
    for other in same.into_iter().map(Customer::try_from) {
        let other = other?;
        let Some(holder) = other.held_by.filter(|_| other.id != shown.id) else { continue };
        let what = format!("customers {} and {} have the same e-mail: merge them in Trafft", other.id, shown.id);
        tell(tx, location.as_str(), Sweep::Customers, holder.as_str(), &what, now).await?;
        told += 1;
    }
    Ok(told)
}

/// The index knows the customer no more, and contacts in conflict over it are tried again.
async fn forget(tx: &mut Tx, location: &str, customer: CustomerId, now: Timestamp) -> Result<()> {
    sqlx::query(FORGET).bind(location).bind(customer.0).execute(&mut **tx).await?;
    revive(tx, location, customer, now).await
}

/// The customer has no contact any more, or has changed: contacts that are in conflict over it are
/// tried again.
pub(super) async fn revive(tx: &mut Tx, location: &str, customer: CustomerId, now: Timestamp) -> Result<()> {
    let query = sqlx::query(REVIVE_CONFLICTS).bind(location).bind(customer.0).bind(now.as_millisecond());
    query.execute(&mut **tx).await?;
    Ok(())
}

fn differ(known: &Customer, shown: &Customer) -> bool {
    known.first_name != strip_nul(&shown.first_name)
        || known.last_name != strip_nul(&shown.last_name)
        || known.email != strip_nul(&shown.email)
        || known.phone_number != strip_nul(&shown.phone_number)
}
