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
use crate::config::{Config, Sources};
use crate::model::ContactId;
use crate::store::{self, Store};
use crate::sync::Check;

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
            Err(problems) => {
                let bad = |problem: crate::config::Problem| {
                    Check::bad(format!("setting `{}`", problem.name), "wrong", problem.message)
                };
                return Ok(problems.0.into_iter().map(bad).map(|check| json!(check)).collect());
            }
        };
        let http = Http::new(Timeouts::default(), CallCounts::default())?;
        let mut checks = vec![json!(Check::good("settings", "can be used"))];
        let (store, is_running) = store(&config).await;
        checks.push(json!(store));
        checks.push(json!(webhook_key(&config)));
        for (location, found) in app::probe(&config, http.clone(), self.contact.as_ref()).await? {
            checks.extend(found.into_iter().map(|check| of(location.as_str(), json!(check))));
        }
        if is_running {
            checks.extend(self.entered(&config, sources).await?);
        }
        if let Some(url) = &config.public_url {
            checks.push(json!(public(&http, url).await));
        }
        Ok(checks)
    }

    /// The locations that people have connected: the running service tries them, since it alone may renew their tokens.
    async fn entered(&self, config: &Config, sources: &Sources) -> Result<Vec<Value>, Failure> {
        if config.admin_token.is_none() {
            return Ok(Vec::new());
        }
        let listed = self.server.ask(Request::get(&["connections"]), sources).await?;
        let mut checks = Vec::new();
        for one in listed["connections"].as_array().into_iter().flatten() {
            let Some(location) = one["location_id"].as_str().filter(|_| !one["install"].is_null()) else { continue };
            if one["entered"] != true {
                let check = Check::bad(
                    "Trafft credentials",
                    "not entered yet",
                    "enter them: `connections add`, or the service's page",
                );
                checks.push(of(location, json!(check)));
                continue;
            }
            let request = Request::post(&["connections", location, "test"]);
            let answer = self.server.ask(request.query("contact_id", self.contact.as_ref()), sources).await?;
            checks.extend(answer["checks"].as_array().into_iter().flatten().map(|check| of(location, check.clone())));
        }
        Ok(checks)
    }
}

fn of(location: &str, mut check: Value) -> Value {
    check["location_id"] = json!(location);
    check
}

/// A check as people read it.
pub(super) fn line(check: &Value) -> String {
    let text = |name: &str| plain(check[name].as_str().unwrap_or_default());
    let mark = if check["ok"] == true { "ok  " } else { "FAIL" };
    let location = check["location_id"].as_str().map(|location| format!("{location}: ")).unwrap_or_default();
    let fix = check["fix"].as_str().map(|fix| format!("\n        -> {}", plain(fix))).unwrap_or_default();
    format!("{mark}  {location}{}: {}{fix}", text("tried"), text("found"))
}

/// Also says whether a service is running with it.
async fn store(config: &Config) -> (Check, bool) {
    const TRIED: &str = "store: open the database";
    let file = config.database_url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    if let Some(file) = file.filter(|file| !Path::new(file.split('?').next().unwrap_or(file)).exists()) {
        let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return (
            match folder.is_dir() {
                true => Check::good(TRIED, "there is none yet; `serve` makes it"),
                false => Check::bad(
                    TRIED,
                    format!("the folder `{}` is not there", folder.display()),
                    "make it, or change `DATABASE_URL`",
                ),
            },
            false,
        );
    }
    let keys = match app::keys(config) {
        Ok(keys) => keys,
        Err(error) => return (Check::bad(TRIED, "not tried", error.to_string()), false),
    };
    match Store::open(&config.database_url, keys).await {
        Ok(store) => {
            let shared = store.is_shared();
            store.close().await;
            (Check::good(TRIED, "works, and its secrets open"), shared)
        }
        Err(store::Error::Locked(_)) => (Check::good(TRIED, "a service is running with it"), true),
        Err(error) => (Check::bad(TRIED, "does not work", error.to_string()), false),
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
