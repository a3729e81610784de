//! The two vendors' APIs, as their contracts say they are (and `admin`, our own). Tags such as "G §6.1" and "T §5.3" name the sections of the
//! contract books for GoHighLevel and Trafft that a fact was taken from.
//!
//! Nothing here tries anything twice, except for Trafft's one repeat after a 401: whether and when to try again is
//! the caller's decision, and [`Error`] is made to decide by.

pub mod admin;
pub mod error;
pub mod front;
pub mod ghl;
pub mod http;
mod lenient;
mod oauth;
mod refusal;
pub mod trafft;

pub use error::{Error, VendorMessage};
pub use http::{CallCounts, Http, Timeouts};

#[cfg(test)]
mod tests;
