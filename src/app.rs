//! Builds everything from the settings, then runs it. The only place that knows all modules.

mod background;
mod handle;
mod parts;
mod reach;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::clients::{self, CallCounts, Http, Timeouts};
use crate::clock::Clock;
use crate::config::{self, Config, Pair, Problems, Sources, name};
use crate::connect::{Connector, Grants};
use crate::http::{Metrics, Service, Settings, listen_on, router, serve};
use crate::intake::{HIGHLEVEL, Intake, Rules, WebhookKeys, WorkflowKey, WorkflowSecrets};
use crate::model::{Keep, LocationId};
use crate::store::{self, BySettings, Keys, Store};
use crate::sync::{Fleet, Mapping, Nudge};

pub use handle::Handle;
pub use reach::{apart, ghl, keys, phones, probe, projections};

use background::{hear, prune, tally};
use parts::Parts;
use reach::{Shared, by_settings, mapping, oauth, own, reach};

/// Why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// No HTTP client can be made.
    #[error("no HTTP client can be made: {0}")]
    Client(clients::Error),
    /// A setting that [`load`] lets pass.
    #[error("{0}")]
    Setting(String),
    /// The address is taken, or not ours.
    #[error("cannot listen on `{address}` (`BIND_ADDR`): {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was told to stop before it had started.
    #[error("stopped while waiting for the database; no work had begun")]
    Stopped,
    /// A part of the service ended that should not.
    #[error("the {0} ended by itself; this is a mistake of ours, please report it")]
    Died(&'static str),
    /// Work was still going on when the time for stopping was over.
    #[error("stopped with work still going on, after {} s (`SHUTDOWN_SECONDS`); nothing is lost, it goes on at the next start", .0.as_secs())]
    Unfinished(Duration),
}

/// Reads the settings, and has every module check its own.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let keys = |text: &str| WebhookKeys::parse(text).map(drop);
    let mapping = |path: &str| {
        // The check of the setting itself reports a file that cannot be read.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Mapping::parse(&text).map(drop).map_err(|mistakes| {
            let told: Vec<_> = mistakes.iter().map(|mistake| format!("`{path}` {mistake}")).collect();
            told.join("\n      ")
        })
    };
    let sealing = |text: &str| Keys::parse(text).map(drop);
    let signing = |text: &str| WorkflowKey::parse(text).map(drop);
    let checks: [config::Check<'_>; 4] = [
        (name::GHL_WEBHOOK_PUBLIC_KEYS, &keys),
        (name::GHL_WORKFLOW_SECRET, &signing),
        (name::MAPPING_FILE, &mapping),
        (name::ENCRYPTION_KEY, &sealing),
    ];
    let config = Config::load(sources, &checks)?;
    let defaults = Arc::new(Mapping::default());
    let wrong = config.pairs.iter().filter_map(|Pair { location, options, .. }| {
        let what = own(options, &config.policy, &defaults).err()?;
        Some(config::Problem {
            name: name::CONNECTIONS_FILE.to_owned(),
            wrong: config::Wrong::Unusable(format!("connection `{location}`, {what}")),
        })
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() { Ok(config) } else { Err(Problems(wrong)) }
}

/// The service, built and listening, not yet running.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: axum::Router,
    intake: Intake,
    process: String,
    fleet: Fleet,
    nudge: Nudge,
    grants: Arc<Grants>,
    keep: Keep,
    handle: Handle,
    commit: Parts,
    stop: CancellationToken,
    patience: Duration,
}

impl App {
    /// Opens the store, takes the location over, and listens. `stop` ends it.
    ///
    /// # Errors
    /// What keeps it from starting, and what to do.
    pub async fn build(config: Config, clock: Clock, stop: CancellationToken) -> Result<Self, Error> {
        let mapping = mapping(&config)?;
        let keys = config.ghl.webhook_keys.as_deref().unwrap_or(HIGHLEVEL);
        let keys =
            WebhookKeys::parse(keys).map_err(|what| Error::Setting(format!("`GHL_WEBHOOK_PUBLIC_KEYS`: {what}")))?;
        let opening = Store::open(&config.database_url, self::keys(&config)?);
        let store = stop.run_until_cancelled(opening).await.ok_or(Error::Stopped)??;
        // Set by the database's clock before any of its times is stored. From then on each
        // heartbeat sets it.
        clock.set_by(&store.time().await?);
        let counts = CallCounts::default();
        let mut registry = Registry::with_prefix("ghl_trafft_sync");
        counts.register(&mut registry);
        let http = Http::new(Timeouts::default(), counts).map_err(Error::Client)?;
        let by_settings = by_settings(&config);
        let locations = connect(&config, &by_settings, &store, &clock).await?;
        let nudge = Nudge::default();
        let process = Uuid::new_v4().to_string();
        let oauth = oauth(&config, &http, &clock);
        let grants = Grants::new(store.clone(), oauth.clone(), process.clone(), config.lease, clock.clone());
        let reach = reach(&config, Shared::new(&config, mapping, http, clock.clone()), grants.clone());
        let fleet = Fleet::new(
            store.clone(),
            process.clone(),
            config.lease,
            locations.clone(),
            reach.clone(),
            nudge.clone(),
            clock.clone(),
        );
        let mut commit = Parts::default();
        let intake = intake(&config, keys, &store, &nudge, &clock, &mut commit)?;
        let settings = Settings {
            admin_token: config.admin_token.clone(),
            public_url: config.public_url.clone(),
            proxies: config.proxies.clone(),
            deadline: config.inline_deadline,
            max_body: config.max_body,
            by_settings,
        };
        let metrics = Metrics::new(registry);
        let choosers = config.app.as_ref().map(|app| [app.chooser.clone(), app.white_label_chooser.clone()]);
        let connector =
            Connector::new(store.clone(), grants.clone(), oauth, choosers, reach, nudge.clone(), clock.clone());
        let router = router(Service::new(
            intake.clone(),
            Arc::new(connector),
            store.clone(),
            clock.clone(),
            metrics,
            settings,
            stop.clone(),
        ));
        let bind = |source| Error::Bind { address: config.bind, source };
        let listener = listen_on(config.bind).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let handle = Handle { store, clock, locations, progress: fleet.progress() };
        Ok(Self {
            listener,
            address,
            router,
            intake,
            process,
            fleet,
            nudge,
            grants,
            keep: config.keep,
            handle,
            commit,
            stop,
            patience: config.shutdown,
        })
    }

    /// Where it listens; of use when the port was left to the system.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to watch it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until told to stop, then finishes what is in flight.
    ///
    /// # Errors
    /// A part died, or the stop took too long.
    pub async fn run(self) -> Result<(), Error> {
        let Self {
            listener,
            address,
            router,
            intake,
            process,
            fleet,
            nudge,
            grants,
            keep,
            handle,
            mut commit,
            stop,
            patience,
        } = self;
        info!(%address, locations = handle.locations.len(), "listening on {address}");
        let clock = handle.clock.clone();
        let store = handle.store.clone();
        let mut parts = Parts::default();
        parts.start("HTTP server", serve(listener, router, clock.clone(), stop.clone()));
        parts.start("work on the locations", fleet.run(stop.clone()));
        // Others are not heard any more while we stop; what they say is in the database.
        parts.start_until(&stop, "listener for other processes", hear(store.clone(), nudge));
        parts.start_until(&stop, "pruning", prune(store.clone(), clock.clone(), keep));
        parts.start_until(&stop, "counting of deliveries", tally(intake.clone(), clock.clone()));
        parts.start_until(&stop, "SQLite checkpointing", async move { store.checkpoints().await });
        let died = tokio::select! {
            // Checked first: a part that ended because it was told to stop has not died.
            biased;
            () = stop.cancelled() => None,
            ended = parts.ended() => Some(ended),
            ended = commit.ended() => Some(ended),
        };
        stop.cancel();
        let finish = async {
            parts.all_ended().await;
            // A pair of tokens that HighLevel has just made is stored first.
            grants.finished().await;
            // Then the intake is dropped: the group commit ends when nobody is left who can hand in
            // events.
            intake.store_tally().await;
            drop(intake);
            // The process counts as alive until here, or another one would take its renewals over.
            if let Err(error) = handle.store.leave(&process).await
                && !error.tell_outage()
            {
                warn!(error = %error, "this process could not sign off: others take its locations over when its lease expires: {error}");
            }
            // No more events can come in: the group commit writes what it has, and ends.
            commit.all_ended().await;
        };
        let finished = clock.timeout(patience, finish).await;
        handle.store.close().await;
        match (died, finished) {
            (Some(part), _) => Err(Error::Died(part)),
            (None, None) => Err(Error::Unfinished(patience)),
            (None, Some(())) => Ok(()),
        }
    }
}

/// Pairs the locations of the settings with their accounts. Returns those that can be worked: one
/// whose links are another account's stands still, and the others need not wait for a person to
/// mend that.
async fn connect(
    config: &Config,
    by_settings: &BySettings,
    store: &Store,
    clock: &Clock,
) -> Result<Vec<LocationId>, Error> {
    let mut connected = Vec::new();
    for Pair { location, .. } in &config.pairs {
        let Some(account) = by_settings.accounts.get(location) else { continue };
        match store.connect(location, account, clock.now()).await {
            Ok(()) => connected.push(location.clone()),
            Err(refused @ (store::Error::OtherAccount { .. } | store::Error::AccountTaken { .. })) => {
                error!(location.id = %location, error = %refused, "location {location} is not worked: {refused}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(connected)
}

/// What takes webhooks in, and the tasks that store them.
fn intake(
    config: &Config,
    keys: WebhookKeys,
    store: &Store,
    nudge: &Nudge,
    clock: &Clock,
    commit: &mut Parts,
) -> Result<Intake, Error> {
    let stored = nudge.clone();
    let (inbox, group_commit, answering) = store.inbox(move |location| stored.now(location));
    // On a thread of its own: between two statements of a batch the group commit must not queue
    // behind a thousand requests.
    commit.start_apart("group commit", group_commit);
    commit.start("answering of webhooks", answering);
    let rules = Rules {
        keys,
        app: config.ghl.app.clone(),
        workflow: WorkflowSecrets { token: config.ghl.workflow_token.clone(), secret: workflow_key(config)? },
        location: config.location.clone(),
        waits: !config.inline_deadline.is_zero(),
    };
    Ok(Intake::new(rules, store.clone(), inbox, nudge.clone(), clock.clone()))
}

/// The key of relays that sign workflow webhooks, if there are any.
fn workflow_key(config: &Config) -> Result<Option<WorkflowKey>, Error> {
    let Some(secret) = &config.ghl.workflow_secret else { return Ok(None) };
    let key = WorkflowKey::parse(secret.expose_secret())
        .map_err(|what| Error::Setting(format!("`GHL_WORKFLOW_SECRET`: {what}")))?;
    if key.is_bare_base64 {
        info!(
            "`GHL_WORKFLOW_SECRET` is decoded as base64, as the Standard Webhooks say; if your relay uses the text itself as the key, its signatures will not match: then choose a text that is not base64"
        );
    }
    Ok(Some(key))
}
