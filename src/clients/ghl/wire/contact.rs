//! Contacts, their custom fields, and the lists that they come in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clients::{Listed, lenient};
use crate::model::{ContactId, LocationId};

/// A contact (G §6.1, and the differing lists of §6.6 and §6.7).
///
/// Names from lists and searches may have lost their capitals: never write them anywhere, read the
/// contact (G §6.7).
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
    /// By channel, as it came: keys are `SMS` in v2 and `sms` in v3 (G §11).
    /// [`Contact::dnd_status`] reads both.
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
    /// `active` (blocked), `inactive` or `permanent` for a channel such as `Email`, in either
    /// spelling of its key.
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
