//! Trafft's access tokens: client credentials, an hour each, kept in memory only (T §3).

use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, TokenResponse,
    TokenUrl,
};
use reqwest::{Request, Url};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::clients::error::{Error, VendorMessage};
use crate::clients::http::{Answer, Http, Vendor};
use crate::clients::refusal::{refusal, words};
use crate::clock::Clock;
use crate::model::Secret;

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
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    until: Timestamp,
}

impl Tokens {
    pub(super) fn new(http: Http, endpoint: Url, client_id: String, client_secret: Secret, clock: Clock) -> Self {
        Self { http, endpoint, client_id, client_secret, clock, held: Mutex::default() }
    }

    /// A token that is good for now. That there is none means that the call it was for was not sent.
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

    async fn ask(&self) -> Result<Held, Error> {
        let asked_at = self.clock.now();
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            // Both in the form, where Trafft looks for them (T §3).
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.endpoint.clone()));
        let answer = client.exchange_client_credentials().request_async(self).await.map_err(|error| match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                Error::NotSent { reason: "the answer to the request for a token is not the JSON expected" }
            }
        })?;
        let life = answer.expires_in().unwrap_or(USUAL_LIFE);
        let life = life - RENEWED_EARLY.min(life / 2);
        Ok(Held {
            token: answer.access_token().secret().as_str().into(),
            until: asked_at.checked_add(life).unwrap_or(Timestamp::MAX),
        })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let read = |answer: Answer| match refusal(Vendor::Trafft, &answer, None, self.clock.now()) {
            None => Ok(answer),
            Some(error) => Err(self.not_sent(error, &answer)),
        };
        let answer = self.http.send(Vendor::Trafft, "token", Request::try_from(request), read).await;
        let answer = answer.map_err(|error| match error {
            Error::Unanswered { .. } => Error::NotSent { reason: "no answer to the request for a token" },
            error => error,
        })?;
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    /// Without a token the call it was for was not sent, so nothing of that call can have been carried out. OAuth
    /// servers refuse credentials with 400 or 401 (T §3), and may repeat what they were sent.
    fn not_sent(&self, error: Error, answer: &Answer) -> Error {
        match (error, answer.status.as_u16()) {
            // There is no API at this address. That must not read as "no such customer".
            (Error::NotFound, status) => Error::Refused { status, message: VendorMessage::new(&words(&answer.body)) },
            (Error::Unavailable { .. }, _) => Error::NotSent { reason: "the vendor is in trouble and gives no token" },
            (_, 400 | 401 | 403) => {
                let words = words(&answer.body).replace(self.client_secret.expose_secret(), "[REDACTED]");
                Error::CredentialsRefused { message: VendorMessage::new(&words) }
            }
            (error, _) => error,
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Tokens {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
