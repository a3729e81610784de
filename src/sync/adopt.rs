//! What became of a create whose answer was lost: the customer that it may have made is looked for,
//! and linked.

use std::time::Duration;

use jiff::Timestamp;

use super::Failure;
use super::directory;
use super::identity::made_by_us;
use super::run::{Run, snooze};
use crate::clients::trafft::wire::{self, Appointment, Booking, NewCustomer, Page};
use crate::clients::{About, Error, Odd};
use crate::model::{CustomerId, Verdict};
use crate::store::{self, CreateIntent, Decision, Link};

/// How many pages of appointments are looked through for one of a customer that may not be ours.
const BOOKINGS_PAGES: u32 = 4;

/// A gateway refuses for a while. So a refused look at the appointments counts only this long after
/// the create.
pub(super) const BELIEVED: Duration = Duration::from_mins(10);

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
            several => {
                let mut undoubted = Vec::new();
                for one in several {
                    if self.is_made_by_us(one.id, &intent).await? {
                        undoubted.push(one.id);
                    }
                }
                // What speaks against one says nothing for another: staff may have booked with the
                // one that we made. So the other is linked, and does not count as made by us.
                if let [one] = undoubted[..] {
                    return self.linked(one, false, Some(&intent.id)).await;
                }
                let reason =
                    format!("{} new customers look like this contact: decide with `contacts link`", several.len());
                Ok(Some(Verdict::Conflict { reason, customer: several.first().map(|customer| customer.id) }))
            }
        }
    }

    /// Did our POST make this customer, which looks like the intended one? The person may have
    /// booked in Trafft in the meantime, with the same name and e-mail. An appointment, or a field
    /// that we never send, shows that the customer may not be ours. Then staff may have typed notes
    /// there, and we must neither write its description nor delete it. Not noticed: a booking that
    /// was cancelled and removed.
    pub(super) async fn is_made_by_us(&mut self, customer: CustomerId, intent: &CreateIntent) -> Result<bool, Failure> {
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
        let mut has_total = false;
        for number in 1..=BOOKINGS_PAGES {
            // Without the right to read appointments there is no way to know.
            let Some(page) = self.appointments(number).await? else {
                let until = intent.at + BELIEVED;
                let is_lasting = self.connection.clock.now() >= until;
                return if is_lasting { Ok(false) } else { Err(Failure::Unsure { until }) };
            };
            // Trafft's pages tell the total: an empty one that does not is another service's.
            has_total |= page.pagination.total.is_some();
            if has_total && page.data.given() == 0 && page.pagination.total.is_none() {
                return Err(Failure::Trafft(Error::Unreadable { is_json: true }));
            }
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

    /// A page of the account's appointments; `None`: we may not read them, as it seems twice.
    async fn appointments(&mut self, number: u32) -> Result<Option<Page<Appointment>>, Failure> {
        for _ in 0..2 {
            self.trafft_calls += 1;
            match self.connection.trafft.appointments(number, directory::PAGE).await {
                Ok(page) => return Ok(Some(page)),
                Err(error) if matches!(error.about(), About::Record | About::Account) => {}
                Err(error) => return Err(Failure::Trafft(error)),
            }
        }
        Ok(None)
    }
}

/// Does the customer have something that we never send? Then it may be another's.
pub(super) fn has_more(customer: &wire::Customer) -> bool {
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
