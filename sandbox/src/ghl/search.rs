//! `POST /contacts/search`: filters, groups, sort, cursor, and the lag of its index (G §6.6).

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::Shared;
use super::admission::{Admitted, refusal};
use super::contact::{Contact, is_empty};
use crate::clock;
use crate::front::Answer;

const OPERATORS: [&str; 7] = [
    "eq",
    "not_eq",
    "contains",
    "not_contains",
    "exists",
    "not_exists",
    "range",
];
const DATES: [&str; 3] = ["dateAdded", "dateUpdated", "lastActivity"];
const FIELDS: [&str; 27] = [
    "id",
    "firstName",
    "lastName",
    "firstNameLowerCase",
    "lastNameLowerCase",
    "email",
    "additionalEmails",
    "validEmail",
    "phone",
    "address",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "timezone",
    "source",
    "type",
    "tags",
    "dnd",
    "assignedTo",
    "followers",
    "businessId",
    "businessName",
    "companyName",
    "dateOfBirth",
    "phoneLabel",
];

/// More than this never gets through `page` (G §6.6).
const PAGE_REACH: usize = 10_000;
const LONGEST: usize = 75;

enum Refusal {
    /// 400.
    Field(String),
    /// 422.
    Value(String),
}

type Checked<T> = Result<T, Refusal>;

fn bad<T>(text: impl Into<String>) -> Checked<T> {
    Err(Refusal::Value(text.into()))
}

/// The service's texts name fields in snake case.
fn snake(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            if c.is_ascii_uppercase() {
                vec!['_', c.to_ascii_lowercase()]
            } else {
                vec![c]
            }
        })
        .collect()
}

enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    One {
        field: String,
        operator: String,
        value: Value,
    },
}

fn moment(value: &Value) -> Checked<i64> {
    let read = value
        .as_i64()
        .or_else(|| clock::parse(value.as_str()?, &TimeZone::UTC));
    read.map_or_else(
        || bad("range bounds must be ISO dates or epoch milliseconds"),
        Ok,
    )
}

fn known(field: &str) -> bool {
    let dnd = field
        .strip_prefix("dndSettings.")
        .and_then(|rest| rest.strip_suffix(".status"));
    FIELDS.contains(&field)
        || DATES.contains(&field)
        || field
            .strip_prefix("customFields.")
            .is_some_and(|id| !id.is_empty())
        || dnd.is_some_and(|channel| {
            ["Call", "Email", "SMS", "WhatsApp", "GMB", "FB"].contains(&channel)
        })
}

fn compile(item: &Value) -> Checked<Test> {
    let Some(object) = item.as_object() else {
        return bad("each value in filters must be an object");
    };
    let allowed: &[&str] = if object.contains_key("group") {
        &["group", "filters"]
    } else {
        &["field", "operator", "value"]
    };
    if let Some(odd) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
        return bad(format!("property {odd} should not exist"));
    }
    if let Some(group) = object.get("group") {
        let inner = item["filters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(compile)
            .collect::<Checked<Vec<_>>>()?;
        return match group.as_str() {
            Some("AND") => Ok(Test::All(inner)),
            Some("OR") => Ok(Test::Any(inner)),
            _ => bad("group must be one of the following values: AND, OR"),
        };
    }
    let (field, operator) = (
        item["field"].as_str().unwrap_or_default(),
        item["operator"].as_str().unwrap_or_default(),
    );
    if !known(field) {
        return Err(Refusal::Field(format!("Invalid field {field}")));
    }
    let value = &item["value"];
    if DATES.contains(&field) {
        if operator != "range" {
            return bad(format!(
                "Invalid Operator {operator} passed for field {}",
                snake(field)
            ));
        }
        let Some(bounds) = value.as_object() else {
            return bad("range needs an object of gte, lte, gt, lt");
        };
        for (bound, at) in bounds {
            if !["gte", "lte", "gt", "lt"].contains(&bound.as_str()) {
                return bad(format!("property {bound} should not exist"));
            }
            moment(at)?;
        }
    } else if !OPERATORS.contains(&operator) || operator == "range" {
        return bad(format!(
            "Invalid Operator {operator} passed for field {}",
            snake(field)
        ));
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count();
        if length > LONGEST {
            return bad(format!(
                "value must be shorter than or equal to {LONGEST} characters"
            ));
        }
        if operator == "contains" && length < 3 {
            return bad("value must be longer than or equal to 3 characters");
        }
    }
    Ok(Test::One {
        field: field.to_owned(),
        operator: operator.to_owned(),
        value: value.clone(),
    })
}

fn value_of(contact: &Contact, found: &Map<String, Value>, field: &str) -> Value {
    if let Some(id) = field.strip_prefix("customFields.") {
        let fields = contact.fields.get("customFields").and_then(Value::as_array);
        return fields
            .into_iter()
            .flatten()
            .find(|item| item["id"] == id)
            .map_or(Value::Null, |item| item["value"].clone());
    }
    if let Some(channel) = field
        .strip_prefix("dndSettings.")
        .and_then(|rest| rest.strip_suffix(".status"))
    {
        return contact
            .fields
            .get("dndSettings")
            .map_or(Value::Null, |settings| settings[channel]["status"].clone());
    }
    found.get(field).cloned().unwrap_or(Value::Null)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn holds(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Array(items), Value::Array(wanted)) => wanted
            .iter()
            .any(|want| items.iter().any(|item| same(item, want))),
        (Value::Array(items), want) => items.iter().any(|item| same(item, want)),
        (have, Value::Array(wanted)) => wanted.iter().any(|want| same(have, want)),
        (have, want) => same(have, want),
    }
}

fn includes(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::String(have), Value::String(want)) => {
            have.to_lowercase().contains(&want.to_lowercase())
        }
        (Value::Array(items), Value::String(_)) => items.iter().any(|item| includes(item, want)),
        _ => holds(have, want),
    }
}

fn date_of(contact: &Contact, field: &str) -> i64 {
    if field == "dateAdded" {
        contact.added
    } else {
        contact.updated
    }
}

impl Test {
    fn passes(&self, contact: &Contact, found: &Map<String, Value>) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.passes(contact, found)),
            Self::Any(tests) => tests.iter().any(|test| test.passes(contact, found)),
            Self::One {
                field,
                operator,
                value,
            } if operator == "range" => {
                let at = date_of(contact, field);
                value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .all(|(bound, limit)| {
                        let limit = moment(limit).unwrap_or(0);
                        match bound.as_str() {
                            "gte" => at >= limit,
                            "gt" => at > limit,
                            "lte" => at <= limit,
                            _ => at < limit,
                        }
                    })
            }
            Self::One {
                field,
                operator,
                value,
            } => {
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
        _ => a
            .as_str()
            .unwrap_or_default()
            .cmp(b.as_str().unwrap_or_default()),
    }
}

struct Plan {
    tests: Test,
    sort: Vec<(String, bool)>,
    after: Option<(Value, String)>,
    page: usize,
    limit: usize,
    query: String,
}

fn plan(body: &Map<String, Value>) -> Checked<Plan> {
    let limit = match body
        .get("pageLimit")
        .and_then(Value::as_u64)
        .and_then(|limit| usize::try_from(limit).ok())
    {
        Some(limit @ 1..=500) => limit,
        Some(_) => return bad("pageLimit must not be greater than 500"),
        None => return bad("pageLimit must be an integer number"),
    };
    let items = match body.get("filters") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(compile).collect::<Checked<Vec<_>>>()?,
        Some(_) => return bad("filters must be an array"),
    };
    let mut sort = Vec::new();
    for rule in body
        .get("sort")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let field = rule["field"].as_str().unwrap_or_default();
        if !known(field) {
            return Err(Refusal::Field(format!("Invalid field {field}")));
        }
        match rule["direction"].as_str() {
            Some("asc") => sort.push((field.to_owned(), false)),
            Some("desc") => sort.push((field.to_owned(), true)),
            _ => return bad("direction must be one of the following values: asc, desc"),
        }
    }
    if sort.is_empty() {
        sort.push(("dateAdded".to_owned(), true));
    }
    let after = match body.get("searchAfter") {
        None | Some(Value::Null) => None,
        Some(Value::Array(pair)) => match &pair[..] {
            [key, Value::String(id)] => Some((key.clone(), id.clone())),
            _ => return bad("searchAfter must be the pair of the last record"),
        },
        Some(_) => return bad("searchAfter must be an array"),
    };
    let page = match body.get("page") {
        None | Some(Value::Null) => 1,
        Some(_) if after.is_some() => return bad("page and searchAfter exclude each other"),
        Some(value) => match value.as_u64().and_then(|page| usize::try_from(page).ok()) {
            Some(page @ 1..) => page,
            _ => return bad("page must not be less than 1"),
        },
    };
    if page * limit > PAGE_REACH {
        return bad("page reaches the first 10000 records only");
    }
    let query = body
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_lowercase();
    if query.chars().count() > LONGEST {
        return bad(format!(
            "query must be shorter than or equal to {LONGEST} characters"
        ));
    }
    Ok(Plan {
        tests: Test::All(items),
        sort,
        after,
        page,
        limit,
        query,
    })
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
                let words = [
                    contact.full_name(),
                    contact.text("email").to_owned(),
                    contact.text("phone").to_owned(),
                ];
                let wanted = words
                    .iter()
                    .any(|word| word.to_lowercase().contains(&plan.query))
                    && plan.tests.passes(contact, &found);
                let keys = plan
                    .sort
                    .iter()
                    .map(|(field, _)| rank(contact, &found, field))
                    .collect();
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
            rows.retain(|row| {
                turn(compare(&row.0[0], key).then_with(|| row.1.id.cmp(id)), down).is_gt()
            });
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
