//! Looks for what no webhook tells. A sweep marks what may have changed and writes nothing itself; each step is about one
//! call, recorded in one transaction, so a sweep goes on where it was after a restart or on another process.

mod backfill;
mod contacts;
mod customers;
mod rotation;
mod tasks;

use std::time::Duration;

use tracing::{info, warn};

use super::verdict::decide;
use super::{Connection, Failure};
use crate::model::{Sweep, Verdict};
use crate::store::{self, Store, Sweeping};

/// Sees to it that the location's sweeps come round as its policy says. What changed while nobody was looking is searched for at
/// once.
pub(super) async fn plan(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    let now = connection.clock.now();
    for kind in Sweep::ALL.into_iter().filter(|kind| !matches!(kind, Sweep::Backfill | Sweep::DryRun)) {
        let pace = connection.policy.pace.of(kind);
        let at_once = kind == Sweep::Contacts;
        let first = pace.map(|pace| if at_once { now } else { now + pace });
        store.plan(&connection.location, kind, first, at_once, now).await?;
    }
    Ok(())
}

/// One step of a sweep.
pub(super) async fn step(store: &Store, connection: &Connection, sweeping: Sweeping) -> Result<(), store::Error> {
    let location = &connection.location;
    let made = match sweeping.kind {
        Sweep::Contacts => contacts::changed(store, connection, &sweeping).await,
        Sweep::Ids => contacts::gone(store, connection, &sweeping).await,
        Sweep::Tasks => tasks::step(store, connection, &sweeping).await,
        Sweep::Rotation => rotation::step(store, connection).await,
        Sweep::Customers => customers::step(store, connection, &sweeping).await,
        Sweep::Backfill => backfill::step(store, connection, &sweeping).await,
        Sweep::DryRun => backfill::dry_run(store, connection, &sweeping).await,
    };
    let step = match made {
        Ok(step) => step,
        Err(Failure::Store(error)) => return Err(error),
        Err(failure) => return put_off(store, connection, sweeping.kind, failure).await,
    };
    store.advance(location, connection.epoch, &sweeping, &step, connection.clock.now()).await?;
    if step.cursor.is_none() && sweeping.kind != Sweep::Rotation {
        let told = step.told + step.found.iter().filter(|finding| finding.what.is_some()).count() as i64;
        let (seen, found) = (sweeping.seen + step.seen, sweeping.found + told);
        info!(
            location.id = %location, sweep = sweeping.kind.name(), seen, found, calls = sweeping.calls + step.calls,
            "sweep of {}: {seen} seen, {found} found that no event had told", sweeping.kind.name()
        );
    }
    Ok(())
}

/// Nothing is lost by it: the next step begins where this one did.
async fn put_off(store: &Store, connection: &Connection, kind: Sweep, failure: Failure) -> Result<(), store::Error> {
    let (location, clock) = (&connection.location, &connection.clock);
    warn!(location.id = %location, sweep = kind.name(), error = %failure, "sweep of {}: {failure}", kind.name());
    let (vendor, error) = match &failure {
        Failure::Ghl(error) => ("GoHighLevel", error),
        Failure::Trafft(error) => ("Trafft", error),
        _ => return store.put_off(location, kind, clock.now() + AGAIN, &failure.to_string()).await,
    };
    let until = match decide(vendor, error, 1, clock.now(), |wait| clock.jitter(wait)) {
        Verdict::Retry { at, .. } => at,
        Verdict::Snooze { until, .. } => until,
        _ => clock.now() + AGAIN,
    };
    store.put_off(location, kind, until, &format!("{vendor}: {error}")).await
}

/// What a vendor refuses is asked again after so long.
const AGAIN: Duration = Duration::from_mins(15);
