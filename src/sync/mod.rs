//! Makes Trafft match GHL: the one way into Trafft.
//!
//! `owner` finds contacts that are due and gives each a task; `reconcile` reads what is dirty, projects it, and hands
//! over to `apply`, which finds, creates, updates or removes the customer; `verdict` says what a failure means.

mod apply;
mod directory;
mod identity;
mod mapping;
mod metadata;
mod owner;
mod project;
mod reconcile;
mod text;
mod unresolved;
mod verdict;

use std::sync::Arc;
use tokio::sync::watch;

use crate::clients;
use crate::clients::ghl::Ghl;
use crate::clients::trafft::Trafft;
use crate::clock::Clock;
use crate::model::{DeletePolicy, DescriptionPolicy, LocationId, MissingPolicy, Policy};
use crate::store;

pub use mapping::{DEFAULTS, Mapping, Mistake};
pub use owner::{Owner, Progress};

use directory::Directory;
use metadata::Metadata;

/// "Look now": says that something is due, and carries nothing.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<watch::Sender<()>>);

impl Nudge {
    /// Wakes whoever works, or keeps it from falling asleep.
    pub fn now(&self) {
        self.0.send_replace(());
    }

    fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// A location that this process owns, with everything needed to work it.
#[derive(Debug)]
pub struct Connection {
    location: LocationId,
    epoch: i64,
    ghl: Ghl,
    trafft: Trafft,
    mapping: Mapping,
    policy: Policy,
    metadata: Metadata,
    directory: Directory,
    clock: Clock,
}

impl Connection {
    /// `owned` is what taking the location over gave.
    pub fn new(
        owned: &store::Connection,
        ghl: Ghl,
        trafft: Trafft,
        mapping: Mapping,
        policy: Policy,
        clock: Clock,
    ) -> Self {
        Self {
            location: owned.location.clone(),
            epoch: owned.epoch,
            ghl,
            trafft,
            mapping,
            metadata: Metadata::new(policy.zone.clone(), policy.region),
            directory: Directory::new(owned.customers_seen),
            policy,
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
    #[error("the mapping cannot be applied: {0}")]
    Mapping(#[from] minijinja::Error),
    #[error("store: {0}")]
    Store(#[from] store::Error),
}
