//! Events that do not name their contact: thin `TaskCreate` deliveries (G §10 #332), above all.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::Connection;
use crate::clients::ghl::wire::TaskSearch;
use crate::model::{ContactId, Facet, ObjectId};
use crate::store::{self, Store, Unresolved};

/// The search lags behind (G §6.6), so it is asked again after these times; then the event is left for the task sweep.
const AGAIN: [Duration; 3] = [Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];

/// A task that was just created is among the newest; older pages are the sweep's business.
const PAGES: u32 = 2;
const PAGE: u32 = 100;

/// Looks for the contact: in the mirror, then, for a task, in the location's task search.
pub(super) async fn resolve(store: &Store, connection: &Connection, event: &Unresolved) -> Result<(), store::Error> {
    let now = connection.clock.now();
    let mut contact = store.contact_of(&event.location, event.facet, &event.object).await?;
    if contact.is_none() && event.facet == Facet::Tasks {
        contact = match search(connection, &event.object).await {
            Ok(contact) => contact,
            Err(error) => {
                warn!(event.id = %event.event, error = %error, "event {}: the task search failed: {error}", event.event);
                None
            }
        };
    }
    match contact {
        Some(contact) => {
            info!(event.id = %event.event, contact.id = %contact, "event {}: belongs to contact {contact}", event.event);
            store.resolve(event, &contact, now).await
        }
        None => store.leave_unresolved(event, REASON, again(event, now)).await,
    }
}

const REASON: &str = "no contact was found for the object that the event names";

fn again(event: &Unresolved, now: Timestamp) -> Option<Timestamp> {
    let wait = AGAIN.get(usize::try_from(event.attempt).unwrap_or(usize::MAX))?;
    (event.facet == Facet::Tasks).then(|| now + *wait)
}

async fn search(connection: &Connection, task: &ObjectId) -> Result<Option<ContactId>, crate::clients::Error> {
    for page in 0..PAGES {
        let tasks = {
            let search = TaskSearch { limit: Some(PAGE), skip: Some(page * PAGE), ..TaskSearch::default() };
            connection.ghl.search_tasks(&search).await?
        };
        let full = tasks.len() >= PAGE as usize;
        let found = tasks.into_iter().find(|found| found.id == *task);
        if let Some(found) = found {
            return Ok(found.contact_id);
        }
        if !full {
            break;
        }
    }
    Ok(None)
}
