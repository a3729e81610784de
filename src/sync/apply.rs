//! Makes one customer match its projection: finds it or has it created (`create`), has it written
//! (`write`). There is no other way into Trafft.

use std::time::Duration;

use jiff::Timestamp;

use super::Failure;
use super::adopt::{BELIEVED, meant};
use super::directory::AccountLock;
use super::identity::{Match, find, holder_of_new_email};
use super::locale::Locale;
use super::plan::{Maker, claim_description};
use super::project::Projection;
use super::run::{Run, done, snooze};
use crate::clients::Odd;
use crate::model::{CustomerId, EmailKey, Status, Vendor, Verdict};
use crate::store::{Agreed, Customer, Decision, Drift, Link, LinkOutcome, Linked};

impl Run<'_> {
    /// Makes Trafft match.
    pub(super) async fn apply(&mut self, projection: Projection, locale: &Locale) -> Result<Verdict, Failure> {
        let Some(linked) = self.contact.link.linked().cloned() else {
            return self.find_or_create(projection, locale).await;
        };
        let mut shown = None;
        let was_written = linked.fingerprint.as_deref() == Some(&projection.fingerprint());
        let is_doubted = self.contact.drift != Drift::None || self.contact.customer_missing_since.is_some();
        if is_doubted {
            // A sweep saw a difference, or Trafft said that the customer is not there: is that
            // still so?
            self.enter_trafft()?;
            let current = match self.look(linked.customer).await? {
                Ok(current) => current,
                Err(verdict) => return Ok(verdict),
            };
            if was_written && projection.shows_in(&current, &linked.agreed) {
                self.written(&projection, &current);
                return Ok(done(Status::Unchanged, &projection.explain(&self.hidden(&projection))));
            }
            shown = Some(current);
        } else if was_written {
            return Ok(done(Status::Unchanged, &projection.explain(&self.hidden(&projection))));
        }
        if self.contact.decision.is_none()
            && self.contact.presence.gone_at().is_none()
            && let Some(verdict) = self.email_of_another(&projection, linked.customer).await?
        {
            return Ok(verdict);
        }
        let is_certain = self.contact.drift == Drift::None && self.contact.customer_missing_since.is_none();
        if is_certain && linked.fingerprint.is_some() && projection.is_agreed(&linked.agreed) {
            // All other fields were written before, and the description is no longer ours to write.
            self.contact.link.believe(projection.fingerprint());
            return Ok(done(Status::Unchanged, &projection.explain(&self.hidden(&projection))));
        }
        self.update(&projection, shown).await
    }

    /// A conflict, if the e-mail that the contact has moved to is another customer's. The index is
    /// a copy: that customer itself is looked at before a person is asked.
    async fn email_of_another(&mut self, projection: &Projection, own: CustomerId) -> Result<Option<Verdict>, Failure> {
        let mut looked_at = None;
        while let Some(other) = holder_of_new_email(self.store, self.connection, projection, own).await? {
            if looked_at == Some(other) {
                let reason = format!(
                    "the contact's new e-mail belongs to customer {other}, the contact is linked with {own}: \
                     `contacts link` it with either, or change the e-mail"
                );
                return Ok(Some(Verdict::Conflict { reason, customer: Some(other) }));
            }
            looked_at = Some(other);
            self.enter_trafft()?;
            self.look_at_another(other).await?;
        }
        Ok(None)
    }

    /// Why a change may not show in Trafft: most of a contact's activities can only be told in the
    /// description.
    fn hidden(&self, projection: &Projection) -> String {
        match (projection.description.is_none(), self.contact.link.customer()) {
            (true, Some(customer)) => format!(
                "nothing that we may write has changed; the description of customer {customer} is not ours (`DESCRIPTION_POLICY`)"
            ),
            _ => String::new(),
        }
    }

    /// To be passed before anything is asked of Trafft.
    pub(super) fn enter_trafft(&mut self) -> Result<(), Failure> {
        if !self.entered {
            let paused = |until| Failure::Paused { vendor: Vendor::Trafft, until };
            self.connection.gates.trafft.pass(self.connection.clock.now()).map_err(paused)?;
            self.entered = true;
        }
        Ok(())
    }

    async fn find_or_create(&mut self, projection: Projection, locale: &Locale) -> Result<Verdict, Failure> {
        if self.contact.presence.gone_at().is_some() {
            return Ok(done(Status::Skipped, "the contact was deleted in GoHighLevel"));
        }
        if self.contact.decision == Some(Decision::Unlinked) {
            let reason = "stands alone until `contacts link` or `contacts create` decides".to_owned();
            return Ok(Verdict::Conflict { reason, customer: None });
        }
        self.enter_trafft()?;
        let mut lock = self.connection.directory.lock().await;
        let seen = lock.seen();
        self.refresh(&mut lock, seen).await?;
        // The index is keyed by another country's numbers than this contact's was read with.
        if !self.locale().await?.reads_like(locale) {
            return Err(Failure::Overruled);
        }
        if self.contact.decision != Some(Decision::Create) {
            if let Some(until) = self.others_intent(&projection).await? {
                let reason = "a create for another contact with this e-mail or phone had no answer yet; looked for when it has settled";
                return Ok(snooze(until, reason));
            }
            if let Some(verdict) = self.find(&projection, locale).await? {
                return Ok(verdict);
            }
        }
        self.create(projection, &mut lock, locale).await
    }

    /// Looks for the contact's customer in our index. The index is a copy and may be stale, so a
    /// link is made only after one look at the customer itself. `None`: there is no customer for
    /// it.
    pub(super) async fn find(&mut self, projection: &Projection, locale: &Locale) -> Result<Option<Verdict>, Failure> {
        let mut looked_at = None;
        loop {
            match find(self.store, self.connection, projection, locale, &self.contact.key.contact).await? {
                Match::None => return Ok(None),
                Match::Own => return Err(Failure::Overruled),
                Match::Ambiguous { reason, customer } => return Ok(Some(Verdict::Conflict { reason, customer })),
                Match::Unique(customer) if looked_at == Some(customer.id) => {
                    return self.take(customer, projection.clone()).await.map(Some);
                }
                Match::Unique(customer) => {
                    looked_at = Some(customer.id);
                    if let Err(verdict) = self.look(customer.id).await? {
                        return Ok(Some(verdict));
                    }
                }
            }
        }
    }

    /// Another contact's create lost its answer, and may still make a customer that matches this
    /// contact: until when to wait for it. One second longer than the settle time, so that the
    /// other contact looks first.
    async fn others_intent(&self, projection: &Projection) -> Result<Option<Timestamp>, Failure> {
        const AFTER_YOU: Duration = Duration::from_secs(1);
        let settle = self.connection.policy.settle_time + AFTER_YOU;
        // It may have to wait until it knows whether the customer is its own.
        let decide = settle.max(BELIEVED + AFTER_YOU);
        let now = self.connection.clock.now();
        let since = now - decide;
        let email = |text: &Option<String>| text.as_deref().and_then(EmailKey::new);
        let mut until = None;
        for intent in self.store.intents_of_others(&self.contact.key, since).await? {
            let meant = meant(&intent)?;
            let same_email = email(&meant.email).is_some_and(|theirs| email(&projection.email) == Some(theirs));
            let same_phone = meant.phone.is_some() && meant.phone == projection.phone;
            if same_email || same_phone {
                let settled = intent.at + settle;
                until = until.max(Some(if now < settled { settled } else { intent.at + decide }));
            }
        }
        Ok(until)
    }

    /// Takes in Trafft's newest customers, those after `back_to` at least. Returns the records that
    /// could not be read.
    pub(super) async fn refresh(&mut self, lock: &mut AccountLock<'_>, back_to: i64) -> Result<Vec<Odd>, Failure> {
        let (calls, unread) = self.connection.refresh_directory(self.store, lock, back_to).await?;
        self.trafft_calls += calls;
        Ok(unread)
    }

    /// Links a customer that was there before.
    async fn take(&mut self, customer: Customer, mut projection: Projection) -> Result<Verdict, Failure> {
        if let Some(taken) = self.linked(customer.id, false, None).await? {
            return Ok(taken);
        }
        self.claim_description(&mut projection);
        if projection.matches(&customer) {
            self.written(&projection, &customer);
            let linked = format!("linked with customer {}, which matched already", customer.id);
            return Ok(done(Status::Unchanged, &projection.explain(&linked)));
        }
        self.update(&projection, None).await
    }

    /// The projection was made before we knew which customer it is for: is the description still
    /// ours?
    pub(super) fn claim_description(&mut self, projection: &mut Projection) {
        claim_description(projection, self.connection.policy.description, Maker::of(&self.contact.link));
        self.look_again = projection.until;
    }

    /// Stores the link; a verdict if another contact holds the customer.
    pub(super) async fn linked(
        &mut self,
        customer: CustomerId,
        created: bool,
        intent: Option<&str>,
    ) -> Result<Option<Verdict>, Failure> {
        match self.store.link(&self.contact, customer, created, intent).await? {
            LinkOutcome::Taken(holder) => Ok(Some(Verdict::Conflict {
                reason: format!(
                    "customer {customer} belongs to contact {holder}: decide with `contacts link` or `contacts create`"
                ),
                customer: Some(customer),
            })),
            LinkOutcome::Overruled => Err(Failure::Overruled),
            LinkOutcome::Recorded { created: ours } => {
                let fingerprint = None;
                let agreed = Agreed::default();
                self.contact.link = Link::Linked(Linked { customer, ours, fingerprint, agreed });
                // What was doubted was another customer.
                self.contact.customer_missing_since = None;
                Ok(None)
            }
        }
    }
}
