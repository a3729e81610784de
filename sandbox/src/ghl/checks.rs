//! Which keys each request body may and must have. Unknown ones get 422 (G §4); create is not
//! update (G §6.2, §6.3).

use serde_json::{Map, Value};

/// What a key's value has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string or null.
    TextOrNull,
    /// An e-mail address or null.
    Email,
    /// true or false.
    Bool,
    /// An ISO 8601 time.
    Date,
    /// An array of strings.
    TextList,
    /// Items `{id, key, field_value}` (G §6.2).
    CustomFields,
    /// Channels with `{status, message, code}` (G §6.2).
    Dnd,
    /// Anything.
    Any,
}

/// A request body's keys, named as the official file names its schema (G §6).
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Schema name.
    pub name: &'static str,
    /// Key, kind of value, required.
    pub keys: &'static [(&'static str, Kind, bool)],
}

macro_rules! contact_shape {
    ($name:ident, $title:literal $(, $more:expr)*) => {
        /// A contact as written, see G §6.2, §6.3, §6.5.
        pub static $name: Shape = Shape {
            name: $title,
            keys: &[
                ("firstName", Kind::TextOrNull, false),
                ("lastName", Kind::TextOrNull, false),
                ("name", Kind::TextOrNull, false),
                ("email", Kind::Email, false),
                ("phone", Kind::TextOrNull, false),
                ("address1", Kind::TextOrNull, false),
                ("city", Kind::TextOrNull, false),
                ("state", Kind::TextOrNull, false),
                ("postalCode", Kind::Text, false),
                ("website", Kind::TextOrNull, false),
                ("timezone", Kind::TextOrNull, false),
                ("dnd", Kind::Bool, false),
                ("dndSettings", Kind::Dnd, false),
                ("inboundDndSettings", Kind::Any, false),
                ("tags", Kind::TextList, false),
                ("customFields", Kind::CustomFields, false),
                ("dateOfBirth", Kind::TextOrNull, false),
                ("country", Kind::Text, false),
                $($more),*
            ],
        };
    };
}

contact_shape!(
    CREATE_CONTACT,
    "CreateContactDto",
    ("locationId", Kind::Text, true),
    ("gender", Kind::Text, false),
    ("companyName", Kind::TextOrNull, false),
    ("source", Kind::Text, false),
    ("assignedTo", Kind::Text, false)
);
contact_shape!(
    UPDATE_CONTACT,
    "UpdateContactDto",
    ("source", Kind::TextOrNull, false),
    ("assignedTo", Kind::TextOrNull, false)
);
contact_shape!(
    UPSERT_CONTACT,
    "UpsertContactDto",
    ("locationId", Kind::Text, true),
    ("gender", Kind::Text, false),
    ("companyName", Kind::TextOrNull, false),
    ("source", Kind::Text, false),
    ("assignedTo", Kind::Text, false),
    ("createNewIfDuplicateAllowed", Kind::Bool, false)
);

macro_rules! shape {
    ($name:ident, $title:literal, $($key:literal $kind:ident $required:literal),*) => {
        #[doc = concat!("`", $title, "` of G §6.")]
        pub static $name: Shape = Shape { name: $title, keys: &[$(($key, Kind::$kind, $required)),*] };
    };
}

shape!(CREATE_TASK, "CreateTaskParams", "title" Text true, "body" Text false, "dueDate" Date true, "completed" Bool true, "assignedTo" Text false);
shape!(UPDATE_TASK, "UpdateTaskBody", "title" Text false, "body" Text false, "dueDate" Date false, "completed" Bool false, "assignedTo" Text false);
shape!(TASK_STATUS, "UpdateTaskStatusParams", "completed" Bool true);
shape!(CREATE_NOTE, "NotesDTO", "userId" Text false, "body" Text true, "title" Text false, "color" Text false, "pinned" Bool false);
shape!(UPDATE_NOTE, "UpdateNoteDTO", "userId" Text false, "body" Text false, "title" Text false, "color" Text false, "pinned" Bool false);
shape!(TAGS, "TagsDTO", "tags" TextList true);
shape!(FOLLOWERS, "FollowersDTO", "followers" TextList true);
shape!(BULK_TAGS, "UpdateTagsDTO", "contacts" TextList true, "tags" TextList true, "locationId" Text true, "removeAllTags" Bool false);
shape!(BULK_BUSINESS, "ContactsBusinessUpdate", "locationId" Text true, "ids" TextList true, "businessId" TextOrNull true);
shape!(CAMPAIGN, "AddContactToCampaignDto",);
shape!(WORKFLOW, "CreateWorkflowDto", "eventStartTime" Text false);
// The official schemas of the last two are empty; G §6.6 and §7.3 list the keys.
shape!(SEARCH, "SearchBodyV2DTO", "locationId" Text true, "pageLimit" Any true, "page" Any false, "searchAfter" Any false, "query" Text false, "filters" Any false, "sort" Any false);
shape!(TASK_SEARCH, "", "contactId" TextList false, "completed" Bool false, "assignedTo" TextList false, "query" Text false, "limit" Any false, "skip" Any false, "businessId" Text false);

/// What is wrong with a body, in the words of the service's validator; empty when nothing is.
pub(crate) fn problems(shape: &Shape, body: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for key in body.keys() {
        if !shape.keys.iter().any(|(name, ..)| name == key) {
            found.push(format!("property {key} should not exist"));
        }
    }
    for (name, kind, required) in shape.keys {
        match body.get(*name) {
            None if *required => found.push(missing(name, *kind)),
            None => {}
            Some(value) => wrong_value(name, *kind, value, &mut found),
        }
    }
    found
}

fn missing(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Bool => format!("{name} must be a boolean value"),
        Kind::Date => format!("{name} must be a valid ISO 8601 date string"),
        Kind::TextList => format!("{name} must be an array"),
        Kind::Any => format!("{name} should not be empty"),
        _ => format!("{name} must be a string"),
    }
}

fn wrong_value(name: &str, kind: Kind, value: &Value, found: &mut Vec<String>) {
    let fits = match kind {
        Kind::Any => true,
        Kind::Text => value.is_string(),
        Kind::TextOrNull => value.is_string() || value.is_null(),
        Kind::Bool => value.is_boolean(),
        Kind::Date => value.as_str().is_some_and(|text| crate::clock::parse(text, &jiff::tz::TimeZone::UTC).is_some()),
        Kind::TextList => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Kind::Email => {
            if !value.is_null() && !value.as_str().is_some_and(|text| text.is_empty() || is_email(text)) {
                found.push(format!("{name} must be an email"));
            }
            true
        }
        Kind::CustomFields => {
            inner_keys(name, value.as_array().into_iter().flatten(), &["id", "key", "field_value"], found);
            value.is_array()
        }
        Kind::Dnd => {
            let channels = value.as_object().into_iter().flatten();
            for (channel, setting) in channels {
                if !["Call", "Email", "SMS", "WhatsApp", "GMB", "FB"].contains(&channel.as_str()) {
                    found.push(format!("{name}.property {channel} should not exist"));
                }
                inner_keys(name, [setting], &["status", "message", "code"], found);
                if !matches!(setting["status"].as_str(), Some("active" | "inactive" | "permanent")) {
                    found.push(format!(
                        "{name}.{channel}.status must be one of the following values: active, inactive, permanent"
                    ));
                }
            }
            value.is_object()
        }
    };
    if !fits {
        found.push(missing(name, kind));
    }
}

fn inner_keys<'a>(name: &str, items: impl IntoIterator<Item = &'a Value>, allowed: &[&str], found: &mut Vec<String>) {
    for (at, item) in items.into_iter().enumerate() {
        for key in item.as_object().into_iter().flat_map(Map::keys) {
            if !allowed.contains(&key.as_str()) {
                found.push(format!("{name}.{at}.property {key} should not exist"));
            }
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && domain.contains('.')
        && !domain.contains('@')
        && !text.contains(char::is_whitespace)
}
