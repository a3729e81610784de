//! Events that do not name their contact: thin `TaskCreate` deliveries (G §8.5, #332), above all.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::Connection;
use crate::clients::ghl::wire::TaskSearch;
use crate::model::{ContactId, Facet, Lane, ObjectId};
use crate::store::{self, Store, Unresolved};

/// The search lags behind (G §6.6), so it is asked again after these times; then the event is left
/// for the task sweep.
const AGAIN: [Duration; 3] = [Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];

/// While the search fails, no answer counts, and it is asked again after this time.
const UNASKED: Duration = Duration::from_mins(1);

/// A task that was just created is among the newest. So many pages are read, and one more for each
/// hundred tasks that are looked for; older ones are the sweep's business.
const PAGES: usize = 2;
const PAGE: u32 = 100;

/// Events that are looked for together.
const TOGETHER: i64 = 500;

/// Are there events of the location whose contact has to be found now?
pub(super) async fn is_due(store: &Store, connection: &Connection) -> Result<bool, store::Error> {
    let due = store.due_unresolved(&connection.location, connection.clock.now(), 1).await?;
    Ok(!due.is_empty())
}

/// Looks for the contacts of all events that are due: in the mirror, then, for tasks, in the
/// location's task search. One search serves them all: an import brings hundreds of such events at
/// once.
pub(super) async fn resolve(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    let location = &connection.location;
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for event in store.due_unresolved(location, connection.clock.now(), TOGETHER).await? {
        match store.contact_of(location, event.facet, &event.object).await? {
            Some(contact) => found.push((event, contact)),
            None => unknown.push(event),
        }
    }
    let searched = if unknown.iter().any(|event| event.facet == Facet::Tasks) {
        search(connection, &unknown).await
    } else {
        Ok(HashMap::new())
    };
    let now = connection.clock.now();
    for event in unknown {
        let is_task = event.facet == Facet::Tasks;
        let contact = match &searched {
            // Not asked is not "not found". Contacts and sweeps tell how HighLevel is.
            Err(error) if is_task => {
                let reason = format!("its contact is looked for again, because the task search failed: {error}");
                store.leave_unresolved(&event, &reason, Some(now + UNASKED), event.attempt).await?;
                continue;
            }
            Ok(contacts) if is_task => contacts.get(&event.object).cloned(),
            _ => None,
        };
        match contact {
            Some(contact) => found.push((event, contact)),
            None => store.leave_unresolved(&event, REASON, again(&event, now), event.attempt + 1).await?,
        }
    }
    for (event, contact) in found {
        info!(event.id = event.event, contact.id = %contact, "event {}: belongs to contact {contact}", event.event);
        store.resolve(&event, &contact, now).await?;
    }
    Ok(())
}

const REASON: &str = "no contact was found for the object that the event names";

fn again(event: &Unresolved, now: Timestamp) -> Option<Timestamp> {
    let wait = AGAIN.get(usize::try_from(event.attempt).unwrap_or(usize::MAX))?;
    (event.facet == Facet::Tasks).then(|| now + *wait)
}

/// The contacts of the newest tasks, as far as they are needed. In the lane of retries: contacts
/// that somebody waits for go first.
async fn search(
    connection: &Connection,
    wanted: &[Unresolved],
) -> Result<HashMap<ObjectId, ContactId>, crate::clients::Error> {
    let mut contacts = HashMap::new();
    for skip in (0..).step_by(PAGE as usize).take(PAGES + wanted.len() / PAGE as usize) {
        let search = TaskSearch { limit: Some(PAGE), skip: Some(skip), ..TaskSearch::default() };
        let tasks = connection.ghl.lane(Lane::Retry).search_tasks(&search).await?;
        let is_last = tasks.given() < PAGE as usize;
        contacts.extend(tasks.items.into_iter().filter_map(|task| Some((task.id, task.contact_id?))));
        let is_wanted = |event: &Unresolved| event.facet == Facet::Tasks && !contacts.contains_key(&event.object);
        if is_last || !wanted.iter().any(is_wanted) {
            break;
        }
    }
    Ok(contacts)
}
