//! When it is believed that a contact is gone: what follows from it cannot be taken back.

use std::time::Duration;

use jiff::Timestamp;

use super::Connection;
use super::reconcile::snooze;
use crate::clients::Gone;
use crate::model::{Presence, Verdict};
use crate::store::{self, Contact, Store};

/// The brake: when more linked contacts than this, and more than this share of them, vanish within an hour, nothing is deleted.
const MANY: i64 = 5;
const SHARE: i64 = 50;
const WITHIN: Duration = Duration::from_hours(1);

/// How often a held contact is looked at again by itself: it may be there again.
const AGAIN: Duration = Duration::from_hours(1);

/// What follows from GHL's word that there is no such contact: it is believed when it was given twice, `settle` apart.
pub(super) fn next(presence: Presence, _said: Gone, now: Timestamp, settle: Duration) -> Presence {
    match presence {
        Presence::Present => Presence::Missing { since: now },
        Presence::Missing { since } if now < since + settle => presence,
        Presence::Missing { .. } => Presence::Gone { at: now },
        Presence::Gone { .. } => presence,
    }
}

/// The brake: a verdict, and the presence that goes with it, if that word is not enough: the id sweep's search showed the contact
/// since, or too many contacts of the location vanish at once. Then a person decides, or an id sweep that still meets the others.
/// `before`: the contact's presence before it was about to be believed gone.
pub(super) async fn held(
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
        let reason = "GoHighLevel says that there is no such contact, and its search shows it: it is asked twice anew";
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
            location.id = %location, vanishing = counted.vanishing, linked = counted.linked,
            "GoHighLevel says that {} of {} linked contacts of location {location} are gone: nothing is deleted until that is \
             confirmed with `connections confirm-deletions`, or until an id sweep has met the others", counted.vanishing, counted.linked
        );
    }
    let reason = format!(
        "GoHighLevel says that this contact is gone, and so are {} of {} linked contacts: nothing is deleted until \
         `connections confirm-deletions` or an id sweep confirms it",
        counted.vanishing, counted.linked
    );
    Ok(Some((before, snooze(now + AGAIN, reason))))
}
