//! One contact and what is kept of it; every write goes through [`Contact::apply`] (G §6.2, §6.3).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::state::Location;

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
        self.fields.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.text("firstName"), self.text("lastName")).trim().to_owned()
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

    /// Takes over the keys that are there; null and the empty string clear. Says which keys really
    /// changed.
    pub(crate) fn apply(&mut self, changes: &Map<String, Value>, location: &Location) -> BTreeSet<String> {
        let before = self.fields.clone();
        for (key, value) in changes {
            match key.as_str() {
                "locationId" | "id" | "createNewIfDuplicateAllowed" => {}
                "name" => self.set_name(value, changes),
                "phone" if !location.phones_as_typed => {
                    self.set(key, value.as_str().map_or(Value::Null, |text| json!(e164(text, &location.country))))
                }
                "tags" => self.set_tags(value),
                "customFields" => self.set_custom_fields(value, location),
                "dateOfBirth" => self.set(key, value.as_str().map_or(Value::Null, |text| json!(birth_date(text)))),
                "dndSettings" => self.set_dnd(value),
                _ => self.set(key, value.clone()),
            }
        }
        let keys: BTreeSet<&String> = before.keys().chain(self.fields.keys()).collect();
        keys.into_iter().filter(|key| before.get(*key) != self.fields.get(*key)).cloned().collect()
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
        for tag in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let tag = tag.trim().to_lowercase();
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        self.set("tags", json!(tags));
    }

    /// Fields that are not named stay (G §6.3). Written as `field_value`, read as `value`.
    fn set_custom_fields(&mut self, value: &Value, location: &Location) {
        let mut kept: Vec<Value> =
            self.fields.get("customFields").and_then(Value::as_array).cloned().unwrap_or_default();
        if value.is_null() {
            kept.clear();
        }
        for item in value.as_array().into_iter().flatten() {
            let Some(id) =
                item["id"].as_str().map(str::to_owned).or_else(|| location.custom_field_id(item["key"].as_str()?))
            else {
                continue;
            };
            let new = item.get("field_value").or_else(|| item.get("value")).cloned().unwrap_or(Value::Null);
            kept.retain(|field| field["id"] != id.as_str());
            if !is_empty(&new) {
                kept.push(json!({ "id": id, "value": new }));
            }
        }
        self.set("customFields", json!(kept));
    }

    fn set_dnd(&mut self, value: &Value) {
        let mut settings = self.fields.get("dndSettings").and_then(Value::as_object).cloned().unwrap_or_default();
        for (channel, setting) in value.as_object().into_iter().flatten() {
            let part = |key: &str| setting[key].as_str().unwrap_or_default().to_owned();
            settings.insert(
                channel.clone(),
                json!({ "status": part("status"), "message": part("message"), "code": part("code") }),
            );
        }
        self.set("dndSettings", Value::Object(settings));
    }
}

/// Spaces, dashes and brackets go; a national number of a +1 country gets its prefix (G §6.2:
/// stored as E.164).
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

/// Year-month-day or month-day-year with any of the documented separators, as year-month-day
/// (G §6.2).
fn birth_date(text: &str) -> String {
    let day = text.split('T').next().unwrap_or(text);
    let parts: Vec<&str> = day.split(['-', '/', '.', '_']).collect();
    match parts[..] {
        [year, month, date] if year.len() == 4 => format!("{year}-{month:0>2}-{date:0>2}"),
        [month, date, year] if year.len() == 4 => format!("{year}-{month:0>2}-{date:0>2}"),
        _ => text.to_owned(),
    }
}
