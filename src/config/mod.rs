//! The settings: read from a file and the environment, checked whole, every problem told at once
//! with its fix.

mod own;
mod pairs;
mod policy;
mod reader;
mod reference;
mod values;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::model::{Keep, LocationId, Policy, Secret};

pub use own::{MAPPING, OWN, Options};
pub use pairs::Pair;
pub use reader::{Problem, Problems, Sources, Wrong};
pub use reference::{SETTINGS, Setting, markdown, name};

use policy::{keep, policy};
use reader::Reader;
use values::{address, api_url, choice, keys, long_secret, network, number, origin, secret};

/// Everything that can be set, ready to use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Under which address browsers and HighLevel reach it; an origin.
    pub public_url: Option<Url>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
    /// Where the store is.
    pub database_url: String,
    /// GoHighLevel.
    pub ghl: Ghl,
    /// The location that is meant where none is named: that of `GHL_LOCATION_ID`, else the only one
    /// of the settings.
    pub location: Option<LocationId>,
    /// The locations that the settings connect.
    pub pairs: Vec<Pair>,
    /// The marketplace app, if locations are to be connected by installing it.
    pub app: Option<MarketplaceApp>,
    /// Keys that seal secrets at rest, as text.
    pub encryption_key: Option<Secret>,
    /// Guards the admin API; without it that API is off.
    pub admin_token: Option<Secret>,
    /// How long a webhook waits for its contact to be synced.
    pub inline_deadline: Duration,
    /// The text of the mapping file; empty: the defaults.
    pub mapping: String,
    /// How the connection wants to be worked.
    pub policy: Policy,
    /// The one cap on bodies, in bytes; the proxy samples in `deploy/` share it.
    pub max_body: usize,
    /// How long a stop may take.
    pub shutdown: Duration,
    /// How long another process is silent before its locations are taken over.
    pub lease: Duration,
    /// How long what is no longer needed is kept.
    pub keep: Keep,
    /// Logs as JSON lines.
    pub log_json: bool,
}

/// GoHighLevel's part, for all locations.
#[derive(Debug, Clone)]
pub struct Ghl {
    /// Base of the API.
    pub api_url: Url,
    /// Only this app's events.
    pub app: Option<String>,
    /// Keys that sign webhooks, as text; `None`: HighLevel's own.
    pub webhook_keys: Option<String>,
    /// HMAC secret of workflow webhooks.
    pub workflow_secret: Option<Secret>,
    /// Token of workflow webhooks.
    pub workflow_token: Option<Secret>,
}

/// The marketplace app, as its developer registered it with HighLevel.
#[derive(Debug, Clone)]
pub struct MarketplaceApp {
    /// `<app id>-<suffix>`.
    pub client_id: String,
    /// From the app's settings.
    pub client_secret: Secret,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// Where an admin chooses the location.
    pub chooser: Url,
    /// The same for agencies with a domain of their own.
    pub white_label_chooser: Url,
    /// Where HighLevel sends the browser back to.
    pub redirect: Url,
}

/// Trafft's part.
#[derive(Debug, Clone)]
pub struct Trafft {
    /// Origin of the account.
    pub origin: Url,
    /// From Trafft's API card.
    pub client_id: String,
    /// From Trafft's API card.
    pub client_secret: Secret,
}

/// What it takes to call the admin API of a running service.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where that service listens.
    pub bind: SocketAddr,
    /// The token that its admin API asks for.
    pub token: Secret,
}

/// A check from another module: the setting's name, and a function that finds fault with its value.
pub type Check<'a> = (&'static str, &'a dyn Fn(&str) -> Result<(), String>);

const NOTHING_TO_DO: &str = "a single account needs it, and `GHL_ACCESS_TOKEN`, `TRAFFT_API_URL`, `TRAFFT_CLIENT_ID` and \
    `TRAFFT_CLIENT_SECRET`; an app that is installed through the browser needs `GHL_CLIENT_ID` instead";

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Every problem found, each with its fix.
    pub fn load(sources: &Sources, checks: &[Check<'_>]) -> Result<Self, Problems> {
        let mut from = Reader::new(sources);
        for (name, check) in checks {
            from.check(name, check);
        }
        let config = Self::read(&mut from);
        from.finish(config)
    }

    fn read(from: &mut Reader) -> Option<Self> {
        let bind = from.get(name::BIND_ADDR, address);
        let public_url = from.optional(name::PUBLIC_URL, origin);
        let proxies = from.get(name::TRUSTED_PROXIES, |text| text.split(',').map(network).collect());
        let database_url = from.get(name::DATABASE_URL, |text| Ok(text.to_owned()));
        let ghl = Ghl::read(from);
        let pair = Pair::read(from);
        let app = MarketplaceApp::read(from);
        let encryption_key = from.optional(name::ENCRYPTION_KEY, keys);
        // Of a pair that is there in part, each setting that is missing is told by itself.
        let further = from.optional(name::CONNECTIONS_FILE, pairs::read).unwrap_or_default();
        let ways = [name::GHL_CLIENT_ID, name::GHL_CLIENT_SECRET, name::ENCRYPTION_KEY];
        // The file may be there and name nobody: the unit in `deploy/` hands over an empty one.
        let is_connected = !further.is_empty() || from.is_told(name::CONNECTIONS_FILE);
        if !is_connected && !pairs::PAIR.iter().chain(&ways).any(|name| from.is_set(name)) {
            from.missing(name::GHL_LOCATION_ID, NOTHING_TO_DO);
        }
        let admin_token = from.optional(name::ADMIN_TOKEN, long_secret);
        let inline_deadline =
            from.get(name::SYNC_INLINE_DEADLINE_MS, |text| number(text, 0, 30_000)).map(Duration::from_millis);
        let mapping = from.optional(name::MAPPING_FILE, |path| {
            std::fs::read_to_string(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))
        });
        let policy = policy(from);
        let max_body = from.get(name::MAX_BODY_BYTES, |text| number(text, 64 * 1024, 64 * 1024 * 1024));
        let shutdown = from.get(name::SHUTDOWN_SECONDS, |text| number(text, 1, 600)).map(Duration::from_secs);
        if let Some(policy) = &policy {
            for Pair { location, options, .. } in &further {
                from.agree(
                    name::CONNECTIONS_FILE,
                    policy.clone().with(options).map_err(|what| format!("connection `{location}`, {what}")),
                );
            }
        }
        let lease = from.get(name::LEASE_SECONDS, |text| number(text, 3, 300)).map(Duration::from_secs);
        let keep = keep(from);
        let log_json = from.get(name::LOG_FORMAT, |text| choice(text, &[("text", false), ("json", true)]));
        let named = pair.iter().flatten().next();
        let only = further.first().filter(|_| further.len() == 1);
        let location = named.or(only).map(|pair| pair.location.clone());
        Some(Self {
            bind: bind?,
            public_url,
            proxies: proxies?,
            database_url: database_url?,
            ghl: ghl?,
            location,
            pairs: pair?.into_iter().chain(further).collect(),
            app: app?,
            encryption_key,
            admin_token,
            inline_deadline: inline_deadline?,
            mapping: mapping.unwrap_or_default(),
            policy: policy?,
            max_body: usize::try_from(max_body?).ok()?,
            shutdown: shutdown?,
            lease: lease?,
            keep: keep?,
            log_json: log_json?,
        })
    }
}

impl Ghl {
    fn read(from: &mut Reader) -> Option<Self> {
        let api_url = from.get(name::GHL_API_URL, api_url);
        let app = from.optional(name::GHL_APP_ID, |text| Ok(text.to_owned()));
        // The part before the first `-` is what webhooks call the app (G §3.1).
        let of_client =
            from.optional(name::GHL_CLIENT_ID, |text| Ok(text.split('-').next().unwrap_or(text).to_owned()));
        let webhook_keys = from.optional(name::GHL_WEBHOOK_PUBLIC_KEYS, |text| Ok(text.to_owned()));
        let workflow_secret = from.optional(name::GHL_WORKFLOW_SECRET, long_secret);
        let workflow_token = from.optional(name::GHL_WORKFLOW_TOKEN, long_secret);
        Some(Self { api_url: api_url?, app: app.or(of_client), webhook_keys, workflow_secret, workflow_token })
    }
}

impl MarketplaceApp {
    /// Reads the settings of the app: all of them, or none.
    fn read(from: &mut Reader) -> Option<Option<Self>> {
        if !from.is_set(name::GHL_CLIENT_ID) && !from.is_set(name::GHL_CLIENT_SECRET) {
            return Some(None);
        }
        let client_id = from.get(name::GHL_CLIENT_ID, |text| Ok(text.to_owned()));
        let client_secret = from.get(name::GHL_CLIENT_SECRET, secret);
        let scopes = from.get(name::GHL_APP_SCOPES, |text| Ok(pairs::words(text)));
        let chooser = from.get(name::GHL_CHOOSER_URL, api_url);
        let white_label_chooser = from.get(name::GHL_WHITE_LABEL_CHOOSER_URL, api_url);
        let redirect = from.get(name::PUBLIC_URL, |text| {
            origin(text)?.join("/oauth/callback").map_err(|_| "write a whole URL, beginning with `https://`".to_owned())
        });
        // The pages need a signed-in person, and what they bring has to be sealed.
        let admin = from.get(name::ADMIN_TOKEN, long_secret);
        let key = from.get(name::ENCRYPTION_KEY, keys);
        let _ = admin?;
        let _ = key?;
        Some(Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            scopes: scopes?,
            chooser: chooser?,
            white_label_chooser: white_label_chooser?,
            redirect: redirect?,
        }))
    }
}

/// What it takes to try GoHighLevel's API by hand.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// Base of the API.
    pub api_url: Url,
    /// The location.
    pub location: LocationId,
    /// Its private integration token.
    pub token: Secret,
    /// What that token may do, when known.
    pub scopes: Option<Vec<String>>,
}

impl ByHand {
    /// Reads these alone; here they must be set.
    ///
    /// # Errors
    /// Every problem found, each with its fix.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut from = Reader::new(sources);
        let api_url = from.get(name::GHL_API_URL, api_url);
        let (location, token, scopes) = pairs::private(&mut from);
        let config = api_url.zip(location).zip(token);
        let config = config.map(|((api_url, location), token)| Self { api_url, location, token, scopes });
        from.finish(config)
    }
}

impl Admin {
    /// Reads these two alone; here the token must be set.
    ///
    /// # Errors
    /// Every problem found, each with its fix.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut from = Reader::new(sources);
        let bind = from.get(name::BIND_ADDR, address);
        let token = from.get(name::ADMIN_TOKEN, long_secret);
        let config = bind.zip(token).map(|(bind, token)| Self { bind, token });
        from.finish(config)
    }
}

impl Trafft {
    fn read(from: &mut Reader) -> Option<Self> {
        let origin = from.get(name::TRAFFT_API_URL, api_url);
        let client_id = from.get(name::TRAFFT_CLIENT_ID, |text| Ok(text.to_owned()));
        let client_secret = from.get(name::TRAFFT_CLIENT_SECRET, secret);
        Some(Self { origin: origin?, client_id: client_id?, client_secret: client_secret? })
    }
}
