//! How an event ended, and what happens to a contact next.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CustomerId, Vendor};

/// The `status` of an answer, of an event, and of a contact's last settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Trafft was written and now matches.
    Synced,
    /// Trafft matched already, or nothing of ours may be written there; `reason` says which.
    Unchanged,
    /// Stored; the work goes on after the answer.
    Queued,
    /// This delivery was here before; nothing was done.
    Duplicate,
    /// An event that is not acted on.
    Ignored,
    /// The mapping's filter leaves this contact out.
    Filtered,
    /// The contact cannot become a customer as it is; `reason` says what is missing.
    Skipped,
    /// A person has to decide: `contacts link`, `contacts create`.
    Conflict,
    /// Given up; `reason` says what to do.
    Failed,
    /// No connection for this location yet; kept.
    Parked,
    /// The event does not say which contact it is about; sync looks for it.
    Unresolved,
    /// The app was installed or uninstalled; the change is recorded.
    Applied,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 12] = [
        Status::Synced,
        Status::Unchanged,
        Status::Queued,
        Status::Duplicate,
        Status::Ignored,
        Status::Filtered,
        Status::Skipped,
        Status::Conflict,
        Status::Failed,
        Status::Parked,
        Status::Unresolved,
        Status::Applied,
    ];

    /// The word as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Status::Synced => "synced",
            Status::Unchanged => "unchanged",
            Status::Queued => "queued",
            Status::Duplicate => "duplicate",
            Status::Ignored => "ignored",
            Status::Filtered => "filtered",
            Status::Skipped => "skipped",
            Status::Conflict => "conflict",
            Status::Failed => "failed",
            Status::Parked => "parked",
            Status::Unresolved => "unresolved",
            Status::Applied => "applied",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|status| status.name()).collect();
            format!("unknown status; use one of: {}", names.join(", "))
        })
    }
}

/// How a reconcile ended well: nothing more to do until something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Synced, unchanged, filtered or skipped.
    pub status: Status,
    /// What an operator will ask; holds no personal data.
    pub reason: Option<String>,
}

/// What happens to a contact next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Settled.
    Done(Outcome),
    /// Try again; this attempt counts.
    Retry {
        /// When.
        at: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// Try again; no attempt was spent, because nothing about this contact went wrong.
    Snooze {
        /// When.
        until: Timestamp,
        /// What is being waited for.
        reason: String,
        /// The vendor whose recovery ends the wait early: once it answers again, or its credentials
        /// were changed.
        waits_for: Option<Vendor>,
    },
    /// Given up until a person has acted.
    Dead {
        /// What to do.
        reason: String,
    },
    /// Waits for a person's decision.
    Conflict {
        /// What to decide.
        reason: String,
        /// The customer it is about, if it is about one.
        customer: Option<CustomerId>,
    },
}

/// Which work goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A webhook or a person is waiting.
    Live = 0,
    /// A second try.
    Retry = 1,
    /// Something that a sweep found.
    Sweep = 2,
    /// Backfill and rotation: whenever nothing else wants the calls.
    Backfill = 3,
}

impl Lane {
    /// The reverse of `as i64`.
    pub fn from_number(number: i64) -> Option<Self> {
        [Lane::Live, Lane::Retry, Lane::Sweep, Lane::Backfill].into_iter().find(|lane| *lane as i64 == number)
    }
}
