//! The index of Trafft's customers, the links into it, and what we are about to write there.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::columns::{id, readable, time};
use super::contacts::not_erased;
use super::owners::fence;
use super::{Contact, ContactKey, CreateIntent, Decision, Result, Store, Tx};
use crate::model::{ContactId, CustomerId, EmailKey, LocationId, Phone};

/// A Trafft customer as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// As Trafft has it; empty when it has none.
    pub first_name: String,
    /// As Trafft has it.
    pub last_name: String,
    /// As Trafft has it.
    pub email: String,
    /// As Trafft has it.
    pub phone_number: String,
    /// The same, comparable.
    pub phone: Option<Phone>,
    /// The contact that is linked with it, unless that contact is gone.
    pub held_by: Option<ContactId>,
}

#[derive(FromRow)]
pub(super) struct Row {
    customer_id: i64,
    first_name: String,
    last_name: String,
    email: String,
    phone_number: String,
    phone_key: Option<String>,
    held_by: Option<String>,
}

impl TryFrom<Row> for Customer {
    type Error = super::Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: CustomerId(row.customer_id),
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            phone_number: row.phone_number,
            phone: row.phone_key.and_then(|phone| Phone::new(&phone, None).ok()),
            held_by: row.held_by.map(|contact| id("contacts.contact_id", contact)).transpose()?,
        })
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT customers.customer_id, first_name, last_name, email, phone_number, phone_key,
                contacts.contact_id AS held_by
             FROM customers LEFT JOIN contacts ON contacts.location_id = customers.location_id
                AND contacts.customer_id = customers.customer_id AND contacts.gone_at IS NULL
             WHERE customers.location_id = $1 AND ",
            $condition,
            " ORDER BY customers.customer_id"
        )
    };
}
pub(super) const BY_ID: &str = select!("customers.customer_id = $2");
pub(super) const BY_EMAIL: &str = select!("email_key = $2");
pub(super) const BY_PHONE: &str = select!("phone_key = $2");
pub(super) const NEWER: &str = select!("customers.customer_id > $2");

impl Store {
    /// One customer.
    pub async fn customer(&self, location: &LocationId, customer: CustomerId) -> Result<Option<Customer>> {
        let query = sqlx::query_as::<_, Row>(BY_ID).bind(location.as_str()).bind(customer.0);
        query.fetch_optional(&self.db.read).await?.map(Customer::try_from).transpose()
    }

    /// Customers with this e-mail.
    pub async fn customers_by_email(&self, location: &LocationId, email: &EmailKey) -> Result<Vec<Customer>> {
        let query = sqlx::query_as::<_, Row>(BY_EMAIL).bind(location.as_str()).bind(email.as_str());
        query.fetch_all(&self.db.read).await?.into_iter().map(Customer::try_from).collect()
    }

    /// Customers with this phone.
    pub async fn customers_by_phone(&self, location: &LocationId, phone: &Phone) -> Result<Vec<Customer>> {
        let query = sqlx::query_as::<_, Row>(BY_PHONE).bind(location.as_str()).bind(phone.as_str());
        query.fetch_all(&self.db.read).await?.into_iter().map(Customer::try_from).collect()
    }

    /// Customers that came after this id.
    pub async fn customers_newer_than(&self, location: &LocationId, customer: i64) -> Result<Vec<Customer>> {
        let query = sqlx::query_as::<_, Row>(NEWER).bind(location.as_str()).bind(customer);
        query.fetch_all(&self.db.read).await?.into_iter().map(Customer::try_from).collect()
    }
}

// Unless a person has decided since the contact was loaded.
const INTEND: &str = "UPDATE contacts SET intent_id = $3, intent_customer = $4, intent_newest = $5, intent_at = $6
    WHERE location_id = $1 AND contact_id = $2 AND customer_id IS NULL AND COALESCE(decision, '') = $7";
const DROP_INTENT: &str =
    "UPDATE contacts SET intent_id = NULL WHERE location_id = $1 AND contact_id = $2 AND intent_id = $3";
// What a create has made is linked whatever was decided meanwhile: while it runs, no decision lets
// go of it.
const LINK: &str = "UPDATE contacts SET customer_id = $3, created_by_us = $4, fingerprint = NULL, agreed = NULL,
        intent_id = NULL, conflict_customer = NULL, lost_customer = NULL, drifted = 0
    WHERE location_id = $1 AND contact_id = $2 AND customer_id IS NULL AND COALESCE(intent_id, '') = $5
        AND ($5 <> '' OR COALESCE(decision, '') = $6)";
pub(super) const HOLDER: &str =
    "SELECT contact_id FROM contacts WHERE location_id = $1 AND customer_id = $2 AND gone_at IS NULL";
pub(super) const FREE: &str =
    "UPDATE contacts SET customer_id = NULL, created_by_us = 0, fingerprint = NULL, agreed = NULL
    WHERE location_id = $1 AND customer_id = $2 AND contact_id <> $3";
const MADE_FOR: &str =
    "SELECT created_by_us FROM contacts WHERE location_id = $1 AND customer_id = $2 AND contact_id <> $3";
const UNCLEAR: &str =
    "UPDATE contacts SET intent_at = $4 WHERE location_id = $1 AND contact_id = $2 AND intent_id = $3";
const INTENTS: &str = "SELECT intent_id, intent_customer, intent_newest, intent_at FROM contacts
    WHERE location_id = $1 AND contact_id <> $2 AND intent_id IS NOT NULL AND intent_at > $3";
const DISTRUST: &str =
    "UPDATE contacts SET fingerprint = NULL WHERE location_id = $1 AND contact_id = $2 AND customer_id = $3";
const WRITE: &str =
    "INSERT INTO writes (id, location_id, contact_id, customer_id, action, sequence, fields, result, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// What came of linking a contact with a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The link is recorded.
    Recorded {
        /// Did a POST of ours make the customer, for this contact or for one that is gone? Then its
        /// description is ours.
        created: bool,
    },
    /// Another contact, which is not gone, holds the customer.
    Taken(ContactId),
    /// A person decided about the contact meanwhile.
    Overruled,
}

/// Was the customer made by us for another contact, whose link is about to go?
pub(super) async fn made_for_another(tx: &mut Tx, location: &str, customer: CustomerId, contact: &str) -> Result<bool> {
    let query = sqlx::query_scalar(MADE_FOR).bind(location).bind(customer.0).bind(contact);
    Ok(query.fetch_optional(&mut **tx).await? == Some(1_i64))
}

/// A call that changed Trafft, or may have.
#[derive(Debug)]
pub struct Write<'a> {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// The customer, once known.
    pub customer: Option<CustomerId>,
    /// The names of the fields that were sent; no values.
    pub fields: &'a str,
    /// What came back.
    pub result: &'a str,
}

impl Store {
    /// Before a POST: what is about to be created, so that a lost answer can be told from a call
    /// never made. `false`: a person has decided about the contact since it was loaded; nothing
    /// must be sent.
    pub async fn intend(&self, epoch: i64, contact: &Contact, intent: &CreateIntent) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let key = &contact.key;
        fence(&mut tx, key.location.as_str(), epoch).await?;
        not_erased(&mut tx, contact).await?;
        let intended = sqlx::query(INTEND)
            .bind(key.location.as_str())
            .bind(key.contact.as_str())
            .bind(&intent.id)
            .bind(&intent.customer)
            .bind(intent.newest)
            .bind(intent.at.as_millisecond())
            .bind(contact.decision.map_or("", Decision::name))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(intended.rows_affected() == 1)
    }

    /// The POST ended without an answer: from here on it may be running without us.
    pub async fn unclear(&self, key: &ContactKey, intent: &CreateIntent) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(UNCLEAR)
            .bind(key.location.as_str())
            .bind(key.contact.as_str())
            .bind(&intent.id)
            .bind(intent.at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Creates of other contacts, sent after `since`, whose answer was lost.
    pub async fn intents_of_others(&self, key: &ContactKey, since: Timestamp) -> Result<Vec<CreateIntent>> {
        let query = sqlx::query_as(INTENTS).bind(key.location.as_str()).bind(key.contact.as_str());
        let rows: Vec<(String, String, i64, i64)> = query.bind(since.as_millisecond()).fetch_all(&self.db.read).await?;
        let intent =
            |(id, customer, newest, at)| Ok(CreateIntent { id, customer, newest, at: time("contacts.intent_at", at)? });
        Ok(readable(rows.into_iter().map(intent)))
    }

    /// The POST certainly created nothing.
    pub async fn drop_intent(&self, key: &ContactKey, intent: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(DROP_INTENT).bind(key.location.as_str()).bind(key.contact.as_str()).bind(intent);
        query.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Links the contact with a customer. `intent`: of the create that made it, if one did; another
    /// create's result does not count any more.
    pub async fn link(
        &self,
        of: &Contact,
        customer: CustomerId,
        created: bool,
        intent: Option<&str>,
    ) -> Result<LinkOutcome> {
        let location = of.key.location.as_str();
        let contact = of.key.contact.as_str();
        let mut tx = self.db.begin().await?;
        not_erased(&mut tx, of).await?;
        let holder: Option<String> =
            sqlx::query_scalar(HOLDER).bind(location).bind(customer.0).fetch_optional(&mut *tx).await?;
        if let Some(holder) = holder.filter(|holder| holder != contact) {
            return Ok(LinkOutcome::Taken(id("contacts.contact_id", holder)?));
        }
        let created = created || made_for_another(&mut tx, location, customer, contact).await?;
        sqlx::query(FREE).bind(location).bind(customer.0).bind(contact).execute(&mut *tx).await?;
        let linked = sqlx::query(LINK)
            .bind(location)
            .bind(contact)
            .bind(customer.0)
            .bind(i64::from(created))
            .bind(intent.unwrap_or_default())
            .bind(of.decision.map_or("", Decision::name))
            .execute(&mut *tx)
            .await?;
        if linked.rows_affected() == 0 {
            return Ok(LinkOutcome::Overruled);
        }
        tx.commit().await?;
        Ok(LinkOutcome::Recorded { created })
    }

    /// Before a PATCH or a DELETE: from here on we do not know what Trafft holds, until the settle
    /// says so. `false`: the contact is not linked with this customer any more.
    pub async fn distrust(&self, epoch: i64, contact: &Contact, customer: CustomerId) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let key = &contact.key;
        fence(&mut tx, key.location.as_str(), epoch).await?;
        not_erased(&mut tx, contact).await?;
        let query = sqlx::query(DISTRUST).bind(key.location.as_str()).bind(key.contact.as_str()).bind(customer.0);
        let distrusted = query.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(distrusted == 1)
    }

    /// Keeps a record of a write.
    pub async fn record(&self, contact: &Contact, write: &Write<'_>, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        not_erased(&mut tx, contact).await?;
        sqlx::query(WRITE)
            .bind(Uuid::now_v7().to_string())
            .bind(contact.key.location.as_str())
            .bind(contact.key.contact.as_str())
            .bind(write.customer.map(|customer| customer.0))
            .bind(write.action)
            .bind(contact.sequence)
            .bind(write.fields)
            .bind(write.result)
            .bind(now.as_millisecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
