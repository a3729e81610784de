//! What a search body may ask for, and its refusals (G §6.6).

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::clock;

const OPERATORS: [&str; 7] = ["eq", "not_eq", "contains", "not_contains", "exists", "not_exists", "range"];
pub(super) const DATES: [&str; 3] = ["dateAdded", "dateUpdated", "lastActivity"];
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

pub(super) enum Refusal {
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
        .flat_map(|c| if c.is_ascii_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
        .collect()
}

pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    One { field: String, operator: String, value: Value },
}

pub(super) fn moment(value: &Value) -> Checked<i64> {
    let read = value.as_i64().or_else(|| clock::parse(value.as_str()?, &TimeZone::UTC));
    read.map_or_else(|| bad("range bounds must be ISO dates or epoch milliseconds"), Ok)
}

fn known(field: &str) -> bool {
    let dnd = field.strip_prefix("dndSettings.").and_then(|rest| rest.strip_suffix(".status"));
    FIELDS.contains(&field)
        || DATES.contains(&field)
        || field.strip_prefix("customFields.").is_some_and(|id| !id.is_empty())
        || dnd.is_some_and(|channel| ["Call", "Email", "SMS", "WhatsApp", "GMB", "FB"].contains(&channel))
}

fn compile(item: &Value) -> Checked<Test> {
    let Some(object) = item.as_object() else {
        return bad("each value in filters must be an object");
    };
    let allowed: &[&str] =
        if object.contains_key("group") { &["group", "filters"] } else { &["field", "operator", "value"] };
    if let Some(odd) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
        return bad(format!("property {odd} should not exist"));
    }
    if let Some(group) = object.get("group") {
        let inner = item["filters"].as_array().into_iter().flatten().map(compile).collect::<Checked<Vec<_>>>()?;
        return match group.as_str() {
            Some("AND") => Ok(Test::All(inner)),
            Some("OR") => Ok(Test::Any(inner)),
            _ => bad("group must be one of the following values: AND, OR"),
        };
    }
    let (field, operator) = (item["field"].as_str().unwrap_or_default(), item["operator"].as_str().unwrap_or_default());
    if !known(field) {
        return Err(Refusal::Field(format!("Invalid field {field}")));
    }
    let value = &item["value"];
    if DATES.contains(&field) {
        if operator != "range" {
            return bad(format!("Invalid Operator {operator} passed for field {}", snake(field)));
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
        return bad(format!("Invalid Operator {operator} passed for field {}", snake(field)));
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count();
        if length > LONGEST {
            return bad(format!("value must be shorter than or equal to {LONGEST} characters"));
        }
        if operator == "contains" && length < 3 {
            return bad("value must be longer than or equal to 3 characters");
        }
    }
    Ok(Test::One { field: field.to_owned(), operator: operator.to_owned(), value: value.clone() })
}

pub(super) struct Plan {
    pub(super) tests: Test,
    pub(super) sort: Vec<(String, bool)>,
    pub(super) after: Option<(Value, String)>,
    pub(super) page: usize,
    pub(super) limit: usize,
    pub(super) query: String,
}

pub(super) fn plan(body: &Map<String, Value>) -> Checked<Plan> {
    let limit = match body.get("pageLimit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()) {
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
    for rule in body.get("sort").and_then(Value::as_array).into_iter().flatten() {
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
    let query = body.get("query").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if query.chars().count() > LONGEST {
        return bad(format!("query must be shorter than or equal to {LONGEST} characters"));
    }
    Ok(Plan { tests: Test::All(items), sort, after, page, limit, query })
}
