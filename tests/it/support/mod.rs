//! The true service, the true sandbox, a clock moved by hand.

#![expect(clippy::disallowed_methods, reason = "tests talk HTTP themselves")]
#![allow(dead_code, reason = "each file uses what it needs")]

pub mod browser;
pub mod command;
pub mod database;
pub mod desk;
pub mod installed;
pub mod others;
pub mod process;
pub mod relay;
pub mod standing;
pub mod ticker;
pub mod tls;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use database::Database;
use ghl_trafft_sync::app::{App, Handle, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use jiff::Timestamp;
use reqwest::{Client, Method, StatusCode};
use sandbox::{Event, Sandbox};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// An answer of the service.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    pub fn status(&self) -> &str {
        self.json["status"].as_str().unwrap_or_default()
    }
    pub fn reason(&self) -> &str {
        self.json["reason"].as_str().unwrap_or_default()
    }
    pub fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_default()
    }
    pub fn event(&self) -> String {
        self.json["event_id"].as_str().unwrap_or_default().to_owned()
    }
    pub fn customer(&self) -> i64 {
        self.json["trafft_customer_id"].as_i64().unwrap_or_default()
    }
    /// Is it a refusal as RFC 9457 has it, whole?
    pub fn is_problem(&self) -> bool {
        let said = |name: &str| self.json[name].as_str().is_some_and(|text| !text.is_empty());
        self.headers.get("content-type").is_some_and(|kind| kind == "application/problem+json")
            && self.json["status"] == self.code.as_u16()
            && said("code")
            && said("title")
            && said("detail")
    }
    pub fn calls(&self) -> (i64, i64) {
        (self.json["ghl_calls"].as_i64().unwrap_or(-1), self.json["trafft_calls"].as_i64().unwrap_or(-1))
    }
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

    /// Running, its files in memory where the machine has such a place: for tests that make many worlds.
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

    /// Every event that GHL has queued, delivered in order, a second apart; the last answer.
    pub async fn deliver_all(&self) -> Answer {
        let mut last = None;
        for event in self.sandbox.ghl.take_events() {
            last = Some(self.deliver(&event).await);
        }
        last.expect("GHL had nothing to deliver")
    }

    /// One event, a moment after whatever was before.
    pub async fn deliver(&self, event: &Event) -> Answer {
        self.pass().await;
        self.deliver_now(event).await
    }

    /// Lets a moment pass, and what becomes due in it be done: a contact that was just settled takes a breather, and
    /// with a clock that stands still it would take it for ever.
    pub async fn pass(&self) {
        self.advance(Duration::from_secs(1));
        self.idle().await;
        self.advance(Duration::from_secs(1));
    }

    /// One event, without moving the clock.
    pub async fn deliver_now(&self, event: &Event) -> Answer {
        self.signed(event.body.clone()).await
    }

    /// A body of the test's own making, signed, a second after whatever was before: a contact that was just settled
    /// rests for a moment.
    pub async fn tell(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.advance(Duration::from_secs(1));
        self.signed(body).await
    }

    /// A body of the test's own making, signed as GHL would.
    pub async fn signed(&self, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let headers = self.sandbox.ghl.headers_for(&body);
        self.post("/webhooks/ghl", &headers, body).await
    }

    pub async fn post(&self, path: &str, headers: &[(String, String)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.http.post(self.url(path)).body(body.into());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        answer(request).await
    }

    /// A `ContactUpdate` about nothing, with what the test makes of it; null takes a key out.
    pub fn event(&self, changes: Value) -> Vec<u8> {
        let mut event = serde_json::json!({
            "type": "ContactUpdate", "locationId": self.sandbox.ghl.location_id(), "id": "nmFmQEsNgz6AVpgLVUJ0",
            "timestamp": self.clock.now().to_string(), "webhookId": uuid::Uuid::new_v4().to_string(),
            "appId": self.sandbox.ghl.app_id(),
        });
        for (key, value) in changes.as_object().cloned().unwrap_or_default() {
            event[key] = value;
        }
        if let Some(event) = event.as_object_mut() {
            event.retain(|_, value| !value.is_null());
        }
        event.to_string().into_bytes()
    }

    /// All events that were stored, the newest first.
    pub async fn stored(&self) -> Vec<Value> {
        self.get("/api/v1/events?limit=200").await.json["events"].as_array().cloned().unwrap_or_default()
    }

    /// A call to the admin API.
    pub async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.http.request(method, self.url(path)).bearer_auth(ADMIN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.admin(Method::GET, path, None).await
    }

    /// The customer that a contact is linked with, as Trafft has it.
    pub async fn customer_of(&self, contact: &str) -> sandbox::Customer {
        let shown = self.get(&format!("/api/v1/contacts/{contact}")).await;
        let id = shown.json["contact"]["customer_id"].as_i64().unwrap_or_else(|| panic!("no link: {}", shown.json));
        self.sandbox.trafft.customer(id).unwrap_or_else(|| panic!("no customer {id}"))
    }

    /// How the contact's last settle ended.
    pub async fn contact(&self, contact: &str) -> Value {
        self.get(&format!("/api/v1/contacts/{contact}")).await.json["contact"].clone()
    }

    /// A new contact, its event delivered and its customer made.
    pub async fn synced(&self, contact: Value) -> String {
        let id = self.sandbox.ghl.create_contact(contact);
        let answer = self.deliver_all().await;
        assert_eq!(answer.status(), "synced", "{}", answer.json);
        id
    }

    /// Still ready, and a good event still reaches Trafft.
    pub async fn is_well(&self) {
        assert_eq!(self.http.get(self.url("/readyz")).send().await.unwrap().status(), 200);
        let email = format!("{}@example.com", uuid::Uuid::new_v4());
        let contact = serde_json::json!({ "firstName": "Well", "lastName": "Known", "email": email });
        let id = self.sandbox.ghl.create_contact(contact);
        assert_eq!(self.deliver_all().await.code, 200);
        self.drain().await;
        assert_eq!(self.customer_of(&id).await.email, Some(email));
    }

    /// HTTP by hand: these bytes, and all that comes back. The service may answer, and hang up, before it has read
    /// everything.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address()).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Forgets what was asked of the vendors so far.
    pub fn forget_calls(&self) {
        self.sandbox.ghl.journal().clear();
        self.sandbox.trafft.journal().clear();
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (code, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    Answer { code, headers, json: serde_json::from_slice(&body).unwrap_or(Value::Null) }
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
