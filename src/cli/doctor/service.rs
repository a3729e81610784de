//! What the running service says, what is said where there is none, and what the world outside sees
//! of it.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::database::Service;
use super::{Doctor, of};
use crate::clients::admin::{Admin, Request};
use crate::clients::front::{Front, knock};
use crate::clients::{Error, Http, NoConnection, NotSent};
use crate::config::{Config, Sources};
use crate::model::{Check, ConnectionState, Level, LocationId, Vendor};
use crate::store::InstallStatus;

impl Doctor {
    /// Every location as the running service has it, and a check that tells how asking for that
    /// went. Only the running service tries the locations that people have connected, since it
    /// alone may renew their tokens.
    pub(super) async fn ask(
        &self,
        service: Service,
        config: &Config,
        sources: &Sources,
    ) -> (Option<Value>, Vec<Listed>) {
        const TRIED: &str = "service: ask the running one about the locations that people have connected";
        // Without a token people cannot have connected any.
        if !service.can_be_asked() || config.admin_token.is_none() {
            return (None, Vec::new());
        }
        let told = match self.server.ask(Request::get(&["connections"]), sources).await {
            Ok(mut answer) => match serde_json::from_value(answer["connections"].take()) {
                Ok(listed) => return (None, listed),
                Err(_) => Check::bad(TRIED, "another version answers", "restart the service with this program"),
            },
            Err(failure) if failure.is_alone() && service == Service::Somewhere => {
                Check::lesser(TRIED, "it runs on another machine", "name it with `--url`, or run `doctor` there")
            }
            Err(failure) => {
                let (found, fix) = failure.parts();
                let or = "use the settings of the running service, or name it with `--url`";
                Check::bad(TRIED, found, fix.unwrap_or(or))
            }
        };
        (Some(json!(told)), Vec::new())
    }

    /// The locations that the settings do not connect: each that somebody has connected, and how
    /// many others there are.
    pub(super) async fn listed(&self, listed: &[Listed], config: &Config, sources: &Sources) -> Vec<Value> {
        let mut checks = Vec::new();
        let further = listed.iter().filter(|one| !config.pairs.iter().any(|pair| pair.location == one.location_id));
        let (connected, others): (Vec<_>, Vec<_>) = further.partition(|one| one.trafft_account.is_some());
        for one in connected {
            let location = one.location_id.as_str();
            let found = match one.can_be_tried() {
                true => self.tried_there(location, sources).await,
                false => Vec::new(),
            };
            checks.extend(with_states(location, found, listed));
        }
        let others = others.iter().filter(|one| one.is_installed()).count();
        checks.extend((others > 0).then(|| json!(not_connected(others))));
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

    /// How the running service answered HighLevel lately; none: it is not running.
    pub(super) async fn deliveries(&self, service: Service, sources: &Sources) -> Option<Value> {
        if !service.can_be_asked() {
            return None;
        }
        let answered = self.server.ask(Request::get(&["deliveries"]), sources).await.ok()?;
        let accepted = answered["accepted"].as_i64()?;
        let refused = answered["refused"].as_i64()?;
        let tried = "deliveries: how HighLevel was answered in the past three days";
        let found = format!("{accepted} of {} were accepted at the first try", accepted + refused);
        match accepted + refused {
            0 => Some(json!(Check::lesser(
                tried,
                "none came with a signature or token that is right",
                "change a contact in HighLevel. If it stays so, the address, the events or the workflow are not set up there (README), \
                 or what comes is refused: the log names each sender, `webhook_refusals_total` counts them",
            ))),
            _ if answered["too_few"] == true => Some(json!(Check::bad(
                tried,
                found,
                "HighLevel switches off an address that accepts fewer than 90 % of its deliveries: mend what refuses them, the log and \
                 `webhook_refusals_total` say what it is",
            ))),
            _ => Some(json!(Check::good(tried, found))),
        }
    }
}

/// A location, as the running service has it.
#[derive(Deserialize)]
pub(super) struct Listed {
    location_id: LocationId,
    trafft_account: Option<String>,
    install: Option<InstallStatus>,
    entered: bool,
    states: Vec<ConnectionState>,
}

/// What the database says of locations that the running service has not told of.
pub(super) fn add(listed: &mut Vec<Listed>, apart: Vec<(LocationId, ConnectionState)>) {
    for (location_id, state) in apart {
        if !listed.iter().any(|one| one.location_id == location_id) {
            let states = vec![state];
            listed.push(Listed { location_id, trafft_account: None, install: None, entered: false, states });
        }
    }
}

impl Listed {
    /// Where Trafft's credentials were not entered yet, or the app was uninstalled, the state says
    /// enough.
    fn can_be_tried(&self) -> bool {
        self.entered && self.is_installed()
    }

    fn is_installed(&self) -> bool {
        self.install.is_some_and(|install| install != InstallStatus::Uninstalled)
    }
}

/// The checks of a location, then its states, except those that the checks already tell.
pub(super) fn with_states(location: &str, checks: Vec<Value>, listed: &[Listed]) -> Vec<Value> {
    let asked =
        |vendor: Vendor, ok: bool| checks.iter().any(|check| check["vendor"] == vendor.label() && check["ok"] == ok);
    let states = listed.iter().filter(|one| one.location_id.as_str() == location).flat_map(|one| &one.states);
    let states: Vec<_> = states
        .filter_map(|one| {
            let ConnectionState { state, since, found, fix } = one;
            let tried = format!("state `{state}`");
            let found = since.map_or_else(|| found.clone(), |since| format!("{found} (since {since})"));
            Some(match (state.level(), fix, state.vendor()) {
                // The vendor was just asked, and its check already tells the failure.
                (_, _, Some(vendor)) if asked(vendor, false) => return None,
                // The vendor was just asked, and works: the service will find that out by itself.
                (_, Some(fix), Some(vendor)) if asked(vendor, true) => Check::lesser(tried, found, fix),
                (Level::Ill, Some(fix), _) => Check::bad(tried, found, fix),
                (_, Some(fix), _) => Check::lesser(tried, found, fix),
                (_, None, _) => Check::good(tried, found),
            })
        })
        .collect();
    let states = states.into_iter().map(|check| json!(check));
    checks.iter().cloned().chain(states).map(|check| of(location, check)).collect()
}

/// An agency has many locations that are not meant to be connected: that is no problem, and one
/// line.
fn not_connected(count: usize) -> Check {
    let found = match count {
        1 => "1 has the app and no Trafft account; what comes for it is kept".to_owned(),
        _ => format!("{count} have the app and no Trafft account; what comes for them is kept"),
    };
    let fix = "to connect one, enter its Trafft account: on its page, or with `connections add`; `connections list` has their ids";
    Check::lesser("locations that nobody has connected", found, fix)
}

/// It runs, and there is nothing to do.
pub(super) fn nobody_connected(config: &Config) -> Check {
    let at = config.public_url.as_ref().map_or_else(|| format!("http://{}", config.bind), ToString::to_string);
    let fix = format!("open `{at}`, log in with the `ADMIN_TOKEN`, and choose *Connect a location or an agency*");
    Check::lesser("locations", "none is connected yet", fix)
}

/// No service works with this database. What only a running one can try is left for later.
pub(super) async fn not_running(config: &Config, http: &Http, service: Service, entered: usize) -> Check {
    const TRIED: &str = "service";
    let local = Admin::local(config.bind);
    if let Ok(url) = local.parse::<Url>()
        && let Ok(Front::Service(_)) = knock(http, &url).await
    {
        let found = format!("the one at `{local}` works with another database than `DATABASE_URL` names here");
        return Check::bad(TRIED, found, "run `doctor` with the settings of that service");
    }
    let found = match service {
        Service::Never => "it has not been started yet",
        _ => "it is not running",
    };
    let left = [
        (config.public_url.is_some(), "the public address"),
        (config.app.is_some() || entered > 0, "the locations that people connect"),
    ];
    let left: Vec<_> = left.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    let start = "start it with `ghl-trafft-sync serve`";
    let fix = match left.is_empty() {
        true => start.to_owned(),
        false => format!("{start}, then run `doctor` again: only then can be tried: {}", left.join(", ")),
    };
    Check::lesser(TRIED, found, fix)
}

/// What the world outside sees.
pub(super) async fn public(http: &Http, url: &Url) -> Check {
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
            let there = "is the service running, its proxy too, and the name in the DNS?";
            let fix = match &error {
                Error::NotSent { reason: NotSent::NoConnection { why: NoConnection::Network, .. } } => there,
                Error::NotSent { reason } => reason.fix().unwrap_or(there),
                _ => there,
            };
            Check::bad(tried, error.to_string(), fix)
        }
    }
}
