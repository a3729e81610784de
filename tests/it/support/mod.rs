//! The true service, the true sandbox, a clock moved by hand.

#![expect(clippy::disallowed_methods, reason = "tests talk HTTP themselves")]
#![allow(dead_code, reason = "each file uses what it needs")]

pub mod asking;
pub mod browser;
pub mod command;
pub mod database;
pub mod desk;
pub mod installed;
pub mod others;
pub mod pooler;
pub mod process;
pub mod relay;
pub mod standing;
pub mod ticker;
pub mod tls;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

pub use asking::Answer;

use database::Database;
use ghl_trafft_sync::app::{App, Handle, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use jiff::Timestamp;
use reqwest::Client;
use sandbox::Sandbox;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ADMIN: &str = "admin-token-for-tests";
pub const SEALING: &str = "7f8d0f1c6a3e4b5d9c2b1a0f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b";
pub const WORKFLOW: &str = "workflow-token-for-tests";

/// A number that the environment may set, for longer runs and for playing one again.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A GoHighLevel, a Trafft, and the service between them.
pub struct World {
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub http: Client,
    settings: HashMap<String, String>,
    service: Option<Service>,
    /// Complaints and unspent faults fail the test, unless it says otherwise.
    pub forgiving: bool,
    _database: Database,
    _folder: TempDir,
}

struct Service {
    url: String,
    handle: Handle,
    stop: CancellationToken,
    run: JoinHandle<Result<(), ghl_trafft_sync::app::Error>>,
}

impl World {
    /// Everything with its defaults, running, its customers indexed.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with other settings.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::stopped(settings).await;
        world.start().await;
        world
    }

    /// Running on SQLite, whatever else the tests run on: for what is about the file.
    pub async fn on_sqlite(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::build(settings, Database::sqlite).await;
        world.start().await;
        world
    }

    /// Not started yet, so that the vendors can be prepared first.
    pub async fn stopped(settings: &[(&str, &str)]) -> Self {
        Self::build(settings, Database::from_environment).await
    }

    /// A marketplace app that nobody has installed yet, running where its browser finds it.
    pub async fn app(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::stopped(settings).await;
        for name in
            ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"]
        {
            world.settings.remove(name);
        }
        let address = process::free_address();
        for (name, value) in world.sandbox.oauth_settings() {
            world.set(name, &value);
        }
        world.set("BIND_ADDR", &address.to_string());
        world.set("PUBLIC_URL", &format!("http://{address}"));
        world.set("ENCRYPTION_KEY", SEALING);
        world.sandbox.ghl.set_redirect_uris(&[&format!("http://{address}/oauth/callback")]);
        world.start().await;
        world
    }

    /// Running, its files in memory where the machine has such a place: for tests that make many
    /// worlds.
    pub async fn in_memory(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let mut world = Self::build_in(folder, settings, Database::from_environment).await;
        world.start().await;
        world
    }

    async fn build(settings: &[(&str, &str)], database: impl FnOnce(&Path) -> Database) -> Self {
        Self::build_in(TempDir::new().unwrap(), settings, database).await
    }

    async fn build_in(folder: TempDir, settings: &[(&str, &str)], database: impl FnOnce(&Path) -> Database) -> Self {
        let start: Timestamp = "2026-09-01T10:00:00Z".parse().unwrap();
        let options = sandbox::Options { clock: sandbox::Clock::manual(start.as_millisecond()), ..Default::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let database = database(folder.path());
        let mut all: HashMap<String, String> =
            sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in [
            ("BIND_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", database.url()),
            ("ADMIN_TOKEN", ADMIN),
            ("GHL_WORKFLOW_TOKEN", WORKFLOW),
            ("TRAFFT_PAGE_PAUSE_MS", "0"),
            // Tests that are about them turn them on.
            ("SWEEP_CONTACTS_MINUTES", "0"),
            ("SWEEP_TASKS_MINUTES", "0"),
            ("SWEEP_ROTATION_DAYS", "0"),
            ("SWEEP_IDS_HOURS", "0"),
            ("SWEEP_CUSTOMERS_HOURS", "0"),
            ("TIME_ZONE", "America/New_York"),
            ("PHONE_REGION", "US"),
        ]
        .iter()
        .chain(settings)
        {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        let clock = Clock::manual(start);
        let http = Client::new();
        Self {
            sandbox,
            clock,
            http,
            settings: all,
            service: None,
            forgiving: false,
            _database: database,
            _folder: folder,
        }
    }

    /// Running by this mapping file, `mapping.toml` in its folder.
    pub async fn mapped(text: &str, settings: &[(&str, &str)]) -> Self {
        let mut world = Self::stopped(settings).await;
        world.set_mapping(text);
        world.start().await;
        world
    }

    /// The mapping file from the next start on.
    pub fn set_mapping(&mut self, text: &str) {
        let path = self.path("mapping.toml");
        std::fs::write(&path, text).unwrap();
        self.set("MAPPING_FILE", &path);
    }

    /// 620 contacts that were read and left out, more than may wait at a time.
    pub async fn know_620_filtered(&self) {
        self.sql(
            "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, status, marked_at, fields)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 620)
            SELECT location_id, 'contact' || (1000 + n), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 'filtered', 0,
                '{\"id\":\"contact' || (1000 + n) || '\",\"email\":\"n' || n || '@example.com\"}'
            FROM numbers, connections",
        )
        .await;
    }

    /// One statement to the database, beside the service.
    pub async fn sql(&self, statement: &'static str) {
        self._database.execute(statement).await;
    }

    /// The database is away from now on, or back.
    pub fn lose_database(&self, is: bool) {
        self._database.lose(is);
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// What a process needs to be told to stand in this world.
    pub fn settings(&self) -> HashMap<String, String> {
        self.settings.clone()
    }

    /// Why the service does not start.
    pub async fn refusal(&self) -> String {
        let config = load(&Sources { environment: self.settings.clone(), ..Default::default() }).unwrap();
        App::build(config, self.clock.clone(), CancellationToken::new()).await.expect_err("it was built").to_string()
    }

    /// A path in the world's own folder, gone with it.
    pub fn path(&self, name: &str) -> String {
        self._folder.path().join(name).display().to_string()
    }

    /// Starts the service and waits until it works.
    pub async fn start(&mut self) {
        self.start_idle().await;
        self.idle().await;
    }

    /// Starts the service, without waiting.
    pub async fn start_idle(&mut self) {
        let config = load(&Sources { environment: self.settings.clone(), ..Default::default() }).unwrap();
        let stop = CancellationToken::new();
        let app = App::build(config, self.clock.clone(), stop.clone()).await.unwrap();
        let (url, handle) = (format!("http://{}", app.address()), app.handle());
        self.service = Some(Service { url, handle, stop, run: tokio::spawn(app.run()) });
    }

    /// Stops the service as SIGTERM does, and waits for its end.
    pub async fn stop(&mut self) {
        let service = self.service.take().unwrap();
        service.stop.cancel();
        service.run.await.unwrap().unwrap();
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.service.as_ref().unwrap().url)
    }

    /// Where the service listens, for those who speak HTTP by hand.
    pub fn address(&self) -> String {
        self.service.as_ref().unwrap().url.replace("http://", "")
    }

    pub fn handle(&self) -> Handle {
        self.service.as_ref().unwrap().handle.clone()
    }

    /// Moves both clocks.
    pub fn advance(&self, by: Duration) {
        self.sandbox.clock.advance_ms(i64::try_from(by.as_millis()).unwrap());
        self.clock.advance(by);
    }

    /// Waits until nothing is worked and nothing is due; tells when something will be.
    pub async fn idle(&self) -> Option<Timestamp> {
        self.handle().idle().await.unwrap()
    }

    /// Works off what is due, and what becomes due within a day, moving the clocks as needed.
    pub async fn drain(&self) {
        let horizon = self.clock.now() + Duration::from_hours(24);
        while let Some(next) = self.idle().await.filter(|next| *next < horizon) {
            let wait = Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default();
            self.advance(wait + Duration::from_millis(1));
        }
    }

    /// Lets so much time pass, and everything be done that becomes due in it.
    pub async fn rest(&self, time: Duration) {
        let end = self.clock.now() + time;
        while let Some(next) = self.idle().await.filter(|next| *next <= end) {
            let wait = Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default();
            self.advance(wait);
        }
        self.advance(Duration::try_from(end.duration_since(self.clock.now())).unwrap_or_default());
        self.idle().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || self.forgiving {
            return;
        }
        let mut complaints = self.sandbox.ghl.complaints();
        complaints.extend(self.sandbox.trafft.complaints());
        assert!(complaints.is_empty(), "the vendors complain: {complaints:?}");
        let unspent = self.sandbox.ghl.faults().unspent() + self.sandbox.trafft.faults().unspent();
        assert_eq!(unspent, 0, "scripted faults were never met");
    }
}
