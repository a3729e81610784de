//! Builds everything from the settings, then runs it. The only place that knows all rooms.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use crate::clients::ghl::{Credential, Ghl, GhlSettings};
use crate::clients::trafft::{Trafft, TrafftSettings};
use crate::clients::{self, CallCounts, Http, Timeouts};
use crate::clock::Clock;
use crate::config::{self, Config, Problems, Sources};
use crate::http::{Metrics, Service, Settings, router};
use crate::intake::{HIGHLEVEL, Intake, Rules, WebhookKeys, WorkflowSecrets};
use crate::model::LocationId;
use crate::store::{self, Store};
use crate::sync::{Connection, Mapping, Nudge, Owner, Progress};

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
    /// A part of the service ended that should not.
    #[error("the {0} ended by itself; this is a mistake of ours, please report it")]
    Died(&'static str),
    /// Work was still going on when the time for stopping was over.
    #[error("stopped with work still going on, after {} s (`SHUTDOWN_SECONDS`); nothing is lost, it goes on at the next start", .0.as_secs())]
    Unfinished(Duration),
}

/// Reads the settings, and has every room check its own.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let keys = |text: &str| WebhookKeys::parse(text).map(drop);
    let mapping = |path: &str| {
        // A file that cannot be read is told by the setting itself.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Mapping::parse(&text).map(drop).map_err(|mistakes| {
            let told: Vec<_> = mistakes.iter().map(|mistake| format!("`{path}` {mistake}")).collect();
            told.join("\n      ")
        })
    };
    Config::load(sources, &[("GHL_WEBHOOK_PUBLIC_KEYS", &keys), ("MAPPING_FILE", &mapping)])
}

/// The GoHighLevel client, as the command line and the service use it.
pub fn ghl(config: &config::Ghl, http: Http, clock: Clock) -> Ghl {
    let config::Ghl { api_url, location, token, scopes, .. } = config.clone();
    let credential = Credential::PrivateToken(token);
    let scopes = scopes.map(|scopes| scopes.into_iter().collect());
    Ghl::new(http, GhlSettings { base: api_url, location, credential, scopes }, clock)
}

fn trafft(config: &config::Trafft, http: Http, clock: Clock) -> Trafft {
    let config::Trafft { origin, client_id, client_secret } = config.clone();
    Trafft::new(http, TrafftSettings { origin, client_id, client_secret }, clock)
}

/// The service, built and listening, not yet running.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: axum::Router,
    owner: Owner,
    handle: Handle,
    commit: JoinSet<&'static str>,
    stop: CancellationToken,
    patience: Duration,
}

/// Watches a running service from inside the process.
#[derive(Debug, Clone)]
pub struct Handle {
    store: Store,
    clock: Clock,
    location: LocationId,
    progress: watch::Receiver<Progress>,
}

impl App {
    /// Opens the store, takes the location over, and listens. `stop` ends it.
    ///
    /// # Errors
    /// What keeps it from starting, and what to do.
    pub async fn build(config: Config, clock: Clock, stop: CancellationToken) -> Result<Self, Error> {
        let mapping = Mapping::parse(&config.mapping).map_err(|mistakes| {
            Error::Setting(
                mistakes.iter().map(|mistake| format!("`MAPPING_FILE` {mistake}")).collect::<Vec<_>>().join("; "),
            )
        })?;
        let keys = config.ghl.webhook_keys.as_deref().unwrap_or(HIGHLEVEL);
        let keys =
            WebhookKeys::parse(keys).map_err(|what| Error::Setting(format!("`GHL_WEBHOOK_PUBLIC_KEYS`: {what}")))?;
        let store = Store::open(&config.database_url).await?;
        let counts = CallCounts::default();
        let mut registry = Registry::with_prefix("ghl_trafft_sync");
        counts.register(&mut registry);
        let http = Http::new(Timeouts::default(), counts).map_err(Error::Client)?;
        let (ghl, trafft) =
            (ghl(&config.ghl, http.clone(), clock.clone()), trafft(&config.trafft, http, clock.clone()));
        let location = config.ghl.location.clone();
        let account = config.trafft.origin.origin().ascii_serialization();
        let owned = store.take_over(&location, &account, &Uuid::new_v4().to_string(), clock.now()).await?;
        let connection = Connection::new(&owned, ghl, trafft, mapping, config.policy.clone(), clock.clone());
        let nudge = Nudge::default();
        let owner = Owner::new(store.clone(), connection, nudge.clone());
        let (inbox, serve) = store.inbox();
        let mut commit = JoinSet::new();
        commit.spawn(async {
            serve.await;
            "group commit"
        });
        let rules = Rules {
            keys,
            app: config.ghl.app.clone(),
            workflow: WorkflowSecrets {
                token: config.ghl.workflow_token.clone(),
                secret: config.ghl.workflow_secret.clone(),
            },
            freshness: config.freshness,
            location: location.clone(),
        };
        let intake = Intake::new(rules, store.clone(), inbox, nudge, clock.clone());
        let settings = Settings {
            admin_token: config.admin_token.clone(),
            deadline: config.inline_deadline,
            max_body: config.max_body,
        };
        let metrics = Metrics::new(registry);
        let router = router(Service::new(intake, store.clone(), clock.clone(), metrics, settings, stop.clone()));
        let bind = |source| Error::Bind { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let handle = Handle { store, clock, location, progress: owner.progress() };
        Ok(Self { listener, address, router, owner, handle, commit, stop, patience: config.shutdown })
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
        let Self { listener, address, router, owner, handle, mut commit, stop, patience } = self;
        info!(%address, location.id = %handle.location, "listening on {address}");
        let mut parts = JoinSet::new();
        parts.spawn({
            let stop = stop.clone();
            async move {
                let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
                // It never fails: accept errors are waited out inside.
                let _ = server.await;
                "HTTP server"
            }
        });
        parts.spawn({
            let stop = stop.clone();
            async move {
                owner.run(stop).await;
                "owner"
            }
        });
        let died = tokio::select! {
            // First: a part that has ended because it was told to has not died.
            biased;
            () = stop.cancelled() => None,
            ended = parts.join_next() => Some(ended),
            ended = commit.join_next() => Some(ended),
        };
        stop.cancel();
        let finish = async {
            while parts.join_next().await.is_some() {}
            // Nobody can hand in any more: the group commit writes what it has, and ends.
            while commit.join_next().await.is_some() {}
        };
        let finished = handle.clock.timeout(patience, finish).await;
        handle.store.close().await;
        match (died, finished) {
            (Some(ended), _) => Err(Error::Died(ended.and_then(Result::ok).unwrap_or("worker"))),
            (None, None) => Err(Error::Unfinished(patience)),
            (None, Some(())) => Ok(()),
        }
    }
}

impl Handle {
    /// Waits until nothing is being worked and nothing is due; tells when something will be.
    ///
    /// # Errors
    /// The store's.
    pub async fn idle(&mut self) -> Result<Option<Timestamp>, store::Error> {
        loop {
            let progress = *self.progress.borrow_and_update();
            // A contact that was marked but not yet taken shows in the store, not in the progress.
            let now = self.clock.now();
            let due_now = !self.store.due(&self.location, now, 1).await?.is_empty()
                || !self.store.due_unresolved(&self.location, now, 1).await?.is_empty();
            if progress.working && progress.in_flight == 0 && !due_now {
                return self.store.next_due(&self.location, now).await;
            }
            if self.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The store, to look into.
    pub fn store(&self) -> &Store {
        &self.store
    }
}
