//! A contact as search shows it: `address` for `address1`, absent values as null (G §6.6).

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::contact::Contact;
use crate::clock;

/// Keys that are shown as they are kept.
const PLAIN: [&str; 15] = [
    "firstName",
    "lastName",
    "email",
    "phone",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "timezone",
    "source",
    "type",
    "assignedTo",
    "businessId",
    "dateOfBirth",
];

/// A search result. Written without a detour over [`Value`], for a page is a hundred of them.
pub(super) struct Found<'a> {
    pub(super) contact: &'a Contact,
    /// Its key in the search's order: half of its `searchAfter`.
    pub(super) key: Value,
}

impl Serialize for Found<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let contact = self.contact;
        let mut map = out.serialize_map(None)?;
        for key in PLAIN {
            map.serialize_entry(key, &contact.fields.get(key))?;
        }
        for key in ["validEmail", "phoneLabel", "businessName"] {
            map.serialize_entry(key, &())?;
        }
        for key in ["additionalEmails", "customFields", "tags"] {
            map.serialize_entry(key, contact.fields.get(key).unwrap_or(&Value::Array(Vec::new())))?;
        }
        map.serialize_entry("id", &contact.id)?;
        map.serialize_entry("locationId", &contact.location)?;
        map.serialize_entry("firstNameLowerCase", &contact.text("firstName").to_lowercase())?;
        map.serialize_entry("lastNameLowerCase", &contact.text("lastName").to_lowercase())?;
        map.serialize_entry("additionalPhones", &[(); 0])?;
        map.serialize_entry("address", &contact.fields.get("address1"))?;
        map.serialize_entry("dnd", contact.fields.get("dnd").unwrap_or(&Value::Bool(false)))?;
        map.serialize_entry("dndSettings", &contact.fields.get("dndSettings").cloned().unwrap_or_else(|| json!({})))?;
        map.serialize_entry("followers", &contact.followers)?;
        map.serialize_entry("dateAdded", &clock::iso(contact.added))?;
        map.serialize_entry("dateUpdated", &clock::iso(contact.updated))?;
        map.serialize_entry("searchAfter", &(&self.key, &contact.id))?;
        map.end()
    }
}

/// What a search result has under this key, for filters and orders; besides, keys that are kept but
/// not shown.
pub(super) fn value_of(contact: &Contact, field: &str) -> Value {
    if let Some(id) = field.strip_prefix("customFields.") {
        let fields = contact.fields.get("customFields").and_then(Value::as_array);
        return fields
            .into_iter()
            .flatten()
            .find(|item| item["id"] == id)
            .map_or(Value::Null, |item| item["value"].clone());
    }
    if let Some(channel) = field.strip_prefix("dndSettings.").and_then(|rest| rest.strip_suffix(".status")) {
        return contact.fields.get("dndSettings").map_or(Value::Null, |settings| settings[channel]["status"].clone());
    }
    let kept = |key: &str| contact.fields.get(key).cloned();
    match field {
        "id" => json!(contact.id),
        "firstNameLowerCase" => json!(contact.text("firstName").to_lowercase()),
        "lastNameLowerCase" => json!(contact.text("lastName").to_lowercase()),
        "address" => kept("address1").unwrap_or_default(),
        "tags" | "additionalEmails" => kept(field).unwrap_or_else(|| json!([])),
        "dnd" => kept(field).unwrap_or(json!(false)),
        "followers" => json!(contact.followers),
        "validEmail" | "phoneLabel" | "businessName" => Value::Null,
        _ => kept(field).unwrap_or_default(),
    }
}
