//! Tasks, notes and appointments of a contact, as the API shows them and as their events tell of
//! them (G §6.10 to §6.19, §8.5).

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::contact::{Activity, Contact};
use super::state::{State, new_id};
use crate::clock;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Task,
    Note,
    Appointment,
}

impl Sort {
    pub(crate) fn of(self, contact: &Contact) -> &Vec<Activity> {
        match self {
            Self::Task => &contact.tasks,
            Self::Note => &contact.notes,
            Self::Appointment => &contact.appointments,
        }
    }

    fn of_mut(self, contact: &mut Contact) -> &mut Vec<Activity> {
        match self {
            Self::Task => &mut contact.tasks,
            Self::Note => &mut contact.notes,
            Self::Appointment => &mut contact.appointments,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Note => "Note",
            Self::Appointment => "Appointment",
        }
    }

    fn show(self, activity: &Activity, contact: &Contact, zone: &TimeZone) -> Value {
        match self {
            Self::Task => task(activity, contact),
            Self::Note => note(activity, contact),
            Self::Appointment => appointment(activity, contact, zone),
        }
    }
}

fn picked(activity: &Activity, contact: &Contact, keys: &[&str]) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(activity.id));
    for key in keys {
        if let Some(value) = activity.fields.get(*key) {
            out.insert((*key).to_owned(), value.clone());
        }
    }
    out.insert("contactId".to_owned(), json!(contact.id));
    out
}

/// No created or updated time (G §6.10).
fn task(activity: &Activity, contact: &Contact) -> Value {
    Value::Object(picked(activity, contact, &["title", "body", "assignedTo", "dueDate", "completed"]))
}

fn note(activity: &Activity, contact: &Contact) -> Value {
    let mut out = picked(activity, contact, &["body", "userId", "title", "color", "pinned"]);
    out.insert("dateAdded".to_owned(), json!(clock::iso(activity.added)));
    Value::Object(out)
}

/// Times without a zone, on the location's wall (G §6.19).
fn appointment(activity: &Activity, contact: &Contact, zone: &TimeZone) -> Value {
    let mut out = picked(
        activity,
        contact,
        &[
            "calendarId",
            "status",
            "title",
            "assignedUserId",
            "notes",
            "address",
            "groupId",
            "appointmentStatus",
            "users",
            "assignedResources",
        ],
    );
    for key in ["startTime", "endTime"] {
        if let Some(ms) = activity.fields.get(key).and_then(Value::as_i64) {
            out.insert(key.to_owned(), json!(clock::wall(ms, zone)));
        }
    }
    out.insert("locationId".to_owned(), json!(contact.location));
    out.insert("dateAdded".to_owned(), json!(clock::wall(activity.added, zone)));
    out.insert("dateUpdated".to_owned(), json!(clock::wall(activity.updated, zone)));
    Value::Object(out)
}

/// The fields of the event (G §8.5): note events have four and no author; appointments sit under a
/// key of their own.
fn event(sort: Sort, activity: &Activity, contact: &Contact, zone: &TimeZone) -> Map<String, Value> {
    let mut out = match sort {
        Sort::Task => picked(activity, contact, &["assignedTo", "body", "title", "dueDate"]),
        Sort::Note => picked(activity, contact, &["body"]),
        Sort::Appointment => {
            let mut inner = picked(
                activity,
                contact,
                &[
                    "address",
                    "title",
                    "calendarId",
                    "groupId",
                    "appointmentStatus",
                    "assignedUserId",
                    "users",
                    "notes",
                    "source",
                ],
            );
            for key in ["startTime", "endTime"] {
                if let Some(ms) = activity.fields.get(key).and_then(Value::as_i64) {
                    inner.insert(key.to_owned(), json!(clock::with_offset(ms, zone)));
                }
            }
            inner.insert("dateAdded".to_owned(), json!(clock::with_offset(activity.added, zone)));
            inner.insert("dateUpdated".to_owned(), json!(clock::with_offset(activity.updated, zone)));
            Map::from_iter([("appointment".to_owned(), Value::Object(inner))])
        }
    };
    if sort != Sort::Appointment {
        out.insert("dateAdded".to_owned(), json!(clock::iso(activity.added)));
    }
    out.insert("locationId".to_owned(), json!(contact.location));
    out
}

impl Activity {
    /// Takes over the keys that are there; null clears. True when anything changed.
    fn apply(&mut self, changes: &Map<String, Value>, zone: &TimeZone) -> bool {
        let before = self.fields.clone();
        for (key, value) in changes {
            let value = match (key.as_str(), value) {
                ("dueDate", Value::String(text)) => {
                    clock::parse(text, zone).map_or(value.clone(), |ms| json!(clock::iso(ms)))
                }
                ("startTime" | "endTime", Value::String(text)) => {
                    clock::parse(text, zone).map_or(value.clone(), |ms| json!(ms))
                }
                _ => value.clone(),
            };
            match value {
                Value::Null => self.fields.remove(key),
                value => self.fields.insert(key.clone(), value),
            };
        }
        before != self.fields
    }
}

impl State {
    pub(crate) fn zone_of(&self, location: &str) -> TimeZone {
        self.locations.get(location).map_or(TimeZone::UTC, |location| clock::zone(&location.timezone))
    }

    /// One as the API shows it.
    pub(crate) fn show(&self, sort: Sort, contact: &str, id: &str) -> Option<Value> {
        let owner = self.contacts.get(contact)?;
        Some(sort.show(self.activity(contact, sort, id)?, owner, &self.zone_of(&owner.location)))
    }

    /// All of a contact as the API shows them.
    pub(crate) fn show_all(&self, sort: Sort, contact: &str) -> Option<Vec<Value>> {
        let owner = self.contacts.get(contact)?;
        let zone = self.zone_of(&owner.location);
        Some(sort.of(owner).iter().map(|activity| sort.show(activity, owner, &zone)).collect())
    }

    pub(crate) fn add_activity(
        &mut self,
        now: i64,
        sort: Sort,
        contact: &str,
        fields: &Map<String, Value>,
    ) -> Option<String> {
        let zone = self.zone_of(&self.contacts.get(contact)?.location);
        let owner = self.contacts.get(contact)?;
        let defaults = match sort {
            Sort::Task => json!({ "completed": false }),
            Sort::Note => json!({ "pinned": false }),
            Sort::Appointment => json!({
                "calendarId": "YlWd2wuCAZQzh2cH1fVZ", "status": "booked", "appointmentStatus": "confirmed", "notes": "",
                "users": [], "assignedResources": [], "source": "calendar_page",
            }),
        };
        let mut activity = Activity {
            id: new_id(),
            fields: defaults.as_object().cloned().unwrap_or_default(),
            added: now,
            updated: now,
        };
        activity.apply(fields, &zone);
        let (id, event) = (activity.id.clone(), event(sort, &activity, owner, &zone));
        self.contacts.edit(contact, |owner| sort.of_mut(owner).push(activity));
        self.emit(now, &format!("{}Create", sort.name()), Some(contact), event);
        Some(id)
    }

    /// Changes one. An edited task tells nobody (G §8.5); a note or appointment does.
    pub(crate) fn edit_activity(
        &mut self,
        now: i64,
        sort: Sort,
        contact: &str,
        id: &str,
        changes: &Map<String, Value>,
    ) -> bool {
        let Some((activity, owner, zone)) = self.touch(sort, contact, id, |activity, zone| {
            if activity.apply(changes, zone) {
                activity.updated = now;
                return true;
            }
            false
        }) else {
            return false;
        };
        if let Some(activity) = activity
            && sort != Sort::Task
        {
            self.emit(now, &format!("{}Update", sort.name()), Some(contact), event(sort, &activity, &owner, &zone));
        }
        true
    }

    /// Completes or reopens a task. Only completion tells anybody (G §8.5).
    pub(crate) fn set_completed(&mut self, now: i64, contact: &str, id: &str, completed: bool) -> bool {
        let Some((activity, owner, zone)) = self.touch(Sort::Task, contact, id, |activity, _| {
            activity.fields.insert("completed".to_owned(), json!(completed)) != Some(json!(completed))
        }) else {
            return false;
        };
        if let Some(activity) = activity
            && completed
        {
            self.emit(now, "TaskComplete", Some(contact), event(Sort::Task, &activity, &owner, &zone));
        }
        true
    }

    fn take_activity(&mut self, sort: Sort, contact: &str, id: &str) -> Option<Activity> {
        self.contacts.edit(contact, |owner| {
            let at = sort.of(owner).iter().position(|activity| activity.id == id)?;
            Some(sort.of_mut(owner).remove(at))
        })?
    }

    pub(crate) fn delete_activity(&mut self, now: i64, sort: Sort, contact: &str, id: &str) -> bool {
        let (Some(activity), Some(owner)) = (self.take_activity(sort, contact, id), self.contacts.get(contact)) else {
            return false;
        };
        let event = event(sort, &activity, owner, &self.zone_of(&owner.location));
        self.emit(now, &format!("{}Delete", sort.name()), Some(contact), event);
        true
    }

    /// It becomes another contact's. That is a change of it, told like any other: a task's not at
    /// all, an appointment's with its new contact alone.
    pub(crate) fn move_activity(&mut self, now: i64, sort: Sort, from: &str, to: &str, id: &str) -> bool {
        if from == to || self.contacts.get(to).is_none() {
            return false;
        }
        let Some(activity) = self.take_activity(sort, from, id) else { return false };
        let activity = Activity { updated: now, ..activity };
        self.contacts.edit(to, |owner| sort.of_mut(owner).push(activity.clone()));
        if sort != Sort::Task
            && let Some(owner) = self.contacts.get(to)
        {
            let event = event(sort, &activity, owner, &self.zone_of(&owner.location));
            self.emit(now, &format!("{}Update", sort.name()), Some(to), event);
        }
        true
    }

    /// Runs `change` on one activity and hands back what an event about it needs; the activity only
    /// if it changed.
    fn touch(
        &mut self,
        sort: Sort,
        contact: &str,
        id: &str,
        change: impl FnOnce(&mut Activity, &TimeZone) -> bool,
    ) -> Option<(Option<Activity>, Contact, TimeZone)> {
        let zone = self.zone_of(&self.contacts.get(contact)?.location);
        self.contacts.edit(contact, |owner| {
            let activity = sort.of_mut(owner).iter_mut().find(|activity| activity.id == id)?;
            let changed = change(activity, &zone).then(|| activity.clone());
            Some((changed, owner.clone(), zone))
        })?
    }
}
