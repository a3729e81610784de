//! How one connection wants to be worked.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Pace, Region};

/// On which customers the description is ours to write. Trafft never shows it, so writing it can
/// destroy what staff typed (T §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptionPolicy {
    /// On customers that our own POST created, always.
    Created,
    /// On every linked customer.
    All,
    /// Only in the POST that creates a customer.
    AtCreation,
}

/// What becomes of the customer when its contact is deleted in GHL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletePolicy {
    /// It stays, and its description says so where that is ours to write.
    Keep,
    /// It is deleted too, if we created it; otherwise it stays.
    DeleteCreated,
    /// It is left as it is.
    Ignore,
}

/// What happens when a linked customer is deleted in Trafft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingPolicy {
    /// A person decides.
    Conflict,
    /// The next reconcile makes a new one.
    Recreate,
}

/// How one connection wants to be worked.
#[derive(Debug, Clone)]
pub struct Policy {
    /// On which customers the description is ours.
    pub description: DescriptionPolicy,
    /// Is the description shown as HTML? Then it is escaped.
    pub escape: bool,
    /// When a contact is deleted.
    pub delete: DeletePolicy,
    /// When a customer is deleted.
    pub missing: MissingPolicy,
    /// How long a POST without an answer may still be running.
    pub settle_time: Duration,
    /// Between two pages of Trafft's customers.
    pub page_pause: Duration,
    /// How often what no webhook tells is looked for.
    pub pace: Pace,
    /// The location's time zone; if not set, GHL is asked for it.
    pub zone: Option<TimeZone>,
    /// The country of numbers without `+`; if not set, GHL is asked for it.
    pub region: Option<Region>,
}
