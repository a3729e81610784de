//! Makes one customer match its projection: finds or creates it, updates it, removes it. Nobody else writes Trafft.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::directory::Turn;
use super::identity::{Found, find, holder_of_new_email, made_by_us};
use super::project::{Place, Projection};
use super::reconcile::{Run, done};
use super::{DescriptionPolicy, Failure, MissingPolicy, directory};
use crate::clients::Error;
use crate::clients::trafft::wire::{CustomerPatch, NewCustomer};
use crate::model::{CustomerId, EmailKey, Phone, Status, Verdict};
use crate::store::{self, Contact, CreateIntent, Customer, Decision, Linked, Write};

impl Run<'_> {
    /// Makes Trafft match.
    pub(super) async fn apply(&mut self, projection: Projection, place: &Place) -> Result<Verdict, Failure> {
        let Some(customer) = self.contact.customer else { return self.find_or_create(projection, place).await };
        if self.contact.fingerprint.as_deref() == Some(&projection.fingerprint()) {
            let reason = projection.explain(&self.hidden(&projection));
            if !self.contact.drifted {
                return Ok(done(Status::Unchanged, &reason));
            }
            // A sweep saw a difference: is it still there?
            self.enter_trafft()?;
            match self.current(customer).await {
                Err(Failure::Trafft(Error::NotFound)) => return self.vanished(customer).await,
                Ok(current) if projection.shows_in(&current) => return Ok(done(Status::Unchanged, &reason)),
                differs => drop(differs?),
            }
        }
        if self.contact.decision.is_none()
            && self.contact.gone_at.is_none()
            && let Some(other) = holder_of_new_email(self.store, self.connection, &projection, customer).await?
        {
            let reason = format!(
                "the contact's new e-mail belongs to customer {other}, the contact is linked with {customer}: \
                 `contacts link` it with either, or change the e-mail"
            );
            return Ok(Verdict::Conflict { reason, customer: Some(other) });
        }
        self.update(customer, &projection).await
    }

    /// Why a change may not show in Trafft: most of a contact's activities can only be told in the description.
    fn hidden(&self, projection: &Projection) -> String {
        match (projection.description.is_none(), self.contact.customer) {
            (true, Some(customer)) => format!(
                "nothing that we may write has changed; the description of customer {customer} is not ours (`DESCRIPTION_POLICY`)"
            ),
            _ => String::new(),
        }
    }

    /// To be passed before anything is asked of Trafft.
    fn enter_trafft(&mut self) -> Result<(), Failure> {
        if !self.entered {
            let paused = |until| Failure::Paused { vendor: "Trafft", until };
            self.connection.gates.trafft.pass(self.connection.clock.now()).map_err(paused)?;
            self.entered = true;
        }
        Ok(())
    }

    async fn find_or_create(&mut self, mut projection: Projection, place: &Place) -> Result<Verdict, Failure> {
        if self.contact.gone_at.is_some() {
            return Ok(done(Status::Skipped, "the contact was deleted in GoHighLevel"));
        }
        if self.contact.decision == Some(Decision::Unlinked) {
            let reason = "stands alone until `contacts link` or `contacts create` decides".to_owned();
            return Ok(Verdict::Conflict { reason, customer: None });
        }
        self.enter_trafft()?;
        let mut turn = self.connection.directory.turn().await;
        if let Some(intent) = self.contact.intent.clone() {
            // The POST whose answer we never saw may still be running: looking now would prove nothing.
            let until = intent.at + self.connection.policy.settle_time;
            if self.connection.clock.now() < until {
                let reason =
                    "a create without an answer may still be running; looked for when it has settled".to_owned();
                return Ok(Verdict::Snooze { until, reason });
            }
            self.refresh(&mut turn).await?;
            if let Some(verdict) = self.adopt(&intent, &mut projection).await? {
                return Ok(verdict);
            }
        } else {
            self.refresh(&mut turn).await?;
        }
        if self.contact.decision != Some(Decision::Create) {
            if let Some(until) = self.others_intent(&projection).await? {
                let reason = "a create for another contact with this e-mail or phone had no answer yet; looked for when it has settled";
                return Ok(Verdict::Snooze { until, reason: reason.to_owned() });
            }
            match find(self.store, self.connection, &projection, place).await? {
                Found::One(customer) => return self.take(customer, projection).await,
                Found::Doubt { reason, customer } => return Ok(Verdict::Conflict { reason, customer }),
                Found::Nobody => {}
            }
        }
        self.create(projection, &mut turn, place).await
    }

    /// Until when another contact's create, whose answer nobody saw, may still make a customer that this contact would be
    /// found to be. A little longer, so that whoever sent it looks first.
    async fn others_intent(&self, projection: &Projection) -> Result<Option<Timestamp>, Failure> {
        const AFTER_YOU: Duration = Duration::from_secs(1);
        let settle = self.connection.policy.settle_time + AFTER_YOU;
        let since = self.connection.clock.now() - settle;
        let email = |text: &Option<String>| text.as_deref().and_then(EmailKey::new);
        let mut until = None;
        for intent in self.store.intents_of_others(&self.contact.key, since).await? {
            let meant = meant(&intent)?;
            let same_email = email(&meant.email).is_some_and(|theirs| email(&projection.email) == Some(theirs));
            let same_phone = meant.phone.is_some() && meant.phone == projection.phone;
            if same_email || same_phone {
                until = until.max(Some(intent.at + settle));
            }
        }
        Ok(until)
    }

    async fn refresh(&mut self, turn: &mut Turn<'_>) -> Result<(), Failure> {
        self.trafft_calls += self.connection.refresh_directory(self.store, turn).await?;
        Ok(())
    }

    /// Looks for what an earlier create may have made. `None`: it made nothing.
    async fn adopt(&mut self, intent: &CreateIntent, projection: &mut Projection) -> Result<Option<Verdict>, Failure> {
        let made = made_by_us(self.store, self.connection, &meant(intent)?, intent.newest).await?;
        match made.as_slice() {
            [] => {
                self.store.drop_intent(&self.contact.key, &intent.id).await?;
                Ok(None)
            }
            [one] => {
                if let Some(taken) = self.linked(one.id, true, Some(&intent.id)).await? {
                    return Ok(Some(taken));
                }
                self.claim_description(projection);
                Ok(Some(self.update(one.id, projection).await?))
            }
            several => Ok(Some(Verdict::Conflict {
                reason: format!("{} new customers look like this contact: decide with `contacts link`", several.len()),
                customer: several.first().map(|customer| customer.id),
            })),
        }
    }

    /// Links a customer that was there before.
    async fn take(&mut self, customer: Customer, mut projection: Projection) -> Result<Verdict, Failure> {
        if let Some(taken) = self.linked(customer.id, false, None).await? {
            return Ok(taken);
        }
        self.claim_description(&mut projection);
        if projection.matches(&customer) {
            self.contact.fingerprint = Some(projection.fingerprint());
            let linked = format!("linked with customer {}, which matched already", customer.id);
            return Ok(done(Status::Unchanged, &projection.explain(&linked)));
        }
        self.update(customer.id, &projection).await
    }

    /// The projection was made before we knew which customer it is for: is the description still ours?
    fn claim_description(&mut self, projection: &mut Projection) {
        if !self.owns_description() {
            projection.description = None;
            self.look_again = None;
        }
    }

    /// Is the description of the contact's customer ours to write? Of a customer that is not there yet it is.
    pub(super) fn owns_description(&self) -> bool {
        let Contact { customer, created_by_us, .. } = &self.contact;
        match self.connection.policy.description {
            DescriptionPolicy::All => true,
            DescriptionPolicy::Created => customer.is_none() || *created_by_us,
            DescriptionPolicy::AtCreation => customer.is_none(),
        }
    }

    /// Stores the link; a verdict if another contact holds the customer.
    async fn linked(
        &mut self,
        customer: CustomerId,
        created: bool,
        intent: Option<&str>,
    ) -> Result<Option<Verdict>, Failure> {
        match self.store.link(&self.contact.key, customer, created, intent).await? {
            Linked::Taken(holder) => Ok(Some(Verdict::Conflict {
                reason: format!(
                    "customer {customer} belongs to contact {holder}: decide with `contacts link` or `contacts create`"
                ),
                customer: Some(customer),
            })),
            Linked::Overruled => {
                let reason = "a person decided about this contact meanwhile; it is looked at anew".to_owned();
                Ok(Some(Verdict::Snooze { until: self.connection.clock.now(), reason }))
            }
            Linked::Recorded { created } => {
                self.contact.customer = Some(customer);
                self.contact.created_by_us = created;
                self.contact.fingerprint = None;
                Ok(None)
            }
        }
    }

    async fn create(
        &mut self,
        mut projection: Projection,
        turn: &mut Turn<'_>,
        place: &Place,
    ) -> Result<Verdict, Failure> {
        let new = projection.new_customer();
        let intent = CreateIntent {
            id: Uuid::new_v4().to_string(),
            customer: serde_json::to_string(&new).map_err(|error| store::Error::Corrupt(error.to_string()))?,
            newest: turn.seen(),
            at: self.connection.clock.now(),
        };
        self.connection.lease.check()?;
        self.store.intend(self.connection.epoch, &self.contact.key, &intent).await?;
        self.trafft_calls += 1;
        let answer = self.connection.trafft.create_customer(&new).await;
        self.record("create", answer.as_ref().ok().copied(), &names(&new), answer.as_ref().err()).await?;
        match answer {
            // Trafft may answer an e-mail that it knows with the customer that has it (T §10): then it is not ours.
            Ok(customer) if self.store.customer(&self.connection.location, customer).await?.is_some() => {
                if let Some(taken) = self.linked(customer, false, Some(&intent.id)).await? {
                    self.store.drop_intent(&self.contact.key, &intent.id).await?;
                    return Ok(taken);
                }
                self.claim_description(&mut projection);
                self.update(customer, &projection).await
            }
            Ok(customer) => {
                if let Some(taken) = self.linked(customer, true, Some(&intent.id)).await? {
                    return Ok(taken);
                }
                self.index(customer, &new.clone().into()).await?;
                self.claim_description(&mut projection);
                self.contact.fingerprint = Some(projection.fingerprint());
                Ok(done(Status::Synced, &projection.explain("")))
            }
            Err(error) if error.may_have_been_carried_out() => {
                // The call may have taken long before it broke: the settle time begins now.
                let intent = CreateIntent { at: self.connection.clock.now(), ..intent };
                self.store.unclear(&self.contact.key, &intent).await?;
                let until = intent.at + self.connection.policy.settle_time;
                Ok(match self.fail(error) {
                    Verdict::Retry { at, reason } => Verdict::Retry { at: at.max(until), reason },
                    Verdict::Snooze { until: at, reason } => Verdict::Snooze { until: at.max(until), reason },
                    other => other,
                })
            }
            Err(error) => {
                self.store.drop_intent(&self.contact.key, &intent.id).await?;
                match error {
                    Error::Refused { .. } => self.refused(error, projection, turn, place).await,
                    other => Ok(self.fail(other)),
                }
            }
        }
    }

    /// A create that Trafft refused: perhaps somebody has just become a customer with that e-mail (T §10).
    async fn refused(
        &mut self,
        error: Error,
        projection: Projection,
        turn: &mut Turn<'_>,
        place: &Place,
    ) -> Result<Verdict, Failure> {
        if projection.email.is_none() {
            return Ok(done(
                Status::Skipped,
                "Trafft refuses a customer without e-mail: add one to the contact in GoHighLevel",
            ));
        }
        self.refresh(turn).await?;
        match find(self.store, self.connection, &projection, place).await? {
            Found::One(customer) => self.take(customer, projection).await,
            Found::Doubt { reason, customer } => Ok(Verdict::Conflict { reason, customer }),
            Found::Nobody => Ok(self.fail(error)),
        }
    }

    async fn update(&mut self, customer: CustomerId, projection: &Projection) -> Result<Verdict, Failure> {
        self.enter_trafft()?;
        let current = if projection.is_whole() {
            None
        } else {
            match self.current(customer).await {
                Err(Failure::Trafft(Error::NotFound)) => return self.vanished(customer).await,
                other => Some(other?),
            }
        };
        let patch = projection.patch(current.as_ref());
        match self.send(customer, &patch).await? {
            Ok(()) => {}
            Err(Error::NotFound) => return self.vanished(customer).await,
            Err(Error::Refused { status, message }) => {
                // A phone that Trafft does not take must not keep the rest from it (T §10).
                let current = self.current(customer).await?;
                let spared = CustomerPatch { phone: current.phone_number.clone(), ..patch.clone() };
                if spared.phone == patch.phone {
                    return Ok(self.fail(Error::Refused { status, message }));
                }
                if let Err(error) = self.send(customer, &spared).await? {
                    return Ok(self.fail(error));
                }
                self.contact.fingerprint = Some(projection.fingerprint());
                return Ok(done(Status::Synced, "Trafft refused the phone; it keeps its own"));
            }
            Err(error) => return Ok(self.fail(error)),
        }
        self.contact.fingerprint = Some(projection.fingerprint());
        Ok(done(Status::Synced, &projection.explain("")))
    }

    /// One PATCH: from just before it until the settle, we do not know what Trafft holds.
    async fn send(&mut self, customer: CustomerId, patch: &CustomerPatch) -> Result<Result<(), Error>, Failure> {
        self.connection.lease.check()?;
        self.store.distrust(self.connection.epoch, &self.contact.key).await?;
        self.contact.fingerprint = None;
        self.trafft_calls += 1;
        let answer = self.connection.trafft.update_customer(customer, patch).await;
        self.record("update", Some(customer), &names(patch), answer.as_ref().err()).await?;
        if answer.is_ok() {
            self.index(customer, &patch.clone().into()).await?;
        }
        Ok(answer.map(drop))
    }

    async fn current(&mut self, customer: CustomerId) -> Result<Customer, Failure> {
        self.trafft_calls += 1;
        let region = self.place().await?.region;
        let shown = self.connection.trafft.customer(customer).await.map_err(Failure::Trafft)?;
        let current = directory::indexed(&shown, region);
        self.store.index_written(&self.connection.location, &current, self.connection.clock.now()).await?;
        Ok(current)
    }

    /// Staff deleted the customer in Trafft.
    async fn vanished(&mut self, customer: CustomerId) -> Result<Verdict, Failure> {
        let gone = self.contact.gone_at.is_some();
        let decision = match self.connection.policy.missing {
            MissingPolicy::Conflict if !gone => Some(Decision::Unlinked),
            _ => None,
        };
        self.store.forget_customer(&self.connection.location, customer, self.connection.clock.now()).await?;
        self.store.unlink(&self.contact.key, customer, decision).await?;
        (self.contact.customer, self.contact.fingerprint, self.contact.created_by_us) = (None, None, false);
        Ok(match decision {
            None if gone => done(Status::Unchanged, ""),
            Some(_) => Verdict::Conflict {
                reason: format!(
                    "customer {customer} is no longer in Trafft: decide with `contacts create` or `contacts link`"
                ),
                customer: None,
            },
            None => Verdict::Snooze {
                until: self.now,
                reason: format!("customer {customer} is no longer in Trafft; it is made again"),
            },
        })
    }

    /// The contact is gone and its customer goes with it.
    pub(super) async fn remove(&mut self, customer: CustomerId) -> Result<Verdict, Failure> {
        self.enter_trafft()?;
        self.connection.lease.check()?;
        self.trafft_calls += 1;
        let answer = self.connection.trafft.delete_customer(customer).await;
        self.record("delete", Some(customer), "", answer.as_ref().err()).await?;
        answer.map_err(Failure::Trafft)?;
        self.store.forget_customer(&self.connection.location, customer, self.connection.clock.now()).await?;
        self.store.unlink(&self.contact.key, customer, None).await?;
        self.contact.customer = None;
        Ok(done(
            Status::Synced,
            &format!("the contact was deleted in GoHighLevel; customer {customer}, which we had created, too"),
        ))
    }

    async fn record(
        &self,
        action: &'static str,
        customer: Option<CustomerId>,
        fields: &str,
        error: Option<&Error>,
    ) -> Result<(), Failure> {
        let result = error.map_or_else(|| "ok".to_owned(), ToString::to_string);
        let write = Write { action, customer, fields, result: &result };
        Ok(self.store.record(&self.contact, &write, self.connection.clock.now()).await?)
    }

    /// What we have just written is what the index should say.
    async fn index(&self, customer: CustomerId, written: &Written) -> Result<(), Failure> {
        let Written { first_name, last_name, email, phone } = written.clone();
        let region = self.place().await?.region;
        let key = Phone::new(&phone, region);
        let row =
            Customer { id: customer, first_name, last_name, email, phone_number: phone, phone: key, held_by: None };
        Ok(self.store.index_written(&self.connection.location, &row, self.connection.clock.now()).await?)
    }
}

/// What a create was to make.
fn meant(intent: &CreateIntent) -> Result<NewCustomer, store::Error> {
    serde_json::from_str(&intent.customer).map_err(|error| store::Error::Corrupt(error.to_string()))
}

/// The four fields that the index keeps.
#[derive(Clone)]
struct Written {
    first_name: String,
    last_name: String,
    email: String,
    phone: String,
}

impl From<NewCustomer> for Written {
    fn from(new: NewCustomer) -> Self {
        let NewCustomer { first_name, last_name, email, phone, .. } = new;
        Self { first_name, last_name, email: email.unwrap_or_default(), phone: phone.unwrap_or_default() }
    }
}

impl From<CustomerPatch> for Written {
    fn from(patch: CustomerPatch) -> Self {
        let CustomerPatch { first_name, last_name, email, phone, .. } = patch;
        Self { first_name, last_name, email, phone }
    }
}

/// The names of the fields that a body carries; never their values.
fn names(body: &impl serde::Serialize) -> String {
    match serde_json::to_value(body) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}
