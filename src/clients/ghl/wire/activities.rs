//! What belongs to a contact: tasks, notes, appointments.

use serde::{Deserialize, Serialize};

use crate::clients::lenient;
use crate::model::{ContactId, LocationId, ObjectId};

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

/// An appointment of a contact (G §6.19). Its times are `YYYY-MM-DD HH:MM:SS` in the location's
/// time zone, or ISO 8601 with an offset; which of the two, the text tells.
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
