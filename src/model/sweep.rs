//! What is looked for without any event, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Lane;

/// A kind of sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SweepKind)]
#[serde(rename_all = "kebab-case")]
pub enum Sweep {
    /// Contacts that changed and no event told: a search by the time of change.
    Contacts,
    /// Tasks that changed: no event tells of that at all.
    Tasks,
    /// Notes, tasks and appointments of every linked contact, read anew in turn.
    Rotation,
    /// Contacts that are gone: the search for all of them no longer meets them.
    Ids,
    /// Trafft's customers that staff edited or deleted.
    Customers,
    /// All contacts of the location, taken over once, on request.
    Backfill,
    /// What a backfill would do.
    DryRun,
    /// Every known contact is projected anew, when the mapping or another rule has changed.
    Projection,
}

impl Sweep {
    /// Every kind.
    pub const ALL: [Sweep; 8] = [
        Sweep::Contacts,
        Sweep::Tasks,
        Sweep::Rotation,
        Sweep::Ids,
        Sweep::Customers,
        Sweep::Backfill,
        Sweep::DryRun,
        Sweep::Projection,
    ];

    /// The word as it is stored, shown and counted.
    pub fn name(self) -> &'static str {
        match self {
            Sweep::Contacts => "contacts",
            Sweep::Tasks => "tasks",
            Sweep::Rotation => "rotation",
            Sweep::Ids => "ids",
            Sweep::Customers => "customers",
            Sweep::Backfill => "backfill",
            Sweep::DryRun => "dry-run",
            Sweep::Projection => "projection",
        }
    }

    /// How urgent its calls are, and what it finds.
    pub fn lane(self) -> Lane {
        match self {
            Sweep::Contacts | Sweep::Tasks | Sweep::Ids | Sweep::Customers => Lane::Sweep,
            Sweep::Rotation | Sweep::Backfill | Sweep::DryRun | Sweep::Projection => Lane::Backfill,
        }
    }

    /// The reverse of [`Sweep::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sweep| sweep.name() == name)
    }
}

/// How often each sweep comes round; `None`: never.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the end of one search for changed contacts to the next.
    pub contacts: Option<Duration>,
    /// The same for tasks.
    pub tasks: Option<Duration>,
    /// Calls that one task sweep may take; the next goes on where it stopped.
    pub task_calls: i64,
    /// In this time every linked contact has its turn.
    pub rotation: Option<Duration>,
    /// From the end of one pass over all contacts' ids to the next.
    pub ids: Option<Duration>,
    /// From the end of one pass over Trafft's customers to the next.
    pub customers: Option<Duration>,
}

impl Pace {
    /// How often this sweep comes round by itself.
    pub fn of(&self, sweep: Sweep) -> Option<Duration> {
        match sweep {
            Sweep::Contacts => self.contacts,
            Sweep::Tasks => self.tasks,
            Sweep::Rotation => self.rotation,
            Sweep::Ids => self.ids,
            Sweep::Customers => self.customers,
            Sweep::Backfill | Sweep::DryRun | Sweep::Projection => None,
        }
    }
}

/// How long what is no longer needed for the work is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Events, bodies included; as long, a second delivery is recognised.
    pub events: Duration,
    /// The record of writes, and what sweeps found.
    pub writes: Duration,
}
