//! What is sent to GHL: exactly the keys that it allows, since any other key is refused with 422
//! (G §4).
//!
//! A field that is `None` is left out, and stays as it is. An empty text clears it (G §13).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::LocationId;

/// Body of `POST /contacts/` (G §6.2), except for the location, which the client adds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are GHL's, and so is what they mean")]
pub struct NewContact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// The keys that creating and updating share.
    #[serde(flatten)]
    pub fields: ContactPatch,
}

/// Body of `PUT /contacts/{id}` (G §6.3): the keys of [`NewContact`] without location, gender and
/// company name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are GHL's, and so is what they mean")]
pub struct ContactPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_of_birth: Option<String>,
    /// *Replaces* the contact's tags (G §6.3): to add or remove some, use the calls for tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnd: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnd_settings: Option<DndSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_dnd_settings: Option<InboundDndSettings>,
    /// Fields that are not named stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_fields: Vec<WrittenCustomField>,
    /// A user of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
}

/// A custom field's value on its way to GHL, where it is called `field_value` (G §6.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCustomField {
    /// The field's id; which form a key would need is not known (G §7.2).
    pub id: String,
    /// Text, number, list of texts, or object, by the field's type.
    pub field_value: Value,
}

/// Do-not-disturb by channel (G §6.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are GHL's, and so is what they mean")]
pub struct DndSettings {
    #[serde(rename = "Call", skip_serializing_if = "Option::is_none")]
    pub call: Option<DndSetting>,
    #[serde(rename = "Email", skip_serializing_if = "Option::is_none")]
    pub email: Option<DndSetting>,
    #[serde(rename = "SMS", skip_serializing_if = "Option::is_none")]
    pub sms: Option<DndSetting>,
    #[serde(rename = "WhatsApp", skip_serializing_if = "Option::is_none")]
    pub whats_app: Option<DndSetting>,
    #[serde(rename = "GMB", skip_serializing_if = "Option::is_none")]
    pub gmb: Option<DndSetting>,
    #[serde(rename = "FB", skip_serializing_if = "Option::is_none")]
    pub fb: Option<DndSetting>,
}

/// Do-not-disturb of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DndSetting {
    /// `active` (blocked), `inactive` or `permanent`.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Do-not-disturb in the other direction (G §6.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundDndSettings {
    /// For all channels at once; there is no other.
    pub all: InboundDnd,
}

/// Inbound do-not-disturb of all channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundDnd {
    /// `active` or `inactive`.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Body of `POST .../tasks` (G §6.11).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTask {
    /// What is to be done.
    pub title: String,
    /// ISO 8601.
    pub due_date: String,
    /// Done already.
    pub completed: bool,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A user of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
}

/// Body of `PUT .../tasks/{id}` (G §6.12): the keys of [`NewTask`], all optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(missing_docs, reason = "as in NewTask")]
pub struct TaskPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::clients::ghl) struct NewContactBody<'a> {
    pub(in crate::clients::ghl) location_id: &'a LocationId,
    #[serde(flatten)]
    pub(in crate::clients::ghl) contact: &'a NewContact,
}

/// Body of `PUT .../tasks/{id}/completed` (G §6.13).
#[derive(Serialize)]
pub(in crate::clients::ghl) struct Completed {
    pub(in crate::clients::ghl) completed: bool,
}

/// Body of both calls for tags (G §6.20).
#[derive(Serialize)]
pub(in crate::clients::ghl) struct Tags<'a> {
    pub(in crate::clients::ghl) tags: &'a [String],
}
