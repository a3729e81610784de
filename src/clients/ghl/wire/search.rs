//! Searching contacts and tasks: what is asked, and what comes back.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::{Contact, Task};
use crate::clients::{Listed, lenient};
use crate::model::{ContactId, LocationId, ObjectId};

/// A place between two records of a search, copied from the record before it (G §6.6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor(Vec<Value>);

/// Body of `POST /contacts/search` (G §6.6), except for the location, which the client adds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactSearch {
    /// Required, 500 at most.
    pub page_limit: u32,
    /// From the beginning when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_after: Option<Cursor>,
    /// Free text, 75 characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// All must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// In which order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<Sort>,
}

/// A condition, or several.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Filter {
    /// On one field. Dates know `range` only.
    Field {
        /// `email`, `dateUpdated`, `customFields.<id>`.
        field: String,
        /// `eq`, `range` and so on.
        operator: String,
        /// What it is compared with.
        value: Value,
    },
    /// Several at once.
    Group {
        /// `AND` or `OR`.
        group: String,
        /// May hold groups again.
        filters: Vec<Filter>,
    },
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sort {
    /// As in filters.
    pub field: String,
    /// `asc` or `desc`.
    pub direction: String,
}

impl ContactSearch {
    /// Contacts changed in the range, in the order of their change: the read of which G §6.6 says
    /// that it works.
    ///
    /// Searches lag behind writes by seconds: begin a few minutes before the last one. Without
    /// `until`, no end.
    pub fn updated(since: Timestamp, until: Option<Timestamp>) -> Self {
        let mut range = json!({ "gte": format!("{since:.3}") });
        if let Some(until) = until {
            range["lte"] = json!(format!("{until:.3}"));
        }
        let filter = Filter::Field { field: "dateUpdated".into(), operator: "range".into(), value: range };
        let sort = Sort { field: "dateUpdated".into(), direction: "asc".into() };
        Self { page_limit: 100, search_after: None, query: None, filters: vec![filter], sort: vec![sort] }
    }

    /// All contacts, in the order in which they were added.
    pub fn all() -> Self {
        let sort = Sort { field: "dateAdded".into(), direction: "asc".into() };
        Self { page_limit: 100, search_after: None, query: None, filters: Vec::new(), sort: vec![sort] }
    }

    /// So many a page, 500 at most.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.page_limit = limit.clamp(1, 500);
        self
    }

    /// The page after a place; from the beginning for `None`.
    #[must_use]
    pub fn after(mut self, place: Option<Cursor>) -> Self {
        self.search_after = place;
        self
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::clients::ghl) struct ContactSearchBody<'a> {
    pub(in crate::clients::ghl) location_id: &'a LocationId,
    #[serde(flatten)]
    pub(in crate::clients::ghl) search: &'a ContactSearch,
}

/// A page of a search (G §6.6). An empty one, or one shorter than asked for, is the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ContactPageRecord")]
pub struct ContactPage {
    /// What was found.
    pub contacts: Listed<Contact>,
    /// How many there are on all pages.
    pub total: Option<i64>,
    /// The place after this page; `None` when the page is empty, or says no place.
    pub next: Option<Cursor>,
}

#[derive(Deserialize)]
struct ContactPageRecord {
    contacts: Listed<Value>,
    #[serde(default, deserialize_with = "lenient::number")]
    total: Option<i64>,
}

impl From<ContactPageRecord> for ContactPage {
    /// The place is that of the last record that has one: it need not be one that can be read.
    fn from(ContactPageRecord { contacts, total }: ContactPageRecord) -> Self {
        let place = |record: &Value| serde_json::from_value(record.get("searchAfter")?.clone()).ok();
        let next = contacts.items.iter().rev().find_map(place);
        Self { contacts: Listed::of(contacts.items), total, next }
    }
}

/// Body of the task search over a location (G §7.3). Everything is optional; it has no filter by
/// date.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSearch {
    /// Of these contacts only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact_id: Vec<ContactId>,
    /// Done, or not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
    /// Of these users only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assigned_to: Vec<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// 25 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// How many to pass over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u32>,
    /// Of this business only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_id: Option<ObjectId>,
}

/// A page of the task search (G §7.3).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TasksFound {
    /// What was found.
    #[serde(deserialize_with = "tasks")]
    pub tasks: Listed<Task>,
}

/// Tasks, also from lists of lists: the published schema says so, which must be wrong (G §7.3), but
/// could be right. Where `id` is missing, `_id` is the id.
pub(super) fn tasks<'de, D: Deserializer<'de>>(from: D) -> Result<Listed<Task>, D::Error> {
    let records: Listed<Value> = Listed::deserialize(from)?;
    let flat = records.items.into_iter().flat_map(|value| match value {
        Value::Array(list) => list,
        value => vec![value],
    });
    let with_id = |mut task: Value| {
        if let Some(task) = task.as_object_mut()
            && let Some(id) = task.remove("_id")
            && task.get("id").is_none_or(Value::is_null)
        {
            task.insert("id".to_owned(), id);
        }
        task
    };
    Ok(Listed::of(flat.map(with_id).collect()))
}
