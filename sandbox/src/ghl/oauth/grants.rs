//! `POST /oauth/token`: a code or a refresh token in, a pair of tokens out (G §3.2, §3.3).

use serde_json::{Value, json};

use super::holder::Holder;
use super::tokens::{Credential, Rotation};
use super::{Form, Refusal, wrong};
use crate::front::{Answer, Call};
use crate::ghl::Shared;
use crate::ghl::state::{COMPANY, State, new_id};

/// Unknown, expired, or used already (G §3.2).
pub(super) const BAD_REFRESH: &str = "Invalid grant: refresh token is invalid";

const FIELDS: [&str; 7] =
    ["client_id", "client_secret", "grant_type", "code", "refresh_token", "user_type", "redirect_uri"];

/// A field by its form name, missed by the name that the documented texts have (G §3.2).
fn needed<'a>(form: &'a Form, name: &str, documented: &str) -> Result<&'a str, Refusal> {
    form.get(name).ok_or_else(|| Refusal::ClientFault(400, format!("Missing parameter: {documented}")))
}

impl State {
    /// The app's own id and secret.
    pub(super) fn is_app(&self, id: &str, secret: &str) -> Result<(), Refusal> {
        if id == self.app.client_id && secret == self.app.client_secret {
            Ok(())
        } else {
            wrong(401, "Invalid client: client is invalid")
        }
    }

    /// The answer's 200: a new pair for the same holder and scopes.
    fn pair(&mut self, now: i64, credential: &Credential) -> Value {
        let mut out = self.oauth_tokens.access(now, credential.holder.clone(), credential.scopes.clone());
        let refresh = self.oauth_tokens.refresh(now, credential.holder.clone(), credential.scopes.clone());
        let class = if credential.holder == Holder::Company { "Company" } else { "Location" };
        for (key, value) in [
            ("refresh_token", json!(refresh)),
            ("userType", json!(class)),
            ("companyId", json!(COMPANY)),
            ("isBulkInstallation", json!(credential.holder == Holder::Company)),
        ] {
            out.insert(key.to_owned(), value);
        }
        if credential.holder == Holder::Company {
            let future = self.installs.company.as_ref().is_some_and(|company| company.future);
            out.insert("installToFutureLocations".to_owned(), json!(future));
            // On an official sample only (G §3.2).
            out.insert("refreshTokenId".to_owned(), json!(new_id()));
        }
        Value::Object(out)
    }

    fn by_code(&mut self, now: i64, code: &str, redirect: Option<&str>) -> Result<Value, Refusal> {
        let registered = &self.app.redirect_uris;
        if let Some(named) = redirect
            && !registered.is_empty()
            && !registered.iter().any(|known| known == named)
        {
            return wrong(400, "Invalid request: redirect_uri is invalid");
        }
        let installs = &self.installs;
        let (credential, approved) =
            self.oauth_tokens.redeem(now, code, redirect, |credential| installs.active(&credential.holder))?;
        let mut out = self.pair(now, &credential);
        if credential.holder == Holder::Company {
            // Only here: the keys of a refresh are not documented, and the file says "may" of this
            // one.
            out["approvedLocations"] = json!(approved);
        }
        Ok(out)
    }

    fn by_refresh(&mut self, now: i64, token: &str) -> Result<Value, Refusal> {
        let (installs, again) = (&self.installs, self.app.same_pair);
        let mut credential =
            match self.oauth_tokens.rotate(now, token, again, |credential| installs.active(&credential.holder))? {
                Rotation::New(credential) => credential,
                Rotation::Same(pair) => {
                    self.app.refresh_repeats += 1;
                    return Ok(pair);
                }
                Rotation::Used => {
                    // No complaint: after a crash between this answer and its commit, the old one is
                    // all that a client has.
                    self.app.refresh_reuses += 1;
                    return Err(Refusal::Expected(400, BAD_REFRESH));
                }
            };
        // What the account has granted by now (assumed: a new version of the app shows in the next
        // token, G §8.5).
        if let Some(scopes) = self.installs.scopes(&credential.holder) {
            credential.scopes = scopes;
        }
        self.app.refreshes += 1;
        let pair = self.pair(now, &credential);
        self.oauth_tokens.rotated(now, token, &pair);
        Ok(pair)
    }
}

impl Shared {
    pub(super) fn grant(&self, call: &Call) -> Result<Answer, Refusal> {
        let form = Form::read(call, &FIELDS)?;
        let id = needed(&form, "client_id", "clientId")?;
        let secret = needed(&form, "client_secret", "clientSecret")?;
        let now = self.now();
        let mut state = self.state();
        state.is_app(id, secret)?;
        // Of the two kinds the install decides; the field is a wish (assumed: a wrong wish is not
        // refused).
        if !matches!(form.get("user_type"), None | Some("Location" | "Company")) {
            return wrong(422, "user_type must be one of the following values: Company, Location");
        }
        let pair = match needed(&form, "grant_type", "grantType")? {
            "authorization_code" => state.by_code(now, needed(&form, "code", "code")?, form.get("redirect_uri")),
            "refresh_token" => state.by_refresh(now, needed(&form, "refresh_token", "refreshToken")?),
            // `client_credentials` is in the file; no document says for whom.
            _ => wrong(400, "Invalid parameter: grantType"),
        }?;
        Ok(Answer::json(200, &pair))
    }
}
