//! One contact, once: read what is dirty, keep it, project it, make Trafft match, record how that
//! ended.

use serde::de::DeserializeOwned;
use tracing::{debug, info, warn};

use super::locale::Locale;
use super::plan::{Maker, Plan, Rules, customer, plan};
use super::project::Projection;
use super::read::parse;
use super::run::{Run, done};
use super::values::State;
use super::{Connection, Failure};
use crate::clients::ghl::wire;
use crate::model::{Facet, Facets, Status, Vendor, Verdict};
use crate::store::{self, Activity, ContactKey, Settle, Store};

/// Works a contact and settles it. If it is erased meanwhile, nothing is recorded.
///
/// # Errors
/// Only the store's: nothing was recorded, and the contact is as due as before.
pub(super) async fn reconcile(store: &Store, connection: &Connection, key: &ContactKey) -> Result<(), store::Error> {
    match work_and_settle(store, connection, key).await {
        Err(store::Error::Erased) => {
            info!("contact {key} was erased while it was being synced: nothing about it is stored");
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
    let mut run = Run::new(store, connection, contact, now);
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
        if let Some(verdict) = self.clear_up().await? {
            return Ok(verdict);
        }
        let locale = self.locale().await?;
        let definitions = self.definitions(&contact).await?;
        // Before three more reads are spent: is this contact wanted, and can it become a customer
        // at all?
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

    /// Projects the contact, with its activities as just read, else as the mirror has them; takes
    /// the description out where it is not ours to write.
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

    /// One line for each look at a contact. What it waits for is told elsewhere: a vendor's trouble
    /// once for the location (`troubles`), and a budget that is used up is no trouble at all.
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
        let ghl_calls = self.ghl_calls;
        let trafft_calls = self.trafft_calls;
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

    /// What follows for the location from how the vendors answered. What waited for one that
    /// answers as it should again is due at once.
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
        let tasks = Vec::new();
        let notes = Vec::new();
        let appointments = Vec::new();
        Self { contact, definitions, tasks, notes, appointments, deleted: None }
    }
}
