//! Words that every room uses. Pure: nothing here reads, writes or waits.

mod facets;
mod ids;
mod install;
mod outcome;
mod policy;
mod sweep;
mod values;

pub use facets::{Facet, Facets};
pub use ids::{ContactId, CustomerId, InvalidId, LocationId, ObjectId};
pub use install::{CompanyId, Installer, Scopes, Tokens, TrafftAccess};
pub use outcome::{Lane, Outcome, Status, Verdict};
pub use policy::{DeletePolicy, DescriptionPolicy, MissingPolicy, Policy};
pub use sweep::{Keep, Pace, Sweep};
pub use values::{EmailKey, Phone, Region};

/// A text that cannot be printed by accident: `Debug` shows `[REDACTED]`, and it is wiped when dropped.
pub type Secret = secrecy::SecretString;
