//! Looks for what no webhook tells. A sweep marks what may have changed and writes nothing itself;
//! each step is about one call, recorded in one transaction, so a sweep goes on where it was after
//! a restart or on another process.

mod backfill;
mod contacts;
mod customers;
pub(super) mod projection;
mod rotation;
mod tasks;

pub use projection::to_be_projected;

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Span, debug, info, warn};

use super::verdict::decide;
use super::{Connection, Failure, silence};
use crate::clients::Error;
use crate::model::{Sweep, Vendor, Verdict};
use crate::store::{self, Store, Sweeping};

/// Sees to it that the location's sweeps come round as its policy says. What changed while nobody
/// was looking is searched for at once.
pub(super) async fn plan(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    let now = connection.clock.now();
    for kind in Sweep::ALL.into_iter().filter(|kind| !matches!(kind, Sweep::Backfill | Sweep::DryRun)) {
        let pace = connection.policy.pace.of(kind);
        let at_once = matches!(kind, Sweep::Contacts | Sweep::Projection);
        // Due at once, without a pace: the rules change while the service is not running, or when
        // the location's owner begins anew. What HighLevel tells is looked at by the search for
        // changes.
        let pace = if kind == Sweep::Projection { Some(Duration::ZERO) } else { pace };
        let first = pace.map(|pace| if at_once { now } else { now + pace });
        // A pass over the customers looks back to the pass before it, and there is none.
        let since = (kind != Sweep::Customers).then_some(now);
        store.plan(&connection.location, kind, first, at_once, since).await?;
    }
    if connection.policy.pace.of(Sweep::Contacts).is_none() {
        silence::forget(store, connection).await?;
    }
    Ok(())
}

/// One step of a sweep.
pub(super) async fn step(store: &Store, connection: &Connection, sweeping: Sweeping) -> Result<(), store::Error> {
    let location = &connection.location;
    Span::current().record("sweep", sweeping.kind.name());
    let made = match sweeping.kind {
        Sweep::Contacts => contacts::changed(store, connection, &sweeping).await,
        Sweep::Ids => contacts::gone(store, connection, &sweeping).await,
        Sweep::Tasks => tasks::step(store, connection, &sweeping).await,
        Sweep::Rotation => rotation::step(store, connection).await,
        Sweep::Customers => customers::step(store, connection, &sweeping).await,
        Sweep::Backfill => backfill::step(store, connection, &sweeping).await,
        Sweep::Projection => projection::step(store, connection, &sweeping).await,
        Sweep::DryRun => backfill::dry_run(store, connection, &sweeping).await,
    };
    let step = match made {
        Ok(step) => step,
        Err(Failure::Store(error)) => return Err(error),
        Err(failure) => return put_off(store, connection, &sweeping, failure).await,
    };
    let asked = match sweeping.kind {
        Sweep::Contacts | Sweep::Ids | Sweep::Backfill | Sweep::DryRun => Some(Vendor::Ghl),
        Sweep::Customers => Some(Vendor::Trafft),
        // They ask nobody, as a rule; and the search for tasks, with a scope of its own, says
        // nothing about contacts.
        Sweep::Rotation | Sweep::Projection | Sweep::Tasks => None,
    };
    if let Some(vendor) = asked.filter(|_| step.calls > 0) {
        connection.note_sweep(store, vendor, None).await;
    }
    connection.told_put_off().remove(&sweeping.kind);
    if !store.advance(location, connection.epoch, &sweeping, &step, connection.clock.now()).await? {
        return Ok(());
    }
    if step.cursor.is_none() && !matches!(sweeping.kind, Sweep::Rotation | Sweep::Projection) {
        let told = step.told + step.found.iter().filter(|finding| finding.what.is_some()).count() as i64;
        let seen = sweeping.seen + step.seen;
        let found = sweeping.found + told;
        info!(
            sweep = sweeping.kind.name(),
            seen,
            found,
            calls = sweeping.calls + step.calls,
            "sweep of {}: {seen} seen, {found} found that no event had told",
            sweeping.kind.name()
        );
        if sweeping.kind == Sweep::Contacts {
            silence::listen(store, connection, &sweeping, found).await?;
            projection::look(store, connection).await?;
        }
    }
    Ok(())
}

/// Postpones a sweep after a failure. Nothing is lost: the next step begins where this one did.
async fn put_off(
    store: &Store,
    connection: &Connection,
    sweeping: &Sweeping,
    failure: Failure,
) -> Result<(), store::Error> {
    let kind = sweeping.kind;
    let location = &connection.location;
    let clock = &connection.clock;
    let (vendor, error) = match &failure {
        Failure::Ghl(error) => (Vendor::Ghl, error),
        Failure::Trafft(error) => (Vendor::Trafft, error),
        _ => {
            tell(connection, kind, &failure).await;
            return store.put_off(location, sweeping, clock.now() + AGAIN, &failure.to_string()).await;
        }
    };
    if kind != Sweep::Tasks {
        connection.note_sweep(store, vendor, Some(error)).await;
    }
    // After `note_sweep`: what is told for the whole location is not told again.
    tell(connection, kind, &failure).await;
    let until = match decide(vendor, error, 1, clock.now(), |wait| clock.jitter(wait)) {
        Verdict::Retry { at, .. } => at,
        Verdict::Snooze { until, .. } => until,
        _ => clock.now() + AGAIN,
    };
    store.put_off(location, sweeping, until, &format!("{vendor}: {error}")).await
}

/// Warns once that a sweep is put off, until it goes on. No warning if it only waits, or if the
/// cause is told for the whole location.
async fn tell(connection: &Connection, kind: Sweep, failure: &Failure) {
    let is_told = match failure {
        Failure::Ghl(Error::BudgetUsedUp { .. } | Error::RateLimited { .. })
        | Failure::Trafft(Error::BudgetUsedUp { .. } | Error::RateLimited { .. }) => true,
        Failure::Ghl(_) => connection.is_in_trouble(Vendor::Ghl).await,
        Failure::Trafft(_) => connection.is_in_trouble(Vendor::Trafft).await,
        _ => false,
    };
    let kind_name = kind.name();
    if is_told || !connection.told_put_off().insert(kind) {
        debug!(error = %failure, "the sweep of {kind_name} is put off: {failure}");
    } else {
        warn!(error = %failure, "the sweep of {kind_name} is put off: {failure}");
    }
}

impl Connection {
    fn told_put_off(&self) -> MutexGuard<'_, HashSet<Sweep>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Findings that one step marks: a webhook waits behind one step at most, also where a page that is
/// empty by mistake makes everybody a finding.
const FINDINGS: usize = 200;

/// What a vendor refuses is asked again after this time.
const AGAIN: Duration = Duration::from_mins(15);
