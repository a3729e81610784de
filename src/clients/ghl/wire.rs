//! GHL's records as they are read: tolerant, since nearly everything is optional, and unknown keys pass (G §2).

mod bodies;
mod grants;
mod hooks;
mod search;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clients::{Listed, lenient};
use crate::model::{ContactId, LocationId, ObjectId};

pub(super) use bodies::{Completed, NewContactBody, Tags};
pub use bodies::{
    ContactPatch, DndSetting, DndSettings, InboundDnd, InboundDndSettings, NewContact, NewTask, TaskPatch,
    WrittenCustomField,
};
pub use grants::{Granted, InstalledLocation, InstalledLocations, Reconnected};
pub use hooks::{Envelope, EnvelopeAppointment, WorkflowDocument};
pub(super) use search::ContactSearchBody;
pub use search::{ContactPage, ContactSearch, Cursor, Filter, Sort, TaskSearch, TasksFound};

/// A contact (G §6.1, and the differing lists of §6.6 and §6.7).
///
/// Names from lists and searches may have lost their capitals: never write them anywhere, read the contact (G §6.7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are GHL's, and so is what they mean")]
pub struct Contact {
    pub id: ContactId,
    #[serde(default, deserialize_with = "lenient::id")]
    pub location_id: Option<LocationId>,
    #[serde(default, deserialize_with = "lenient::identity")]
    pub name: Option<String>,
    /// In lists only.
    #[serde(default, deserialize_with = "lenient::identity")]
    pub contact_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::identity")]
    pub first_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::identity")]
    pub last_name: Option<String>,
    /// In lists only: the name before it was lower-cased (G §6.7).
    #[serde(default, deserialize_with = "lenient::identity")]
    pub first_name_raw: Option<String>,
    /// In lists only: the name before it was lower-cased (G §6.7).
    #[serde(default, deserialize_with = "lenient::identity")]
    pub last_name_raw: Option<String>,
    #[serde(default, deserialize_with = "lenient::identity")]
    pub email: Option<String>,
    /// Objects with `email`, as far as anybody has seen (G §6.1).
    #[serde(default, deserialize_with = "lenient::list")]
    pub additional_emails: Vec<Value>,
    #[serde(default, deserialize_with = "lenient::identity")]
    pub phone: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub gender: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub company_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub business_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub business_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub address1: Option<String>,
    /// What search calls `address1` (G §6.6).
    #[serde(default, deserialize_with = "lenient::text")]
    pub address: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub city: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub state: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub postal_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub country: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub website: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub timezone: Option<String>,
    /// A date, or a timestamp at midnight UTC (G §6.1).
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_of_birth: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub source: Option<String>,
    #[serde(default, deserialize_with = "lenient::text", rename = "type")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub assigned_to: Option<String>,
    #[serde(default, deserialize_with = "lenient::texts")]
    pub followers: Vec<String>,
    #[serde(default, deserialize_with = "lenient::labels")]
    pub tags: Vec<String>,
    /// True means *blocked*.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub dnd: Option<bool>,
    /// By channel, as it came: keys are `SMS` in v2 and `sms` in v3 (G §11). [`Contact::dnd_status`] reads both.
    #[serde(default, deserialize_with = "lenient::map")]
    pub dnd_settings: Map<String, Value>,
    #[serde(default, deserialize_with = "lenient::parts")]
    pub custom_fields: Vec<CustomFieldValue>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_added: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_updated: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub last_activity: Option<String>,
    #[serde(default)]
    pub attribution_source: Value,
    #[serde(default)]
    pub last_attribution_source: Value,
}

impl Contact {
    /// `active` (blocked), `inactive` or `permanent` for a channel such as `Email`, in either spelling of its key.
    pub fn dnd_status(&self, channel: &str) -> Option<&str> {
        let (_, setting) = self.dnd_settings.iter().find(|(key, _)| key.eq_ignore_ascii_case(channel))?;
        setting["status"].as_str()
    }
}

/// The value of a custom field. Its type follows the field's, so it stays raw (G §6.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "CustomFieldRecord")]
pub struct CustomFieldValue {
    /// The field's id, see [`CustomField`].
    pub id: String,
    /// Text, number, list or object.
    pub value: Value,
}

#[derive(Deserialize)]
struct CustomFieldRecord {
    id: String,
    #[serde(default)]
    value: Value,
    #[serde(default, rename = "field_value")]
    written: Value,
}

impl From<CustomFieldRecord> for CustomFieldValue {
    fn from(record: CustomFieldRecord) -> Self {
        let value = if record.value.is_null() { record.written } else { record.value };
        Self { id: record.id, value }
    }
}

/// A task (G §6.10). It has no time of change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// `_id` in some answers of the task search (G §7.3).
    pub id: ObjectId,
    /// What is to be done.
    #[serde(default, deserialize_with = "lenient::text")]
    pub title: Option<String>,
    /// More about it; may hold HTML.
    #[serde(default, deserialize_with = "lenient::text")]
    pub body: Option<String>,
    /// A user of the location.
    #[serde(default, deserialize_with = "lenient::text")]
    pub assigned_to: Option<String>,
    /// ISO 8601.
    #[serde(default, deserialize_with = "lenient::time")]
    pub due_date: Option<String>,
    /// Done.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub completed: Option<bool>,
    /// Whose task it is.
    #[serde(default, deserialize_with = "lenient::id")]
    pub contact_id: Option<ContactId>,
}

/// A note (G §6.15). It has no time of change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The note's id.
    pub id: ObjectId,
    /// The text; HTML when it was written on GHL's screen.
    #[serde(default, deserialize_with = "lenient::text")]
    pub body: Option<String>,
    /// The same as plain text; seen in live records only (G §6.15).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::text")]
    pub body_text: Option<String>,
    /// Who wrote it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub user_id: Option<String>,
    /// ISO 8601.
    #[serde(default, deserialize_with = "lenient::time")]
    pub date_added: Option<String>,
    /// Whose note it is.
    #[serde(default, deserialize_with = "lenient::id")]
    pub contact_id: Option<ContactId>,
    /// Recent; often absent.
    #[serde(default, deserialize_with = "lenient::text")]
    pub title: Option<String>,
    /// Recent; often absent.
    #[serde(default, deserialize_with = "lenient::text")]
    pub color: Option<String>,
    /// Recent; often absent.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub pinned: Option<bool>,
}

/// An appointment of a contact (G §6.19). Its times are `YYYY-MM-DD HH:MM:SS` in the location's time zone, or ISO 8601
/// with an offset; which of the two, the text tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are GHL's, and so is what they mean")]
pub struct Appointment {
    pub id: ObjectId,
    #[serde(default, deserialize_with = "lenient::text")]
    pub calendar_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub appointment_status: Option<String>,
    /// The same under a misspelt key (G §6.19).
    #[serde(
        default,
        rename = "appoinmentStatus",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::text"
    )]
    pub misspelt_status: Option<String>,
    /// A deleted one can still be read, with its old status (G §6.19).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::flag")]
    pub deleted: Option<bool>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub notes: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub start_time: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub end_time: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub address: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub assigned_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::texts")]
    pub users: Vec<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub group_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::id")]
    pub location_id: Option<LocationId>,
    #[serde(default, deserialize_with = "lenient::id")]
    pub contact_id: Option<ContactId>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_added: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_updated: Option<String>,
}

/// A location's record (G §7.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationRecord {
    /// The location's id.
    #[serde(default, deserialize_with = "lenient::id")]
    pub id: Option<LocationId>,
    /// What people call it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// The agency it belongs to.
    #[serde(default, deserialize_with = "lenient::text")]
    pub company_id: Option<String>,
    /// A name such as `America/New_York`: the zone of appointments.
    #[serde(default, deserialize_with = "lenient::text")]
    pub timezone: Option<String>,
    /// Two letters: the region of phone numbers without `+`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub country: Option<String>,
    /// How creating contacts behaves.
    #[serde(default, deserialize_with = "lenient::part")]
    pub settings: Option<LocationSettings>,
}

/// The part of a location's settings that matters here (G §7.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationSettings {
    /// May two contacts share an e-mail address or a phone number?
    #[serde(default, deserialize_with = "lenient::flag")]
    pub allow_duplicate_contact: Option<bool>,
}

/// The definition of a custom field (G §7.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomField {
    /// What values refer to.
    pub id: String,
    /// The label.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// `contact.level` for a label "Level".
    #[serde(default, deserialize_with = "lenient::text")]
    pub field_key: Option<String>,
    /// `TEXT` and the like.
    #[serde(default, deserialize_with = "lenient::text")]
    pub data_type: Option<String>,
    /// What may be picked.
    #[serde(default, deserialize_with = "lenient::list")]
    pub picklist_options: Vec<Value>,
}

/// A page of `GET /contacts/` or of a business's contacts (G §6.7, §6.8).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactList {
    /// Newest first.
    pub contacts: Listed<Contact>,
    /// How many there are.
    #[serde(default, deserialize_with = "lenient::number")]
    pub count: Option<i64>,
    /// Where the next page begins.
    #[serde(default, deserialize_with = "lenient::part")]
    pub meta: Option<ListMeta>,
}

/// The paging part of a list (G §6.7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// How many there are on all pages.
    #[serde(default, deserialize_with = "lenient::number")]
    pub total: Option<i64>,
    /// To be handed back for the next page: epoch milliseconds.
    #[serde(default, deserialize_with = "lenient::number")]
    pub start_after: Option<i64>,
    /// To be handed back for the next page.
    #[serde(default, deserialize_with = "lenient::id")]
    pub start_after_id: Option<ContactId>,
    /// The number of the next page; none on the last.
    #[serde(default, deserialize_with = "lenient::number")]
    pub next_page: Option<i64>,
}

// How single objects and lists are wrapped.

#[derive(Deserialize)]
pub(super) struct ContactAnswer {
    pub(super) contact: Contact,
}

#[derive(Deserialize)]
pub(super) struct TaskAnswer {
    pub(super) task: Task,
}

#[derive(Deserialize)]
pub(super) struct NoteAnswer {
    pub(super) note: Note,
}

#[derive(Deserialize)]
pub(super) struct LocationAnswer {
    pub(super) location: LocationRecord,
}

#[derive(Deserialize)]
pub(super) struct TasksAnswer {
    #[serde(deserialize_with = "search::tasks")]
    pub(super) tasks: Listed<Task>,
}

#[derive(Deserialize)]
pub(super) struct NotesAnswer {
    pub(super) notes: Listed<Note>,
}

#[derive(Deserialize)]
pub(super) struct AppointmentsAnswer {
    pub(super) events: Listed<Appointment>,
}

#[derive(Deserialize)]
pub(super) struct CustomFieldsAnswer {
    #[serde(rename = "customFields")]
    pub(super) fields: Listed<CustomField>,
}

#[derive(Deserialize)]
pub(super) struct TagsAnswer {
    #[serde(deserialize_with = "lenient::texts")]
    pub(super) tags: Vec<String>,
}

/// The success flag, in GHL's spelling and in the right one (G §2, §11).
#[derive(Deserialize, Default)]
pub(super) struct Success {
    #[serde(default, deserialize_with = "lenient::flag")]
    succeded: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    succeeded: Option<bool>,
}

impl Success {
    pub(super) fn denied(&self) -> bool {
        self.succeeded.or(self.succeded) == Some(false)
    }
}

#[cfg(test)]
mod tests;
