//! `POST /oauth/locationToken`: the company's token in, a location's out (G §3.4).

use serde_json::{Value, json};

use super::holder::{Holder, passed_on};
use super::tokens::Bearer;
use super::{Form, Refusal, wrong};
use crate::front::{Answer, Call};
use crate::ghl::Shared;
use crate::ghl::state::{APP, APP_VERSION, COMPANY, Scopes};

impl Shared {
    /// The company's scopes, if this is its token and has the one that is needed.
    pub(super) fn company(&self, call: &Call, scope: &str) -> Result<Scopes, Refusal> {
        let bearer = self.state().bearer(call.bearer().unwrap_or_default(), self.now());
        match bearer {
            Bearer::Company(scopes) if scopes.iter().any(|own| own == scope) => Ok(scopes),
            Bearer::Ended | Bearer::Unknown => Err(Refusal::Expected(401, "Invalid JWT")),
            // A private integration token is not enough either (G §3.7).
            Bearer::Company(_) | Bearer::Location(..) => wrong(401, "The token is not authorized for this scope."),
        }
    }

    pub(super) fn location_token(&self, call: &Call) -> Result<Answer, Refusal> {
        let scopes = self.company(call, "oauth.write")?;
        let form = Form::read(call, &["companyId", "locationId"])?;
        let Some(company) = form.get("companyId") else { return wrong(422, "companyId must be a string") };
        let Some(location) = form.get("locationId") else { return wrong(422, "locationId must be a string") };
        if company != COMPANY {
            return wrong(403, "The token does not have access to this company");
        }
        let now = self.now();
        let mut state = self.state();
        if !state.is_installed(location) {
            // The text is not documented. No complaint: an admin may have uninstalled it a moment
            // ago.
            return Err(Refusal::Expected(400, "App is not installed on this location"));
        }
        let (holder, scopes) = (Holder::Through(location.to_owned()), passed_on(&scopes));
        state.installs.active(&holder)?;
        let mut out = state.oauth_tokens.access(now, holder.clone(), scopes.clone());
        out.insert("appId".to_owned(), json!(APP));
        out.insert("versionId".to_owned(), json!(APP_VERSION));
        if state.app.location_refresh_tokens {
            let token = state.oauth_tokens.refresh(now, holder, scopes);
            out.insert("refresh_token".to_owned(), json!(token));
        }
        state.app.location_token_calls += 1;
        Ok(Answer::json(200, &Value::Object(out)))
    }
}
