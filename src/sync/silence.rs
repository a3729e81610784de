//! Notices that a location's events do not come any more, though sweeps find that its contacts
//! change.

use tracing::{info, warn};

use super::Connection;
use crate::model::{Silence, Sweep, Swept};
use crate::store::{self, Store, Sweeping};

/// A search that covers more than this many of its paces includes a time when this service, or
/// HighLevel, was away. That no event told of its changes is then expected.
const REGULAR: u32 = 3;

/// Without the contact search, nothing can show that events come again: the stored silence is
/// cleared.
pub(super) async fn forget(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    match store.silence(&connection.location).await? {
        Some(silence) if silence != Silence::default() => {
            store.keep_silence(&connection.location, connection.epoch, &Silence::default()).await
        }
        _ => Ok(()),
    }
}

/// What a search for changed contacts that has just ended says about the location's events. Told
/// once, at the change.
pub(super) async fn listen(
    store: &Store,
    connection: &Connection,
    sweeping: &Sweeping,
    found: i64,
) -> Result<(), store::Error> {
    let location = &connection.location;
    let now = connection.clock.now();
    let pace = connection.policy.pace.of(Sweep::Contacts);
    let regular = pace.map(|pace| pace * REGULAR);
    let Some((from, regular)) = sweeping.since.zip(regular) else { return Ok(()) };
    let is_regular = connection.ghl.their_time(now).duration_since(from).unsigned_abs() <= regular;
    let found = if is_regular { found } else { 0 };
    let Some(before) = store.silence(location).await? else { return Ok(()) };
    // The usual case: nothing was found, and nothing had been.
    if found == 0 && before == Silence::default() {
        return Ok(());
    }
    let after = before.after(store.last_heard(location).await?, Swept { from, found, at: now });
    if after == before {
        return Ok(());
    }
    store.keep_silence(location, connection.epoch, &after).await?;
    match (before.paused_at, after) {
        (None, Silence { paused_at: Some(_), since: Some(since), untold, .. }) => warn!(
            untold,
            "location {location}: no event has come since {since}, though sweeps found {untold} changes: HighLevel has probably paused \
             the delivery, or it does not reach this service; `doctor` says what to do"
        ),
        (Some(_), Silence { paused_at: None, .. }) => {
            info!("location {location}: events come again")
        }
        _ => {}
    }
    Ok(())
}
