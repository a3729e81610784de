//! Makes a customer only once: the intent is stored before the POST. If the outcome of the POST is
//! unclear, the customer that it may have made is looked for.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Failure;
use super::directory::{self, AccountLock};
use super::identity::{made_by_us, may_be};
use super::locale::Locale;
use super::project::Projection;
use super::run::{Run, done, snooze};
use super::write::{PHONE, names};
use crate::clients::trafft::wire::{self, Appointment, Booking, NewCustomer};
use crate::clients::{About, Error, Odd};
use crate::model::{CustomerId, Status, Verdict};
use crate::store::{self, CreateIntent, Decision, Link};

/// How many pages of appointments are looked through for one of a customer that may not be ours.
const BOOKINGS_PAGES: u32 = 4;

/// How often a list is looked at again that has a record which cannot be read.
const UNREAD: Duration = Duration::from_mins(10);

impl Run<'_> {
    /// Links what an earlier create without an answer has made; if it made nothing, its intent is
    /// dropped. To be called before anything is made of the contact, or nobody would look for that
    /// customer again. A verdict: it cannot be told yet, or a person has to.
    pub(super) async fn clear_up(&mut self) -> Result<Option<Verdict>, Failure> {
        let Link::Creating(intent) = self.contact.link.clone() else { return Ok(None) };
        // The POST whose answer we never saw may still be running: looking now would prove nothing.
        let until = intent.at + self.connection.policy.settle_time;
        if self.connection.clock.now() < until {
            return Ok(Some(snooze(
                until,
                "a create without an answer may still be running; looked for when it has settled",
            )));
        }
        self.enter_trafft()?;
        let mut lock = self.connection.directory.lock().await;
        let unread = self.refresh(&mut lock, intent.newest).await?;
        let made = made_by_us(self.store, self.connection, &meant(&intent)?, intent.newest).await?;
        match made.as_slice() {
            // A person who has checked Trafft may say that the unreadable record is another
            // customer.
            [] if self.contact.decision != Some(Decision::Create) && may_hide(&unread, &intent) => Ok(Some(snooze(
                self.connection.clock.now() + UNREAD,
                "a create had no answer, and a new record in Trafft's list cannot be read: it may be the customer that was made; \
                 looked at again in 10 minutes, or see Trafft, and `contacts create` if it made none",
            ))),
            [] => {
                self.drop_intent(&intent).await?;
                Ok(None)
            }
            [one] => {
                let ours = self.is_made_by_us(one.id, &intent).await?;
                self.linked(one.id, ours, Some(&intent.id)).await
            }
            several => Ok(Some(Verdict::Conflict {
                reason: format!("{} new customers look like this contact: decide with `contacts link`", several.len()),
                customer: several.first().map(|customer| customer.id),
            })),
        }
    }

    /// Did our POST make this customer, which looks like the intended one? The person may have
    /// booked in Trafft in the meantime, with the same name and e-mail. An appointment, or a field
    /// that we never send, shows that the customer may not be ours. Then staff may have typed notes
    /// there, and we must neither write its description nor delete it. Not noticed: a booking that
    /// was cancelled and removed.
    async fn is_made_by_us(&mut self, customer: CustomerId, intent: &CreateIntent) -> Result<bool, Failure> {
        self.trafft_calls += 1;
        let shown = match self.connection.trafft.customer(customer).await {
            Ok(shown) => shown,
            // It was deleted meanwhile. The update that follows asks again, and finds out.
            Err(Error::Gone(_)) => return Ok(false),
            Err(error) => return Err(Failure::Trafft(error)),
        };
        if has_more(&shown) {
            return Ok(false);
        }
        for number in 1..=BOOKINGS_PAGES {
            self.trafft_calls += 1;
            let page = match self.connection.trafft.appointments(number, directory::PAGE).await {
                Ok(page) => page,
                // Without the right to read appointments there is no way to know.
                Err(error) if matches!(error.about(), About::Record | About::Account) => return Ok(false),
                Err(error) => return Err(Failure::Trafft(error)),
            };
            let of_it = |one: &Booking| one.customer.as_ref().is_some_and(|booked| booked.id == customer);
            let booked = |appointment: &Appointment| appointment.bookings.iter().any(of_it);
            // One that cannot be read may be this person's.
            if !page.data.odd.is_empty() || page.data.items.iter().any(booked) {
                return Ok(false);
            }
            // Newest first (T §6): what was made before our POST is not this person's.
            let is_older = |one: &Appointment| {
                let made = one.created_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
                made.is_some_and(|made| made + self.connection.policy.settle_time < intent.at)
            };
            if page.data.items.iter().any(is_older) || page.is_last(number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

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
    /// knew, so a newer id proves nothing, and the customer is read at once.
    async fn named(
        &mut self,
        customer: CustomerId,
        new: &NewCustomer,
        intent: CreateIntent,
        mut projection: Projection,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        if customer.0 <= intent.newest {
            self.drop_intent(&intent).await?;
            return self.was_there_before(customer, &projection, locale).await;
        }
        self.trafft_calls += 1;
        let shown = match self.connection.trafft.customer(customer).await {
            Ok(shown) => shown,
            Err(error) => return self.unseen(customer, intent, error).await,
        };
        let row = directory::indexed(&shown, locale.region);
        if !may_be(new, &row) {
            self.drop_intent(&intent).await?;
            return self.was_there_before(customer, &projection, locale).await;
        }
        // A pass over the customers may have indexed this one before the answer came. Then it is
        // judged as after a lost answer.
        let location = &self.connection.location;
        let is_known = self.store.customer(location, customer).await?.is_some();
        let ours = !has_more(&shown) && (!is_known || self.is_made_by_us(customer, &intent).await?);
        self.store.index_written(location, &row, self.connection.clock.now()).await?;
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
    /// decided as usual, by reading it. A person who asked for a new customer must learn that
    /// Trafft makes none.
    async fn was_there_before(
        &mut self,
        customer: CustomerId,
        projection: &Projection,
        locale: &Locale,
    ) -> Result<Verdict, Failure> {
        self.look_at_another(customer).await?;
        if self.contact.decision != Some(Decision::Create)
            && let Some(verdict) = self.find(projection, locale).await?
        {
            return Ok(verdict);
        }
        let reason = format!(
            "Trafft makes no other customer with this e-mail or phone than customer {customer}: `contacts link` it, or change the contact"
        );
        Ok(Verdict::Conflict { reason, customer: Some(customer) })
    }

    /// The POST certainly made nothing.
    async fn drop_intent(&mut self, intent: &CreateIntent) -> Result<(), Failure> {
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

/// Does the customer have something that we never send? Then it may be another's.
fn has_more(customer: &wire::Customer) -> bool {
    [&customer.birthday, &customer.gender].into_iter().flatten().any(|text| !text.is_empty())
}

/// May one of these records be the customer that the create made? A record that existed before the
/// create cannot be.
fn may_hide(unread: &[Odd], intent: &CreateIntent) -> bool {
    let id = |odd: &Odd| odd.id.as_deref().and_then(|id| id.parse::<i64>().ok());
    unread.iter().any(|odd| id(odd).is_none_or(|id| id > intent.newest))
}

/// What a create was to make.
pub(super) fn meant(intent: &CreateIntent) -> Result<NewCustomer, store::Error> {
    let corrupt = |_| store::Error::Corrupt("`contacts.intent_customer` is not the JSON expected".to_owned());
    serde_json::from_str(&intent.customer).map_err(corrupt)
}
