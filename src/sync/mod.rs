//! Makes Trafft match GHL: the one way into Trafft.
//!
//! `owner` finds contacts that are due and gives each a task; `reconcile` reads what is dirty, projects it, and hands
//! over to `apply`, which finds, creates, updates or removes the customer; `verdict` says what a failure means.

mod apply;
mod directory;
mod fleet;
mod gate;
mod grants;
mod identity;
mod lease;
mod mapping;
mod metadata;
pub mod onboard;
mod owner;
mod probes;
mod project;
mod reconcile;
mod sweeps;
mod text;
mod unresolved;
mod verdict;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::clients;
use crate::clients::ghl::Ghl;
use crate::clients::trafft::Trafft;
use crate::clock::Clock;
use crate::model::{DeletePolicy, DescriptionPolicy, LocationId, MissingPolicy, Policy};
use crate::store::{self, Stored};

pub use fleet::{At, Fleet, Progress};
pub use grants::Grants;
pub use lease::Lease;
pub use mapping::{DEFAULTS, Mapping, Mistake};
pub use onboard::Onboard;
pub use probes::{Check, location as probe, preview_of};

use directory::Directory;
use gate::Gate;
use metadata::Metadata;

/// "Look now": says that something of a location is due, or that what is connected has changed, and carries nothing.
#[derive(Clone, Debug, Default)]
pub struct Nudge {
    locations: Arc<Mutex<HashMap<LocationId, watch::Sender<()>>>>,
    fleet: Arc<Notify>,
}

impl Nudge {
    /// Wakes whoever works the location, or keeps it from falling asleep. Nobody here works it: nothing happens.
    pub fn now(&self, location: &LocationId) {
        if let Some(listener) = self.locations().get(location) {
            listener.send_replace(());
        }
    }

    /// A location was connected, changed, or handed back: who works what has to be looked at again.
    pub fn connections(&self) {
        self.fleet.notify_one();
    }

    fn listen(&self, location: &LocationId) -> watch::Receiver<()> {
        self.locations().entry(location.clone()).or_default().subscribe()
    }

    fn locations(&self) -> MutexGuard<'_, HashMap<LocationId, watch::Sender<()>>> {
        self.locations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A location that this process owns, with everything needed to work it.
#[derive(Debug)]
struct Connection {
    location: LocationId,
    epoch: i64,
    ghl: Ghl,
    trafft: Trafft,
    mapping: Arc<Mapping>,
    policy: Policy,
    metadata: Metadata,
    directory: Directory,
    gates: Gates,
    lease: Lease,
    clock: Clock,
}

/// Between this location and its vendors.
#[derive(Debug, Default)]
struct Gates {
    ghl: Gate,
    trafft: Gate,
}

/// What it takes to work a location: its vendors, and how it wants to be worked.
#[derive(Debug)]
pub struct Reached {
    /// Its GoHighLevel.
    pub ghl: Ghl,
    /// Its Trafft.
    pub trafft: Trafft,
    /// How its contacts become customers.
    pub mapping: Arc<Mapping>,
    /// Everything else.
    pub policy: Policy,
}

/// Reaches a location by the settings, else by what a person entered for it; or says why it cannot be reached.
pub type Reach = Arc<dyn Fn(&LocationId, Option<Stored>) -> Result<Reached, String> + Send + Sync>;

impl Connection {
    /// `owned` is what taking the location over gave.
    fn new(owned: &store::Connection, reached: Reached, lease: Lease, clock: Clock) -> Self {
        let Reached { ghl, trafft, mapping, policy } = reached;
        Self {
            location: owned.location.clone(),
            epoch: owned.epoch,
            ghl,
            trafft,
            mapping,
            metadata: Metadata::new(policy.zone.clone(), policy.region),
            directory: Directory::new(owned.customers_seen),
            policy,
            gates: Gates::default(),
            lease,
            clock,
        }
    }
}

/// Why a reconcile could not come to a verdict by itself.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("GoHighLevel: {0}")]
    Ghl(clients::Error),
    #[error("Trafft: {0}")]
    Trafft(clients::Error),
    /// Not tried: the vendor is down, and somebody else is finding out whether it is back.
    #[error("{vendor} is down; it is tried again at {until}")]
    Paused { vendor: &'static str, until: Timestamp },
    #[error("the mapping cannot be applied: {0}")]
    Mapping(#[from] minijinja::Error),
    #[error("store: {0}")]
    Store(#[from] store::Error),
}
