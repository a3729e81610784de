//! The marketplace app: how it is installed, and the tokens that it gets for it (G §3.1 to §3.6).

use serde_json::json;

mod chooser;
mod control;
mod grants;
mod holder;
mod installed;
mod installs;
mod location_token;
mod page;
mod person;
mod reconnect;
mod tokens;

pub(super) use control::{TEXT, answer as control};
pub(crate) use installs::Installs;
pub(crate) use tokens::{Bearer, OAuthTokens};

use super::Shared;
use super::admission::refusal;
use super::state::APP;
use crate::front::{Answer, Call, form};
use crate::journal::Class;

/// Every scope of G §3.8.
pub(crate) const KNOWN_SCOPES: [&str; 13] = [
    "contacts.readonly",
    "contacts.write",
    "locations/tasks.readonly",
    "calendars/events.readonly",
    "calendars/events.write",
    "locations.readonly",
    "locations/customFields.readonly",
    "locations/customFields.write",
    "locations/tags.readonly",
    "locations/tags.write",
    "users.readonly",
    "oauth.readonly",
    "oauth.write",
];

/// What the app's developer got with it, and what a test has switched.
pub(crate) struct App {
    /// `<appId>-<suffix>` (G §3.1).
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) echo_state: bool,
    pub(crate) reconnect: bool,
    /// Whether a refresh token that was just used brings the same pair again.
    pub(crate) same_pair: bool,
    pub(crate) location_refresh_tokens: bool,
    /// Whether a company's install also tells of each of its locations.
    pub(crate) bulk_events: bool,
    /// Successful calls so far, but for the reuses, which were refused.
    pub(crate) refreshes: usize,
    pub(crate) refresh_repeats: usize,
    pub(crate) refresh_reuses: usize,
    pub(crate) location_token_calls: usize,
    pub(crate) reconnects: usize,
}

impl App {
    pub(crate) fn new() -> Self {
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        Self {
            client_id: format!("{APP}-{}", &suffix[..8]),
            client_secret: uuid::Uuid::new_v4().to_string(),
            redirect_uris: Vec::new(),
            echo_state: true,
            reconnect: false,
            same_pair: true,
            location_refresh_tokens: false,
            bulk_events: false,
            refreshes: 0,
            refresh_repeats: 0,
            refresh_reuses: 0,
            location_token_calls: 0,
            reconnects: 0,
        }
    }
}

/// Why a call is refused, and whether a correct client would have come to it.
pub(super) enum Refusal {
    /// Never: a complaint.
    ClientFault(u16, String),
    /// It may: codes expire, admins uninstall, a crash comes between an answer and a commit.
    Expected(u16, &'static str),
}

pub(super) fn wrong<T>(status: u16, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::ClientFault(status, message.into()))
}

/// What is under `/oauth`, and the marketplace's pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Token,
    LocationToken,
    InstalledLocations,
    Reconnect,
    Chooser,
    Marketplace,
}

fn route(call: &Call) -> Option<Route> {
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/oauth/token") => Some(Route::Token),
        ("POST", "/oauth/locationToken") => Some(Route::LocationToken),
        ("GET", "/oauth/installedLocations") => Some(Route::InstalledLocations),
        ("POST", "/oauth/reconnect") => Some(Route::Reconnect),
        ("GET" | "POST", "/v2/oauth/chooselocation" | "/oauth/chooselocation") => Some(Route::Chooser),
        ("GET" | "POST", "/_screens/marketplace") => Some(Route::Marketplace),
        _ => None,
    }
}

/// How the journal counts these calls; `None` where they are none of the app's.
pub(super) fn classify(call: &Call) -> Option<Class> {
    route(call).map(|route| match route {
        Route::Token | Route::LocationToken | Route::Reconnect => Class::Token,
        Route::InstalledLocations => Class::Metadata,
        Route::Chooser | Route::Marketplace => Class::Screen,
    })
}

/// The fields of a form body; one that is empty counts as absent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// 400 where the body is no form (G §2), 422 on a field that the official file does not have.
    pub(super) fn read(call: &Call, known: &[&str]) -> Result<Self, Refusal> {
        let kind = call.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return wrong(400, "Invalid request: content must be application/x-www-form-urlencoded");
        }
        let fields = form(&String::from_utf8_lossy(&call.body));
        match fields.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => wrong(422, format!("property {key} should not exist")),
            None => Ok(Self(fields)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl Shared {
    /// What of these calls is refused before a scripted fault is spent on it; `None`: not a call of
    /// this kind.
    pub(super) fn admit_oauth(&self, call: &Call) -> Option<Option<Answer>> {
        Some(match route(call)? {
            // No bearer, no version, and no allowance that anybody has published (G §3.2).
            Route::Token | Route::Reconnect | Route::Chooser | Route::Marketplace => None,
            Route::LocationToken | Route::InstalledLocations => self.gate_bearer(call),
        })
    }

    /// The answer of the OAuth side; `None`: not a call of this kind.
    pub(super) fn answer_oauth(&self, call: &Call) -> Option<Answer> {
        let answered = match route(call)? {
            Route::Token => self.grant(call),
            Route::LocationToken => self.location_token(call),
            Route::InstalledLocations => self.installed_locations(call),
            Route::Reconnect => self.reconnect(call),
            Route::Chooser => Ok(self.chooser(call)),
            Route::Marketplace => Ok(self.marketplace(call)),
        };
        Some(answered.unwrap_or_else(|why| self.refuse(call, why)))
    }

    fn refuse(&self, call: &Call, why: Refusal) -> Answer {
        match why {
            Refusal::Expected(status, message) => refusal(status, &json!(message)),
            Refusal::ClientFault(status, message) => {
                self.complain(call, &message);
                // 422 is a list everywhere (G §4).
                let message = if status == 422 { json!([message]) } else { json!(message) };
                refusal(status, &message)
            }
        }
    }
}
