//! Codes and tokens: whose they are, and until when they are good (G §3.1 to §3.4).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Refusal;
use super::holder::Holder;
use crate::ghl::state::{APP_VERSION, COMPANY, PLAN, Scopes, USER, new_id};

/// A code's quarter of an hour (G §3.1, reported).
pub(super) const CODE_MS: i64 = 15 * 60 * 1000;
/// A day but a second (G §3.3).
pub(super) const ACCESS_SECONDS: i64 = 86_399;
/// A year (G §3.3).
const REFRESH_MS: i64 = 365 * 86_400_000;
/// How long a used refresh token is answered with the same pair again (G §3.3, reported).
const SAME_PAIR_MS: i64 = 30_000;

/// What codes and tokens have in common.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) holder: Holder,
    pub(super) scopes: Scopes,
    number: u64,
    ends_ms: i64,
}

struct Code {
    credential: Credential,
    /// Where it was sent; `None` when no browser carried it.
    redirect: Option<String>,
    /// The locations that were ticked.
    approved: Vec<String>,
}

struct Refresh {
    credential: Credential,
    /// When it was used, and the pair that it brought.
    used: Option<(i64, Value)>,
}

/// What a refresh token is good for.
pub(super) enum Rotation {
    /// A new pair.
    New(Credential),
    /// The pair that it brought before.
    Same(Value),
    /// Nothing: it was used too long ago.
    Used,
}

/// What a bearer token is good for.
pub(crate) enum Bearer {
    /// Calls about this location.
    Location(String, Scopes),
    /// Calls about the agency's installs.
    Company(Scopes),
    /// Nothing any more: expired, lost, uninstalled.
    Ended,
    /// Nothing ever.
    Unknown,
}

/// Every code and token there ever was. Tokens end by number rather than one by one: who has
/// thousands of locations must not pay for each of them.
#[derive(Default)]
pub(crate) struct OAuthTokens {
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Credential>,
    issued: u64,
    /// By location or company: what has a smaller number is worthless.
    floors: HashMap<String, u64>,
    /// Access tokens with a smaller number have expired.
    expired: u64,
    /// All of them, in order.
    pub(super) seen: Vec<String>,
}

impl OAuthTokens {
    fn credential(&mut self, holder: Holder, scopes: Scopes, ends_ms: i64) -> Credential {
        self.issued += 1;
        Credential { holder, scopes, number: self.issued, ends_ms }
    }

    fn is_worthless(&self, credential: &Credential) -> bool {
        let below = |id: &str| self.floors.get(id).is_some_and(|floor| credential.number <= *floor);
        credential.holder.location().is_some_and(below) || (credential.holder.hangs_on_company() && below(COMPANY))
    }

    /// All codes and tokens of a location, or of the company and those that it passed on, are
    /// worthless from now on.
    pub(super) fn void(&mut self, location_or_company: &str) {
        self.floors.insert(location_or_company.to_owned(), self.issued);
    }

    /// All access tokens are expired from now on.
    pub(super) fn expire_access(&mut self) {
        self.expired = self.issued;
    }

    /// A code for the browser to carry.
    pub(super) fn code(
        &mut self,
        now: i64,
        holder: Holder,
        scopes: Scopes,
        redirect: Option<String>,
        approved: Vec<String>,
    ) -> String {
        let code = Uuid::new_v4().simple().to_string();
        let credential = self.credential(holder, scopes, now + CODE_MS);
        self.codes.insert(code.clone(), Code { credential, redirect, approved });
        self.seen.push(code.clone());
        code
    }

    /// Takes a code in (G §3.2); `refused` looks at it once it is known to be good, and may leave
    /// it unspent.
    pub(super) fn redeem(
        &mut self,
        now: i64,
        code: &str,
        redirect: Option<&str>,
        refused: impl FnOnce(&Credential) -> Result<(), Refusal>,
    ) -> Result<(Credential, Vec<String>), Refusal> {
        let known = self.codes.get(code).filter(|code| !self.is_worthless(&code.credential));
        // No document has the texts; these are of a piece with the one for refresh tokens.
        let Some(known) = known else {
            return Err(Refusal::Expected(400, "Invalid grant: authorization code is invalid"));
        };
        if now >= known.credential.ends_ms {
            return Err(Refusal::Expected(400, "Invalid grant: authorization code has expired"));
        }
        if let (Some(sent_to), Some(named)) = (&known.redirect, redirect)
            && sent_to != named
        {
            return super::wrong(400, "Invalid request: redirect_uri is invalid");
        }
        refused(&known.credential)?;
        let code =
            self.codes.remove(code).ok_or(Refusal::Expected(400, "Invalid grant: authorization code is invalid"))?;
        Ok((code.credential, code.approved))
    }

    /// Looks at a refresh token that has come in; a new pair for it is to be
    /// [remembered](Self::rotated). `again`: for a while the same one is answered with the same
    /// pair (G §3.3).
    pub(super) fn rotate(
        &self,
        now: i64,
        token: &str,
        again: bool,
        refused: impl FnOnce(&Credential) -> Result<(), Refusal>,
    ) -> Result<Rotation, Refusal> {
        let Some(known) = self.refresh.get(token) else {
            return super::wrong(400, super::grants::BAD_REFRESH);
        };
        if self.is_worthless(&known.credential) || now >= known.credential.ends_ms {
            return Err(Refusal::Expected(400, super::grants::BAD_REFRESH));
        }
        match &known.used {
            Some((at, pair)) if again && now <= at + SAME_PAIR_MS => return Ok(Rotation::Same(pair.clone())),
            Some(_) => return Ok(Rotation::Used),
            None => {}
        }
        refused(&known.credential)?;
        // Assumed: the access token that came with it stays good until its own end.
        Ok(Rotation::New(known.credential.clone()))
    }

    /// A refresh token has brought this pair, and brings no other one.
    pub(super) fn rotated(&mut self, now: i64, token: &str, pair: &Value) {
        if let Some(known) = self.refresh.get_mut(token) {
            known.used = Some((now, pair.clone()));
        }
    }

    fn mint(&mut self, now: i64, kind: &str, credential: &Credential) -> String {
        let token = jwt(now, kind, credential);
        self.seen.push(token.clone());
        token
    }

    /// An access token, with the keys that every answer has which brings one.
    pub(super) fn access(&mut self, now: i64, holder: Holder, scopes: Scopes) -> Map<String, Value> {
        let credential = self.credential(holder, scopes, now + ACCESS_SECONDS * 1000);
        let token = self.mint(now, "access", &credential);
        let mut out = Map::new();
        for (key, value) in [
            ("access_token", json!(token)),
            ("token_type", json!("Bearer")),
            ("expires_in", json!(ACCESS_SECONDS)),
            ("scope", json!(credential.scopes.join(" "))),
            ("userId", json!(USER)),
            ("planId", json!(PLAN)),
        ] {
            out.insert(key.to_owned(), value);
        }
        if let Some(location) = credential.holder.location() {
            out.insert("locationId".to_owned(), json!(location));
        }
        self.access.insert(token, credential);
        out
    }

    /// A refresh token, good for a year or once.
    pub(super) fn refresh(&mut self, now: i64, holder: Holder, scopes: Scopes) -> String {
        let credential = self.credential(holder, scopes, now + REFRESH_MS);
        let token = self.mint(now, "refresh", &credential);
        self.refresh.insert(token.clone(), Refresh { credential, used: None });
        token
    }

    /// What an access token is good for now.
    pub(crate) fn bearer(&self, token: &str, now: i64) -> Bearer {
        let Some(credential) = self.access.get(token) else {
            return Bearer::Unknown;
        };
        if now >= credential.ends_ms || credential.number <= self.expired || self.is_worthless(credential) {
            return Bearer::Ended;
        }
        match credential.holder.location() {
            Some(location) => Bearer::Location(location.to_owned(), credential.scopes.clone()),
            None => Bearer::Company(credential.scopes.clone()),
        }
    }

    /// Whose allowance a token spends: the app has one in each location, and one in the company
    /// (G §5).
    pub(crate) fn payer<'a>(&'a self, token: &'a str) -> &'a str {
        self.access.get(token).map_or(token, |credential| credential.holder.location().unwrap_or(COMPANY))
    }

    /// Leaves an access token these scopes only.
    pub(crate) fn set_scopes(&mut self, token: &str, scopes: &Scopes) {
        if let Some(credential) = self.access.get_mut(token) {
            credential.scopes = scopes.clone();
        }
    }

    /// Makes one access token worthless.
    pub(crate) fn revoke(&mut self, token: &str) {
        if let Some(credential) = self.access.get_mut(token) {
            credential.ends_ms = i64::MIN;
        }
    }
}

/// Looks like the real ones, which are JSON web tokens of several hundred characters. Nobody
/// verifies it.
fn jwt(now: i64, kind: &str, credential: &Credential) -> String {
    let class = if credential.holder.location().is_some() { "Location" } else { "Company" };
    let claims = json!({
        "authClass": class, "authClassId": credential.holder.location().unwrap_or(COMPANY), "source": "INTEGRATION", "kind": kind,
        "sourceId": APP_VERSION, "channel": "OAUTH", "primaryAuthClassId": COMPANY, "oauthMeta": { "scopes": *credential.scopes },
        "iat": now / 1000, "exp": credential.ends_ms / 1000, "uniqueId": new_id(),
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signature = URL_SAFE_NO_PAD.encode([Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat());
    format!("{}.{}.{signature}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()))
}
