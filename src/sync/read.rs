//! Reads what is dirty of one contact from HighLevel, and keeps it for the settle.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::locale::{Locale, instant};
use super::run::Run;
use crate::clients::ghl::wire;
use crate::clients::{self, Gone, Listed};
use crate::model::{Facet, ObjectId, Presence};
use crate::store::{self, Drift, Mirrored, MirroredObject};

impl Run<'_> {
    /// The GHL record: read if it is dirty, or if GHL has said last that there is no such contact,
    /// since a change of its tasks or notes may mean that it was restored; else as it was last read.
    /// Or GHL's word that there is no such contact.
    pub(super) async fn contact_record(&mut self) -> Result<Result<wire::Contact, Gone>, Failure> {
        let is_in_doubt = self.contact.presence != Presence::Present;
        let is_to_be_read = is_in_doubt || self.contact.dirty.has(Facet::Contact);
        match &self.contact.fields {
            Some(fields) if !is_to_be_read => Ok(Ok(parse("contacts.fields", fields)?)),
            _ => self.read_contact().await,
        }
    }

    pub(super) async fn read_contact(&mut self) -> Result<Result<wire::Contact, Gone>, Failure> {
        self.ghl_calls += 1;
        let contact = match self.ghl.contact(&self.contact.key.contact).await {
            Ok(contact) => contact,
            Err(clients::Error::Gone(gone)) => return Ok(Err(gone)),
            Err(error) => return Err(Failure::Ghl(error)),
        };
        if self.contact.presence.gone_at().is_some() && self.contact.drift == Drift::None {
            // While the contact was gone, no pass told what became of its customer.
            self.contact.drift = Drift::Edited;
        }
        self.contact.presence = Presence::Present;
        self.read = self.read.with(Facet::Contact);
        self.fields = Some(json(&contact)?);
        self.updated = contact.date_updated.as_deref().and_then(|at| at.parse().ok());
        if let Some(told) = self.contact.deletion_told_at {
            // An event says that it was deleted, and the read may be behind: GHL is asked once
            // more.
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

    /// Reads the other dirty facets, all at once. Returns GHL's word that there is no such contact,
    /// if it says so.
    pub(super) async fn read_activities(&mut self, locale: &Locale) -> Result<Option<Gone>, Failure> {
        let ghl = &self.ghl;
        let id = &self.contact.key.contact;
        let dirty = self.contact.dirty;
        let (tasks, notes, appointments) = tokio::join!(
            read_if(dirty.has(Facet::Tasks), ghl.tasks(id)),
            read_if(dirty.has(Facet::Notes), ghl.notes(id)),
            read_if(dirty.has(Facet::Appointments), ghl.appointments(id)),
        );
        let mut there = true;
        there &= self.keep(Facet::Tasks, tasks, locale, |task| (&task.id, task.due_date.as_deref()))?;
        there &= self.keep(Facet::Notes, notes, locale, |note| (&note.id, note.date_added.as_deref()))?;
        there &= self.keep(Facet::Appointments, appointments, locale, |one| (&one.id, one.start_time.as_deref()))?;
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
        locale: &Locale,
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
            let at = at.and_then(|at| instant(at, locale));
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

    pub(super) async fn locale(&self) -> Result<Locale, Failure> {
        self.connection.metadata.locale(&self.ghl, self.now).await.map_err(Failure::Ghl)
    }

    pub(super) async fn definitions(&self, contact: &wire::Contact) -> Result<Arc<[wire::CustomField]>, Failure> {
        if !self.connection.mapping.uses_custom {
            return Ok(Default::default());
        }
        let metadata = &self.connection.metadata;
        metadata.custom_fields(&self.ghl, contact, self.now).await.map_err(Failure::Ghl)
    }
}

async fn read_if<T>(wanted: bool, read: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(read.await) } else { None }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| store::Error::Corrupt(error.to_string()).into())
}

/// What we stored ourselves, in `column`.
pub(super) fn parse<T: DeserializeOwned>(column: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|_| store::Error::Corrupt(format!("`{column}` is not the JSON expected")).into())
}
