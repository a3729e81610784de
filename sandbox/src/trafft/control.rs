//! The back door over HTTP: what staff do at the dashboard, and what the API hides. Never
//! journaled.

use serde_json::{Map, Value, json};

use super::state::Duplicates;
use super::{Shared, object};
use crate::control::{self, bad, missing};
use crate::front::{Answer, Call};

pub(super) fn about(url: &str) -> String {
    format!(
        "This is a Trafft to try things on. Nothing here is real and nothing leaves this computer.

The API is at {url}/api/v2, as the contract has it (token, customers, appointments, bookings).
What staff do at the dashboard, as JSON (no webhook tells of it; descriptions are shown here and nowhere else):

GET    /_control/customers           POST   /_control/customers
GET    /_control/customers/{{id}}      PATCH  /_control/customers/{{id}}      DELETE /_control/customers/{{id}}
POST   /_control/seed                {{\"count\"}}
PUT    /_control/switches            {{\"duplicates\": \"allow\" | \"refuse\" | \"return_existing\", \"email_required\", \"token_lifetime\",
                                      \"max_limit\", \"refuse_unknown_query\", \"revoke_tokens\"}}
{}",
        control::SHARED
    )
}

pub(super) fn answer(shared: &Shared, call: &Call) -> Answer {
    if let Some(answer) = control::answer(&shared.desk, call) {
        return answer;
    }
    let body = if call.body.is_empty() { Some(Value::Null) } else { call.json() };
    let Some(body) = body else {
        return bad("not JSON");
    };
    customers(shared, call, object(body)).unwrap_or_else(|| missing(call))
}

fn customers(shared: &Shared, call: &Call, fields: Map<String, Value>) -> Option<Answer> {
    let segments = call.segments();
    let mut state = shared.state();
    match (call.method.as_str(), segments.get(1..).unwrap_or_default()) {
        ("GET", ["customers"]) => Some(Answer::json(200, &json!(state.customers.newest().collect::<Vec<_>>()))),
        ("POST", ["customers"]) => {
            let id = state.create(&fields);
            Some(Answer::json(201, &json!(state.customers.get(id))))
        }
        ("GET", ["customers", id]) => Some(Answer::json(200, &json!(state.customers.get(id.parse().ok()?)?))),
        ("PATCH", ["customers", id]) => {
            let id = id.parse().ok()?;
            state.edit(id, &fields).then(|| Answer::json(200, &json!(state.customers.get(id))))
        }
        ("DELETE", ["customers", id]) => state.delete(id.parse().ok()?).then(|| Answer::empty(204)),
        ("POST", ["seed"]) => {
            let count = fields
                .get("count")
                .and_then(Value::as_u64)
                .and_then(|count| usize::try_from(count).ok())
                .filter(|count| *count <= 1_000_000);
            let Some(count) = count else {
                return Some(bad("count must be a number up to 1000000"));
            };
            state.seed(count);
            Some(Answer::empty(204))
        }
        ("PUT", ["switches"]) => {
            drop(state);
            Some(switches(shared, &fields).map_or_else(|key| bad(&format!("what is {key}?")), |()| Answer::empty(204)))
        }
        _ => None,
    }
}

/// Sets what is named; the first key it does not understand comes back.
fn switches(shared: &Shared, fields: &Map<String, Value>) -> Result<(), String> {
    let mut state = shared.state();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("duplicates", Value::String(text)) => {
                state.duplicates = match text.as_str() {
                    "allow" => Duplicates::Allow,
                    "refuse" => Duplicates::Refuse,
                    "return_existing" => Duplicates::ReturnExisting,
                    _ => return Err(format!("{key} {text}")),
                };
            }
            ("email_required", Value::Bool(on)) => state.email_required = *on,
            ("refuse_unknown_query", Value::Bool(on)) => state.refuse_unknown_query = *on,
            ("token_lifetime", Value::Number(seconds)) => state.token_lifetime = seconds.as_i64().unwrap_or(3600),
            ("max_limit", Value::Number(limit)) => {
                state.max_limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50).max(1)
            }
            ("revoke_tokens", Value::Bool(true)) => state.tokens.values_mut().for_each(|ends| *ends = i64::MIN),
            _ => return Err(key.clone()),
        }
    }
    Ok(())
}
