//! Searches over a location's contacts: for changes without an event, and for contacts that are
//! gone.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Connection, Failure};
use super::FINDINGS;
use crate::clients::ghl::wire::{Contact, ContactPage, ContactSearch, Cursor};
use crate::model::{ContactId, Facet, Facets, Sweep};
use crate::store::{Drift, Finding, Standing, Step, Store, Sweeping};

/// A page of the search: 100 is what was seen to work (G §6.6).
const PAGE: u32 = 100;

/// Searches lag behind writes by seconds (G §6.6), and clocks differ. So each search covers this
/// much time before the start of the search before it.
const OVERLAP: Duration = Duration::from_mins(5);

/// A record without an id may belong to a contact that changed, and a full page that does not say
/// where the next one begins is not the last one. For this long, the next search then begins where
/// this one did, or where that page ended.
const LOOKED_FOR: Duration = Duration::from_hours(24);

/// Where a search for changes goes on, and when it began, by GHL's clock: the times that it
/// searches for are GHL's, and ours may be wrong.
#[derive(Serialize, Deserialize)]
struct Changes {
    began: Timestamp,
    /// Records without an id on the pages so far.
    #[serde(default)]
    nameless: usize,
    next: String,
}

/// One page of the contacts that changed since the last sweep began.
pub(super) async fn changed(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let pass: Option<Changes> = at.cursor.as_deref().and_then(|cursor| serde_json::from_str(cursor).ok());
    let latest = connection.ghl.their_time(now);
    let since = at.since.unwrap_or(latest).min(latest) - OVERLAP;
    let position = Sweeping { cursor: pass.as_ref().map(|pass| pass.next.clone()), ..at.clone() };
    let page = search(connection, ContactSearch::updated(since, None), &position).await?;
    // After the answer, which tells GHL's time.
    let (began, before) = pass.map_or_else(|| (connection.ghl.their_time(now), 0), |pass| (pass.began, pass.nameless));
    let mut found = Vec::new();
    for contact in &page.contacts.items {
        let updated = updated(contact);
        let (facets, what) = match store.contact_standing(&connection.location, &contact.id).await? {
            Some(known) if known.is_to_be_read => continue,
            Some(Standing { updated: Some(known), .. }) if updated.is_some_and(|updated| updated <= known) => continue,
            Some(_) => (Facet::Contact.into(), "changed"),
            None => (Facets::ALL, "created"),
        };
        found.push(Finding { contact: contact.id.clone(), facets, what: Some(what), drift: Drift::None });
    }
    let unread = unread(&page, Facets::ALL);
    let nameless = before + page.contacts.odd.len() - unread.len();
    found.extend(unread);
    let pace = connection.policy.pace.of(Sweep::Contacts);
    let is_last = page.contacts.given() < PAGE as usize;
    // The oldest change comes first.
    let reached = page.contacts.items.iter().filter_map(updated).max();
    let mut step = following(page, now, pace);
    step.found = found;
    let is_cut = step.cursor.is_none() && !is_last;
    if is_cut {
        step.reason =
            Some("a full page does not say where the next one begins: looked for again from there".to_owned());
    }
    if nameless > 0 {
        step.reason = Some(format!(
            "{nameless} contacts came without an id that can be read: their changes are looked for again"
        ));
    }
    match step.cursor.take() {
        Some(next) => step.cursor = serde_json::to_string(&Changes { began, nameless, next }).ok(),
        None if is_cut && nameless == 0 && reached > at.since => step.since = reached,
        None if (nameless > 0 || is_cut) && began < since + LOOKED_FOR => {}
        // From the beginning of this sweep: what changed while it went on is found again, and not
        // marked again.
        None => step.since = Some(began),
    }
    Ok(step)
}

/// Where a pass over all ids is: where the search goes on, and how many of the contacts before were
/// there without an id.
#[derive(Default, Serialize, Deserialize)]
struct Pass {
    nameless: usize,
    next: Option<String>,
    /// The last page has been read: now those are marked that no page has shown.
    #[serde(default)]
    is_read: bool,
}

/// One page of all contacts. A contact that is met although it counts as missing or gone, or whose
/// time of change is newer than what was read, is read again. After the last page, the contacts
/// that no page has shown are read, a limited number in each step; two not-found answers decide.
pub(super) async fn gone(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let mut pass: Pass = at.cursor.as_deref().and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
    if pass.is_read {
        return unmet(store, connection, at).await;
    }
    let position = Sweeping { cursor: pass.next.take(), ..at.clone() };
    let page = search(connection, ContactSearch::all(), &position).await?;
    let dated: Vec<_> = page.contacts.items.iter().map(|contact| (contact.id.clone(), updated(contact))).collect();
    let met = dated.iter().map(|(contact, _)| contact.clone());
    let unread = unread(&page, Facet::Contact.into());
    let met = met.chain(unread.iter().map(|finding| finding.contact.clone())).collect();
    pass.nameless += page.contacts.odd.len() - unread.len();
    let is_last = page.contacts.given() < PAGE as usize;
    let mut step = following(page, now, connection.policy.pace.of(Sweep::Ids));
    (step.met, step.found) = (met, unread);
    for (contact, updated) in dated {
        match store.contact_standing(&connection.location, &contact).await? {
            Some(Standing { is_absent: true, .. }) => step.found.push(to_be_read(contact, "among the contacts again")),
            // The search for changes has missed it: the contact was deleted and restored since, and
            // its time of change lies before what that search looks back to.
            Some(known) if !known.is_to_be_read && known.updated.is_some_and(|known| updated > Some(known)) => {
                step.found.push(to_be_read(contact, "changed"));
            }
            _ => {}
        }
    }
    pass.next = step.cursor.take();
    // A contact that was met without its id may be any of those that were not met.
    if pass.next.is_none() && (pass.nameless > 0 || !is_last) {
        let reason =
            format!("{} contacts came without an id that can be read, so nobody is taken as deleted", pass.nameless);
        step.reason = Some(reason);
        return Ok(step);
    }
    pass.is_read = pass.next.is_none();
    (step.cursor, step.due_at) = (serde_json::to_string(&pass).ok(), Some(now));
    Ok(step)
}

/// Some of those that the pass has not met.
async fn unmet(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let missing = store.not_met(&connection.location, at.started_at.unwrap_or(now), FINDINGS as i64).await?;
    let more = missing.len() == FINDINGS;
    let found = |contact| to_be_read(contact, "not among the contacts any more");
    Ok(Step {
        found: missing.into_iter().map(found).collect(),
        cursor: at.cursor.clone().filter(|_| more),
        due_at: if more { Some(now) } else { connection.policy.pace.of(Sweep::Ids).map(|pace| now + pace) },
        is_whole: !more,
        ..Step::default()
    })
}

/// Contacts of a page that could not be read there: each is read by itself, where it has an id.
pub(super) fn unread(page: &ContactPage, facets: Facets) -> Vec<Finding> {
    let ids = page.contacts.odd.iter().filter_map(|odd| odd.id.as_deref()?.parse().ok());
    ids.map(|contact| Finding { contact, facets, what: Some("cannot be read in a search"), drift: Drift::None })
        .collect()
}

fn to_be_read(contact: ContactId, what: &'static str) -> Finding {
    Finding { contact, facets: Facet::Contact.into(), what: Some(what), drift: Drift::None }
}

/// The page at which the sweep is.
pub(super) async fn search(
    connection: &Connection,
    search: ContactSearch,
    at: &Sweeping,
) -> Result<ContactPage, Failure> {
    let after: Option<Cursor> = match &at.cursor {
        Some(cursor) => serde_json::from_str(cursor).unwrap_or_default(),
        None => None,
    };
    connection.lease.check()?;
    let search = search.limit(PAGE).after(after);
    connection.ghl.lane(at.kind.lane()).search_contacts(&search).await.map_err(Failure::Ghl)
}

/// What the page says about where it goes on.
pub(super) fn following(page: ContactPage, now: Timestamp, pace: Option<Duration>) -> Step {
    let given = page.contacts.given();
    let full = given >= PAGE as usize;
    let next = page.next.filter(|_| full).and_then(|next| serde_json::to_string(&next).ok());
    Step {
        seen: given as i64,
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
