//! The settings: read from a file and the environment, checked whole, every problem told at once with its fix.

mod further;
mod reader;
mod reference;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use url::{Host, Url};

use crate::model::{DeletePolicy, DescriptionPolicy, Keep, LocationId, MissingPolicy, Pace, Policy, Region, Secret};

pub use reader::{Problem, Problems, Sources};
pub use reference::{SETTINGS, Setting, markdown};

use further::Further;
use reader::Reader;

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
    /// Trafft.
    pub trafft: Trafft,
    further: Vec<Further>,
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
    /// Older events are stale.
    pub freshness: Duration,
    /// How long a stop may take.
    pub shutdown: Duration,
    /// How long another process is silent before its locations are taken over.
    pub lease: Duration,
    /// How long what is no longer needed is kept.
    pub keep: Keep,
    /// Logs as JSON lines.
    pub log_json: bool,
}

/// GoHighLevel's part.
#[derive(Debug, Clone)]
pub struct Ghl {
    /// Base of the API.
    pub api_url: Url,
    /// Only this app's events.
    pub app: Option<String>,
    /// The location.
    pub location: LocationId,
    /// Its private integration token.
    pub token: Secret,
    /// What that token may do, when known.
    pub scopes: Option<Vec<String>>,
    /// Keys that sign webhooks, as text; `None`: HighLevel's own.
    pub webhook_keys: Option<String>,
    /// HMAC secret of workflow webhooks.
    pub workflow_secret: Option<Secret>,
    /// Token of workflow webhooks.
    pub workflow_token: Option<Secret>,
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
    /// What its admin API asks for.
    pub token: Secret,
}

/// Checks that belong to other rooms: the setting's name, and what finds fault with its value.
pub type Check<'a> = (&'static str, &'a dyn Fn(&str) -> Result<(), String>);

/// A retried delivery is up to 70 minutes old (G §8.6).
const SHORTEST_FRESHNESS: u64 = 75 * 60;

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
        let bind = from.get("BIND_ADDR", address);
        let public_url = from.optional("PUBLIC_URL", origin);
        let proxies = from.get("TRUSTED_PROXIES", |text| text.split(',').map(network).collect());
        let database_url = from.get("DATABASE_URL", |text| Ok(text.to_owned()));
        let ghl = Ghl::read(from);
        let trafft = Trafft::read(from);
        let admin_token = from.optional("ADMIN_TOKEN", long_secret);
        let inline_deadline =
            from.get("SYNC_INLINE_DEADLINE_MS", |text| number(text, 0, 30_000)).map(Duration::from_millis);
        let mapping = from.optional("MAPPING_FILE", |path| {
            std::fs::read_to_string(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))
        });
        let policy = policy(from);
        let max_body = from.get("MAX_BODY_BYTES", |text| number(text, 64 * 1024, 64 * 1024 * 1024));
        let freshness = from.get("FRESHNESS_SECONDS", |text| {
            number(text, SHORTEST_FRESHNESS, 7 * 86_400)
                .map_err(|what| format!("{what}; a delivery that HighLevel retries is more than an hour old"))
        });
        let shutdown = from.get("SHUTDOWN_SECONDS", |text| number(text, 1, 600)).map(Duration::from_secs);
        let further = from.optional("CONNECTIONS_FILE", further::read);
        let lease = from.get("LEASE_SECONDS", |text| number(text, 3, 300)).map(Duration::from_secs);
        let keep = keep(from);
        let log_json = from.get("LOG_FORMAT", |text| choice(text, &[("text", false), ("json", true)]));
        Some(Self {
            bind: bind?,
            public_url,
            proxies: proxies?,
            database_url: database_url?,
            ghl: ghl?,
            trafft: trafft?,
            admin_token,
            inline_deadline: inline_deadline?,
            mapping: mapping.unwrap_or_default(),
            policy: policy?,
            max_body: usize::try_from(max_body?).ok()?,
            freshness: Duration::from_secs(freshness?),
            shutdown: shutdown?,
            lease: lease?,
            keep: keep?,
            further: further.unwrap_or_default(),
            log_json: log_json?,
        })
    }
}

impl Config {
    /// Every location with its account.
    pub fn pairs(&self) -> impl Iterator<Item = (Ghl, Trafft)> {
        let first = (self.ghl.clone(), self.trafft.clone());
        std::iter::once(first).chain(self.further.iter().cloned().map(|further| further.with(&self.ghl)))
    }
}

impl Ghl {
    /// Reads GoHighLevel's part alone: all that it takes to try its API.
    ///
    /// # Errors
    /// Every problem found, each with its fix.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut from = Reader::new(sources);
        let config = Self::read(&mut from);
        from.finish(config)
    }

    fn read(from: &mut Reader) -> Option<Self> {
        let api_url = from.get("GHL_API_URL", api_url);
        let app = from.optional("GHL_APP_ID", |text| Ok(text.to_owned()));
        let location = from.get("GHL_LOCATION_ID", |text| text.parse().map_err(|error| format!("{error}")));
        let token = from.get("GHL_ACCESS_TOKEN", secret);
        let scopes = from.optional("GHL_SCOPES", |text| Ok(text.split_whitespace().map(str::to_owned).collect()));
        let webhook_keys = from.optional("GHL_WEBHOOK_PUBLIC_KEYS", |text| Ok(text.to_owned()));
        let workflow_secret = from.optional("GHL_WORKFLOW_SECRET", long_secret);
        let workflow_token = from.optional("GHL_WORKFLOW_TOKEN", long_secret);
        Some(Self {
            api_url: api_url?,
            app,
            location: location?,
            token: token?,
            scopes,
            webhook_keys,
            workflow_secret,
            workflow_token,
        })
    }
}

impl Admin {
    /// Reads these two alone; here the token must be set.
    ///
    /// # Errors
    /// Every problem found, each with its fix.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut from = Reader::new(sources);
        let (bind, token) = (from.get("BIND_ADDR", address), from.get("ADMIN_TOKEN", long_secret));
        let config = bind.zip(token).map(|(bind, token)| Self { bind, token });
        from.finish(config)
    }
}

impl Trafft {
    fn read(from: &mut Reader) -> Option<Self> {
        let origin = from.get("TRAFFT_API_URL", api_url);
        let client_id = from.get("TRAFFT_CLIENT_ID", |text| Ok(text.to_owned()));
        let client_secret = from.get("TRAFFT_CLIENT_SECRET", secret);
        Some(Self { origin: origin?, client_id: client_id?, client_secret: client_secret? })
    }
}

fn keep(from: &mut Reader) -> Option<Keep> {
    let days = |days: u64| Duration::from_hours(24 * days);
    let events = from.get("KEEP_EVENTS_DAYS", |text| number(text, 1, 3650)).map(days);
    let writes = from.get("KEEP_WRITES_DAYS", |text| number(text, 1, 3650)).map(days);
    Some(Keep { events: events?, writes: writes? })
}

fn pace(from: &mut Reader) -> Option<Pace> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let mut every = |name, most: u64, unit: u64| {
        let number = from.get(name, |text| number(text, 0, most))?;
        Some((number > 0).then(|| Duration::from_secs(number * unit)))
    };
    let contacts = every("SWEEP_CONTACTS_MINUTES", 1440, MINUTE);
    let tasks = every("SWEEP_TASKS_MINUTES", 10_080, MINUTE);
    let rotation = every("SWEEP_ROTATION_DAYS", 365, 24 * HOUR);
    let ids = every("SWEEP_IDS_HOURS", 8760, HOUR);
    let customers = every("SWEEP_CUSTOMERS_HOURS", 8760, HOUR);
    let task_calls = from.get("SWEEP_TASKS_CALLS", |text| number(text, 1, 10_000))?;
    Some(Pace {
        contacts: contacts?,
        tasks: tasks?,
        task_calls: i64::try_from(task_calls).ok()?,
        rotation: rotation?,
        ids: ids?,
        customers: customers?,
    })
}

fn policy(from: &mut Reader) -> Option<Policy> {
    use DeletePolicy::{DeleteCreated, Ignore, Keep};
    use DescriptionPolicy::{All, AtCreation, Created};
    let description = from.get("DESCRIPTION_POLICY", |text| {
        choice(text, &[("created", Created), ("all", All), ("at-creation", AtCreation)])
    });
    let escape = from.get("DESCRIPTION_ESCAPE", |text| choice(text, &[("html", true), ("none", false)]));
    let delete = from.get("DELETE_POLICY", |text| {
        choice(text, &[("keep", Keep), ("delete-created", DeleteCreated), ("ignore", Ignore)])
    });
    let missing = from.get("MISSING_CUSTOMER_POLICY", |text| {
        choice(text, &[("conflict", MissingPolicy::Conflict), ("recreate", MissingPolicy::Recreate)])
    });
    let settle_time = from.get("SETTLE_SECONDS", |text| number(text, 1, 3600)).map(Duration::from_secs);
    let page_pause = from.get("TRAFFT_PAGE_PAUSE_MS", |text| number(text, 0, 60_000)).map(Duration::from_millis);
    let pace = pace(from);
    let zone = from.optional("TIME_ZONE", |text| {
        TimeZone::get(text).map_err(|_| "write a zone's name as in `Europe/Berlin`".to_owned())
    });
    let region = from.optional("PHONE_REGION", |text| {
        Region::new(text).ok_or_else(|| "write the two letters of a country as in `US`".to_owned())
    });
    Some(Policy {
        description: description?,
        escape: escape?,
        delete: delete?,
        missing: missing?,
        settle_time: settle_time?,
        page_pause: page_pause?,
        pace: pace?,
        zone,
        region,
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write `address:port`, for example 127.0.0.1:8080".to_owned())
}

/// One address, or a network as in `10.0.0.0/8`.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
    network.map_err(|_| "write addresses or networks, separated by commas, as in `127.0.0.1,10.0.0.0/8`".to_owned())
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let parsed = text.replace('_', "").parse().ok().filter(|number| (least..=most).contains(number));
    parsed.ok_or_else(|| format!("write a whole number from {least} to {most}"))
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        format!("write one of: {}", choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
    })
}

fn secret(text: &str) -> Result<Secret, String> {
    // A line break from a file or a blank from a form would end up in a header.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err("it holds a blank or a character that no such secret has: copy it again".to_owned())
    }
}

fn long_secret(text: &str) -> Result<Secret, String> {
    if text.len() < 16 {
        return Err(
            "it is too short to keep anybody out: use at least 16 characters, for example from `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    secret(text)
}

fn api_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "write a whole URL, beginning with `https://`".to_owned())?;
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err("write `https://`; plain http is for a sandbox on this machine only".to_owned()),
    }
}

fn origin(text: &str) -> Result<Url, String> {
    let url = api_url(text)?;
    // Cookies and links are for the whole host: below a path, they would be somebody else's too.
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if bare { Ok(url) } else { Err("write the origin alone, as in `https://sync.example.com`".to_owned()) }
}
