//! `POST /contacts/search`: filters, groups, sort, cursor, over an index that lags behind (G §6.6).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::Shared;
use super::admission::{Admitted, refusal};
use super::contact::{Contact, is_empty};
use super::query::{DATES, Plan, Refusal, Test, moment, plan};
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
    /// Does it look at dates only? Then no contact has to be written out to be tested.
    fn only_dates(&self) -> bool {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().all(Self::only_dates),
            Self::One { operator, .. } => operator == "range",
        }
    }

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
        let all = state.indexed(now, &call.location);
        let by_date = plan.query.is_empty() && plan.tests.only_dates() && plan.sort.len() == 1;
        let (total, rows) = match DATES.contains(&plan.sort[0].0.as_str()) && by_date {
            true => by_date_only(&plan, all),
            false => by_anything(&plan, all),
        };
        let contacts: Vec<Value> = rows
            .into_iter()
            .map(|(key, contact)| {
                let Value::Object(mut found) = contact.as_found() else { return Value::Null };
                found.insert("searchAfter".to_owned(), json!([key, contact.id]));
                Value::Object(found)
            })
            .collect();
        drop(state);
        self.ok(call, &json!({ "contacts": contacts, "total": total, "traceId": uuid::Uuid::new_v4().to_string() }))
    }
}

fn turn(order: Ordering, down: bool) -> Ordering {
    if down { order.reverse() } else { order }
}

/// How many there are, and those of the page with their sort keys. A poll or a scan over many thousands must not write out, nor
/// sort, more than its page.
fn by_date_only<'a>(plan: &Plan, all: Vec<&'a Contact>) -> (usize, Vec<(Value, &'a Contact)>) {
    let (field, down) = (&plan.sort[0].0, plan.sort[0].1);
    let nothing = Map::new();
    let mut rows: Vec<(i64, &Contact)> = all
        .into_iter()
        .filter(|contact| plan.tests.passes(contact, &nothing))
        .map(|contact| (date_of(contact, field), contact))
        .collect();
    let total = rows.len();
    if let Some((key, id)) = &plan.after {
        let key = key.as_i64().unwrap_or_default();
        rows.retain(|(at, contact)| turn((*at, &contact.id).cmp(&(key, id)), down).is_gt());
    }
    let order = |a: &(i64, &Contact), b: &(i64, &Contact)| turn((a.0, &a.1.id).cmp(&(b.0, &b.1.id)), down);
    let end = plan.page * plan.limit;
    if rows.len() > end {
        rows.select_nth_unstable_by(end, order);
        rows.truncate(end);
    }
    rows.sort_unstable_by(order);
    let page = rows.into_iter().skip((plan.page - 1) * plan.limit).take(plan.limit);
    (total, page.map(|(at, contact)| (json!(at), contact)).collect())
}

fn by_anything<'a>(plan: &Plan, all: Vec<&'a Contact>) -> (usize, Vec<(Value, &'a Contact)>) {
    let mut rows: Vec<(Vec<Value>, &Contact)> = all
        .into_iter()
        .filter_map(|contact| {
            let Value::Object(found) = contact.as_found() else {
                return None;
            };
            let words = [contact.full_name(), contact.text("email").to_owned(), contact.text("phone").to_owned()];
            let wanted = words.iter().any(|word| word.to_lowercase().contains(&plan.query))
                && plan.tests.passes(contact, &found);
            let keys = plan.sort.iter().map(|(field, _)| rank(contact, &found, field)).collect();
            wanted.then_some((keys, contact))
        })
        .collect();
    let down = plan.sort[0].1;
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
    let page = rows.into_iter().skip((plan.page - 1) * plan.limit).take(plan.limit);
    (total, page.map(|(mut keys, contact)| (keys.swap_remove(0), contact)).collect())
}
