//! `POST /oauth/reconnect`: a new code for an app that is installed but lost its tokens, where it
//! has not been removed (G §3.6).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::holder::Holder;
use super::tokens::CODE_MS;
use super::{Refusal, wrong};
use crate::clock;
use crate::front::{Answer, Call};
use crate::ghl::Shared;
use crate::ghl::state::{COMPANY, State};

const KEYS: [&str; 4] = ["clientKey", "clientSecret", "locationId", "companyId"];

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl State {
    /// A code for the install there is; `None` where there is none.
    fn reconnect(&mut self, now: i64, location_or_company: &str) -> Option<String> {
        if location_or_company != COMPANY {
            let (holder, scopes) = self.installs.holder(location_or_company)?;
            return Some(self.oauth_tokens.code(now, holder, scopes, None, Vec::new()));
        }
        let scopes = self.installs.company.as_ref()?.scopes.clone();
        let placed = self.installs.placed.iter().filter(|(_, placed)| placed.through);
        let approved = placed.map(|(id, _)| id.clone()).collect();
        Some(self.oauth_tokens.code(now, Holder::Company, scopes, None, approved))
    }
}

impl Shared {
    pub(super) fn reconnect(&self, call: &Call) -> Result<Answer, Refusal> {
        let now = self.now();
        let mut state = self.state();
        if !state.app.reconnect {
            // The status is reported, the wording is ours.
            return Err(Refusal::Expected(400, "This endpoint has been removed"));
        }
        let Some(Value::Object(body)) = call.json() else {
            return wrong(400, "Unexpected token in JSON at position 0");
        };
        if let Some(odd) = body.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return wrong(422, format!("property {odd} should not exist"));
        }
        let Some(id) = text(&body, "clientKey") else { return wrong(400, "Missing parameter: clientKey") };
        let Some(secret) = text(&body, "clientSecret") else { return wrong(400, "Missing parameter: clientSecret") };
        state.is_app(id, secret)?;
        let whose = match (text(&body, "locationId"), text(&body, "companyId")) {
            (Some(id), None) | (None, Some(id)) => id,
            _ => return wrong(422, "one of locationId and companyId must be a string"),
        };
        // No complaint: an admin may have uninstalled it without our having heard of it.
        let code = state.reconnect(now, whose).ok_or(Refusal::Expected(400, "App is not installed"))?;
        state.app.reconnects += 1;
        Ok(Answer::json(
            200,
            &json!({ "authorizationCode": code, "expiresAt": clock::iso(now + CODE_MS), "traceId": Uuid::new_v4().to_string() }),
        ))
    }
}
