//! `POST /contacts/search`: filters, groups, sort, cursor, over an index that lags behind (G §6.6).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::Shared;
use super::admission::{Admitted, refusal};
use super::contact::{Contact, is_empty};
use super::query::{DATES, Refusal, Test, moment, plan};
use crate::front::Answer;

fn value_of(contact: &Contact, found: &Map<String, Value>, field: &str) -> Value {
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
    found.get(field).or_else(|| contact.fields.get(field)).cloned().unwrap_or(Value::Null)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn holds(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Array(items), Value::Array(wanted)) => {
            wanted.iter().any(|want| items.iter().any(|item| same(item, want)))
        }
        (Value::Array(items), want) => items.iter().any(|item| same(item, want)),
        (have, Value::Array(wanted)) => wanted.iter().any(|want| same(have, want)),
        (have, want) => same(have, want),
    }
}

fn includes(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::String(have), Value::String(want)) => have.to_lowercase().contains(&want.to_lowercase()),
        (Value::Array(items), Value::String(_)) => items.iter().any(|item| includes(item, want)),
        _ => holds(have, want),
    }
}

fn date_of(contact: &Contact, field: &str) -> i64 {
    if field == "dateAdded" { contact.added } else { contact.updated }
}

impl Test {
    fn passes(&self, contact: &Contact, found: &Map<String, Value>) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.passes(contact, found)),
            Self::Any(tests) => tests.iter().any(|test| test.passes(contact, found)),
            Self::One { field, operator, value } if operator == "range" => {
                let at = date_of(contact, field);
                value.as_object().into_iter().flatten().all(|(bound, limit)| {
                    let limit = moment(limit).unwrap_or(0);
                    match bound.as_str() {
                        "gte" => at >= limit,
                        "gt" => at > limit,
                        "lte" => at <= limit,
                        _ => at < limit,
                    }
                })
            }
            Self::One { field, operator, value } => {
                let have = value_of(contact, found, field);
                match operator.as_str() {
                    "eq" => holds(&have, value),
                    "not_eq" => !holds(&have, value),
                    "contains" => includes(&have, value),
                    "not_contains" => !includes(&have, value),
                    "exists" => !is_empty(&have),
                    _ => is_empty(&have),
                }
            }
        }
    }
}

/// A sort key: milliseconds for dates, else text.
fn rank(contact: &Contact, found: &Map<String, Value>, field: &str) -> Value {
    if DATES.contains(&field) {
        return json!(date_of(contact, field));
    }
    match value_of(contact, found, field) {
        Value::String(text) => json!(text.to_lowercase()),
        other => other,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

impl Shared {
    pub(super) fn search_contacts(&self, call: &Admitted<'_>) -> Answer {
        let plan = match plan(&call.body) {
            Ok(plan) => plan,
            Err(Refusal::Field(text)) => {
                self.complain(call.call, &text);
                return refusal(400, &json!(text));
            }
            Err(Refusal::Value(text)) => return self.unprocessable(call, &text),
        };
        let now = self.now();
        let state = self.state();
        let mut rows: Vec<(Vec<Value>, &Contact, Map<String, Value>)> = state
            .indexed(now, &call.location)
            .into_iter()
            .filter_map(|contact| {
                let Value::Object(found) = contact.as_found() else {
                    return None;
                };
                let words = [contact.full_name(), contact.text("email").to_owned(), contact.text("phone").to_owned()];
                let wanted = words.iter().any(|word| word.to_lowercase().contains(&plan.query))
                    && plan.tests.passes(contact, &found);
                let keys = plan.sort.iter().map(|(field, _)| rank(contact, &found, field)).collect();
                wanted.then_some((keys, contact, found))
            })
            .collect();
        let down = plan.sort[0].1;
        let turn = |order: Ordering, down: bool| if down { order.reverse() } else { order };
        rows.sort_by(|a, b| {
            let by_keys = plan
                .sort
                .iter()
                .enumerate()
                .map(|(at, (_, down))| turn(compare(&a.0[at], &b.0[at]), *down))
                .find(|order| order.is_ne());
            by_keys.unwrap_or_else(|| turn(a.1.id.cmp(&b.1.id), down))
        });
        let total = rows.len();
        if let Some((key, id)) = &plan.after {
            rows.retain(|row| turn(compare(&row.0[0], key).then_with(|| row.1.id.cmp(id)), down).is_gt());
        }
        let contacts: Vec<Value> = rows
            .into_iter()
            .skip((plan.page - 1) * plan.limit)
            .take(plan.limit)
            .map(|(keys, contact, mut found)| {
                found.insert("searchAfter".to_owned(), json!([keys[0], contact.id]));
                Value::Object(found)
            })
            .collect();
        drop(state);
        self.ok(call, &json!({ "contacts": contacts, "total": total, "traceId": uuid::Uuid::new_v4().to_string() }))
    }
}
