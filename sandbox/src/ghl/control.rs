//! The back door over HTTP: what a person would do, for other processes and for the curious. Never
//! journaled, never limited.

use serde_json::{Value, json};

use super::Shared;
use super::activity::Sort;
use super::person::object;
use super::state::HOME;
use super::webhooks::WebhookSwitches;
use crate::control::{self, bad, missing};
use crate::front::{Answer, Call};

pub(super) fn about(url: &str) -> String {
    format!(
        "This is a GoHighLevel to try things on. Nothing here is real and nothing leaves this computer.

The API is at {url}, as the contract has it (contacts, tasks, notes, appointments, search, location record).
What people do in the screens, as JSON (each change causes the webhooks it would cause):

GET    /_control/contacts                         POST   /_control/contacts
GET    /_control/contacts/{{id}}                    PATCH  /_control/contacts/{{id}}          DELETE /_control/contacts/{{id}}
GET    /_control/contacts/{{id}}/workflow-document  what a workflow's Webhook action would send
GET    /_control/contacts/{{id}}/tasks              POST   …/tasks  |  …/notes  |  …/appointments
PATCH  /_control/contacts/{{id}}/tasks/{{child}}      DELETE likewise; also notes, appointments
POST   /_control/contacts/{{id}}/tasks/{{child}}/complete
POST   /_control/merge         {{\"keep\",\"gone\"}}
PUT    /_control/webhook       {{\"url\"}} or null      where events go by themselves
GET    /_control/events        events nobody was told of    GET /_control/deliveries
POST   /_control/resend        {{\"webhook_id\"}}           once more, of one that never succeeded
GET    /_control/breaker       how the webhook URL stands  PUT …/breaker {{\"busy\"}}
DELETE /_control/breaker       the events are switched on again
POST   /_control/sign          any bytes in, the webhook's headers out
GET    /_control/switches      PUT /_control/switches       how webhooks misbehave

The marketplace, for a browser: {url}/_screens/marketplace and {url}/v2/oauth/chooselocation?…
{}{}",
        super::oauth::TEXT,
        control::SHARED
    )
}

fn sort(name: &str) -> Option<Sort> {
    match name {
        "tasks" => Some(Sort::Task),
        "notes" => Some(Sort::Note),
        "appointments" => Some(Sort::Appointment),
        _ => None,
    }
}

pub(super) fn answer(shared: &Shared, call: &Call) -> Answer {
    if let Some(answer) = control::answer(&shared.desk, call) {
        return answer;
    }
    let segments = call.segments();
    let rest = segments.get(1..).unwrap_or_default();
    let body = if call.body.is_empty() { Some(Value::Null) } else { call.json() };
    match rest {
        ["contacts", more @ ..] => {
            body.and_then(|body| contacts(shared, call, more, body)).unwrap_or_else(|| missing(call))
        }
        ["sign"] if call.method == "POST" => {
            let headers = shared.headers_for(&call.body).into_iter().map(|(name, value)| (name, json!(value)));
            Answer::json(200, &Value::Object(headers.collect()))
        }
        _ => settings(shared, call, rest, &body.unwrap_or_default()),
    }
}

fn settings(shared: &Shared, call: &Call, rest: &[&str], body: &Value) -> Answer {
    match (call.method.as_str(), rest) {
        ("POST", ["merge"]) => {
            let (keep, gone) = (body["keep"].as_str().unwrap_or_default(), body["gone"].as_str().unwrap_or_default());
            if shared.change(|state, now| state.merge_contacts(now, keep, gone)) {
                Answer::empty(204)
            } else {
                missing(call)
            }
        }
        ("PUT", ["webhook"]) => {
            let url = body["url"].as_str().map(str::to_owned);
            shared.change(|state, now| state.set_webhook_url(url, now));
            Answer::empty(204)
        }
        ("GET", ["events"]) => Answer::json(200, &json!(shared.state().queue)),
        ("GET", ["deliveries"]) => Answer::json(200, &json!(shared.state().deliveries)),
        ("GET", ["breaker"]) => Answer::json(200, &json!(shared.breaker())),
        ("PUT", ["breaker"]) => match body["busy"].as_u64().and_then(|busy| usize::try_from(busy).ok()) {
            Some(busy) => {
                shared.state().breaker.busy = busy;
                Answer::empty(204)
            }
            None => bad("`busy` is a number of deliveries"),
        },
        ("DELETE", ["breaker"]) => {
            shared.change(|state, now| state.breaker.switch_on(now));
            Answer::empty(204)
        }
        ("POST", ["resend"]) => {
            let id = body["webhook_id"].as_str().unwrap_or_default().to_owned();
            if !shared.state().undelivered.contains_key(&id) {
                return missing(call);
            }
            shared.change(|state, _| state.resends.push(id));
            Answer::empty(202)
        }
        ("GET", ["switches"]) => Answer::json(200, &json!(shared.state().switches)),
        ("PUT", ["switches"]) => match serde_json::from_value::<WebhookSwitches>(body.clone()) {
            Ok(switches) => {
                shared.state().switches = switches;
                Answer::empty(204)
            }
            Err(error) => bad(&error.to_string()),
        },
        _ => super::oauth::control(shared, call, rest, body),
    }
}

fn contacts(shared: &Shared, call: &Call, rest: &[&str], body: Value) -> Option<Answer> {
    let fields = object(body);
    let done = |found: bool| found.then(|| Answer::empty(204));
    match (call.method.as_str(), rest) {
        ("GET", []) => {
            Some(Answer::json(200, &shared.state().contacts.values().map(super::contact::Contact::as_read).collect()))
        }
        ("POST", []) => {
            let location = fields.get("locationId").and_then(Value::as_str).unwrap_or(HOME).to_owned();
            let id = shared.change(|state, now| state.create_contact(now, &location, &fields))?;
            Some(Answer::json(201, &shared.read(&id)))
        }
        ("GET", [id]) => Some(Answer::json(200, &shared.state().contacts.get(id)?.as_read())),
        ("PATCH", [id]) => shared
            .change(|state, now| state.edit_contact(now, id, &fields))
            .then(|| Answer::json(200, &shared.read(id))),
        ("DELETE", [id]) => done(shared.change(|state, now| state.delete_contact(now, id))),
        ("GET", [id, "workflow-document"]) => {
            let state = shared.state();
            let contact = state.contacts.get(id)?;
            Some(Answer::json(200, &contact.as_workflow_document(state.locations.get(&contact.location)?)))
        }
        ("GET", [id, kind]) => Some(Answer::json(200, &json!(shared.state().show_all(sort(kind)?, id)?))),
        ("POST", [id, kind]) => {
            let sort = sort(kind)?;
            let child = shared.change(|state, now| state.add_activity(now, sort, id, &fields))?;
            Some(Answer::json(201, &shared.state().show(sort, id, &child)?))
        }
        ("PATCH", [id, kind, child]) => {
            let sort = sort(kind)?;
            done(shared.change(|state, now| state.edit_activity(now, sort, id, child, &fields)))
        }
        ("DELETE", [id, kind, child]) => {
            let sort = sort(kind)?;
            done(shared.change(|state, now| state.delete_activity(now, sort, id, child)))
        }
        ("POST", [id, "tasks", child, "complete"]) => {
            done(shared.change(|state, now| state.set_completed(now, id, child, true)))
        }
        _ => None,
    }
}
