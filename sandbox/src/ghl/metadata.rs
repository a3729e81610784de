//! The location record, its custom fields, its tasks (G §7.1 to §7.3), and the lists of contacts
//! (G §6.7, §6.8).

use serde_json::{Value, json};

use super::Shared;
use super::admission::Admitted;
use super::contact::Contact;
use super::state::COMPANY;
use crate::front::Answer;

/// A number sent as such or as text; `None` where it is neither.
fn number(value: Option<&Value>, default: usize) -> Option<usize> {
    match value {
        None => Some(default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
    }
}

fn mentions(contact: &Contact, query: &str) -> bool {
    let query = query.to_lowercase();
    [contact.full_name(), contact.text("email").to_owned(), contact.text("phone").to_owned()]
        .iter()
        .any(|text| text.to_lowercase().contains(&query))
}

impl Shared {
    pub(super) fn get_location(&self, call: &Admitted<'_>) -> Answer {
        let state = self.state();
        let Some(location) = state.locations.get(&call.location) else {
            return Answer::empty(404);
        };
        self.ok(
            call,
            &json!({ "location": {
                "id": location.id, "companyId": COMPANY, "name": location.name, "timezone": location.timezone, "country": location.country,
                "settings": { "allowDuplicateContact": location.allow_duplicates },
            } }),
        )
    }

    /// `fieldKey` with its `contact.` in front (G §7.2).
    pub(super) fn list_custom_fields(&self, call: &Admitted<'_>) -> Answer {
        let wanted = matches!(call.call.query("model"), None | Some("contact" | "all"));
        let state = self.state();
        let fields: Vec<Value> = state
            .locations
            .get(&call.location)
            .into_iter()
            .filter(|_| wanted)
            .flat_map(|location| location.custom_fields.iter().enumerate())
            .map(|(position, field)| {
                json!({
                    "id": field.id, "name": field.name, "fieldKey": format!("contact.{}", field.key), "placeholder": "", "dataType": "TEXT",
                    "position": position, "picklistOptions": [], "picklistImageOptions": [], "isAllowedCustomOption": false,
                    "isMultiFileAllowed": false, "maxFileLimit": 1, "locationId": call.location, "model": "contact",
                })
            })
            .collect();
        self.ok(call, &json!({ "customFields": fields }))
    }

    /// Newest first; no date filter, no total (G §7.3).
    pub(super) fn search_tasks(&self, call: &Admitted<'_>) -> Answer {
        let (Some(limit), Some(skip)) = (number(call.body.get("limit"), 25), number(call.body.get("skip"), 0)) else {
            return self.unprocessable(call, "limit and skip must be numbers");
        };
        let listed = |key: &str, value: &str| {
            call.body.get(key).and_then(Value::as_array).is_none_or(|wanted| wanted.iter().any(|item| item == value))
        };
        let query = call.body.get("query").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let state = self.state();
        let page: Vec<Value> = state
            .contacts
            .tasked(&call.location)
            .filter(|(_, contact)| listed("contactId", &contact.id))
            .filter(|(_, contact)| {
                call.body.get("businessId").is_none_or(|wanted| contact.fields.get("businessId") == Some(wanted))
            })
            .flat_map(|(at, contact)| {
                contact.tasks.iter().filter(move |task| task.added == at).map(move |task| (contact, task))
            })
            .filter(|(_, task)| {
                let text = |key: &str| task.fields.get(key).and_then(Value::as_str).unwrap_or_default();
                call.body.get("completed").is_none_or(|wanted| task.fields.get("completed") == Some(wanted))
                    && listed("assignedTo", text("assignedTo"))
                    && (text("title").to_lowercase().contains(&query) || text("body").to_lowercase().contains(&query))
            })
            .skip(skip)
            .take(limit)
            .filter_map(|(contact, task)| {
                let mut shown = state.show(super::activity::Sort::Task, &contact.id, &task.id)?;
                let object = shown.as_object_mut()?;
                let id = object.remove("id")?;
                object.insert(state.task_id_key.to_owned(), id);
                object.insert("locationId".to_owned(), json!(contact.location));
                Some(shown)
            })
            .collect();
        self.ok(call, &json!({ "tasks": page }))
    }

    /// The deprecated list: newest first, paged by `startAfter` and `startAfterId` or by the latter
    /// alone (G §6.7).
    pub(super) fn list_contacts(&self, call: &Admitted<'_>) -> Answer {
        if call.call.query("locationId").is_none() {
            return self.unprocessable(call, "locationId must be a string");
        }
        let limit = call.call.query("limit").map_or(Some(20), |text| text.parse::<usize>().ok());
        let Some(limit @ 1..=100) = limit else {
            return self.unprocessable(call, "limit must not be greater than 100");
        };
        let state = self.state();
        let mut all: Vec<&Contact> =
            state.contacts.values().filter(|contact| contact.location == call.location).collect();
        if let Some(query) = call.call.query("query") {
            all.retain(|contact| mentions(contact, query));
        }
        all.sort_by(|a, b| (b.added, &b.id).cmp(&(a.added, &a.id)));
        let total = all.len();
        let after = call.call.query("startAfterId").unwrap_or_default();
        let start = match (
            all.iter().position(|contact| contact.id == after),
            call.call.query("startAfter").and_then(|text| text.parse::<i64>().ok()),
        ) {
            (Some(at), _) => at + 1,
            (None, Some(ms)) => all.iter().position(|contact| contact.added < ms).unwrap_or(total),
            (None, None) => 0,
        };
        let page: Vec<&Contact> = all.into_iter().skip(start).take(limit).collect();
        let more = start + page.len() < total;
        let last = page.last().map(|contact| (contact.added, contact.id.clone()));
        let next = last.as_ref().filter(|_| more).map(|(ms, id)| {
            format!("{}/contacts/?locationId={}&startAfter={ms}&startAfterId={id}", self.url, call.location)
        });
        let current = start / limit + 1;
        self.ok(
            call,
            &json!({
                "contacts": page.iter().map(|contact| contact.as_listed()).collect::<Vec<_>>(),
                "count": page.len(),
                "meta": {
                    "total": total, "nextPageUrl": next, "startAfterId": last.as_ref().map(|(_, id)| id), "startAfter": last.as_ref().map(|(ms, _)| ms),
                    "currentPage": current, "nextPage": more.then_some(current + 1), "prevPage": (current > 1).then(|| current - 1),
                },
            }),
        )
    }

    pub(super) fn contacts_of_business(&self, call: &Admitted<'_>) -> Answer {
        if call.call.query("locationId").is_none() {
            return self.unprocessable(call, "locationId must be a string");
        }
        let parsed = |key: &str, default: usize| call.call.query(key).map_or(Some(default), |text| text.parse().ok());
        let (Some(limit), Some(skip)) = (parsed("limit", 25), parsed("skip", 0)) else {
            return self.unprocessable(call, "limit and skip must be numbers");
        };
        let state = self.state();
        let mut all: Vec<&Contact> = state
            .contacts
            .values()
            .filter(|contact| contact.location == call.location && contact.text("businessId") == call.at(0))
            .collect();
        all.retain(|contact| call.call.query("query").is_none_or(|query| mentions(contact, query)));
        all.sort_by(|a, b| (b.added, &b.id).cmp(&(a.added, &a.id)));
        let page: Vec<Value> = all.into_iter().skip(skip).take(limit).map(Contact::as_listed).collect();
        self.ok(call, &json!({ "contacts": page, "count": page.len() }))
    }
}
