//! Decides when a contact counts as deleted in GHL. The check is strict, because what follows
//! cannot be undone.

use std::time::Duration;

use jiff::Timestamp;

use super::identity::is_another_person;
use super::read::parse;
use super::run::{Run, done, snooze};
use super::{Connection, DeletePolicy, Failure};
use crate::clients::Gone;
use crate::clients::ghl::wire;
use crate::model::{Facets, Outcome, Presence, Status, Verdict};
use crate::store::{self, Contact, Linked, Store};

/// The brake: when more linked contacts than this, and more than this share of them, vanish within
/// an hour, nothing is deleted.
const MANY: i64 = 5;
const SHARE: i64 = 50;
const WITHIN: Duration = Duration::from_hours(1);

/// How often a held contact is checked again without an event: it may exist again.
const AGAIN: Duration = Duration::from_hours(1);

/// The presence after GHL has answered that there is no such contact. The contact counts as gone
/// after two such answers, at least `settle` apart.
fn next(presence: Presence, _said: Gone, now: Timestamp, settle: Duration) -> Presence {
    match presence {
        Presence::Present => Presence::Missing { since: now },
        Presence::Missing { since } if now < since + settle => presence,
        Presence::Missing { .. } => Presence::Gone { at: now },
        Presence::Gone { .. } => presence,
    }
}

/// The brake: two not-found answers are not always enough. Returns a verdict, and the presence to
/// store with it, if the id sweep's search has shown the contact since the first answer, or if too
/// many contacts of the location vanish at once. In the second case a person decides, or an id
/// sweep that still meets the others. `before`: the contact's presence before it was about to count
/// as gone.
async fn held(
    store: &Store,
    connection: &Connection,
    contact: &Contact,
    before: Presence,
    now: Timestamp,
) -> Result<Option<(Presence, Verdict)>, store::Error> {
    let Presence::Missing { since } = before else { return Ok(None) };
    if contact.link.customer().is_none() {
        return Ok(None);
    }
    let location = &connection.location;
    // Read now, since the sweep goes on beside this contact's work.
    let Some(counted) = store.vanishing(&contact.key, now - WITHIN).await? else { return Ok(None) };
    if counted.met_at.is_some_and(|met| met >= since) {
        let reason = "GoHighLevel says that there is no such contact, but its search shows it: it is asked twice more";
        return Ok(Some((Presence::Missing { since: now }, snooze(now + connection.policy.settle_time, reason))));
    }
    if counted.confirmed_at.is_some_and(|at| since <= at) {
        return Ok(None);
    }
    let many = counted.vanishing > MANY && counted.vanishing * SHARE > counted.linked;
    if !many && counted.held_at.is_none() {
        return Ok(None);
    }
    if counted.held_at.is_none() {
        store.hold_deletions(location, now).await?;
        tracing::error!(
            vanishing = counted.vanishing,
            linked = counted.linked,
            "GoHighLevel says that {} of {} linked contacts of location {location} are gone: nothing is deleted until that is \
             confirmed with `connections confirm-deletions`, or until an id sweep has met the others",
            counted.vanishing,
            counted.linked
        );
    }
    let reason = format!(
        "GoHighLevel says that this contact is gone, and so are {} of {} linked contacts: nothing is deleted until \
         `connections confirm-deletions` or an id sweep confirms it",
        counted.vanishing, counted.linked
    );
    Ok(Some((before, snooze(now + AGAIN, reason))))
}
impl Run<'_> {
    /// GHL says that there is no such contact. That is believed when it has said so twice, and when
    /// not too many vanish at once.
    pub(super) async fn absent(&mut self, gone: Gone) -> Result<Verdict, Failure> {
        if self.contact.presence.gone_at().is_some() {
            return Ok(self.gone_already());
        }
        let settle = self.connection.policy.settle_time;
        let before = self.contact.presence;
        let after = next(before, gone, self.now, settle);
        if let Presence::Missing { since } = after {
            self.contact.presence = after;
            let reason =
                "GoHighLevel says that there is no such contact; it is asked once more before that is believed";
            return Ok(snooze(since + settle, reason));
        }
        match self.clear_up().await? {
            None => {}
            // Nobody can decide about a contact that is gone: what it may have made is kept.
            Some(Verdict::Conflict { reason, .. }) => self.unread.push(reason),
            Some(verdict) => return Ok(verdict),
        }
        self.contact.presence = after;
        let held = held(self.store, self.connection, &self.contact, before, self.now).await?;
        if let Some((presence, verdict)) = held {
            self.contact.presence = presence;
            return Ok(verdict);
        }
        let customer = self.contact.link.customer();
        let farewell = self.farewell().await;
        match farewell {
            // The contact does not count as gone before Trafft was updated: until then no other
            // contact may take the customer, and the update is tried again.
            Err(_) | Ok(Verdict::Retry { .. } | Verdict::Snooze { .. }) => self.contact.presence = before,
            Ok(_) => {
                // A contact that is gone has nothing left to read, and no text that becomes
                // outdated.
                (self.read, self.released, self.look_again) = (Facets::ALL, customer, None);
                (self.contact.deletion_told_at, self.ask_again) = (None, None);
            }
        }
        farewell
    }

    /// Trafft was updated when the contact was found to be gone. Since then its customer belongs to
    /// staff, or to another contact.
    pub(super) fn gone_already(&mut self) -> Verdict {
        self.read = Facets::ALL;
        let status = if self.contact.link.customer().is_some() { Status::Unchanged } else { Status::Skipped };
        done(status, "the contact was deleted in GoHighLevel")
    }

    /// Deletes the customer, unless it has become another person's: staff may have used the record
    /// for another one, and HighLevel may have merged the contact into one that waits for this
    /// customer. What is deleted cannot be taken back, so it is looked at first.
    async fn remove_if_still_ours(&mut self, Linked { customer, agreed, .. }: Linked) -> Result<Verdict, Failure> {
        let kept = |why: String| {
            let reason = format!("the contact was deleted in GoHighLevel; customer {customer} is kept: {why}");
            Ok(done(Status::Unchanged, &reason))
        };
        if let Some(other) = self.store.waits_for(&self.contact.key, customer).await? {
            return kept(format!("contact {other} waits for a decision about it"));
        }
        self.enter_trafft()?;
        let current = match self.look(customer).await? {
            Ok(current) => current,
            Err(verdict) => return Ok(verdict),
        };
        if is_another_person(&current, &agreed) {
            return kept("in Trafft it has another name now, another e-mail and another phone".to_owned());
        }
        self.remove(customer).await
    }

    /// What becomes of the customer of a contact that is gone.
    async fn farewell(&mut self) -> Result<Verdict, Failure> {
        let Some(linked) = self.contact.link.linked() else {
            return Ok(done(Status::Skipped, "the contact was deleted in GoHighLevel before it had a customer"));
        };
        match self.connection.policy.delete {
            DeletePolicy::DeleteCreated if linked.ours => return self.remove_if_still_ours(linked.clone()).await,
            DeletePolicy::Ignore => {
                return Ok(done(
                    Status::Unchanged,
                    "the contact was deleted in GoHighLevel; `DELETE_POLICY` leaves the customer as it is",
                ));
            }
            _ => {}
        }
        let Some(fields) = &self.contact.fields else {
            return Ok(done(Status::Unchanged, "the contact was deleted in GoHighLevel; the customer is kept"));
        };
        let contact: wire::Contact = parse("contacts.fields", fields)?;
        let locale = self.locale().await?;
        let definitions = self.definitions(&contact).await?;
        let projection = self.project(&contact, &definitions, &locale).await?;
        let verdict = self.apply(projection, &locale).await?;
        Ok(match verdict {
            Verdict::Done(Outcome { status, .. }) => {
                done(status, "the contact was deleted in GoHighLevel; the customer is kept")
            }
            other => other,
        })
    }
}
