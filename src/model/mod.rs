//! Types that every module uses. Pure: nothing here reads, writes or waits.

mod check;
mod deliveries;
mod facets;
mod facts;
mod ids;
mod install;
mod outcome;
mod phone;
mod policy;
mod presence;
mod problem;
mod silence;
mod spell;
mod state;
mod state_name;
mod sweep;
mod values;
mod vendor;
mod zone;

pub use check::Check;
pub use deliveries::Deliveries;
pub use facets::{Facet, Facets};
pub use facts::{Apart, AppInstall, Because, Facts, Trouble, TroubleKind};
pub use ids::{ContactId, CustomerId, InvalidId, LocationId, ObjectId, whole};
pub use install::{CompanyId, Installer, Scopes, Tokens, TrafftAccess};
pub use outcome::{Lane, Outcome, Status, Verdict};
pub use phone::{NoPhone, Phone, Region};
pub use policy::{DeletePolicy, DescriptionPolicy, MissingPolicy, Policy};
pub use presence::Presence;
pub use problem::ProblemCode;
pub use silence::{Silence, Swept};
pub use spell::{Lasting, Spell};
pub use state::{AUTHORISE_AGAIN, ConnectionState, states};
pub use state_name::{Level, StateName};
pub use sweep::{Keep, Pace, Sweep};
pub use values::{EmailKey, NoEmail, email_in};
pub use vendor::Vendor;
pub use zone::zone;

/// How every call of ours begins to name its sender; the version follows.
pub const USER_AGENT: &str = "ghl-trafft-sync/";

/// A text that cannot be printed by accident: `Debug` shows `[REDACTED]`, and it is wiped when
/// dropped.
pub type Secret = secrecy::SecretString;
