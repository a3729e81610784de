//! What people do in the GHL screens. Every change moves `dateUpdated` and causes the events of
//! G §8.5.

use serde_json::{Map, Value};

use super::Ghl;
use super::activity::Sort;
use super::state::CustomField;

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A person cannot click on what is not on the screen: a test that tries is wrong and should hear
/// it.
#[track_caller]
pub(super) fn there(found: bool, what: &str, id: &str) {
    assert!(found, "the sandbox has no {what} {id}");
}

/// # Panics
/// Every edit, completion and deletion panics when the sandbox has no such object.
impl Ghl {
    /// A contact, by the keys of G §6.1; `locationId` may name another location than the usual one.
    #[track_caller]
    pub fn create_contact(&self, fields: Value) -> String {
        let fields = object(fields);
        let location =
            fields.get("locationId").and_then(Value::as_str).map_or_else(|| self.location_id(), str::to_owned);
        let made = self.0.change(|state, now| state.create_contact(now, &location, &fields));
        there(made.is_some(), "location", &location);
        made.unwrap_or_default()
    }

    /// Keys that are there replace, null clears. Nothing changed, nothing happens.
    #[track_caller]
    pub fn edit_contact(&self, id: &str, changes: Value) {
        let changes = object(changes);
        there(self.0.change(|state, now| state.edit_contact(now, id, &changes)), "contact", id);
    }

    /// Gone at once; search shows it for its lag.
    #[track_caller]
    pub fn delete_contact(&self, id: &str) {
        there(self.0.change(|state, now| state.delete_contact(now, id)), "contact", id);
    }

    /// Takes back a deletion: the contact is there as it was, and no webhook tells of it.
    #[track_caller]
    pub fn restore_contact(&self, id: &str) {
        there(self.0.change(|state, now| state.restore_contact(now, id)), "deleted contact", id);
    }

    /// `gone` vanishes; its tasks, notes, appointments, and what `keep` lacked go to `keep`
    /// (G §13).
    #[track_caller]
    pub fn merge_contacts(&self, keep: &str, gone: &str) {
        there(self.0.change(|state, now| state.merge_contacts(now, keep, gone)), "pair of contacts", gone);
    }

    /// The contact as `GET /contacts/{id}` would show it.
    pub fn contact(&self, id: &str) -> Option<Value> {
        self.0.state().contacts.get(id).map(super::contact::Contact::as_read)
    }

    /// Ids of all contacts, of all locations.
    pub fn contact_ids(&self) -> Vec<String> {
        self.0.state().contacts.values().map(|contact| contact.id.clone()).collect()
    }

    #[track_caller]
    fn add(&self, sort: Sort, contact: &str, fields: Value) -> String {
        let fields = object(fields);
        let made = self.0.change(|state, now| state.add_activity(now, sort, contact, &fields));
        there(made.is_some(), "contact", contact);
        made.unwrap_or_default()
    }

    #[track_caller]
    fn edit(&self, sort: Sort, contact: &str, id: &str, changes: Value) {
        let changes = object(changes);
        there(self.0.change(|state, now| state.edit_activity(now, sort, contact, id, &changes)), sort.name(), id);
    }

    #[track_caller]
    fn delete(&self, sort: Sort, contact: &str, id: &str) {
        there(self.0.change(|state, now| state.delete_activity(now, sort, contact, id)), sort.name(), id);
    }

    /// `title`, `body`, `dueDate`, `completed`, `assignedTo` (G §6.11).
    #[track_caller]
    pub fn add_task(&self, contact: &str, fields: Value) -> String {
        self.add(Sort::Task, contact, fields)
    }

    /// Tells nobody: there is no such event (G §8.5).
    #[track_caller]
    pub fn edit_task(&self, contact: &str, task: &str, changes: Value) {
        self.edit(Sort::Task, contact, task, changes);
    }

    /// `TaskComplete`, unless it was done already.
    #[track_caller]
    pub fn complete_task(&self, contact: &str, task: &str) {
        there(self.0.change(|state, now| state.set_completed(now, contact, task, true)), "Task", task);
    }

    /// Tells nobody (G §8.5).
    #[track_caller]
    pub fn reopen_task(&self, contact: &str, task: &str) {
        there(self.0.change(|state, now| state.set_completed(now, contact, task, false)), "Task", task);
    }

    /// `TaskDelete`.
    #[track_caller]
    pub fn delete_task(&self, contact: &str, task: &str) {
        self.delete(Sort::Task, contact, task);
    }

    #[track_caller]
    fn give(&self, sort: Sort, from: &str, to: &str, id: &str) {
        there(self.0.change(|state, now| state.move_activity(now, sort, from, to, id)), sort.name(), id);
    }

    /// It becomes another contact's. Tells nobody, as any edit of a task.
    #[track_caller]
    pub fn move_task(&self, from: &str, to: &str, task: &str) {
        self.give(Sort::Task, from, to, task);
    }

    /// `AppointmentUpdate`, which names the new contact.
    #[track_caller]
    pub fn move_appointment(&self, from: &str, to: &str, appointment: &str) {
        self.give(Sort::Appointment, from, to, appointment);
    }

    /// `body`, `title`, `userId`, `color`, `pinned`; the body may be HTML (G §6.15).
    #[track_caller]
    pub fn add_note(&self, contact: &str, fields: Value) -> String {
        self.add(Sort::Note, contact, fields)
    }

    /// `NoteUpdate`.
    #[track_caller]
    pub fn edit_note(&self, contact: &str, note: &str, changes: Value) {
        self.edit(Sort::Note, contact, note, changes);
    }

    /// `NoteDelete`.
    #[track_caller]
    pub fn delete_note(&self, contact: &str, note: &str) {
        self.delete(Sort::Note, contact, note);
    }

    /// `title`, `startTime` and `endTime` (ISO, or the location's wall time), `appointmentStatus`,
    /// … (G §6.19).
    #[track_caller]
    pub fn add_appointment(&self, contact: &str, fields: Value) -> String {
        self.add(Sort::Appointment, contact, fields)
    }

    /// `AppointmentUpdate`.
    #[track_caller]
    pub fn edit_appointment(&self, contact: &str, appointment: &str, changes: Value) {
        self.edit(Sort::Appointment, contact, appointment, changes);
    }

    /// `AppointmentDelete`.
    #[track_caller]
    pub fn delete_appointment(&self, contact: &str, appointment: &str) {
        self.delete(Sort::Appointment, contact, appointment);
    }

    /// A custom field of the usual location. `key` is without the `contact.` that the API puts
    /// before it (G §7.2).
    pub fn define_custom_field(&self, id: &str, name: &str, key: &str) {
        let home = self.location_id();
        self.define_custom_field_in(&home, id, name, key);
    }

    /// A custom field of some location; instead of the one with this id, if there is any.
    pub fn define_custom_field_in(&self, location: &str, id: &str, name: &str, key: &str) {
        let field = CustomField { id: id.to_owned(), name: name.to_owned(), key: key.to_owned() };
        self.set_on_location(location, |location| {
            location.custom_fields.retain(|known| known.id != field.id);
            location.custom_fields.push(field);
        });
    }

    /// The document that a workflow's Webhook action sends for this contact: flat, unsigned (G §9).
    #[track_caller]
    pub fn workflow_document(&self, contact: &str) -> Value {
        let state = self.0.state();
        let document = state
            .contacts
            .get(contact)
            .and_then(|found| Some(found.as_workflow_document(state.locations.get(&found.location)?)));
        drop(state);
        there(document.is_some(), "contact", contact);
        document.unwrap_or_default()
    }

    /// Any event at all, say of a type nobody knows; the envelope of G §8.4 is added.
    pub fn queue_event(&self, kind: &str, fields: Value) {
        let fields = object(fields);
        self.0.change(|state, now| state.emit(now, kind, None, fields));
    }
}
