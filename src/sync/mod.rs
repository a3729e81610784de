//! Makes Trafft match GHL: the one way into Trafft.
//!
//! `owner` finds contacts that are due and gives each a task; `reconcile` reads what is dirty,
//! projects it, and hands over to `apply`, which finds the customer, with `create` and `write`;
//! `verdict` says what a failure means.

mod absence;
mod adopt;
pub mod advice;
mod apply;
mod create;
mod custom;
mod directory;
mod fleet;
mod gate;
mod identity;
mod language;
mod lease;
mod locale;
mod mapping;
mod markup;
mod metadata;
mod owner;
mod phones;
mod plan;
mod preview;
mod progress;
mod project;
mod read;
mod reconcile;
mod run;
mod silence;
mod sweeps;
mod text;
mod troubles;
mod unresolved;
mod values;
mod verdict;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::clients;
use crate::clients::ghl::Ghl;
use crate::clients::trafft::{MayWrite, Trafft};
use crate::clock::Clock;
use crate::model::{DeletePolicy, DescriptionPolicy, LocationId, MissingPolicy, Policy, Spell, Sweep, Vendor};
use crate::store::{self, Stored};

pub use custom::unknown_fields;
pub use fleet::Fleet;
pub use lease::Lease;
pub use locale::unknown as unknown_locale;
pub use mapping::{DEFAULTS, Mapping, Mistake};
pub use phones::to_be_mended as phones_to_be_mended;
pub use preview::{preview, preview_of};
pub use progress::{LocationProgress, Progress};
pub use sweeps::to_be_projected as contacts_to_be_projected;

use directory::Directory;
use gate::Gate;
use metadata::Metadata;
use troubles::Noted;

/// "Look now": says that something of a location is due, or that what is connected has changed, and
/// carries nothing.
#[derive(Clone, Debug, Default)]
pub struct Nudge {
    locations: Arc<Mutex<HashMap<LocationId, watch::Sender<()>>>>,
    fleet: Arc<Notify>,
}

impl Nudge {
    /// Wakes the owner of the location, if it is in this process.
    pub fn now(&self, location: &LocationId) {
        if let Some(listener) = self.locations().get(location) {
            listener.send_replace(());
        }
    }

    /// A location was connected, changed, or handed back: ownership has to be looked at again.
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
    revision: i64,
    ghl: Ghl,
    trafft: Trafft,
    mapping: Arc<Mapping>,
    policy: Policy,
    metadata: Metadata,
    directory: Directory,
    /// Between this location and its vendors.
    gates: PerVendor<Gate>,
    noted: PerVendor<Noted>,
    /// A vendor asks us to call less often.
    slowed: PerVendor<Spell>,
    /// Sweeps that could not go on, and were told.
    put_off: Mutex<HashSet<Sweep>>,
    lease: Lease,
    clock: Clock,
}

/// Something that there is for each vendor.
#[derive(Debug, Default)]
struct PerVendor<T> {
    ghl: T,
    trafft: T,
}

impl<T> PerVendor<T> {
    fn of(&self, vendor: Vendor) -> &T {
        match vendor {
            Vendor::Ghl => &self.ghl,
            Vendor::Trafft => &self.trafft,
        }
    }
}

/// What it takes to work a location: its vendors, and how it wants to be worked.
#[derive(Debug)]
pub struct VendorClients {
    /// Its GoHighLevel.
    pub ghl: Ghl,
    /// Its Trafft.
    pub trafft: Trafft,
    /// How its contacts become customers.
    pub mapping: Arc<Mapping>,
    /// Everything else.
    pub policy: Policy,
}

/// Reaches a location by the settings, else by what a person entered for it; or says why it cannot
/// be reached.
pub type OpenVendors = Arc<dyn Fn(&LocationId, Option<Stored>) -> Result<VendorClients, String> + Send + Sync>;

impl Connection {
    /// `owned` is what taking the location over gave.
    fn new(owned: &store::Connection, reached: VendorClients, lease: Lease, clock: Clock) -> Self {
        let VendorClients { ghl, trafft, mapping, policy } = reached;
        Self {
            location: owned.location.clone(),
            epoch: owned.epoch,
            revision: owned.revision,
            ghl,
            trafft: trafft.guarded({
                let lease = lease.clone();
                MayWrite::new(move || lease.check().is_ok())
            }),
            mapping,
            metadata: Metadata::new(policy.zone.clone(), policy.region, phones::region_of(owned.phone_keys.as_deref())),
            directory: Directory::new(owned.customers_seen, owned.phone_keys.clone()),
            policy,
            gates: PerVendor::default(),
            noted: PerVendor::default(),
            slowed: PerVendor::default(),
            put_off: Mutex::default(),
            lease,
            clock,
        }
    }
}

/// Why a reconcile could not come to a verdict by itself.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{vendor}: {0}", vendor = Vendor::Ghl)]
    Ghl(clients::Error),
    #[error("{vendor}: {0}", vendor = Vendor::Trafft)]
    Trafft(clients::Error),
    /// Not tried: the vendor is down, and another contact tries whether it is back.
    #[error("{vendor} is down; it is tried again at {until}")]
    Paused { vendor: Vendor, until: Timestamp },
    /// Trafft may not have said for good that we may not see it.
    #[error("Trafft refuses its appointments, which tell whether the customer is ours; asked again at {until}")]
    Unsure { until: Timestamp },
    /// Not written: what it would have been written to is not the contact's any more, or the
    /// location's zone or country is another one.
    #[error("this contact was linked, or decided about, or its location moved meanwhile; it is looked at anew")]
    Overruled,
    #[error("the mapping cannot be applied: {0}")]
    Mapping(#[from] mapping::CannotApply),
    #[error("store: {0}")]
    Store(#[from] store::Error),
}
