//! `doctor`: tries everything that a set-up needs, and says for each what was tried, what came
//! back, what to change.

mod database;
mod service;

use clap::Args;
use serde_json::{Value, json};

use super::output::{Failure, print, print_json, strip_control};
use super::server::Server;
use crate::app;
use crate::clients::{CallCounts, Http, Timeouts};
use crate::config::{Config, Problem, Sources, Wrong};
use crate::model::{Check, ContactId};
use crate::sync::preview_of;

use database::Opened;

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
            _ => Err(Failure::new(format!("{bad} of {} checks failed", checks.len()))),
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
        let Opened { check, service, store, entered } = database::open(&config).await;
        checks.push(json!(check));
        let mut apart = Vec::new();
        if let Some(store) = store {
            apart = app::apart(&config, &store).await?;
            for (location, counts) in app::phones(&config, http.clone(), &store).await? {
                checks.push(of(location.as_str(), json!(phones(counts))));
            }
            for (location, contacts) in app::projections(&config, http.clone(), &store).await? {
                checks.push(of(location.as_str(), json!(projection(contacts))));
            }
            store.close().await;
        }
        checks.push(json!(webhook_key(&config)));
        checks.extend(other_app(&config).map(|check| json!(check)));
        if !service.runs() {
            checks.push(json!(service::not_running(&config, &http, service, entered).await));
        }
        let (told, mut listed) = self.ask(service, &config, sources).await;
        if told.is_none() && service.can_be_asked() && config.pairs.is_empty() && listed.is_empty() {
            checks.push(json!(service::nobody_connected(&config)));
        }
        checks.extend(told);
        service::add(&mut listed, apart);
        for (location, found) in app::probe(&config, http.clone(), self.contact.as_ref()).await? {
            let found = found.into_iter().map(|check| json!(check)).collect();
            checks.extend(service::with_states(location.as_str(), found, &listed));
        }
        checks.extend(self.listed(&listed, &config, sources).await);
        checks.extend(self.deliveries(service, sources).await);
        self.keep_one_preview(&mut checks);
        if let Some(url) = config.public_url.as_ref().filter(|_| service.runs()) {
            checks.push(json!(service::public(&http, url).await));
        }
        Ok(checks)
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

/// A setting that is wrong: what, and what to write.
fn setting(problem: &Problem) -> Check {
    let Problem { name, wrong } = problem;
    let (found, fix) = match wrong {
        Wrong::NotSet(hint) => ("is not set", format!("set it: {hint}")),
        Wrong::Unusable(message) => ("cannot be used as it is", message.clone()),
    };
    Check::bad(format!("setting `{name}`"), found, fix)
}

fn of(location: &str, mut check: Value) -> Value {
    check["location_id"] = json!(location);
    check
}

/// A check as people read it.
pub(super) fn line(check: &Value) -> String {
    let text = |name: &str| strip_control(check[name].as_str().unwrap_or_default());
    let mark = match (check["ok"] == true, check["fix"].is_null()) {
        (true, true) => "ok  ",
        (true, false) => "note",
        (false, _) => "FAIL",
    };
    let location = check["location_id"].as_str().map(|location| format!("{location}: ")).unwrap_or_default();
    let fix = check["fix"].as_str().map(|fix| format!("\n        -> {}", strip_control(fix))).unwrap_or_default();
    format!("{mark}  {location}{}: {}{fix}", text("tried"), text("found"))
}

/// What an older version made of phone numbers, before anything is written.
fn phones([wrong, left_out, readable]: [usize; 3]) -> Check {
    let found = format!(
        "{wrong} in Trafft are wrong, {left_out} belong to contacts whose number is left out now, \
         {readable} are missing in Trafft and can be read now"
    );
    let fix = "the service corrects the first and the last by itself; it lists those left out in `sweeps findings`: compare \
        them, and correct the number in GoHighLevel";
    Check::lesser("phones: what an older version made of them", found, fix)
}

/// What a change of the rules will cause, before anything is written.
fn projection(contacts: i64) -> Check {
    let found = format!("{contacts} contacts were synced by another mapping, policy, zone, region or version");
    let fix = "the service looks at each of them anew by itself, and writes those that differ: see `sweeps list`";
    Check::lesser("mapping: contacts that are projected anew", found, fix)
}

/// A note where `GHL_APP_ID` names another app than `GHL_CLIENT_ID`: usually a mistake, but another
/// app may send the events on purpose.
fn other_app(config: &Config) -> Option<Check> {
    let installs = config.app.as_ref()?.client_id.split('-').next()?;
    let events = config.ghl.app.as_deref().filter(|app| *app != installs)?;
    let found = format!(
        "`GHL_APP_ID` is `{events}`, and the app of `GHL_CLIENT_ID` is `{installs}`: events of `{installs}` are refused"
    );
    let fix = "leave `GHL_APP_ID` out, unless another app of yours sends the events";
    Some(Check::lesser("webhooks: the app that they come from", found, fix))
}

fn webhook_key(config: &Config) -> Check {
    const TRIED: &str = "webhooks: the key that they are signed with";
    let ghl = &config.ghl;
    let has_workflows = ghl.workflow_token.is_some() || ghl.workflow_secret.is_some();
    match &ghl.webhook_keys {
        None if config.app.is_none() && ghl.app.is_none() && !has_workflows => Check::lesser(
            TRIED,
            "a private token brings no webhooks by itself, and `/webhooks/ghl/workflow` is off",
            "set `GHL_WORKFLOW_TOKEN`, and send it from your workflows (README, *With a private token*); or set `GHL_APP_ID` \
             if an app of yours sends here",
        ),
        None => Check::good(TRIED, "HighLevel's published key"),
        // Whether they can be used was seen with the settings.
        Some(_) => {
            Check::good(TRIED, "keys of `GHL_WEBHOOK_PUBLIC_KEYS`; HighLevel's own counts only if it is among them")
        }
    }
}
