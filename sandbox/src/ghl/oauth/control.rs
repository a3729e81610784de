//! The back door to the app, its installs and its tokens over HTTP.

use serde_json::{Map, Value, json};

use crate::control::{bad, missing};
use crate::front::{Answer, Call};
use crate::ghl::Shared;
use crate::ghl::person::object;
use crate::ghl::state::Location;

/// For the text at `GET /`.
pub(crate) const TEXT: &str = "\
GET    /_control/app           client id and secret, where the app is installed
PUT    /_control/app           {\"redirect_uris\", \"echo_state\", \"reconnect\", \"same_pair\", \"location_refresh_tokens\", \"bulk_install_events\"}
POST   /_control/lose-tokens   {\"id\"} of a location or the company: what its install had is worthless, the app stays
POST   /_control/expire-tokens all access tokens expire
POST   /_control/locations     {\"id\", \"name\", \"timezone\", \"country\"}  a new location of the agency
PUT    /_control/locations/{id}          {\"active\"}  pause it, or end the pause
POST   /_control/locations/{id}/install  add it to the company's install      DELETE: uninstall
DELETE /_control/company/install         uninstall from the company
";

fn done(found: bool, call: &Call) -> Answer {
    if found { Answer::empty(204) } else { missing(call) }
}

pub(crate) fn answer(shared: &Shared, call: &Call, rest: &[&str], body: &Value) -> Answer {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    match (call.method.as_str(), rest) {
        ("GET", ["app"]) => {
            let state = shared.state();
            let app = &state.app;
            Answer::json(
                200,
                &json!({
                    "client_id": app.client_id, "client_secret": app.client_secret, "redirect_uris": app.redirect_uris,
                    "company": state.installs.company.is_some(),
                    "locations": state.installs.placed.keys().collect::<Vec<_>>(),
                }),
            )
        }
        ("PUT", ["app"]) => match switch(shared, &object(body.clone())) {
            Ok(()) => Answer::empty(204),
            Err(key) => bad(&format!("what is {key}?")),
        },
        ("POST", ["lose-tokens"]) => {
            let mut state = shared.state();
            let installed = state.is_installed(text("id"));
            if installed {
                state.oauth_tokens.void(text("id"));
            }
            done(installed, call)
        }
        ("POST", ["expire-tokens"]) => {
            shared.state().oauth_tokens.expire_access();
            Answer::empty(204)
        }
        ("POST", ["locations"]) if !text("id").is_empty() => {
            let or = |key: &str, default: &str| body[key].as_str().unwrap_or(default).to_owned();
            let (name, zone) = (or("name", "Studio South"), or("timezone", "America/New_York"));
            let location = Location::new(text("id"), &name, &zone, &or("country", "US"));
            shared.change(|state, now| state.add_company_location(now, location));
            Answer::empty(201)
        }
        ("POST", ["locations"]) => bad("which id?"),
        ("PUT", ["locations", id]) => match body["active"].as_bool() {
            Some(active) => done(shared.state().set_active(id, active), call),
            None => bad("active must be true or false"),
        },
        ("POST", ["locations", id, "install"]) => done(shared.change(|state, now| state.install_more(now, id)), call),
        ("DELETE", ["locations", id, "install"]) => {
            done(shared.change(|state, now| state.uninstall_location(now, id)), call)
        }
        ("DELETE", ["company", "install"]) => done(shared.change(|state, now| state.uninstall_company(now)), call),
        _ => missing(call),
    }
}

/// Sets what is named; the first key it does not understand comes back.
fn switch(shared: &Shared, fields: &Map<String, Value>) -> Result<(), String> {
    let mut state = shared.state();
    let app = &mut state.app;
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("redirect_uris", Value::Array(uris)) => {
                app.redirect_uris = uris.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            ("echo_state", Value::Bool(on)) => app.echo_state = *on,
            ("reconnect", Value::Bool(on)) => app.reconnect = *on,
            ("same_pair", Value::Bool(on)) => app.same_pair = *on,
            ("location_refresh_tokens", Value::Bool(on)) => app.location_refresh_tokens = *on,
            ("bulk_install_events", Value::Bool(on)) => app.bulk_events = *on,
            _ => return Err(key.clone()),
        }
    }
    Ok(())
}
