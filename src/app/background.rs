//! What goes on beside the HTTP server and the owners: other processes are heard, old rows are
//! pruned, deliveries are counted.

use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::intake::Intake;
use crate::model::Keep;
use crate::store::{self, Signal, Store};
use crate::sync::Nudge;

/// How often the count of deliveries is stored. What is counted meanwhile is lost with a process
/// that is killed.
const TALLIED: Duration = Duration::from_mins(1);

/// Stores how many deliveries were accepted and refused.
pub(super) async fn tally(intake: Intake, clock: Clock) {
    loop {
        clock.sleep(TALLIED).await;
        intake.store_tally().await;
    }
}

/// Passes on what other processes on the same database say.
pub(super) async fn hear(store: Store, nudge: Nudge) {
    let clock = Clock::system();
    loop {
        match listen(&store, &nudge).await {
            Ok(()) => std::future::pending().await,
            Err(error) if error.tell_outage() => {}
            Err(error) => warn!(error = %error, "other processes cannot be heard, trying again: {error}"),
        }
        clock.sleep(Duration::from_secs(1)).await;
    }
}

/// Passes on what other processes say, until the connection breaks. Returns at once with SQLite,
/// where there is no other process.
async fn listen(store: &Store, nudge: &Nudge) -> Result<(), store::Error> {
    let Some(mut signals) = store.signals().await? else { return Ok(()) };
    loop {
        match signals.next().await? {
            Signal::Due(location) => {
                if let Ok(location) = location.parse() {
                    nudge.now(&location);
                }
            }
            Signal::Told(events) => store.tell(&events),
            Signal::Free => nudge.connections(),
        }
    }
}

/// Once an hour, what was kept long enough goes.
pub(super) async fn prune(store: Store, clock: Clock, keep: Keep) {
    loop {
        match store.prune(&keep, clock.now()).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "pruned {rows} old rows"),
            Err(error) if error.tell_outage() => {}
            Err(error) => warn!(error = %error, "old rows could not be pruned, trying again in an hour: {error}"),
        }
        clock.sleep(Duration::from_hours(1)).await;
    }
}
