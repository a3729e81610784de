//! Trafft's access tokens: client credentials, an hour each, kept in memory only (T §3).

use std::time::Duration;

use jiff::Timestamp;
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, TokenResponse, TokenUrl};
use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::clients::error::{About, Error, VendorMessage};
use crate::clients::http::{Answer, Http, Timeouts};
use crate::clients::oauth::{HttpAdapter, failure};
use crate::clients::refusal::{Asked, refusal, words};
use crate::clock::Clock;
use crate::model::{Secret, Vendor};

/// What a token lives when its answer does not say (T §3).
const USUAL_LIFE: Duration = Duration::from_secs(3600);
/// So much earlier than it expires a token is replaced (T §3).
const RENEWED_EARLY: Duration = Duration::from_secs(60);

/// Hands out tokens, and asks for a new one when needed; one such request at a time.
#[derive(Debug)]
pub(super) struct Tokens {
    http: Http,
    endpoint: Url,
    client_id: String,
    client_secret: Secret,
    clock: Clock,
    /// Locked while a token is asked for, so that everyone else waits for that one.
    held: Mutex<Option<CachedToken>>,
}

#[derive(Debug)]
struct CachedToken {
    token: Secret,
    until: Timestamp,
}

impl Tokens {
    pub(super) fn new(http: Http, endpoint: Url, client_id: String, client_secret: Secret, clock: Clock) -> Self {
        Self { http, endpoint, client_id, client_secret, clock, held: Mutex::default() }
    }

    /// A token that is good for now. That there is none means that the call it was for was not
    /// sent.
    pub(super) async fn bearer(&self) -> Result<Secret, Error> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| self.clock.now() < held.until) {
            return Ok(held.token.clone());
        }
        let fresh = self.ask().await?;
        let token = fresh.token.clone();
        *held = Some(fresh);
        Ok(token)
    }

    /// Trafft did not take this token. One that has replaced it in the meantime stays.
    pub(super) async fn forget(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token.expose_secret() == token.expose_secret()) {
            *held = None;
        }
    }

    async fn ask(&self) -> Result<CachedToken, Error> {
        let asked_at = self.clock.now();
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            // Both in the form, where Trafft looks for them (T §3).
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.endpoint.clone()));
        let judge = |answer: &Answer| {
            refusal(Vendor::Trafft, answer, Asked::default(), self.clock.now()).map(|error| self.refused(error, answer))
        };
        let limit = Timeouts::default().request;
        let adapter =
            HttpAdapter { http: &self.http, vendor: Vendor::Trafft, operation: "token", limit, judge: &judge };
        let answer = client.exchange_client_credentials().request_async(&adapter).await;
        let answer = answer.map_err(|error| no_token(failure(error, Error::UNEXPECTED_BODY)))?;
        let life = answer.expires_in().unwrap_or(USUAL_LIFE);
        let life = life - RENEWED_EARLY.min(life / 2);
        Ok(CachedToken {
            token: answer.access_token().secret().as_str().into(),
            until: asked_at.checked_add(life).unwrap_or(Timestamp::MAX),
        })
    }

    /// OAuth servers refuse credentials with 400 or 401 (T §3), and may repeat what they were sent.
    fn refused(&self, error: Error, answer: &Answer) -> Error {
        match answer.status.as_u16() {
            // A gateway's page says nothing about the credentials.
            _ if error.about() == About::Path => error,
            400 | 401 | 403 => {
                let words = words(&answer.body).replace(self.client_secret.expose_secret(), "[REDACTED]");
                Error::CredentialsRefused { message: VendorMessage::new(&words) }
            }
            _ => error,
        }
    }
}

/// Without a token the call it was for was not sent: nothing of that call can have been carried
/// out.
fn no_token(error: Error) -> Error {
    match error {
        Error::CredentialsRefused { .. } | Error::RateLimited { .. } | Error::NotSent { .. } => error,
        error => Error::NoToken { why: Box::new(error) },
    }
}
