//! One contact, once: read what is dirty, keep it, project it, make Trafft match, record how that ended.

use std::time::Instant;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tracing::{debug, info, warn};

use super::locale::Locale;
use super::plan::{Maker, Plan, Rules, customer, plan};
use super::project::Projection;
use super::read::parse;
use super::values::State;
use super::verdict::decide;
use super::{Connection, Failure};
use crate::clients;
use crate::clients::ghl::{Ghl, wire};
use crate::model::{CustomerId, Facet, Facets, Outcome, Status, Vendor, Verdict};
use crate::store::{self, Activity, Contact, ContactKey, Mirrored, Settle, Store};

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
    failed: Option<(Vendor, clients::Error)>,
    /// What went wrong last, in our own words.
    trouble: Option<String>,
    pub(super) ghl: Ghl,
    pub(super) read: Facets,
    pub(super) fields: Option<String>,
    pub(super) updated: Option<Timestamp>,
    pub(super) mirrored: Vec<Mirrored>,
    /// What of the contact could not be read, for people.
    pub(super) unread: Vec<String>,
}

/// Works a contact and settles it. If it is erased meanwhile, nothing is recorded.
///
/// # Errors
/// Only the store's: nothing was recorded, and the contact is as due as before.
pub(super) async fn reconcile(store: &Store, connection: &Connection, key: &ContactKey) -> Result<(), store::Error> {
    match work_and_settle(store, connection, key).await {
        Err(store::Error::Erased) => {
            info!("contact {key} was erased while it was worked");
            Ok(())
        }
        ended => ended,
    }
}

async fn work_and_settle(store: &Store, connection: &Connection, key: &ContactKey) -> Result<(), store::Error> {
    let now = connection.clock.now();
    let contact = match store.contact(key).await {
        Ok(Some(contact)) => contact,
        Ok(None) => return Ok(()),
        Err(corrupt @ store::Error::Corrupt(_)) => {
            return store.set_aside(key.location.as_str(), key.contact.as_str(), &corrupt, now).await;
        }
        Err(error) => return Err(error),
    };
    let mut run = Run {
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
    };
    let mut verdict = match run.work().await {
        Ok(verdict) => verdict,
        Err(Failure::Store(error)) if !matches!(error, store::Error::Corrupt(_)) => return Err(error),
        Err(failure) => run.judge(failure),
    };
    run.answered().await?;
    if let Verdict::Done(outcome) = &mut verdict {
        let told = outcome.reason.take().into_iter().chain(std::mem::take(&mut run.unread)).collect::<Vec<_>>();
        outcome.reason = (!told.is_empty()).then(|| told.join("; "));
    }
    let fields = run.fields.take();
    let settle = Settle {
        contact: &run.contact,
        read: run.read,
        fields,
        updated: run.updated,
        mirrored: &run.mirrored,
        verdict: &verdict,
        look_again: run.look_again,
        ask_again: run.ask_again,
        ghl_calls: run.ghl_calls,
        trafft_calls: run.trafft_calls,
        released: run.released,
        now: connection.clock.now(),
    };
    let events = store.settle(connection.epoch, &settle).await?;
    run.tell(&verdict, &events);
    Ok(())
}

impl Run<'_> {
    async fn work(&mut self) -> Result<Verdict, Failure> {
        if self.contact.presence.gone_at().is_some() && self.contact.dirty == Facets::NONE {
            return Ok(self.gone_already());
        }
        if self.contact.dirty != Facets::NONE {
            self.connection.lease.check()?;
            let paused = |until| Failure::Paused { vendor: Vendor::Ghl, until };
            self.connection.gates.ghl.pass(self.now).map_err(paused)?;
        }
        let contact = match self.contact_record().await? {
            Ok(contact) => contact,
            Err(gone) => return self.absent(gone).await,
        };
        let locale = self.locale().await?;
        let definitions = self.definitions(&contact).await?;
        // Before three more reads are spent: is this contact wanted, and can it become a customer at all?
        match plan(&State::of(&contact, &definitions), Maker::of(&self.contact.link), &self.rules(&locale))? {
            Plan::Filtered => return Ok(done(Status::Filtered, "the mapping's `only` leaves this contact out")),
            Plan::Unreachable(why) => return Ok(done(Status::Skipped, &why)),
            Plan::Customer(_) => {}
        }
        if let Some(gone) = self.read_activities(&locale).await? {
            return self.absent(gone).await;
        }
        let projection = self.project(&contact, &definitions, &locale).await?;
        self.apply(projection, &locale).await
    }

    /// Projects the contact, with its activities as just read, else as the mirror has them; takes the description out
    /// where it is not ours to write.
    pub(super) async fn project(
        &mut self,
        contact: &wire::Contact,
        definitions: &[wire::CustomField],
        locale: &Locale,
    ) -> Result<Projection, Failure> {
        let mirror = self.store.activities(&self.contact.key).await?;
        let state = State {
            contact,
            definitions,
            tasks: self.objects(Facet::Tasks, &mirror)?,
            notes: self.objects(Facet::Notes, &mirror)?,
            appointments: self.objects(Facet::Appointments, &mirror)?,
            deleted: self.contact.presence.gone_at(),
        };
        let projection = customer(&state, Maker::of(&self.contact.link), &self.rules(locale))?;
        self.look_again = projection.until;
        Ok(projection)
    }

    fn rules<'p>(&'p self, locale: &'p Locale) -> Rules<'p> {
        let Connection { mapping, policy, .. } = self.connection;
        Rules { mapping, policy, locale, now: self.now }
    }

    fn objects<T: DeserializeOwned>(&self, facet: Facet, mirror: &[Activity]) -> Result<Vec<T>, Failure> {
        let read = self.mirrored.iter().find(|mirrored| mirrored.facet == facet);
        let known = mirror.iter().filter(|activity| activity.facet == facet && activity.gone_at.is_none());
        let known = known.filter(|activity| read.is_none_or(|read| read.leaves(activity.id.as_str())));
        let objects = read.into_iter().flat_map(|read| &read.objects).map(|read| &read.object);
        objects.chain(known.map(|activity| &activity.object)).map(|object| parse("activities.object", object)).collect()
    }

    /// Trafft's failure, judged.
    pub(super) fn fail(&mut self, error: clients::Error) -> Verdict {
        self.judge(Failure::Trafft(error))
    }

    fn judge(&mut self, failure: Failure) -> Verdict {
        if let Failure::Overruled = failure {
            return snooze(self.connection.clock.now(), failure.to_string());
        }
        self.trouble = Some(failure.to_string());
        let Self { contact, connection, .. } = self;
        let key = &contact.key;
        let (clock, gates) = (&connection.clock, &connection.gates);
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
            // The vendor is down, which is no attempt of this contact's.
            Some(until) => {
                let until = until + clock.jitter(until.duration_since(now).unsigned_abs());
                Verdict::Snooze { until, reason: format!("{vendor}: {error}"), waits_for: Some(vendor) }
            }
            None => match decide(vendor, &error, contact.attempt, now, |wait| clock.jitter(wait)) {
                // An event made us look before the next try was due: that look spends no attempt.
                Verdict::Retry { reason, .. } if contact.retry_at.is_some_and(|at| now < at) => {
                    snooze(contact.retry_at.unwrap_or(now), reason)
                }
                verdict => verdict,
            },
        }
    }

    /// One line for each look at a contact. What it waits for is told elsewhere: a vendor's trouble once for the location
    /// (`troubles`), and a budget that is used up is no trouble at all.
    fn tell(&self, verdict: &Verdict, events: &[String]) {
        const NAMED: usize = 20;
        let key = &self.contact.key;
        let status = match verdict {
            Verdict::Done(outcome) => outcome.status,
            Verdict::Retry { .. } | Verdict::Snooze { .. } => Status::Queued,
            Verdict::Dead { .. } => Status::Failed,
            Verdict::Conflict { .. } => Status::Conflict,
        };
        let customer = self.contact.link.customer().map(|customer| customer.0);
        let events = events.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(" ");
        let (ghl_calls, trafft_calls) = (self.ghl_calls, self.trafft_calls);
        match (&self.trouble, verdict) {
            (None, _) | (_, Verdict::Done(_) | Verdict::Conflict { .. }) => info!(
                contact.sequence = self.contact.sequence,
                event.ids = events,
                customer.id = customer,
                status = status.name(),
                ghl.calls = ghl_calls,
                trafft.calls = trafft_calls,
                "contact {key}: {status}"
            ),
            (Some(trouble), Verdict::Snooze { .. }) => {
                debug!(event.ids = events, error = trouble, "contact {key}: {status}: {trouble}");
            }
            (Some(trouble), Verdict::Retry { .. } | Verdict::Dead { .. }) => warn!(
                contact.sequence = self.contact.sequence,
                event.ids = events,
                customer.id = customer,
                status = status.name(),
                error = trouble,
                ghl.calls = ghl_calls,
                trafft.calls = trafft_calls,
                "contact {key}: {status}: {trouble}"
            ),
        }
    }

    /// What follows for the location from how the vendors answered. What waited for one that answers as it should again is due at once.
    async fn answered(&self) -> Result<(), store::Error> {
        for (vendor, calls) in [(Vendor::Ghl, self.ghl_calls), (Vendor::Trafft, self.trafft_calls)] {
            let failed = self.failed.as_ref().filter(|(failed, _)| *failed == vendor).map(|(_, error)| error);
            if calls == 0 && failed.is_none() {
                continue;
            }
            let gate = self.connection.gates.of(vendor);
            if failed.is_none() {
                gate.worked();
            }
            if gate.is_mended() {
                self.store.wake(&self.connection.location, vendor, self.connection.clock.now()).await?;
            }
            self.connection.note_contact(self.store, vendor, failed).await;
        }
        Ok(())
    }
}

impl<'a> State<'a> {
    /// The contact alone, before its activities are known.
    pub(super) fn of(contact: &'a wire::Contact, definitions: &'a [wire::CustomField]) -> Self {
        let (tasks, notes, appointments) = (Vec::new(), Vec::new(), Vec::new());
        Self { contact, definitions, tasks, notes, appointments, deleted: None }
    }
}

pub(super) fn done(status: Status, reason: &str) -> Verdict {
    Verdict::Done(Outcome { status, reason: (!reason.is_empty()).then(|| reason.to_owned()) })
}

/// Again then; nothing is wrong with the contact.
pub(super) fn snooze(until: Timestamp, reason: impl Into<String>) -> Verdict {
    Verdict::Snooze { until, reason: reason.into(), waits_for: None }
}
