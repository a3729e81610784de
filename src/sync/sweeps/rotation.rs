//! Reads the notes, tasks and appointments of every linked contact anew, in turn: their events can
//! get lost, there is no bulk read, and a change need not move the contact's own time of change
//! (G §6.6). A contact that was given up on gets its turn, too: what stood in its way may be gone,
//! such as a customer with its e-mail.

use std::time::Duration;

use super::super::{Connection, Failure};
use crate::model::{Facet, Facets, Lane};
use crate::store::{Drift, Finding, Step, Store};

/// Contacts that come to their turn together, at most.
const BATCH: i64 = 50;
/// How often it looks whose turn it is: soon again while there are many.
const SOON: Duration = Duration::from_mins(1);
const LATER: Duration = Duration::from_mins(10);

pub(super) async fn step(store: &Store, connection: &Connection) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let location = &connection.location;
    let Some(period) = connection.policy.pace.rotation else { return Ok(Step::default()) };
    let waiting = store.waiting(location, Lane::Backfill).await?;
    let room = (BATCH - waiting).max(0);
    // Those whose turn it is by the clock, and from a backfill those that were never read whole.
    let turn = store.longest_unread(location, now - period, room).await?;
    let activities: Facets = [Facet::Tasks, Facet::Notes, Facet::Appointments].into_iter().collect();
    let found = turn.into_iter().map(|(contact, never)| {
        // What a backfill took from a search is read once from the contact itself (G §6.7: names
        // may have lost their capitals).
        let facets = if never { Facets::ALL } else { activities };
        Finding { contact, facets, what: None, drift: Drift::None }
    });
    let found: Vec<_> = found.collect();
    Ok(Step {
        seen: found.len() as i64,
        due_at: Some(now + if found.is_empty() && room > 0 { LATER } else { SOON }),
        found,
        ..Step::default()
    })
}
