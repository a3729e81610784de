//! One contact, once: read what is dirty, keep it, project it, make Trafft match, record how that ended.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{info, warn};

use super::project::{Place, Projection, State, instant, project, values};
use super::verdict::decide;
use super::{Connection, DeletePolicy, Failure};
use crate::clients;
use crate::clients::ghl::{Ghl, wire};
use crate::model::{CustomerId, Facet, Facets, ObjectId, Outcome, Status, Verdict};
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
    pub(super) look_again: Option<Timestamp>,
    /// Was the gate to Trafft passed?
    pub(super) entered: bool,
    /// The vendor that failed.
    failed: Option<&'static str>,
    ghl: Ghl,
    read: Facets,
    fields: Option<String>,
    updated: Option<Timestamp>,
    mirrored: Vec<Mirrored>,
}

/// Works a contact and settles it.
///
/// # Errors
/// Only the store's: nothing was recorded, and the contact is as due as before.
pub(super) async fn reconcile(store: &Store, connection: &Connection, key: &ContactKey) -> Result<(), store::Error> {
    let Some(contact) = store.contact(key).await? else { return Ok(()) };
    let now = connection.clock.now();
    let mut run = Run {
        store,
        connection,
        ghl: connection.ghl.lane(contact.lane),
        contact,
        now,
        entered: false,
        failed: None,
        updated: None,
        ghl_calls: 0,
        trafft_calls: 0,
        released: None,
        look_again: None,
        read: Facets::NONE,
        fields: None,
        mirrored: Vec::new(),
    };
    let verdict = match run.work().await {
        Ok(verdict) => verdict,
        Err(Failure::Store(error)) => return Err(error),
        Err(failure) => run.judge(failure),
    };
    run.answered();
    let settle = Settle {
        contact: &run.contact,
        read: run.read,
        fields: run.fields,
        updated: run.updated,
        mirrored: &run.mirrored,
        verdict: &verdict,
        look_again: run.look_again,
        ghl_calls: run.ghl_calls,
        trafft_calls: run.trafft_calls,
        released: run.released,
        now: connection.clock.now(),
    };
    store.settle(connection.epoch, &settle).await?;
    let status = match &verdict {
        Verdict::Done(outcome) => outcome.status,
        Verdict::Retry { .. } | Verdict::Snooze { .. } => Status::Queued,
        Verdict::Dead { .. } => Status::Failed,
        Verdict::Conflict { .. } => Status::Conflict,
    };
    info!(
        location.id = %key.location, contact.id = %key.contact, contact.sequence = run.contact.sequence,
        customer.id = run.contact.customer.map(|customer| customer.0), status = status.name(),
        ghl.calls = run.ghl_calls, trafft.calls = run.trafft_calls, "contact {key}: {status}"
    );
    Ok(())
}

impl Run<'_> {
    async fn work(&mut self) -> Result<Verdict, Failure> {
        if self.contact.gone_at.is_some() && self.contact.dirty == Facets::NONE {
            return Ok(self.gone_already());
        }
        if self.contact.dirty != Facets::NONE {
            self.connection.lease.check()?;
            let paused = |until| Failure::Paused { vendor: "GoHighLevel", until };
            self.connection.gates.ghl.pass(self.now).map_err(paused)?;
        }
        let contact = match self.read_contact().await? {
            Some(contact) => contact,
            None => return self.missing().await,
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
        if self.contact.customer.is_none() && reachable.email.is_none() && reachable.phone.is_none() {
            return Ok(done(
                Status::Skipped,
                &reachable.explain("the contact has neither e-mail nor phone that Trafft could take"),
            ));
        }
        if !self.read_activities(&place).await? {
            return self.missing().await;
        }
        let projection = self.project(&contact, &definitions, &place).await?;
        self.apply(projection, &place).await
    }

    /// The GHL record, read if it is dirty. `None`: GHL says that there is no such contact.
    async fn read_contact(&mut self) -> Result<Option<wire::Contact>, Failure> {
        if let (false, Some(fields)) = (self.contact.dirty.has(Facet::Contact), &self.contact.fields) {
            return Ok(Some(parse(fields)?));
        }
        self.ghl_calls += 1;
        match self.ghl.contact(&self.contact.key.contact).await {
            Ok(contact) => {
                (self.contact.missing_since, self.contact.gone_at) = (None, None);
                self.read = self.read.with(Facet::Contact);
                self.fields = Some(json(&contact)?);
                self.updated = contact.date_updated.as_deref().and_then(|at| at.parse().ok());
                Ok(Some(contact))
            }
            Err(clients::Error::NotFound) => Ok(None),
            Err(error) => Err(Failure::Ghl(error)),
        }
    }

    /// Reads the other dirty facets, all at once. `false`: GHL says that there is no such contact.
    async fn read_activities(&mut self, place: &Place) -> Result<bool, Failure> {
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
        Ok(there)
    }

    fn keep<T: Serialize>(
        &mut self,
        facet: Facet,
        answer: Option<Result<Vec<T>, clients::Error>>,
        place: &Place,
        id_and_time: impl Fn(&T) -> (&ObjectId, Option<&str>),
    ) -> Result<bool, Failure> {
        let Some(answer) = answer else { return Ok(true) };
        self.ghl_calls += 1;
        let objects = match answer {
            Ok(objects) => objects,
            Err(clients::Error::NotFound) => return Ok(false),
            Err(error) => return Err(Failure::Ghl(error)),
        };
        let mirrored = |object: &T| {
            let (id, at) = id_and_time(object);
            let at = at.and_then(|at| instant(at, place));
            Ok(MirroredObject { id: id.clone(), at, object: json(object)? })
        };
        let objects = objects.iter().map(mirrored).collect::<Result<_, Failure>>()?;
        self.mirrored.push(Mirrored { facet, objects });
        self.read = self.read.with(facet);
        Ok(true)
    }

    pub(super) async fn place(&self) -> Result<Place, Failure> {
        self.connection.metadata.place(&self.ghl).await.map_err(Failure::Ghl)
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
            deleted: self.contact.gone_at,
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
        if let Some(read) = self.mirrored.iter().find(|mirrored| mirrored.facet == facet) {
            return read.objects.iter().map(|read| parse(&read.object)).collect();
        }
        let there = mirror.iter().filter(|activity| activity.facet == facet && activity.gone_at.is_none());
        there.map(|activity| parse(&activity.object)).collect()
    }

    /// GHL says that there is no such contact. It is asked twice, unless an event has said so before.
    async fn missing(&mut self) -> Result<Verdict, Failure> {
        if self.contact.gone_at.is_some() {
            return Ok(self.gone_already());
        }
        if self.contact.missing_since.is_none() {
            self.contact.missing_since = Some(self.now);
            let until = self.now + self.connection.policy.settle_time;
            let reason =
                "GoHighLevel says that there is no such contact; it is asked once more before that is believed";
            return Ok(Verdict::Snooze { until, reason: reason.to_owned() });
        }
        self.contact.gone_at = Some(self.now);
        let customer = self.contact.customer;
        let farewell = self.farewell().await;
        match farewell {
            // Not gone before Trafft has been told: until then nobody else may take the customer, and it is tried again.
            Err(_) | Ok(Verdict::Retry { .. } | Verdict::Snooze { .. }) => self.contact.gone_at = None,
            Ok(_) => {
                // Nothing of a contact that is gone is left to be read, and nothing of it runs out.
                (self.read, self.released, self.look_again) = (Facets::ALL, customer, None);
            }
        }
        farewell
    }

    /// Trafft was told when the contact was found to be gone. Since then its customer is staff's, or another contact's.
    fn gone_already(&mut self) -> Verdict {
        self.read = Facets::ALL;
        let status = if self.contact.customer.is_some() { Status::Unchanged } else { Status::Skipped };
        done(status, "the contact was deleted in GoHighLevel")
    }

    /// What becomes of the customer of a contact that is gone.
    async fn farewell(&mut self) -> Result<Verdict, Failure> {
        let Some(customer) = self.contact.customer else {
            return Ok(done(Status::Skipped, "the contact was deleted in GoHighLevel before it had a customer"));
        };
        match self.connection.policy.delete {
            DeletePolicy::DeleteCreated if self.contact.created_by_us => return self.remove(customer).await,
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
        let contact: wire::Contact = parse(fields)?;
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
        let Self { contact, connection, .. } = self;
        let key = &contact.key;
        warn!(location.id = %key.location, contact.id = %key.contact, error = %failure, "contact {key}: {failure}");
        let (clock, gates) = (&connection.clock, &connection.gates);
        let (vendor, gate, error) = match failure {
            Failure::Ghl(error) => ("GoHighLevel", &gates.ghl, error),
            Failure::Trafft(error) => ("Trafft", &gates.trafft, error),
            Failure::Paused { until, .. } => return Verdict::Snooze { until, reason: failure.to_string() },
            other => return Verdict::Dead { reason: format!("{other}; mend the mapping or report this, then replay") },
        };
        self.failed = Some(vendor);
        let now = clock.now();
        match gate.failed(&key.contact, &error, now) {
            // The vendor is down, which is no attempt of this contact's.
            Some(until) => {
                let until = until + clock.jitter(until.duration_since(now).unsigned_abs());
                Verdict::Snooze { until, reason: format!("{vendor}: {error}") }
            }
            None => decide(vendor, &error, contact.attempt, now, |wait| clock.jitter(wait)),
        }
    }

    /// The vendors that were asked have answered as they should.
    fn answered(&self) {
        let gates = &self.connection.gates;
        if self.ghl_calls > 0 && self.failed != Some("GoHighLevel") {
            gates.ghl.worked();
        }
        if self.trafft_calls > 0 && self.failed != Some("Trafft") {
            gates.trafft.worked();
        }
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

async fn read_if<T>(wanted: bool, read: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(read.await) } else { None }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| store::Error::Corrupt(error.to_string()).into())
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| store::Error::Corrupt(error.to_string()).into())
}
