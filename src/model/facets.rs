//! The parts of a contact that change, and are read, on their own.

use serde::{Deserialize, Serialize};

/// One part of a contact's state in GHL, each with a read of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    /// The contact record itself, tags and custom fields included.
    Contact,
    /// Its tasks.
    Tasks,
    /// Its notes.
    Notes,
    /// Its appointments.
    Appointments,
}

impl Facet {
    /// All four, in the order in which they are read.
    pub const ALL: [Facet; 4] = [Facet::Contact, Facet::Tasks, Facet::Notes, Facet::Appointments];

    /// The name as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Facet::Contact => "contact",
            Facet::Tasks => "tasks",
            Facet::Notes => "notes",
            Facet::Appointments => "appointments",
        }
    }
}

/// A set of facets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facets(u8);

impl Facets {
    /// No facet.
    pub const NONE: Facets = Facets(0);
    /// Every facet.
    pub const ALL: Facets = Facets(0b1111);

    /// This set and one facet more.
    #[must_use]
    pub fn with(self, facet: Facet) -> Self {
        Self(self.0 | 1 << facet as u8)
    }

    /// This set without one facet.
    #[must_use]
    pub fn without(self, facet: Facet) -> Self {
        Self(self.0 & !(1 << facet as u8))
    }

    /// As a number, for storing.
    pub fn bits(self) -> i64 {
        self.0.into()
    }

    /// The reverse of [`Facets::bits`]. `None`: a bit that means nothing.
    pub fn from_bits(bits: i64) -> Option<Self> {
        let facets: Self = Facet::ALL.into_iter().filter(|facet| bits & (1 << *facet as i64) != 0).collect();
        (facets.bits() == bits).then_some(facets)
    }

    /// The facets in the set, in the order in which they are read.
    pub fn iter(self) -> impl Iterator<Item = Facet> {
        Facet::ALL.into_iter().filter(move |facet| self.has(*facet))
    }

    /// Is the facet in the set?
    pub fn has(self, facet: Facet) -> bool {
        self.0 & (1 << facet as u8) != 0
    }
}

impl From<Facet> for Facets {
    fn from(facet: Facet) -> Self {
        Self::NONE.with(facet)
    }
}

impl FromIterator<Facet> for Facets {
    fn from_iter<I: IntoIterator<Item = Facet>>(facets: I) -> Self {
        facets.into_iter().fold(Self::NONE, Self::with)
    }
}
