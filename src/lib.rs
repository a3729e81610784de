//! Keeps Trafft customers equal to their GoHighLevel contacts.

pub mod clients;
pub mod clock;
pub mod model;
