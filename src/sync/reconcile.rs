//! One contact, once: read what is dirty, keep it, project it, make Trafft match, record how that ended.

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{debug, info, warn};

use super::place::{Place, instant};
use super::project::{Projection, project};
use super::values::{State, values};
use super::verdict::decide;
use super::{Connection, DeletePolicy, Failure, absence};
use crate::clients::ghl::{Ghl, wire};
use crate::clients::{self, Gone, Listed};
use crate::model::{CustomerId, Facet, Facets, ObjectId, Outcome, Presence, Status, Vendor, Verdict};
use crate::store::{self, Activity, Contact, ContactKey, Mirrored, MirroredObject, Settle, Store};

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
    ask_again: Option<Timestamp>,
    /// Was the gate to Trafft passed?
    pub(super) entered: bool,
    /// The vendor that failed, and how.
    failed: Option<(Vendor, clients::Error)>,
    /// What went wrong last, in our own words.
    trouble: Option<String>,
    ghl: Ghl,
    read: Facets,
    fields: Option<String>,
    updated: Option<Timestamp>,
    mirrored: Vec<Mirrored>,
    /// What of the contact could not be read, for people.
    unread: Vec<String>,
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
        let place = self.place().await?;
        let definitions = self.definitions(&contact).await?;
        let mapping = &self.connection.mapping;
        // Before three more reads are spent: is this contact wanted, and can it become a customer at all?
        let bare = values(&State::of(&contact, &definitions), &place, mapping, self.now);
        if !mapping.keeps(&bare.0)? {
            return Ok(done(Status::Filtered, "the mapping's `only` leaves this contact out"));
        }
        let reachable = project(mapping, &bare, &place, true)?;
        if self.contact.link.customer().is_none() && reachable.email.is_none() && reachable.phone.is_none() {
            return Ok(done(
                Status::Skipped,
                &reachable.explain("the contact has neither e-mail nor phone that Trafft could take"),
            ));
        }
        if let Some(gone) = self.read_activities(&place).await? {
            return self.absent(gone).await;
        }
        let projection = self.project(&contact, &definitions, &place).await?;
        self.apply(projection, &place).await
    }

    /// The GHL record: read if it is dirty, else as it was last read. Or GHL's word that there is no such contact.
    async fn contact_record(&mut self) -> Result<Result<wire::Contact, Gone>, Failure> {
        match &self.contact.fields {
            Some(fields) if !self.contact.dirty.has(Facet::Contact) => Ok(Ok(parse("contacts.fields", fields)?)),
            _ => self.read_contact().await,
        }
    }

    async fn read_contact(&mut self) -> Result<Result<wire::Contact, Gone>, Failure> {
        self.ghl_calls += 1;
        let contact = match self.ghl.contact(&self.contact.key.contact).await {
            Ok(contact) => contact,
            Err(clients::Error::Gone(gone)) => return Ok(Err(gone)),
            Err(error) => return Err(Failure::Ghl(error)),
        };
        self.contact.presence = Presence::Present;
        self.read = self.read.with(Facet::Contact);
        self.fields = Some(json(&contact)?);
        self.updated = contact.date_updated.as_deref().and_then(|at| at.parse().ok());
        if let Some(told) = self.contact.deletion_told_at {
            // An event says that it was deleted, and the read may be behind: GHL is asked once more.
            let again = told + self.connection.policy.settle_time;
            if self.now < again {
                self.read = self.read.without(Facet::Contact);
                self.ask_again = Some(again);
            } else {
                self.contact.deletion_told_at = None;
            }
        }
        Ok(Ok(contact))
    }

    /// Reads the other dirty facets, all at once. Returns GHL's word that there is no such contact, if it says so.
    async fn read_activities(&mut self, place: &Place) -> Result<Option<Gone>, Failure> {
        let (ghl, id, dirty) = (&self.ghl, &self.contact.key.contact, self.contact.dirty);
        let (tasks, notes, appointments) = tokio::join!(
            read_if(dirty.has(Facet::Tasks), ghl.tasks(id)),
            read_if(dirty.has(Facet::Notes), ghl.notes(id)),
            read_if(dirty.has(Facet::Appointments), ghl.appointments(id)),
        );
        let mut there = true;
        there &= self.keep(Facet::Tasks, tasks, place, |task| (&task.id, task.due_date.as_deref()))?;
        there &= self.keep(Facet::Notes, notes, place, |note| (&note.id, note.date_added.as_deref()))?;
        there &= self.keep(Facet::Appointments, appointments, place, |one| (&one.id, one.start_time.as_deref()))?;
        if there {
            return Ok(None);
        }
        // Only the contact itself can say that it is gone.
        match self.read_contact().await? {
            Err(gone) => Ok(Some(gone)),
            Ok(_) => Err(Failure::Ghl(clients::Error::contradicted(404))),
        }
    }

    /// Keeps what was read of a facet. `false`: GHL says that there is no such contact.
    fn keep<T: Serialize>(
        &mut self,
        facet: Facet,
        answer: Option<Result<Listed<T>, clients::Error>>,
        place: &Place,
        id_and_time: impl Fn(&T) -> (&ObjectId, Option<&str>),
    ) -> Result<bool, Failure> {
        let Some(answer) = answer else { return Ok(true) };
        self.ghl_calls += 1;
        let Listed { items, odd } = match answer {
            Ok(list) => list,
            Err(clients::Error::Gone(_)) => return Ok(false),
            Err(error) => return Err(Failure::Ghl(error)),
        };
        let mirrored = |object: &T| {
            let (id, at) = id_and_time(object);
            let at = at.and_then(|at| instant(at, place));
            Ok(MirroredObject { id: id.clone(), at, object: json(object)? })
        };
        let objects = items.iter().map(mirrored).collect::<Result<_, Failure>>()?;
        self.unread.extend(
            odd.iter().map(|odd| format!("one of its {} cannot be read and is left as it was: {odd}", facet.name())),
        );
        let unread = odd.into_iter().map(|odd| odd.id).collect();
        self.mirrored.push(Mirrored { facet, objects, unread });
        self.read = self.read.with(facet);
        Ok(true)
    }

    pub(super) async fn place(&self) -> Result<Place, Failure> {
        self.connection.metadata.place(&self.ghl, self.now).await.map_err(Failure::Ghl)
    }

    async fn definitions(&self, contact: &wire::Contact) -> Result<std::sync::Arc<[wire::CustomField]>, Failure> {
        if !self.connection.mapping.uses_custom {
            return Ok(Default::default());
        }
        let metadata = &self.connection.metadata;
        metadata.custom_fields(&self.ghl, contact, self.now).await.map_err(Failure::Ghl)
    }

    /// Projects the contact, with its activities as just read, else as the mirror has them; takes the description out
    /// where it is not ours to write.
    async fn project(
        &mut self,
        contact: &wire::Contact,
        definitions: &[wire::CustomField],
        place: &Place,
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
        let Connection { mapping, policy, .. } = self.connection;
        let mut projection = project(mapping, &values(&state, place, mapping, self.now), place, policy.escape)?;
        if self.owns_description() {
            self.look_again = projection.until;
        } else {
            projection.description = None;
        }
        Ok(projection)
    }

    fn objects<T: DeserializeOwned>(&self, facet: Facet, mirror: &[Activity]) -> Result<Vec<T>, Failure> {
        let read = self.mirrored.iter().find(|mirrored| mirrored.facet == facet);
        let known = mirror.iter().filter(|activity| activity.facet == facet && activity.gone_at.is_none());
        let known = known.filter(|activity| read.is_none_or(|read| read.leaves(activity.id.as_str())));
        let objects = read.into_iter().flat_map(|read| &read.objects).map(|read| &read.object);
        objects.chain(known.map(|activity| &activity.object)).map(|object| parse("activities.object", object)).collect()
    }

    /// GHL says that there is no such contact. That is believed when it has said so twice, and when not too many vanish at once.
    async fn absent(&mut self, gone: Gone) -> Result<Verdict, Failure> {
        if self.contact.presence.gone_at().is_some() {
            return Ok(self.gone_already());
        }
        let (settle, before) = (self.connection.policy.settle_time, self.contact.presence);
        self.contact.presence = absence::next(self.contact.presence, gone, self.now, settle);
        if let Presence::Missing { since } = self.contact.presence {
            let reason =
                "GoHighLevel says that there is no such contact; it is asked once more before that is believed";
            return Ok(snooze(since + settle, reason));
        }
        let held = absence::held(self.store, self.connection, &self.contact, before, self.now).await?;
        if let Some((presence, verdict)) = held {
            self.contact.presence = presence;
            return Ok(verdict);
        }
        let customer = self.contact.link.customer();
        let farewell = self.farewell().await;
        match farewell {
            // Not gone before Trafft has been told: until then nobody else may take the customer, and it is tried again.
            Err(_) | Ok(Verdict::Retry { .. } | Verdict::Snooze { .. }) => self.contact.presence = before,
            Ok(_) => {
                // Nothing of a contact that is gone is left to be read, and nothing of it runs out.
                (self.read, self.released, self.look_again) = (Facets::ALL, customer, None);
                (self.contact.deletion_told_at, self.ask_again) = (None, None);
            }
        }
        farewell
    }

    /// Trafft was told when the contact was found to be gone. Since then its customer is staff's, or another contact's.
    fn gone_already(&mut self) -> Verdict {
        self.read = Facets::ALL;
        let status = if self.contact.link.customer().is_some() { Status::Unchanged } else { Status::Skipped };
        done(status, "the contact was deleted in GoHighLevel")
    }

    /// What becomes of the customer of a contact that is gone.
    async fn farewell(&mut self) -> Result<Verdict, Failure> {
        let Some(linked) = self.contact.link.linked() else {
            return Ok(done(Status::Skipped, "the contact was deleted in GoHighLevel before it had a customer"));
        };
        match self.connection.policy.delete {
            DeletePolicy::DeleteCreated if linked.ours => return self.remove(linked.customer).await,
            DeletePolicy::Ignore => {
                return Ok(done(
                    Status::Unchanged,
                    "the contact was deleted in GoHighLevel; `DELETE_POLICY` leaves the customer as it is",
                ));
            }
            _ => {}
        }
        let Some(fields) = &self.contact.fields else {
            return Ok(done(Status::Unchanged, "the contact was deleted in GoHighLevel; the customer is kept"));
        };
        let contact: wire::Contact = parse("contacts.fields", fields)?;
        let (place, definitions) = (self.place().await?, self.definitions(&contact).await?);
        let projection = self.project(&contact, &definitions, &place).await?;
        let verdict = self.apply(projection, &place).await?;
        Ok(match verdict {
            Verdict::Done(Outcome { status, .. }) => {
                done(status, "the contact was deleted in GoHighLevel; the customer is kept")
            }
            other => other,
        })
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
            if failed.is_none() && self.connection.gates.of(vendor).worked() {
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

async fn read_if<T>(wanted: bool, read: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(read.await) } else { None }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| store::Error::Corrupt(error.to_string()).into())
}

/// What we stored ourselves, in `column`.
fn parse<T: DeserializeOwned>(column: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|_| store::Error::Corrupt(format!("`{column}` is not the JSON expected")).into())
}
