//! How HighLevel lets an app in: codes become tokens, tokens become newer ones (G §3).
//!
//! A refresh token is good once; for 30 seconds HighLevel answers the same one with the same new
//! pair (G §3.3). Nothing here is repeated, and nothing is kept: that is the caller's business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    RedirectUrl, RefreshToken, Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
use reqwest::{Method, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::json;

use super::VERSION;
use super::allowance::Allowance;
use super::skew::Skew;
use super::wire::{Granted, InstalledLocation, InstalledLocations, Reconnected};
use crate::clients::error::{About, Error, VendorMessage};
use crate::clients::http::{Answer, Http};
use crate::clients::oauth::{HttpAdapter, failure};
use crate::clients::refusal::{Asked, of_install, refusal, words};
use crate::clock::Clock;
use crate::model::{CompanyId, Installer, Lane, LocationId, Scopes, Secret, Tokens, Vendor};

/// A day, as long as an access token lives (G §3.3).
const USUAL_LIFE: Duration = Duration::from_secs(86_399);
/// For a request to the token endpoint: two of them have room in the 30 seconds in which the same
/// refresh token is answered with the same pair (G §3.3).
const LIMIT: Duration = Duration::from_secs(12);
/// Locations on one page of an agency's list; 20 is what it gives by itself (G §3.5).
const PAGE: usize = 100;

/// The marketplace app, as its developer registered it.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// `https://services.leadconnectorhq.com`, or a stand-in.
    pub base: Url,
    /// `<app id>-<suffix>`.
    pub client_id: String,
    /// From the app's settings.
    pub client_secret: Secret,
    /// Where HighLevel sends the browser back to; registered with the app.
    pub redirect: Url,
    /// What the app asks for.
    pub scopes: Scopes,
}

/// The app, and HighLevel's side of it.
#[derive(Debug, Clone)]
pub struct OAuth {
    http: Http,
    app: AppSettings,
    /// Of agencies: their calls count apart from those of their locations (G §5).
    allowances: Arc<Mutex<HashMap<CompanyId, Arc<Allowance>>>>,
    clock: Clock,
    skew: Skew,
}

/// What HighLevel granted.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose it is.
    pub installer: Installer,
    /// Of a location: its agency, where known.
    pub company: Option<CompanyId>,
    /// The pair.
    pub tokens: Tokens,
    /// How long the access token lives.
    pub life: Duration,
    /// What it may do, where the answer says so.
    pub scopes: Option<Scopes>,
}

type GhlClient = Client<
    BasicErrorResponse,
    Granted,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl OAuth {
    /// Connects to nothing yet.
    pub fn new(http: Http, app: AppSettings, clock: Clock) -> Self {
        Self { http, app, allowances: Arc::default(), clock, skew: Skew::default() }
    }

    /// What HighLevel's clock shows when ours shows `ours`, by the `Date` of its last answer.
    pub fn their_time(&self, ours: Timestamp) -> Timestamp {
        self.skew.theirs(ours)
    }

    /// The app's id: what its webhooks name (G §3.1).
    pub fn app_id(&self) -> &str {
        self.app.client_id.split('-').next().unwrap_or_default()
    }

    /// Where an admin chooses the location, on that host (G §3.1). `state` comes back with the
    /// browser, or does not.
    pub fn chooser(&self, host: &Url, state: &str) -> Url {
        let client = self.client().set_auth_uri(AuthUrl::from_url(host.clone()));
        let scopes = self.app.scopes.to_string();
        let asked = client.authorize_url(|| CsrfToken::new(state.to_owned())).add_scope(Scope::new(scopes));
        asked.url().0
    }

    /// A browser's code becomes tokens (G §3.2).
    ///
    /// # Errors
    /// [`Error::GrantInvalid`]: the code is used up or too old. [`Error::AppRefused`]: the settings
    /// of the app are wrong.
    pub async fn exchange(&self, code: &str) -> Result<Grant, Error> {
        let judge = |answer: &Answer| self.judge(answer);
        let adapter = self.adapter("exchange_code", &judge);
        let client = self.client();
        let asked = client.exchange_code(AuthorizationCode::new(code.to_owned())).request_async(&adapter).await;
        grant(asked.map_err(|error| failure(error, Error::UNEXPECTED_BODY))?, None)
    }

    /// A new pair for an old one, which is good once, or again within 30 seconds (G §3.3).
    ///
    /// # Errors
    /// [`Error::GrantInvalid`]: the pair is lost. [`Error::LocationInactive`],
    /// [`Error::AppRefused`]: it stays good.
    pub async fn refresh(&self, installer: &Installer, refresh: &Secret) -> Result<Grant, Error> {
        let judge = |answer: &Answer| self.judge(answer);
        let adapter = self.adapter("refresh", &judge);
        let user_type = match installer {
            Installer::Location(_) => "Location",
            Installer::Company(_) => "Company",
        };
        let client = self.client();
        let token = RefreshToken::new(refresh.expose_secret().to_owned());
        let asked = client.exchange_refresh_token(&token).add_extra_param("user_type", user_type);
        let asked = asked.request_async(&adapter).await.map_err(|error| failure(error, Error::UNEXPECTED_BODY))?;
        grant(asked, Some(installer))
    }

    /// A token for one location of an agency, by the agency's (G §3.4).
    ///
    /// # Errors
    /// [`Error::CredentialsRefused`]: the agency's token is not good any more.
    /// [`Error::GrantInvalid`]: HighLevel's words say that the app is not installed there. What may
    /// be a gateway's answer, or another service's, is none of them: it must not cost anybody the
    /// install. [`Error::LocationInactive`].
    pub async fn location_token(
        &self,
        agency: &Secret,
        company: &CompanyId,
        location: &LocationId,
    ) -> Result<Grant, Error> {
        let form = [("companyId", company.as_str()), ("locationId", location.as_str())];
        let request = self.http.request(Method::POST, self.url(&["oauth", "locationToken"])).form(&form);
        let granted: Granted = {
            let allowance = self.allowance(company);
            let _slot = allowance.slot(Lane::Live).await?;
            let asked = self.ask("location_token", authorized(request, agency), "oauth.write", Some(&allowance));
            asked.await.map_err(nobody_there)?
        };
        grant(granted, Some(&Installer::Location(location.clone())))
    }

    /// The locations in which an agency has installed the app (G §3.5).
    ///
    /// # Errors
    /// Those of the calls; there are several when there are many locations.
    pub async fn installed_locations(
        &self,
        agency: &Secret,
        company: &CompanyId,
    ) -> Result<Vec<InstalledLocation>, Error> {
        let mut all = Vec::<InstalledLocation>::new();
        let allowance = self.allowance(company);
        let mut skip = 0;
        loop {
            let mut url = self.url(&["oauth", "installedLocations"]);
            url.query_pairs_mut().extend_pairs([
                ("companyId", company.as_str()),
                ("appId", self.app_id()),
                ("isInstalled", "true"),
                ("skip", &skip.to_string()),
                ("limit", &PAGE.to_string()),
            ]);
            let request = authorized(self.http.request(Method::GET, url), agency);
            let page: InstalledLocations = {
                let _slot = allowance.slot(Lane::Live).await?;
                let asked = self.ask("installed_locations", request, "oauth.readonly", Some(&allowance));
                asked.await.map_err(nobody_there)?
            };
            self.http.report_odd(Vendor::Ghl, "installed_locations", company.as_str(), &page.locations.odd);
            skip += page.locations.given();
            // A vendor may give fewer than it was asked for; only an empty page is the end.
            let met = page.locations.given();
            let before = all.len();
            for location in page.locations.items {
                if !all.iter().any(|known| known.id == location.id) {
                    all.push(location);
                }
            }
            if met == 0 || all.len() == before {
                all.retain(|location| location.is_installed != Some(false));
                return Ok(all);
            }
        }
    }

    /// A code for an app that is still installed and has lost its tokens. Reported, not documented,
    /// and since September 2026 removed for some (G §3.6).
    ///
    /// # Errors
    /// [`Error::GrantInvalid`]: HighLevel refuses, or the endpoint is gone: a person has to
    /// authorise again.
    pub async fn reconnect(&self, installer: &Installer) -> Result<String, Error> {
        let key = match installer {
            Installer::Location(_) => "locationId",
            Installer::Company(_) => "companyId",
        };
        let secret = self.app.client_secret.expose_secret();
        let body = json!({ "clientKey": self.app.client_id, "clientSecret": secret, key: installer.id() });
        let request = self.http.request(Method::POST, self.url(&["oauth", "reconnect"])).json(&body);
        let asked = self.ask("reconnect", request.header("Accept", "application/json"), "", None);
        let answer: Reconnected = asked.await.map_err(|error| match error {
            // It is asked only where HighLevel has said that the tokens are lost; no more is needed
            // than that there is no help here.
            Error::Refused { about: About::Record | About::Unknown, status: 400 | 404 | 410 | 422, .. } => {
                Error::GrantInvalid
            }
            error => nobody_there(error),
        })?;
        Ok(answer.authorization_code)
    }

    fn allowance(&self, company: &CompanyId) -> Arc<Allowance> {
        let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        allowances.entry(company.clone()).or_insert_with(|| Arc::new(Allowance::new(self.clock.clone()))).clone()
    }

    fn client(&self) -> GhlClient {
        Client::new(ClientId::new(self.app.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.app.client_secret.expose_secret().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.url(&["oauth", "token"])))
            .set_redirect_uri(RedirectUrl::from_url(self.app.redirect.clone()))
    }

    fn adapter<'a>(
        &'a self,
        operation: &'static str,
        judge: &'a (dyn Fn(&Answer) -> Option<Error> + Sync),
    ) -> HttpAdapter<'a> {
        HttpAdapter { http: &self.http, vendor: Vendor::Ghl, operation, limit: LIMIT, judge }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        request: RequestBuilder,
        scope: &str,
        allowance: Option<&Allowance>,
    ) -> Result<T, Error> {
        let read = |answer: Answer| {
            let asked = Asked { scope: Some(scope), ..Asked::default() };
            let now = self.clock.now();
            let refused = refusal(Vendor::Ghl, &answer, asked, now);
            let refused = refused.map(|error| of_install(&answer).unwrap_or(error));
            if let Some(allowance) = allowance {
                allowance.learn(&answer, refused.as_ref());
            }
            if let Some(error) = refused {
                return Err(error);
            }
            let value = answer.json()?;
            self.skew.learn(&answer, now);
            Ok(value)
        };
        self.http.send(Vendor::Ghl, operation, request.build(), read).await
    }

    /// What the token endpoint means (G §3.2); its words may repeat what we sent.
    fn judge(&self, answer: &Answer) -> Option<Error> {
        let now = self.clock.now();
        let Some(refused) = refusal(Vendor::Ghl, answer, Asked::default(), now) else {
            if answer.json::<serde::de::IgnoredAny>().is_ok() {
                self.skew.learn(answer, now);
            }
            return None;
        };
        if let Some(ended) = of_install(answer) {
            return Some(ended);
        }
        Some(match answer.status.as_u16() {
            // A gateway's page says nothing about the pair.
            _ if refused.about() == About::Path => nobody_there(refused),
            400 | 401 | 403 | 422 => {
                let words = words(&answer.body).replace(self.app.client_secret.expose_secret(), "[REDACTED]");
                Error::AppRefused { message: VendorMessage::new(&words) }
            }
            _ => nobody_there(refused),
        })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.app.base.clone();
        // A base that cannot have anything below it was refused with the settings.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// A token endpoint that is not there says nothing about any contact, and must not read so.
fn nobody_there(error: Error) -> Error {
    match error {
        Error::Refused { status, .. } => Error::Unavailable { status, retry_after: None },
        error => error,
    }
}

fn authorized(request: RequestBuilder, bearer: &Secret) -> RequestBuilder {
    request.bearer_auth(bearer.expose_secret()).header("Version", VERSION).header("Accept", "application/json")
}

/// `asked`: for whom, where that is known; then the answer need not say it.
fn grant(granted: Granted, asked: Option<&Installer>) -> Result<Grant, Error> {
    let of_company = granted.user_type.as_deref() == Some("Company") || granted.location_id.is_none();
    let installer = match (asked, &granted.location_id, &granted.company_id) {
        (Some(asked), ..) => asked.clone(),
        (None, _, Some(company)) if of_company => Installer::Company(company.clone()),
        (None, Some(location), _) => Installer::Location(location.clone()),
        (None, ..) => return Err(Error::UNEXPECTED_BODY),
    };
    let tokens = Tokens {
        access: granted.access_token().secret().as_str().into(),
        refresh: granted.refresh_token().map(|token| token.secret().as_str().into()),
    };
    let life = granted.expires_in().unwrap_or(USUAL_LIFE);
    let scopes = granted.scope.as_deref().map(Scopes::parse);
    Ok(Grant { installer, company: granted.company_id, tokens, life, scopes })
}
