//! `POST /contacts/search`: filters, groups, sort, cursor, over an index that lags behind (G §6.6).

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::admission::{Admitted, refusal};
use super::contact::{Contact, is_empty};
use super::found::{Found, value_of};
use super::index::Index;
use super::query::{DATES, Plan, Refusal, Test, moment, plan};
use super::walk::walk;
use crate::front::Answer;

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
    fn passes(&self, contact: &Contact) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.passes(contact)),
            Self::Any(tests) => tests.iter().any(|test| test.passes(contact)),
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
                let have = value_of(contact, field);
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
fn rank(contact: &Contact, field: &str) -> Value {
    if DATES.contains(&field) {
        return json!(date_of(contact, field));
    }
    match value_of(contact, field) {
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

/// What is on the page, and how many there are on all pages.
pub(super) type Page<'a> = (Vec<Found<'a>>, usize);

/// The long way: looks at every contact of the location.
fn sift<'a>(index: &'a Index, location: &str, plan: &Plan) -> Page<'a> {
    let asked = |contact: &Contact| {
        let words = [contact.full_name(), contact.text("email").to_owned(), contact.text("phone").to_owned()];
        plan.query.is_empty() || words.iter().any(|word| word.to_lowercase().contains(&plan.query))
    };
    let mut rows: Vec<(Vec<Value>, &Contact)> = index
        .of(location)
        .filter(|contact| asked(contact) && plan.tests.passes(contact))
        .map(|contact| (plan.sort.iter().map(|(field, _)| rank(contact, field)).collect(), contact))
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
    let page = rows.into_iter().skip((plan.page - 1) * plan.limit).take(plan.limit);
    (page.map(|(mut keys, contact)| Found { contact, key: keys.swap_remove(0) }).collect(), total)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    contacts: Vec<Found<'a>>,
    total: usize,
    trace_id: String,
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
        let mut state = self.state();
        state.index.publish(self.now());
        let index = &state.index;
        let (contacts, total) =
            walk(index, &call.location, &plan).unwrap_or_else(|| sift(index, &call.location, &plan));
        Answer::of(call.operation.ok, &Body { contacts, total, trace_id: uuid::Uuid::new_v4().to_string() })
    }
}
