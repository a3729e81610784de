//! The two vendors' APIs, as they are known to be (and `admin`, our own). `G §6.1` and `T §5.3` are
//! sections of the books on GoHighLevel and Trafft in `docs/vendors/`, where each fact stands with
//! how sure it is.
//!
//! Nothing here tries anything twice, except for Trafft's one repeat after a 401: whether and when
//! to try again is the caller's decision, and [`Error`] is made to decide by.

pub mod admin;
pub mod error;
pub mod front;
pub mod ghl;
pub mod http;
pub mod json;
mod lenient;
mod listed;
mod not_sent;
mod oauth;
mod refusal;
pub mod trafft;

pub use error::{About, Error, Gone, VendorMessage};
pub use http::{CallCounts, Http, Timeouts};
pub use listed::{Listed, Odd};
pub use not_sent::{NoConnection, NotSent};

#[cfg(test)]
mod tests;
