//! Searches over a location's contacts: what changed and nobody told, and what is not there any more.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{Connection, Failure};
use crate::clients::ghl::wire::{Contact, ContactPage, ContactSearch, Cursor};
use crate::model::{Facet, Facets, Sweep};
use crate::store::{Finding, Step, Store, Sweeping};

/// A page of the search: 100 is what was seen to work (G §6.6).
const PAGE: u32 = 100;

/// Searches lag behind writes by seconds (G §6.6), and clocks differ: each search begins so long before the one before it did.
const OVERLAP: Duration = Duration::from_mins(5);

/// One page of the contacts that changed since the last sweep began.
pub(super) async fn changed(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let since = at.since.unwrap_or(now) - OVERLAP;
    let page = search(connection, ContactSearch::updated(since, None), at).await?;
    let mut found = Vec::new();
    for contact in &page.contacts {
        let updated = updated(contact);
        let (facets, what) = match store.contact_standing(&connection.location, &contact.id).await? {
            // It is read anyway.
            Some((_, true)) => continue,
            Some((Some(known), false)) if updated.is_some_and(|updated| updated <= known) => continue,
            Some(_) => (Facet::Contact.into(), "changed"),
            None => (Facets::ALL, "created"),
        };
        found.push(Finding { contact: contact.id.clone(), facets, what: Some(what), drifted: false });
    }
    let pace = connection.policy.pace.of(Sweep::Contacts);
    let mut step = following(page, now, pace);
    step.found = found;
    // From the beginning of this sweep: what changed while it went on is found again, and not marked again.
    step.since = step.cursor.is_none().then(|| at.started_at.unwrap_or(now));
    Ok(step)
}

/// One page of all contacts; at the end, those that it has not met are read, and two not-founds decide.
pub(super) async fn gone(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let page = search(connection, ContactSearch::all(), at).await?;
    let met = page.contacts.iter().map(|contact| contact.id.clone()).collect();
    let mut step = following(page, now, connection.policy.pace.of(Sweep::Ids));
    step.met = met;
    if step.cursor.is_none() {
        let began = at.started_at.unwrap_or(now);
        let missing = store.not_met(&connection.location, began).await?;
        let missing = missing.into_iter().filter(|contact| !step.met.contains(contact));
        step.found = missing
            .map(|contact| Finding {
                contact,
                facets: Facet::Contact.into(),
                what: Some("not among the contacts any more"),
                drifted: false,
            })
            .collect();
    }
    Ok(step)
}

/// The page at which the sweep is.
pub(super) async fn search(
    connection: &Connection,
    search: ContactSearch,
    at: &Sweeping,
) -> Result<ContactPage, Failure> {
    let place: Option<Cursor> = match &at.cursor {
        Some(cursor) => serde_json::from_str(cursor).unwrap_or_default(),
        None => None,
    };
    connection.lease.check()?;
    let search = search.limit(PAGE).after(place);
    connection.ghl.lane(at.kind.lane()).search_contacts(&search).await.map_err(Failure::Ghl)
}

/// What the page says about where it goes on.
pub(super) fn following(page: ContactPage, now: Timestamp, pace: Option<Duration>) -> Step {
    let full = page.contacts.len() >= PAGE as usize;
    let next = page.next().filter(|_| full).and_then(|next| serde_json::to_string(&next).ok());
    Step {
        seen: page.contacts.len() as i64,
        calls: 1,
        total: page.total,
        due_at: if next.is_some() { Some(now) } else { pace.map(|pace| now + pace) },
        cursor: next,
        ..Step::default()
    }
}

/// GHL's time of the last change.
pub(super) fn updated(contact: &Contact) -> Option<Timestamp> {
    let at: Timestamp = contact.date_updated.as_deref()?.parse().ok()?;
    Timestamp::from_millisecond(at.as_millisecond()).ok()
}
