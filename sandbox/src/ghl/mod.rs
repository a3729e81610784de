//! A GoHighLevel: contacts with tasks, notes and appointments, its API, its webhooks, and the
//! people at its screens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

mod activity;
mod activity_answers;
mod admission;
mod answers;
mod book;
mod breaker;
pub mod catalogue;
pub mod checks;
mod contact;
mod contact_answers;
mod contact_json;
mod control;
mod events;
mod found;
mod index;
mod limits;
mod many;
mod metadata;
mod oauth;
mod person;
mod query;
mod search;
mod sign;
mod state;
mod walk;
mod webhooks;
mod windows;

pub use breaker::{ACCEPTED_PERCENT, BUSY, Breaker, LOOK_MS};
pub use events::Event;
pub use limits::Window;
pub use sign::TEST_SEED;
pub use state::{MatchOrder, NotFound};
pub use webhooks::{Delivered, Delivery, MAX_RETRIES, RETRY_FIRST_MS, RETRY_LONGEST_MS, WebhookSwitches};

use crate::clock::Clock;
use crate::faults::Faults;
use crate::front::Desk;
use crate::journal::Journal;
use crate::raw::Raw;
use sign::Signer;
use state::{Location, Scopes, State};

/// Everything behind a [`Ghl`].
pub(crate) struct Shared {
    url: String,
    token: String,
    pub(crate) desk: Desk,
    state: Mutex<State>,
    signer: Signer,
    http: reqwest::Client,
    bell: Arc<Notify>,
}

impl Shared {
    /// Held for moments only, never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> i64 {
        self.desk.clock.now_ms()
    }

    /// Changes the state at this moment and wakes the deliveries.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, i64) -> T) -> T {
        let now = self.now();
        let out = change(&mut self.state(), now);
        self.bell.notify_one();
        out
    }
}

/// A handle on the GoHighLevel that is being played. Clones share it.
#[derive(Clone)]
pub struct Ghl(pub(crate) Arc<Shared>);

impl Ghl {
    pub(crate) fn new(url: String, clock: Clock) -> std::io::Result<Self> {
        let token = format!("pit-{}", uuid::Uuid::new_v4());
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(State::new(&token, clock.now_ms())),
            url,
            token,
            desk: Desk::new(clock),
            signer: Signer::new()?,
            http: webhooks::client()?,
            bell: Arc::new(Notify::new()),
        })))
    }

    /// Starts the background that delivers webhooks.
    pub(crate) fn deliveries_run(&self) -> tokio::task::AbortHandle {
        tokio::spawn(webhooks::run(Arc::downgrade(&self.0))).abort_handle()
    }

    /// Base URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// The location that is always there.
    pub fn location_id(&self) -> String {
        state::HOME.to_owned()
    }

    /// That location's private integration token, with every scope (G §3.7).
    pub fn token(&self) -> String {
        self.0.token.clone()
    }

    /// The marketplace app whose events these are.
    pub fn app_id(&self) -> String {
        state::APP.to_owned()
    }

    /// Public Ed25519 key for `X-GHL-Signature`: SPKI, base64 (G §8.3).
    pub fn public_key(&self) -> String {
        self.0.signer.public_key()
    }

    /// Public RSA key for `X-WH-Signature`: SPKI, base64.
    pub fn legacy_public_key(&self) -> String {
        self.0.signer.legacy_public_key()
    }

    /// Adds a location and returns a token for it, with every scope.
    pub fn add_location(&self, id: &str, name: &str, timezone: &str, country: &str) -> String {
        let token = format!("pit-{}", uuid::Uuid::new_v4());
        self.0.state().add_location(Location::new(id, name, timezone, country), &token);
        token
    }

    /// Leaves a token these scopes only.
    pub fn set_scopes(&self, token: &str, scopes: &[&str]) {
        let scopes: Scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>().into();
        let mut state = self.0.state();
        state.oauth_tokens.set_scopes(token, &scopes);
        if let Some(grant) = state.tokens.get_mut(token) {
            grant.scopes = scopes;
        }
    }

    /// Makes a token worthless, as replacing it in the screen does (G §3.7).
    pub fn revoke_token(&self, token: &str) {
        let mut state = self.0.state();
        state.tokens.remove(token);
        state.oauth_tokens.revoke(token);
    }

    fn set_on_location(&self, location: &str, set: impl FnOnce(&mut Location)) {
        if let Some(location) = self.0.state().locations.get_mut(location) {
            set(location);
        }
    }

    /// The location's *Allow Duplicate Contact* setting; off at first (G §7.1).
    pub fn set_allow_duplicates(&self, location: &str, allow: bool) {
        self.set_on_location(location, |location| location.allow_duplicates = allow);
    }

    /// Phones are kept as they were typed; at first they become E.164 or digits, which is assumed,
    /// not known (G §6.2).
    pub fn set_phones_as_typed(&self, location: &str, as_typed: bool) {
        self.set_on_location(location, |location| location.phones_as_typed = as_typed);
    }

    /// Which field decides first whether a contact is a duplicate (G §6.5).
    pub fn set_match_order(&self, location: &str, order: MatchOrder) {
        self.set_on_location(location, |location| location.order = order);
    }

    /// The location's IANA time zone (G §7.1).
    pub fn set_timezone(&self, location: &str, timezone: &str) {
        self.set_on_location(location, |location| timezone.clone_into(&mut location.timezone));
    }

    /// How a missing contact, task or note is refused (G §4).
    pub fn set_not_found(&self, disguise: NotFound) {
        self.0.state().not_found = disguise;
    }

    /// How long search trails behind writes; 2000 ms at first (G §6.6).
    pub fn set_index_lag_ms(&self, lag: i64) {
        self.0.state().index.set_lag(lag);
    }

    /// The key under which a task search puts a task's id: `_id` at first, or `id` (G §7.3: either
    /// may be).
    pub fn set_task_search_id_key(&self, key: &'static str) {
        self.0.state().task_id_key = key;
    }

    /// How the ten seconds of the rate limit are counted.
    pub fn set_window(&self, window: Window) {
        self.0.state().limits.window = window;
    }

    /// Other allowances than 100 in ten seconds and 200,000 a day (G §5).
    pub fn set_limits(&self, burst: u32, daily: u32) {
        let mut state = self.0.state();
        (state.limits.burst, state.limits.daily) = (burst, daily);
    }

    /// The most calls that came with this token in any ten seconds so far, counted as `window`
    /// counts them. Those that were refused for being too many are among them, and it does not
    /// matter which limit or window is in force. All OAuth tokens of a location, or of the company,
    /// count as one, and its id may stand for them (G §5).
    pub fn most_in_a_window(&self, token: &str, window: Window) -> u32 {
        let state = self.0.state();
        state.limits.most(state.oauth_tokens.payer(token), window)
    }

    /// How many calls were answered 429 because an allowance was used up; no fault is among them.
    pub fn over_limit(&self) -> usize {
        self.0.state().limits.over
    }

    /// Failures to come.
    pub fn faults(&self) -> Faults {
        self.0.desk.faults.clone()
    }

    /// Records that are written oddly.
    pub fn raw(&self) -> Raw {
        self.0.desk.raw.clone()
    }

    /// Calls that came.
    pub fn journal(&self) -> Journal {
        self.0.desk.journal.clone()
    }

    /// What a correct client would never have done, in order.
    pub fn complaints(&self) -> Vec<String> {
        self.0.desk.journal.complaints()
    }

    /// Forgets the complaints.
    pub fn forgive(&self) {
        self.0.desk.journal.forgive();
    }

    /// Events that nobody has been told of yet.
    pub fn events(&self) -> Vec<Event> {
        self.0.state().queue.iter().cloned().collect()
    }

    /// Takes those events, doubled and turned round where the switches say so.
    pub fn take_events(&self) -> Vec<Event> {
        let mut state = self.0.state();
        let batch = state.queue.drain(..).collect();
        webhooks::outgoing(&state.switches, batch)
    }

    /// Base64 Ed25519 signature of these bytes (G §8.3).
    pub fn sign(&self, body: &[u8]) -> String {
        self.0.signer.sign(body)
    }

    /// The headers a delivery of these bytes carries, as the switches have it (G §8.2).
    pub fn headers_for(&self, body: &[u8]) -> Vec<(String, String)> {
        self.0.headers_for(body)
    }

    /// Delivers one event now and once, whatever the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deliver(&self, event: &Event, url: &str) -> std::io::Result<Delivery> {
        self.0.deliver(event, url).await
    }

    /// Where events go by themselves from now on, those already waiting included; `None` keeps
    /// them.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.0.change(|state, now| state.set_webhook_url(url, now));
    }

    /// How webhooks misbehave from now on.
    pub fn set_switches(&self, switches: WebhookSwitches) {
        self.0.state().switches = switches;
    }

    /// The switches as they stand.
    pub fn switches(&self) -> WebhookSwitches {
        self.0.state().switches.clone()
    }

    /// Deliveries the background made, in order.
    pub fn deliveries(&self) -> Vec<Delivered> {
        self.0.state().deliveries.clone()
    }

    /// Events the background still works on, those that wait for a retry included.
    pub fn pending_deliveries(&self) -> usize {
        let state = self.0.state();
        state.pending + if state.webhook_url.is_some() { state.queue.len() } else { 0 }
    }

    /// When the next repeat is due, if one is.
    pub fn next_delivery_ms(&self) -> Option<i64> {
        self.0.state().repeats.iter().min().copied()
    }

    /// No delivery is on its way or due: time has to pass before there is another.
    pub fn deliveries_rest(&self) -> bool {
        let (now, state) = (self.0.now(), self.0.state());
        let is_queued = state.webhook_url.is_some() && !state.queue.is_empty();
        !is_queued && state.repeats.len() == state.pending && state.repeats.iter().all(|due| *due > now)
    }

    /// How the webhook URL stands (G §8.6).
    pub fn breaker(&self) -> Breaker {
        self.0.breaker()
    }

    /// A URL is busy above so many deliveries between two looks; 10,000 at first (G §8.6).
    pub fn set_breaker_busy(&self, deliveries: usize) {
        self.0.state().breaker.busy = deliveries;
    }

    /// A person switches the events on again in the app's settings (G §8.6).
    pub fn switch_events_on(&self) {
        self.0.change(|state, now| state.breaker.switch_on(now));
    }

    /// *Resend* in the app's log (G §8.6). `None`: no delivery of this event failed and never
    /// succeeded.
    pub async fn resend(&self, webhook_id: &str) -> Option<std::io::Result<Delivery>> {
        self.0.resend(webhook_id).await
    }
}
