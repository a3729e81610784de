//! Connects locations with their vendors: installs of the app, their tokens, Trafft's credentials,
//! and whether all of it works.

mod checks;
mod connector;
mod grants;
mod renewal;

pub use checks::{location as check, missing as missing_scopes};
pub use connector::{Connector, Entered, Installed, Refused};
pub use grants::Grants;
