//! One contact, and the five different faces it shows: read, just created, found, listed, and as an event (G §6, §8.5).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::state::Location;
use crate::clock;

/// A task, note or appointment.
#[derive(Clone)]
pub(crate) struct Activity {
    pub(crate) id: String,
    pub(crate) fields: Map<String, Value>,
    pub(crate) added: i64,
    pub(crate) updated: i64,
}

#[derive(Clone)]
pub(crate) struct Contact {
    pub(crate) id: String,
    pub(crate) location: String,
    /// By the key names of G §6.1; nothing empty is kept.
    pub(crate) fields: Map<String, Value>,
    pub(crate) added: i64,
    pub(crate) updated: i64,
    pub(crate) tasks: Vec<Activity>,
    pub(crate) notes: Vec<Activity>,
    pub(crate) appointments: Vec<Activity>,
    pub(crate) followers: Vec<String>,
}

pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

impl Contact {
    pub(crate) fn new(id: String, location: &Location, now: i64) -> Self {
        let mut fields = Map::new();
        fields.insert("dnd".to_owned(), json!(false));
        fields.insert("type".to_owned(), json!("lead"));
        Self {
            id,
            location: location.id.clone(),
            fields,
            added: now,
            updated: now,
            tasks: Vec::new(),
            notes: Vec::new(),
            appointments: Vec::new(),
            followers: Vec::new(),
        }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.fields
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.text("firstName"), self.text("lastName"))
            .trim()
            .to_owned()
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        self.fields
            .get("tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|tag| tag.as_str().map(str::to_owned))
            .collect()
    }

    pub(crate) fn has_email(&self, email: &str) -> bool {
        !email.is_empty() && self.text("email").eq_ignore_ascii_case(email)
    }

    /// Whether it is one of the further e-mails, the trap of G #337.
    pub(crate) fn has_secondary_email(&self, email: &str) -> bool {
        let further = self
            .fields
            .get("additionalEmails")
            .and_then(Value::as_array);
        further.into_iter().flatten().any(|item| {
            item["email"]
                .as_str()
                .is_some_and(|text| text.eq_ignore_ascii_case(email))
        })
    }

    /// Takes over the keys that are there; null and the empty string clear. Says which keys really changed.
    pub(crate) fn apply(
        &mut self,
        changes: &Map<String, Value>,
        location: &Location,
    ) -> BTreeSet<String> {
        let before = self.fields.clone();
        for (key, value) in changes {
            match key.as_str() {
                "locationId" | "id" | "createNewIfDuplicateAllowed" => {}
                "name" => self.set_name(value, changes),
                "phone" => self.set(
                    key,
                    value
                        .as_str()
                        .map_or(Value::Null, |text| json!(e164(text, &location.country))),
                ),
                "tags" => self.set_tags(value),
                "customFields" => self.set_custom_fields(value, location),
                "dateOfBirth" => self.set(
                    key,
                    value
                        .as_str()
                        .map_or(Value::Null, |text| json!(birth_date(text))),
                ),
                "dndSettings" => self.set_dnd(value),
                _ => self.set(key, value.clone()),
            }
        }
        let keys: BTreeSet<&String> = before.keys().chain(self.fields.keys()).collect();
        keys.into_iter()
            .filter(|key| before.get(*key) != self.fields.get(*key))
            .cloned()
            .collect()
    }

    fn set(&mut self, key: &str, value: Value) {
        if is_empty(&value) {
            self.fields.remove(key);
        } else {
            self.fields.insert(key.to_owned(), value);
        }
    }

    fn set_name(&mut self, value: &Value, changes: &Map<String, Value>) {
        let (first, last) = value
            .as_str()
            .and_then(|name| name.trim().split_once(' '))
            .unwrap_or((value.as_str().unwrap_or_default().trim(), ""));
        for (key, part) in [("firstName", first), ("lastName", last)] {
            if !changes.contains_key(key) {
                self.set(key, json!(part.trim()));
            }
        }
    }

    /// Tags are kept in lower case, each once (G §6.20).
    pub(crate) fn set_tags(&mut self, value: &Value) {
        let mut tags: Vec<String> = Vec::new();
        for tag in value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let tag = tag.trim().to_lowercase();
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        self.set("tags", json!(tags));
    }

    /// Fields that are not named stay (G §6.3). Written as `field_value`, read as `value`.
    fn set_custom_fields(&mut self, value: &Value, location: &Location) {
        let mut kept: Vec<Value> = self
            .fields
            .get("customFields")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if value.is_null() {
            kept.clear();
        }
        for item in value.as_array().into_iter().flatten() {
            let Some(id) = item["id"]
                .as_str()
                .map(str::to_owned)
                .or_else(|| location.custom_field_id(item["key"].as_str()?))
            else {
                continue;
            };
            let new = item
                .get("field_value")
                .or_else(|| item.get("value"))
                .cloned()
                .unwrap_or(Value::Null);
            kept.retain(|field| field["id"] != id.as_str());
            if !is_empty(&new) {
                kept.push(json!({ "id": id, "value": new }));
            }
        }
        self.set("customFields", json!(kept));
    }

    fn set_dnd(&mut self, value: &Value) {
        let mut settings = self
            .fields
            .get("dndSettings")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (channel, setting) in value.as_object().into_iter().flatten() {
            let part = |key: &str| setting[key].as_str().unwrap_or_default().to_owned();
            settings.insert(channel.clone(), json!({ "status": part("status"), "message": part("message"), "code": part("code") }));
        }
        self.set("dndSettings", Value::Object(settings));
    }

    fn pick(&self, keys: &[&str], into: &mut Map<String, Value>) {
        for key in keys {
            if let Some(value) = self.fields.get(*key) {
                into.insert((*key).to_owned(), value.clone());
            }
        }
    }

    fn lower_case(&self, into: &mut Map<String, Value>) {
        for (key, text) in [
            ("firstNameLowerCase", self.text("firstName").to_lowercase()),
            ("lastNameLowerCase", self.text("lastName").to_lowercase()),
            ("fullNameLowerCase", self.full_name().to_lowercase()),
            ("emailLowerCase", self.text("email").to_lowercase()),
        ] {
            if !text.is_empty() {
                into.insert(key.to_owned(), json!(text));
            }
        }
    }

    fn birth_stamp(&self) -> Option<Value> {
        let date = self.text("dateOfBirth");
        (!date.is_empty()).then(|| json!(format!("{date}T00:00:00.000Z")))
    }

    /// `GET /contacts/{id}` (G §6.1). Notes, tasks and appointments are not in it.
    pub(crate) fn as_read(&self) -> Value {
        let mut out = Map::new();
        out.insert("id".to_owned(), json!(self.id));
        if !self.full_name().is_empty() {
            out.insert("name".to_owned(), json!(self.full_name()));
        }
        out.insert("locationId".to_owned(), json!(self.location));
        self.pick(
            &[
                "firstName",
                "lastName",
                "email",
                "timezone",
                "companyName",
                "phone",
                "dnd",
                "dndSettings",
                "inboundDndSettings",
                "type",
                "source",
                "assignedTo",
                "address1",
                "city",
                "state",
                "country",
                "postalCode",
                "website",
                "dateOfBirth",
                "gender",
                "businessId",
                "attributionSource",
                "lastAttributionSource",
                "visitorId",
            ],
            &mut out,
        );
        self.lower_case(&mut out);
        for (key, value) in [
            ("tags", json!(self.tags())),
            (
                "customFields",
                self.fields
                    .get("customFields")
                    .cloned()
                    .unwrap_or_else(|| json!([])),
            ),
            (
                "additionalEmails",
                self.fields
                    .get("additionalEmails")
                    .cloned()
                    .unwrap_or_else(|| json!([])),
            ),
            ("attachments", json!("")),
            ("ssn", json!("")),
            ("keyword", json!("")),
            ("dateAdded", json!(clock::iso(self.added))),
            ("dateUpdated", json!(clock::iso(self.updated))),
            ("lastActivity", json!(clock::iso(self.updated))),
        ] {
            out.insert(key.to_owned(), value);
        }
        Value::Object(out)
    }

    /// The answer to a create, whose schema is another one (G §6.2).
    pub(crate) fn as_created(&self) -> Value {
        let mut out = Map::new();
        out.insert("id".to_owned(), json!(self.id));
        self.pick(
            &[
                "type",
                "firstName",
                "lastName",
                "email",
                "dnd",
                "phone",
                "address1",
                "city",
                "state",
                "country",
                "postalCode",
                "website",
                "source",
                "companyName",
                "businessId",
                "assignedTo",
            ],
            &mut out,
        );
        self.lower_case(&mut out);
        let now = json!(clock::iso(self.updated));
        for (key, value) in [
            ("locationId", json!(self.location)),
            ("dateAdded", json!(clock::iso(self.added))),
            ("dateUpdated", now.clone()),
            ("lastSessionActivityAt", now),
            ("deleted", json!(false)),
            ("tags", json!(self.tags())),
            (
                "customFields",
                self.fields
                    .get("customFields")
                    .cloned()
                    .unwrap_or_else(|| json!([])),
            ),
            ("bounceEmail", json!(false)),
            ("unsubscribeEmail", json!(false)),
            (
                "dndSettings",
                self.fields
                    .get("dndSettings")
                    .cloned()
                    .unwrap_or_else(|| json!({})),
            ),
            ("offers", json!([])),
            ("products", json!([])),
        ] {
            out.insert(key.to_owned(), value);
        }
        if let Some(stamp) = self.birth_stamp() {
            let part = |range: std::ops::Range<usize>| {
                self.text("dateOfBirth")
                    .get(range)
                    .and_then(|text| text.parse::<i64>().ok())
                    .unwrap_or(1)
            };
            out.insert("birthMonth".to_owned(), json!(part(5..7) - 1));
            out.insert("birthDay".to_owned(), json!(part(8..10)));
            out.insert("dateOfBirth".to_owned(), stamp);
        }
        Value::Object(out)
    }

    /// A search result: `address` for `address1`, absent values as null (G §6.6). `searchAfter` is added by the search.
    pub(crate) fn as_found(&self) -> Value {
        let mut out = Map::new();
        for key in [
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
            "companyName",
        ] {
            out.insert(
                key.to_owned(),
                self.fields.get(key).cloned().unwrap_or(Value::Null),
            );
        }
        for key in ["additionalEmails", "customFields"] {
            out.insert(
                key.to_owned(),
                self.fields.get(key).cloned().unwrap_or_else(|| json!([])),
            );
        }
        for (key, value) in [
            ("id", json!(self.id)),
            ("locationId", json!(self.location)),
            (
                "firstNameLowerCase",
                json!(self.text("firstName").to_lowercase()),
            ),
            (
                "lastNameLowerCase",
                json!(self.text("lastName").to_lowercase()),
            ),
            ("validEmail", Value::Null),
            ("phoneLabel", Value::Null),
            ("additionalPhones", json!([])),
            (
                "address",
                self.fields.get("address1").cloned().unwrap_or(Value::Null),
            ),
            ("tags", json!(self.tags())),
            (
                "dnd",
                self.fields.get("dnd").cloned().unwrap_or(json!(false)),
            ),
            (
                "dndSettings",
                self.fields
                    .get("dndSettings")
                    .cloned()
                    .unwrap_or_else(|| json!({})),
            ),
            ("followers", json!(self.followers)),
            ("businessName", Value::Null),
            ("dateAdded", json!(clock::iso(self.added))),
            ("dateUpdated", json!(clock::iso(self.updated))),
        ] {
            out.insert(key.to_owned(), value);
        }
        Value::Object(out)
    }

    /// A record of the deprecated list, whose plain names are in lower case (G §6.7).
    pub(crate) fn as_listed(&self) -> Value {
        let mut out = Map::new();
        self.pick(
            &[
                "email",
                "phone",
                "timezone",
                "country",
                "source",
                "businessId",
            ],
            &mut out,
        );
        for (raw, plain) in [("firstNameRaw", "firstName"), ("lastNameRaw", "lastName")] {
            out.insert(
                raw.to_owned(),
                self.fields.get(plain).cloned().unwrap_or(Value::Null),
            );
            out.insert(plain.to_owned(), json!(self.text(plain).to_lowercase()));
        }
        for (key, value) in [
            ("id", json!(self.id)),
            ("locationId", json!(self.location)),
            ("contactName", json!(self.full_name().to_lowercase())),
            ("dateAdded", json!(clock::iso(self.added))),
            ("tags", json!(self.tags())),
            (
                "customFields",
                self.fields
                    .get("customFields")
                    .cloned()
                    .unwrap_or_else(|| json!([])),
            ),
            (
                "attributions",
                self.fields
                    .get("attributionSource")
                    .map_or_else(|| json!([]), |source| json!([source])),
            ),
            ("followers", json!(self.followers)),
        ] {
            out.insert(key.to_owned(), value);
        }
        Value::Object(out)
    }

    /// The fields of a contact event: no `dateUpdated`, nothing empty (G §8.5).
    pub(crate) fn as_event(&self) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("locationId".to_owned(), json!(self.location));
        out.insert("id".to_owned(), json!(self.id));
        self.pick(
            &[
                "address1",
                "city",
                "state",
                "companyName",
                "country",
                "source",
                "dnd",
                "email",
                "firstName",
                "lastName",
                "phone",
                "postalCode",
                "tags",
                "website",
                "assignedTo",
                "customFields",
            ],
            &mut out,
        );
        if !self.full_name().is_empty() {
            out.insert("name".to_owned(), json!(self.full_name()));
        }
        out.insert("dateAdded".to_owned(), json!(clock::iso(self.added)));
        if let Some(stamp) = self.birth_stamp() {
            out.insert("dateOfBirth".to_owned(), stamp);
        }
        // Always empty in practice (G #324).
        out.insert("attachments".to_owned(), json!([]));
        out
    }

    /// The fixed document of a workflow's Webhook action (G §9).
    pub(crate) fn as_workflow_document(&self, location: &Location) -> Value {
        let mut out = Map::new();
        let address = [
            self.text("address1").to_owned(),
            [
                self.text("city"),
                self.text("state"),
                self.text("postalCode"),
            ]
            .join(" ")
            .trim()
            .to_owned(),
        ];
        let address: Vec<String> = address
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        for (key, text) in [
            ("contact_id", self.id.clone()),
            ("first_name", self.text("firstName").to_owned()),
            ("last_name", self.text("lastName").to_owned()),
            ("full_name", self.full_name()),
            ("email", self.text("email").to_owned()),
            ("phone", self.text("phone").to_owned()),
            ("tags", self.tags().join(",")),
            ("country", self.text("country").to_owned()),
            ("timezone", self.text("timezone").to_owned()),
            ("date_created", clock::iso(self.added)),
            ("contact_source", self.text("source").to_owned()),
            ("full_address", address.join(", ")),
            ("contact_type", self.text("type").to_owned()),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), json!(text));
            }
        }
        for field in self
            .fields
            .get("customFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(definition) = location
                .custom_fields
                .iter()
                .find(|definition| field["id"] == definition.id.as_str())
            {
                out.insert(definition.name.clone(), field["value"].clone());
            }
        }
        let source = self
            .fields
            .get("attributionSource")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let last = self
            .fields
            .get("lastAttributionSource")
            .cloned()
            .unwrap_or_else(|| json!({}));
        out.insert(
            "location".to_owned(),
            json!({ "id": location.id, "name": location.name }),
        );
        out.insert(
            "workflow".to_owned(),
            json!({ "id": "3f0d8b0c-2a11-4b7e-9b7e-0d9f1f6e6c0a", "name": "Send to bridge" }),
        );
        out.insert("triggerData".to_owned(), json!({}));
        out.insert(
            "contact".to_owned(),
            json!({ "attributionSource": source, "lastAttributionSource": last }),
        );
        out.insert("attributionSource".to_owned(), source);
        out.insert("customData".to_owned(), json!({}));
        Value::Object(out)
    }
}

/// Spaces, dashes and brackets go; a national number of a +1 country gets its prefix (G §6.2: stored as E.164).
pub(crate) fn e164(text: &str, country: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let international = text.trim_start().starts_with('+');
    match (international, country, digits.len()) {
        (_, _, 0) => String::new(),
        (true, ..) => format!("+{digits}"),
        (false, "US" | "CA", 10) => format!("+1{digits}"),
        (false, "US" | "CA", 11) if digits.starts_with('1') => format!("+{digits}"),
        _ => digits,
    }
}

/// Year-month-day or month-day-year with any of the documented separators, as year-month-day (G §6.2).
fn birth_date(text: &str) -> String {
    let day = text.split('T').next().unwrap_or(text);
    let parts: Vec<&str> = day.split(['-', '/', '.', '_']).collect();
    match parts[..] {
        [year, month, date] if year.len() == 4 => format!("{year}-{month:0>2}-{date:0>2}"),
        [month, date, year] if year.len() == 4 => format!("{year}-{month:0>2}-{date:0>2}"),
        _ => text.to_owned(),
    }
}
