//! Compares the location's tasks with the mirror: no event tells that a task was edited (G §8.5).

use super::super::{Connection, Failure};
use crate::clients::ghl::wire::{Task, TaskSearch};
use crate::model::{Facet, Sweep};
use crate::store::{Drift, Finding, Step, Store, Sweeping};

const PAGE: u32 = 100;

/// One page, from the newest on. After its share of calls a sweep rests, and the next goes on
/// there.
pub(super) async fn step(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let pace = connection.policy.pace;
    let skip: u32 = at.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    connection.lease.check()?;
    let search = TaskSearch { limit: Some(PAGE), skip: Some(skip), ..TaskSearch::default() };
    let tasks = connection.ghl.lane(at.kind.lane()).search_tasks(&search).await.map_err(Failure::Ghl)?;
    let seen = tasks.given();
    let mut found: Vec<Finding> = Vec::new();
    for task in tasks.items {
        let Some(contact) = task.contact_id.clone() else { continue };
        let holders = store.holders(&connection.location, Facet::Tasks, &task.id).await?;
        let is_same = |object: &str| serde_json::from_str::<Task>(object).is_ok_and(|known| !differs(&known, &task));
        if holders.iter().any(|(holder, object)| *holder == contact && is_same(object)) {
            continue;
        }
        // The contact that had it until now may not have it any more.
        let others = holders.into_iter().map(|(holder, _)| holder).filter(|holder| *holder != contact);
        for contact in others.chain([contact.clone()]) {
            if !found.iter().any(|finding| finding.contact == contact) && is_known(store, connection, &contact).await? {
                let facets = Facet::Tasks.into();
                let what = Some("a task changed");
                let drift = Drift::None;
                found.push(Finding { contact, facets, what, drift });
            }
        }
    }
    let more = seen >= PAGE as usize;
    let spent = (at.calls + 1) % pace.task_calls.max(1) == 0;
    let rest = pace.of(Sweep::Tasks).map(|pace| now + pace);
    Ok(Step {
        found,
        seen: seen as i64,
        calls: 1,
        cursor: more.then(|| (skip + PAGE).to_string()),
        due_at: if more && !spent { Some(now) } else { rest },
        reason: (more && spent)
            .then(|| format!("rests after {} calls; goes on with task {}", pace.task_calls, skip + PAGE)),
        ..Step::default()
    })
}

/// A contact that was never taken over, or that waits to be read anyway, is not for this sweep.
async fn is_known(store: &Store, connection: &Connection, contact: &crate::model::ContactId) -> Result<bool, Failure> {
    Ok(store.contact_standing(&connection.location, contact).await?.is_some_and(|known| !known.is_to_be_read))
}

/// As far as the search says: its items need not be whole (G §7.3).
fn differs(known: &Task, found: &Task) -> bool {
    fn changed<T: PartialEq>(known: &Option<T>, found: &Option<T>) -> bool {
        found.is_some() && known != found
    }
    changed(&known.title, &found.title)
        || changed(&known.body, &found.body)
        || changed(&known.due_date, &found.due_date)
        || changed(&known.completed, &found.completed)
        || changed(&known.assigned_to, &found.assigned_to)
}
