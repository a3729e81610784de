//! How far the work of this process is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::LocationId;

/// Where the work of one location is.
#[derive(Debug, Clone, Copy)]
pub struct LocationProgress {
    /// The revision of the connection that it is worked by.
    pub revision: i64,
    /// Pieces of work in flight.
    pub in_flight: usize,
    /// Was something that is due left alone, because a vendor is down?
    pub held_back: bool,
    /// When it is looked again by itself.
    pub next: Option<Timestamp>,
}

/// How far the work of this process is, for tests and the shutdown.
#[derive(Debug, Clone, Default)]
pub struct Progress(BTreeMap<LocationId, LocationProgress>);

impl Progress {
    pub(super) fn moved(&mut self, location: &LocationId, at: LocationProgress) {
        self.0.insert(location.clone(), at);
    }

    pub(super) fn ended(&mut self, location: &LocationId) {
        self.0.remove(location);
    }

    /// Where the work is; none: the location is not worked here, or its customers are not indexed
    /// yet.
    pub fn of(&self, location: &LocationId) -> Option<LocationProgress> {
        self.0.get(location).copied()
    }
}
