//! `doctor`: tries everything that a set-up needs, and says for each what was tried, what came back, what to change.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::admin::Server;
use super::output::{Failure, plain, print, print_json};
use crate::app;
use crate::clients::admin::Request;
use crate::clients::front::{Front, knock};
use crate::clients::{CallCounts, Http, Timeouts};
use crate::config::{Config, Problem, Sources};
use crate::model::ContactId;
use crate::store::{self, Store};
use crate::sync::{Check, preview_of};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    server: Server,
    /// Show what this contact would become
    #[arg(long, value_name = "ID")]
    contact: Option<ContactId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let checks = self.checks(sources).await?;
        let bad = checks.iter().filter(|check| check["ok"] != true).count();
        if self.json {
            print_json(&json!({ "ok": bad == 0, "checks": checks }))?;
        } else {
            checks.iter().try_for_each(|check| print(line(check)))?;
        }
        match bad {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{bad} of {} things are not as they must be", checks.len()))),
        }
    }

    async fn checks(&self, sources: &Sources) -> Result<Vec<Value>, Failure> {
        let config = match app::load(sources) {
            Ok(config) => config,
            // Nothing else can be tried with settings that are wrong.
            Err(problems) => return Ok(problems.0.iter().map(|problem| json!(setting(problem))).collect()),
        };
        let http = Http::new(Timeouts::default(), CallCounts::default())?;
        let mut checks = vec![json!(Check::good("settings", "can be used"))];
        let (store, service) = store(&config).await;
        checks.push(json!(store));
        checks.push(json!(webhook_key(&config)));
        for (location, found) in app::probe(&config, http.clone(), self.contact.as_ref()).await? {
            checks.extend(found.into_iter().map(|check| of(location.as_str(), json!(check))));
        }
        checks.extend(self.entered(service, sources).await);
        self.keep_one_preview(&mut checks);
        if let Some(url) = &config.public_url {
            checks.push(json!(public(&http, url).await));
        }
        Ok(checks)
    }

    /// The locations that people have connected: the running service tries them, since it alone may renew their tokens.
    async fn entered(&self, service: Service, sources: &Sources) -> Vec<Value> {
        const TRIED: &str = "service: ask the running one about the locations that people have connected";
        let alone = || {
            let fix = "it alone may renew their tokens: start it, then run `doctor` again";
            json!(Check::lesser(TRIED, "it is not running", fix))
        };
        let listed = match service {
            // Nobody has connected any, and without a token nobody could.
            Service::Away { entered: 0 } | Service::Unguarded => return Vec::new(),
            Service::Away { .. } => None,
            Service::Running | Service::Somewhere { .. } => {
                Some(self.server.ask(Request::get(&["connections"]), sources).await)
            }
        };
        let listed = match (listed, service) {
            (Some(Ok(listed)), _) => listed,
            (Some(Err(failure)), Service::Somewhere { entered: 0 }) if failure.is_alone() => return Vec::new(),
            (Some(Err(failure)), Service::Somewhere { .. }) if failure.is_alone() => return vec![alone()],
            (None, _) => return vec![alone()],
            (Some(Err(failure)), _) => {
                let (found, fix) = failure.parts();
                let or = "use the settings of the running service, or name it with `--url`";
                return vec![json!(Check::bad(TRIED, found, fix.unwrap_or(or)))];
            }
        };
        let mut checks = Vec::new();
        for one in listed["connections"].as_array().into_iter().flatten() {
            // Where the app was uninstalled nobody expects anything.
            let is_theirs = !one["install"].is_null() && one["install"] != "uninstalled";
            let Some(location) = one["location_id"].as_str().filter(|_| is_theirs) else { continue };
            let found = match one["entered"] == true {
                true => self.tried_there(location, sources).await,
                false => vec![json!(Check::bad(
                    "Trafft credentials",
                    "not entered yet",
                    "enter them: `connections add`, or the service's page",
                ))],
            };
            checks.extend(found.into_iter().map(|check| of(location, check)));
        }
        checks
    }

    async fn tried_there(&self, location: &str, sources: &Sources) -> Vec<Value> {
        let request = Request::post(&["connections", location, "test"]).query("contact_id", self.contact.as_ref());
        match self.server.ask(request, sources).await {
            Ok(answer) => answer["checks"].as_array().cloned().unwrap_or_default(),
            Err(failure) => {
                let (found, fix) = failure.parts();
                let or = "see its state with `connections show`";
                vec![json!(Check::bad("service: try this location", found, fix.unwrap_or(or)))]
            }
        }
    }

    /// A contact is one location's: that the others do not have it is no fault of theirs.
    fn keep_one_preview(&self, checks: &mut Vec<Value>) {
        let Some(contact) = &self.contact else { return };
        let tried = preview_of(contact);
        let is_one = |check: &Value| check["tried"] == tried.as_str();
        if checks.iter().any(|check| is_one(check) && check["ok"] == true) {
            checks.retain(|check| !is_one(check) || check["ok"] == true);
        }
    }
}

/// What is known of a service that works with these settings.
#[derive(Clone, Copy)]
enum Service {
    /// It holds the database.
    Running,
    /// It may, and so may others; so many locations were connected by people.
    Somewhere { entered: usize },
    /// It does not.
    Away { entered: usize },
    /// Its admin API is off.
    Unguarded,
}

/// A setting that is wrong: what, and what to write.
fn setting(problem: &Problem) -> Check {
    let Problem { name, message } = problem;
    let (found, fix) = match message.split_once("; ") {
        Some((found @ "is not set", hint)) => (found, format!("set it: {hint}")),
        _ => ("cannot be used as it is", message.clone()),
    };
    Check::bad(format!("setting `{name}`"), found, fix)
}

fn of(location: &str, mut check: Value) -> Value {
    check["location_id"] = json!(location);
    check
}

/// A check as people read it.
pub(super) fn line(check: &Value) -> String {
    let text = |name: &str| plain(check[name].as_str().unwrap_or_default());
    let mark = match (check["ok"] == true, check["fix"].is_null()) {
        (true, true) => "ok  ",
        (true, false) => "note",
        (false, _) => "FAIL",
    };
    let location = check["location_id"].as_str().map(|location| format!("{location}: ")).unwrap_or_default();
    let fix = check["fix"].as_str().map(|fix| format!("\n        -> {}", plain(fix))).unwrap_or_default();
    format!("{mark}  {location}{}: {}{fix}", text("tried"), text("found"))
}

/// Also says what it tells of a service.
async fn store(config: &Config) -> (Check, Service) {
    const TRIED: &str = "store: open the database";
    let away = Service::Away { entered: 0 };
    let file = config.database_url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    if let Some(file) = file.filter(|file| !Path::new(file.split('?').next().unwrap_or(file)).exists()) {
        let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let check = match folder.is_dir() {
            true => Check::good(TRIED, "there is none yet; `serve` makes it"),
            false => Check::bad(
                TRIED,
                format!("the folder `{}` is not there", folder.display()),
                "make it, or change `DATABASE_URL`",
            ),
        };
        return (check, away);
    }
    let keys = match app::keys(config) {
        Ok(keys) => keys,
        Err(error) => return (Check::bad(TRIED, "not tried", error.to_string()), away),
    };
    match Store::open(&config.database_url, keys).await {
        Ok(store) => {
            let listed = store.connections().await;
            let is_shared = store.is_shared();
            store.close().await;
            let entered = match listed {
                Ok(all) => all.iter().filter(|one| one.install.is_some()).count(),
                Err(error) => return (Check::bad(TRIED, "cannot be read", error.to_string()), away),
            };
            let service = match (config.admin_token.is_some(), is_shared) {
                (false, _) => Service::Unguarded,
                (true, true) => Service::Somewhere { entered },
                (true, false) => Service::Away { entered },
            };
            (Check::good(TRIED, "works, and its secrets open"), service)
        }
        Err(store::Error::Locked(_)) if config.admin_token.is_none() => {
            (Check::good(TRIED, "a service is running with it"), Service::Unguarded)
        }
        Err(store::Error::Locked(_)) => (Check::good(TRIED, "a service is running with it"), Service::Running),
        Err(error) => (Check::bad(TRIED, "cannot be opened", error.to_string()), away),
    }
}

fn webhook_key(config: &Config) -> Check {
    const TRIED: &str = "webhooks: the key that they are signed with";
    match &config.ghl.webhook_keys {
        None => Check::good(TRIED, "HighLevel's published key"),
        // Whether they can be used was seen with the settings.
        Some(_) => {
            Check::good(TRIED, "keys of `GHL_WEBHOOK_PUBLIC_KEYS`; HighLevel's own counts only if it is among them")
        }
    }
}

async fn public(http: &Http, url: &url::Url) -> Check {
    let tried = format!("public address: {url}");
    match knock(http, url).await {
        Ok(Front::Service(version)) if version == env!("CARGO_PKG_VERSION") => {
            Check::good(tried, "the service answers, and refuses what is not signed")
        }
        Ok(Front::Service(version)) => Check::bad(
            tried,
            format!("version {version} answers, this is {}", env!("CARGO_PKG_VERSION")),
            "restart the service with this program",
        ),
        Ok(Front::NoWebhooks(status)) => Check::bad(
            tried,
            format!("`/webhooks/ghl` is answered {status}"),
            "let the proxy pass `/webhooks/` on, as in deploy/",
        ),
        Ok(Front::Other(status)) => Check::bad(
            tried,
            format!("something else answers `/healthz` ({status})"),
            "point the name at the proxy, and the proxy at the service (`BIND_ADDR`), as in deploy/",
        ),
        Err(error) => {
            Check::bad(tried, error.to_string(), "is the service running, the name in the DNS, the certificate good?")
        }
    }
}
