//! One contact on its way through a reconcile: what is known of it so far, and what a failure means
//! for it.

use std::time::Instant;

use jiff::Timestamp;
use tracing::info;

use super::verdict::decide;
use super::{Connection, Failure};
use crate::clients;
use crate::clients::ghl::Ghl;
use crate::model::{CustomerId, Facets, Outcome, Status, Vendor, Verdict};
use crate::store::{Contact, Mirrored, Store};

/// A reconcile on its way.
pub(super) struct Run<'a> {
    pub(super) store: &'a Store,
    pub(super) connection: &'a Connection,
    pub(super) contact: Contact,
    pub(super) now: Timestamp,
    pub(super) ghl_calls: i64,
    pub(super) trafft_calls: i64,
    pub(super) released: Option<CustomerId>,
    /// When the description, as it is, is no longer true.
    pub(super) look_again: Option<Timestamp>,
    /// When GHL is asked once more whether the contact was deleted, as an event says.
    pub(super) ask_again: Option<Timestamp>,
    /// Was the gate to Trafft passed?
    pub(super) entered: bool,
    /// The vendor that failed, and how.
    pub(super) failed: Option<(Vendor, clients::Error)>,
    /// What went wrong last, in our own words.
    pub(super) trouble: Option<String>,
    pub(super) ghl: Ghl,
    pub(super) read: Facets,
    pub(super) fields: Option<String>,
    pub(super) updated: Option<Timestamp>,
    pub(super) mirrored: Vec<Mirrored>,
    /// What of the contact could not be read, for people.
    pub(super) unread: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(store: &'a Store, connection: &'a Connection, contact: Contact, now: Timestamp) -> Self {
        Self {
            store,
            connection,
            ghl: connection.ghl.lane(contact.lane),
            contact,
            now,
            entered: false,
            failed: None,
            trouble: None,
            updated: None,
            ghl_calls: 0,
            trafft_calls: 0,
            released: None,
            look_again: None,
            ask_again: None,
            read: Facets::NONE,
            fields: None,
            mirrored: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl Run<'_> {
    /// Trafft's failure, judged.
    pub(super) fn fail(&mut self, error: clients::Error) -> Verdict {
        self.judge(Failure::Trafft(error))
    }

    pub(super) fn judge(&mut self, failure: Failure) -> Verdict {
        match failure {
            Failure::Overruled => return snooze(self.connection.clock.now(), failure.to_string()),
            Failure::Unsure { until } => return snooze(until, failure.to_string()),
            _ => {}
        }
        self.trouble = Some(failure.to_string());
        let Self { contact, connection, .. } = self;
        let key = &contact.key;
        let clock = &connection.clock;
        let gates = &connection.gates;
        let (vendor, gate, error) = match failure {
            Failure::Ghl(error) => (Vendor::Ghl, &gates.ghl, error),
            Failure::Trafft(error) => (Vendor::Trafft, &gates.trafft, error),
            Failure::Paused { until, vendor } => {
                return Verdict::Snooze { until, reason: failure.to_string(), waits_for: Some(vendor) };
            }
            other => return Verdict::Dead { reason: format!("{other}; mend the mapping or report this, then replay") },
        };
        self.failed = Some((vendor, error.clone()));
        if matches!(error, clients::Error::RateLimited { .. }) && connection.slowed.of(vendor).came(Instant::now()) {
            info!(vendor = vendor.label(), "{vendor} asks us to call less often: {error}");
        }
        let now = clock.now();
        match gate.failed(&key.contact, &error, now) {
            // The vendor is down: this does not count as an attempt of this contact.
            Some(until) => {
                let until = until + clock.jitter(until.duration_since(now).unsigned_abs());
                Verdict::Snooze { until, reason: format!("{vendor}: {error}"), waits_for: Some(vendor) }
            }
            None => {
                let verdict = decide(vendor, &error, contact.attempt, now, |wait| clock.jitter(wait));
                let uses_an_attempt = match &verdict {
                    Verdict::Retry { .. } => true,
                    Verdict::Dead { .. } => !error.names_any(),
                    _ => false,
                };
                match contact.retry_at {
                    // An event started this run before the next retry was due: it uses up no
                    // attempt.
                    Some(at) if uses_an_attempt && now < at => snooze(at, format!("{vendor}: {error}")),
                    _ => verdict,
                }
            }
        }
    }
}

pub(super) fn done(status: Status, reason: &str) -> Verdict {
    Verdict::Done(Outcome { status, reason: (!reason.is_empty()).then(|| reason.to_owned()) })
}

/// Tries again at `until`; nothing is wrong with the contact.
pub(super) fn snooze(until: Timestamp, reason: impl Into<String>) -> Verdict {
    Verdict::Snooze { until, reason: reason.into(), waits_for: None }
}
