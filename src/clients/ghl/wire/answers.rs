//! How single records and lists are wrapped in answers.

use serde::Deserialize;

use super::activities::{Appointment, Note, Task};
use super::contact::{Contact, CustomField};
use super::location::LocationRecord;
use crate::clients::{Listed, lenient};

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct ContactAnswer {
    pub(in crate::clients::ghl) contact: Contact,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct TaskAnswer {
    pub(in crate::clients::ghl) task: Task,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct NoteAnswer {
    pub(in crate::clients::ghl) note: Note,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct LocationAnswer {
    pub(in crate::clients::ghl) location: LocationRecord,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct TasksAnswer {
    #[serde(deserialize_with = "super::search::tasks")]
    pub(in crate::clients::ghl) tasks: Listed<Task>,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct NotesAnswer {
    pub(in crate::clients::ghl) notes: Listed<Note>,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct AppointmentsAnswer {
    pub(in crate::clients::ghl) events: Listed<Appointment>,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct CustomFieldsAnswer {
    #[serde(rename = "customFields")]
    pub(in crate::clients::ghl) fields: Listed<CustomField>,
}

#[derive(Deserialize)]
pub(in crate::clients::ghl) struct TagsAnswer {
    #[serde(deserialize_with = "lenient::texts")]
    pub(in crate::clients::ghl) tags: Vec<String>,
}

/// The success flag, in GHL's spelling and in the right one (G §2, §11).
#[derive(Deserialize, Default)]
pub(in crate::clients::ghl) struct Success {
    #[serde(default, deserialize_with = "lenient::flag")]
    succeded: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    succeeded: Option<bool>,
}

impl Success {
    pub(in crate::clients::ghl) fn denied(&self) -> bool {
        self.succeeded.or(self.succeded) == Some(false)
    }
}
