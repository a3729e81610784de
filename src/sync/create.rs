//! Makes a customer only once: the intent is stored before the POST. If the outcome of the POST is
//! unclear, the customer that it may have made is looked for (`adopt`).

use uuid::Uuid;

use super::Failure;
use super::adopt::has_more;
use super::directory::{self, AccountLock};
use super::identity::{can_be_reached_alike, may_be};
use super::locale::Locale;
use super::project::Projection;
use super::run::{Run, done, snooze};
use super::write::{PHONE, names};
use crate::clients::trafft::wire::NewCustomer;
use crate::clients::{About, Error};
use crate::model::{CustomerId, Status, Verdict};
use crate::store::{self, CreateIntent, Decision, Link};

impl Run<'_> {
    /// Stores the intent, sends the POST, and links what it made.
    pub(super) async fn create(
        &mut self,
        projection: Projection,
        lock: &mut AccountLock<'_>,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        let new = projection.new_customer();
        let intent = CreateIntent {
            id: Uuid::new_v4().to_string(),
            customer: serde_json::to_string(&new).map_err(|error| store::Error::Corrupt(error.to_string()))?,
            newest: lock.seen(),
            at: self.connection.clock.now(),
        };
        self.connection.lease.check()?;
        if !self.store.intend(self.connection.epoch, &self.contact, &intent).await? {
            return Err(Failure::Overruled);
        }
        self.contact.link = Link::Creating(intent.clone());
        self.trafft_calls += 1;
        let answer = self.connection.trafft.create_customer(&new).await;
        if answer == Err(Error::Withdrawn) {
            // The POST was never sent, so there is nothing to look for.
            self.drop_intent(&intent).await?;
            return Err(store::Error::NotOwner.into());
        }
        self.record("create", answer.as_ref().ok().copied(), &names(&new), answer.as_ref().err()).await?;
        match answer {
            Ok(customer) => self.named(customer, &new, intent, projection, locale).await,
            // A refusal that names no field may be a gateway's, while Trafft carries the call out.
            Err(error) if error.may_have_been_carried_out() || error.about() == About::Record && !error.names_any() => {
                self.unclear(intent, error).await
            }
            Err(error) => {
                self.drop_intent(&intent).await?;
                match error.about() {
                    About::Record => Box::pin(self.refused(error, projection, lock, locale)).await,
                    _ => Ok(self.fail(error)),
                }
            }
        }
    }

    /// Trafft has answered with a customer. If the e-mail is known already, Trafft answers with the
    /// customer that has it (T §10), and makes none. That customer can be newer than all that we
    /// knew, so a newer id proves nothing, and the customer is read at once. One that has neither
    /// the e-mail nor the phone is no answer of Trafft's: what was made is not known.
    async fn named(
        &mut self,
        customer: CustomerId,
        new: &NewCustomer,
        intent: CreateIntent,
        mut projection: Projection,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        self.trafft_calls += 1;
        let shown = match self.connection.trafft.customer(customer).await {
            Ok(shown) => shown,
            Err(error) => return self.unseen(customer, intent, error).await,
        };
        let row = directory::indexed(&shown, locale.region);
        if customer.0 <= intent.newest || !may_be(new, &row) {
            if !can_be_reached_alike(new, &row) {
                return self.unclear(intent, Error::AnotherRecord).await;
            }
            self.drop_intent(&intent).await?;
            return self.was_there_before(&row, &projection, locale).await;
        }
        // A pass over the customers may have indexed this one before the answer came. Then it is
        // judged as after a lost answer.
        let location = &self.connection.location;
        let is_known = self.store.customer(location, customer).await?.is_some();
        let ours = !has_more(&shown) && (!is_known || self.is_made_by_us(customer, &intent).await?);
        self.store.index_read(location, &row, self.connection.clock.now()).await?;
        if let Some(taken) = self.linked(customer, ours, Some(&intent.id)).await? {
            return Ok(taken);
        }
        self.claim_description(&mut projection);
        self.written(&projection, &row);
        Ok(done(Status::Synced, &projection.explain("")))
    }

    /// Trafft has named a customer that cannot be looked at now. It may be another person's, so it
    /// is not linked: what the create has made is looked for later, as after a lost answer.
    async fn unseen(&mut self, customer: CustomerId, intent: CreateIntent, error: Error) -> Result<Verdict, Failure> {
        let settled = self.connection.clock.now() + self.connection.policy.settle_time;
        Ok(match self.unclear(intent, error).await? {
            // The refusal is about this look: the create was taken.
            Verdict::Dead { reason } => snooze(
                settled,
                format!(
                    "Trafft made customer {customer}, or had it already, and does not show it ({reason}); looked for again"
                ),
            ),
            later => later,
        })
    }

    /// Nobody knows what the POST has made. It may have taken long before it broke: the settle time
    /// begins now.
    async fn unclear(&mut self, intent: CreateIntent, error: Error) -> Result<Verdict, Failure> {
        let intent = CreateIntent { at: self.connection.clock.now(), ..intent };
        self.store.unclear(&self.contact.key, &intent).await?;
        let settled = intent.at + self.connection.policy.settle_time;
        Ok(match self.fail(error) {
            Verdict::Retry { at, reason } => Verdict::Retry { at: at.max(settled), reason },
            Verdict::Snooze { until, reason, waits_for } => {
                Verdict::Snooze { until: until.max(settled), reason, waits_for }
            }
            other => other,
        })
    }

    /// Trafft made nothing, and answered with a customer that existed before. Whose it is, is
    /// decided as usual. A person who asked for a new customer must learn that
    /// Trafft makes none.
    async fn was_there_before(
        &mut self,
        customer: &store::Customer,
        projection: &Projection,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        let row = std::slice::from_ref(customer);
        self.store.index_customers(&self.connection.location, row, self.connection.clock.now()).await?;
        if self.contact.decision != Some(Decision::Create)
            && let Some(verdict) = self.find(projection, locale).await?
        {
            return Ok(verdict);
        }
        let customer = customer.id;
        let reason = format!(
            "Trafft makes no other customer with this e-mail or phone than customer {customer}: `contacts link` it, or change the contact"
        );
        Ok(Verdict::Conflict { reason, customer: Some(customer) })
    }

    /// The POST certainly made nothing.
    pub(super) async fn drop_intent(&mut self, intent: &CreateIntent) -> Result<(), Failure> {
        self.store.drop_intent(&self.contact.key, &intent.id).await?;
        if matches!(&self.contact.link, Link::Creating(known) if known.id == intent.id) {
            self.contact.link = Link::None;
        }
        Ok(())
    }

    /// A create that Trafft refused: for its e-mail, for its phone, or because somebody has just
    /// become a customer with that e-mail (T §10).
    async fn refused(
        &mut self,
        error: Error,
        projection: Projection,
        lock: &mut AccountLock<'_>,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        if projection.email.is_none() && error.names(&["email"]) {
            return Ok(done(
                Status::Skipped,
                "Trafft refuses a customer without e-mail: add one to the contact in GoHighLevel",
            ));
        }
        if projection.email.is_some() && projection.phone.is_some() && error.names(&PHONE) {
            // A phone that Trafft does not take must not keep the rest from it, as with an update.
            let mut spared = projection;
            spared.phone = None;
            spared.left_out.push("Trafft refused the phone");
            return self.create(spared, lock, locale).await;
        }
        let seen = lock.seen();
        self.refresh(lock, seen).await?;
        match self.find(&projection, locale).await? {
            Some(verdict) => Ok(verdict),
            None => Ok(self.fail(error)),
        }
    }
}
