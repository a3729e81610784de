//! A contact as JSON: read, just created, listed, as an event, as a workflow tells it (G §6,
//! G §8.5, §9).

use serde_json::{Map, Value, json};

use super::contact::Contact;
use super::state::Location;
use crate::clock;

impl Contact {
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
            ("customFields", self.fields.get("customFields").cloned().unwrap_or_else(|| json!([]))),
            ("additionalEmails", self.fields.get("additionalEmails").cloned().unwrap_or_else(|| json!([]))),
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
            ("customFields", self.fields.get("customFields").cloned().unwrap_or_else(|| json!([]))),
            ("bounceEmail", json!(false)),
            ("unsubscribeEmail", json!(false)),
            ("dndSettings", self.fields.get("dndSettings").cloned().unwrap_or_else(|| json!({}))),
            ("offers", json!([])),
            ("products", json!([])),
        ] {
            out.insert(key.to_owned(), value);
        }
        if let Some(stamp) = self.birth_stamp() {
            let part = |range: std::ops::Range<usize>| {
                self.text("dateOfBirth").get(range).and_then(|text| text.parse::<i64>().ok()).unwrap_or(1)
            };
            out.insert("birthMonth".to_owned(), json!(part(5..7) - 1));
            out.insert("birthDay".to_owned(), json!(part(8..10)));
            out.insert("dateOfBirth".to_owned(), stamp);
        }
        Value::Object(out)
    }

    /// A record of the deprecated list, whose plain names are in lower case (G §6.7).
    pub(crate) fn as_listed(&self) -> Value {
        let mut out = Map::new();
        self.pick(&["email", "phone", "timezone", "country", "source", "businessId"], &mut out);
        for (raw, plain) in [("firstNameRaw", "firstName"), ("lastNameRaw", "lastName")] {
            out.insert(raw.to_owned(), self.fields.get(plain).cloned().unwrap_or(Value::Null));
            out.insert(plain.to_owned(), json!(self.text(plain).to_lowercase()));
        }
        for (key, value) in [
            ("id", json!(self.id)),
            ("locationId", json!(self.location)),
            ("contactName", json!(self.full_name().to_lowercase())),
            ("dateAdded", json!(clock::iso(self.added))),
            ("tags", json!(self.tags())),
            ("customFields", self.fields.get("customFields").cloned().unwrap_or_else(|| json!([]))),
            ("attributions", self.fields.get("attributionSource").map_or_else(|| json!([]), |source| json!([source]))),
            ("followers", json!(self.followers)),
        ] {
            out.insert(key.to_owned(), value);
        }
        Value::Object(out)
    }

    /// The fields of a contact event: no `dateUpdated`, nothing empty (G §8.4, §8.5).
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
        // Always empty in practice (G §8.5, #324).
        out.insert("attachments".to_owned(), json!([]));
        out
    }

    /// The fixed document of a workflow's Webhook action (G §9).
    pub(crate) fn as_workflow_document(&self, location: &Location) -> Value {
        let mut out = Map::new();
        let address = [
            self.text("address1").to_owned(),
            [self.text("city"), self.text("state"), self.text("postalCode")].join(" ").trim().to_owned(),
        ];
        let address: Vec<String> = address.into_iter().filter(|part| !part.is_empty()).collect();
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
        for field in self.fields.get("customFields").and_then(Value::as_array).into_iter().flatten() {
            if let Some(definition) =
                location.custom_fields.iter().find(|definition| field["id"] == definition.id.as_str())
            {
                out.insert(definition.name.clone(), field["value"].clone());
            }
        }
        let source = self.fields.get("attributionSource").cloned().unwrap_or_else(|| json!({}));
        let last = self.fields.get("lastAttributionSource").cloned().unwrap_or_else(|| json!({}));
        out.insert("location".to_owned(), json!({ "id": location.id, "name": location.name }));
        out.insert(
            "workflow".to_owned(),
            json!({ "id": "3f0d8b0c-2a11-4b7e-9b7e-0d9f1f6e6c0a", "name": "Send to bridge" }),
        );
        out.insert("triggerData".to_owned(), json!({}));
        out.insert("contact".to_owned(), json!({ "attributionSource": source, "lastAttributionSource": last }));
        out.insert("attributionSource".to_owned(), source);
        out.insert("customData".to_owned(), json!({}));
        Value::Object(out)
    }
}
