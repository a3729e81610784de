//! GoHighLevel's API, version 2021-07-28, for one location.
//!
//! Nothing is repeated here: whether to try again is the caller's decision. Calls are kept within
//! the location's budget; a wait of up to two seconds for it is waited out.

mod activities;
mod allowance;
mod auth;
mod budget;
mod contacts;
mod oauth;
mod skew;
pub mod wire;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;

use super::error::Error;
use super::http::{Answer, Http};
use super::listed::{Listed, Odd};
use super::not_sent::NotSent;
use super::refusal::{Asked, Record, refusal};
use crate::clock::Clock;
use crate::model::{Lane, LocationId, Scopes, Secret, Vendor};

use allowance::Allowance;
use skew::Skew;

pub use auth::{Credential, TokenSource};
pub use contacts::ListAfter;
pub use oauth::{AppSettings, Grant, OAuth};

/// The one version that all our calls are written for (G §2).
const VERSION: &str = "2021-07-28";

/// Base URL, location and credential of one client.
#[derive(Debug, Clone)]
pub struct GhlSettings {
    /// `https://services.leadconnectorhq.com`, or a stand-in.
    pub base: Url,
    /// The location that all calls are about.
    pub location: LocationId,
    /// A credential for that location: a company's is not enough (G §3).
    pub credential: Credential,
    /// What the credential may do; `None` when nobody knows, as with private tokens, which do not
    /// tell.
    pub scopes: Option<Scopes>,
}

/// A connection to one location. Cheap to clone; clones share the location's budget, so there
/// should be no second one for the same location.
#[derive(Debug, Clone)]
pub struct Ghl {
    connection: Arc<Connection>,
    lane: Lane,
}

#[derive(Debug)]
struct Connection {
    http: Http,
    settings: GhlSettings,
    clock: Clock,
    allowance: Allowance,
    skew: Skew,
}

/// What a call is, apart from what is in it.
struct Call<'a> {
    operation: &'static str,
    scope: &'static str,
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    /// The one record that it is about: GHL may say that there is none.
    record: Option<Record<'a>>,
    /// Does it carry a record's content?
    writes: bool,
}

impl<'a> Call<'a> {
    /// The same, about this one record.
    fn about(self, noun: &'static str, id: &'a str) -> Self {
        Self { record: Some(Record { noun, id }), ..self }
    }
}

const NO_BODY: Option<&Value> = None;
const NO_TOKEN: Error = Error::NotSent { reason: NotSent::Kept("there is no token for this location") };

impl Ghl {
    /// Connects to nothing yet.
    pub fn new(http: Http, settings: GhlSettings, clock: Clock) -> Self {
        let allowance = Allowance::new(clock.clone());
        let skew = Skew::default();
        let connection = Connection { http, settings, clock, allowance, skew };
        Self { connection: Arc::new(connection), lane: Lane::Live }
    }

    /// The same connection, for calls of this urgency.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// The same location by another token: to try it before it is kept.
    #[must_use]
    pub fn with_token(&self, token: Secret) -> Self {
        let Connection { http, settings, clock, .. } = &*self.connection;
        let credential = Credential::PrivateToken(token);
        Self::new(http.clone(), GhlSettings { credential, scopes: None, ..settings.clone() }, clock.clone())
    }

    /// The location that all calls are about.
    pub fn location_id(&self) -> &LocationId {
        &self.connection.settings.location
    }

    /// Until when the burst window has no place for a call of this lane; none: it has one now.
    pub fn full_until(&self, lane: Lane) -> Option<Timestamp> {
        self.connection.allowance.full_until(lane)
    }

    /// How far our clock is ahead of GHL's, to the second, by the `Date` of its last answer; none:
    /// it has not said.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        self.connection.skew.get()
    }

    /// What GHL's clock shows when ours shows `ours`, by the `Date` of its last answer.
    pub fn their_time(&self, ours: Timestamp) -> Timestamp {
        self.connection.skew.theirs(ours)
    }

    async fn call<T>(
        &self,
        call: Call<'_>,
        body: Option<&impl Serialize>,
        read: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let settings = &self.connection.settings;
        if settings.scopes.as_ref().is_some_and(|scopes| !scopes.holds(call.scope)) {
            return Err(Error::ScopeMissing { scope: call.scope.to_owned() });
        }
        let Some(bearer) = settings.credential.bearer(None).await? else { return Err(NO_TOKEN) };
        let refused = match self.once(&call, &bearer, body, &read).await {
            // Not carried out. A scope that is missing is told apart: no other token has it (G §4).
            Err(refused @ Error::CredentialsRefused { .. }) => refused,
            result => return result,
        };
        match settings.credential.bearer(Some(bearer)).await? {
            Some(bearer) => self.once(&call, &bearer, body, &read).await,
            None => Err(refused),
        }
    }

    /// Reports what could not be read of a list's records.
    fn listed<T>(&self, operation: &'static str, list: Listed<T>) -> Listed<T> {
        let owner = self.location_id().as_str();
        self.connection.http.report_odd(Vendor::Ghl, operation, owner, &list.odd);
        list
    }

    async fn once<T>(
        &self,
        call: &Call<'_>,
        bearer: &Secret,
        body: Option<&impl Serialize>,
        read: &impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut request = self.connection.http.request(call.method.clone(), self.url(call.path, call.query)?);
        request =
            request.bearer_auth(bearer.expose_secret()).header("Version", VERSION).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let Connection { http, clock, allowance, .. } = &*self.connection;
        let _slot = allowance.slot(self.lane).await?;
        let read = |answer: Answer| {
            let now = clock.now();
            let asked = Asked { record: call.record, writes: call.writes, scope: Some(call.scope) };
            let refused = refusal(Vendor::Ghl, &answer, asked, now);
            allowance.learn(&answer, refused.as_ref());
            if let Some(error) = refused {
                return Err(error);
            }
            let value = read(&answer)?;
            self.connection.skew.learn(&answer, now);
            Ok(value)
        };
        http.send(Vendor::Ghl, call.operation, request.build(), read).await
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Error> {
        let mut url = self.connection.settings.base.clone();
        let mut segments = url.path_segments_mut().map_err(|()| Error::NotSent { reason: NotSent::NotHttps })?;
        segments.pop_if_empty().extend(path);
        drop(segments);
        if !query.is_empty() {
            // Encodes `+`, which would arrive as a space otherwise (G §6.9).
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}
