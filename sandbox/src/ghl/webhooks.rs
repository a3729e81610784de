//! Telling the world: one delivery, and the background that repeats it as GHL does (G §8.6).

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use super::Shared;
use super::breaker::Breaker;
use super::events::Event;

/// Repeats of a delivery that was not answered 2xx: at most so many (G §8.6).
pub const MAX_RETRIES: u32 = 12;
/// Pause before the first repeat. Each is twice the one before: "from seconds to minutes" is all
/// that is published (G §8.6).
pub const RETRY_FIRST_MS: i64 = 5_000;
/// Longest pause, with its jitter.
pub const RETRY_LONGEST_MS: i64 = 1_200_000;

/// No number is published; past this a delivery counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// What can be wrong with webhooks (G §8.2, §8.5, §8.6). All off at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSwitches {
    /// Every event is delivered twice.
    pub duplicate: bool,
    /// Events that wait together leave in reverse.
    pub out_of_order: bool,
    /// Every so manieth event never leaves: 1 loses all, 2 every second, 0 none.
    pub drop_every: u32,
    /// `TaskCreate` without `contactId` and `body` (G §8.5, #332).
    pub thin_task_create: bool,
    /// `X-WH-Signature` beside the other one: retired since September 2026 (G §8.2).
    pub legacy: bool,
    /// Only `X-WH-Signature`.
    pub legacy_only: bool,
    /// `X-GHL-Signature: N/A` (G §8.2).
    pub not_applicable: bool,
    /// A signature that does not fit the body.
    pub bad_signature: bool,
    /// A merge says nothing of the contact that vanished (G §13).
    pub silent_merge: bool,
}

/// What the receiver said.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, whole.
    pub body: Vec<u8>,
}

impl Delivery {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A delivery made in the background.
#[derive(Clone, Debug, Serialize)]
pub struct Delivered {
    /// Event.
    pub webhook_id: String,
    /// Its type.
    pub kind: String,
    /// When, on the sandbox clock.
    pub at_ms: i64,
    /// 0 for the first try.
    pub retry: u32,
    /// `None`: no answer at all.
    pub status: Option<u16>,
}

impl Shared {
    pub(super) fn headers_for(&self, body: &[u8]) -> Vec<(String, String)> {
        let switches = self.state().switches.clone();
        let signed: &[u8] = if switches.bad_signature { b"something else" } else { body };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if switches.not_applicable {
            headers.push(("x-ghl-signature".to_owned(), "N/A".to_owned()));
        } else if !switches.legacy_only {
            headers.push(("x-ghl-signature".to_owned(), self.signer.sign(signed)));
        }
        if switches.legacy || switches.legacy_only {
            headers.push(("x-wh-signature".to_owned(), self.signer.sign_legacy(signed)));
        }
        headers
    }

    pub(super) async fn deliver(&self, event: &Event, url: &str) -> std::io::Result<Delivery> {
        let mut request = self.http.post(url).body(event.body.clone());
        for (name, value) in self.headers_for(&event.body) {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(std::io::Error::other)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body: Bytes = response.bytes().await.map_err(std::io::Error::other)?;
        Ok(Delivery { status, headers, body: body.to_vec() })
    }

    /// One event to its end: the first 2xx, or the last repeat. Every other answer is repeated, and
    /// silence as well (G §8.6).
    async fn see_through(self: Arc<Self>, event: Event, url: String) {
        for retry in 0..=MAX_RETRIES {
            if retry > 0 && !self.is_still_wanted(&event) {
                break;
            }
            let at_ms = self.now();
            let answer = self.deliver(&event, &url).await.ok();
            let is_accepted = self.noted(&event, &url, retry, at_ms, answer.as_ref());
            if is_accepted || retry == MAX_RETRIES {
                break;
            }
            let pause = pause(&event.webhook_id, retry);
            let until = self.now() + pause;
            self.state().repeats.push(until);
            self.desk.clock.sleep_ms(pause).await;
            let mut state = self.state();
            let place = state.repeats.iter().position(|due| *due == until);
            place.map(|place| state.repeats.swap_remove(place));
        }
        self.state().pending -= 1;
    }

    pub(super) fn breaker(&self) -> Breaker {
        let (now, mut state) = (self.now(), self.state());
        state.breaker.is_paused(now);
        state.breaker.clone()
    }

    /// Is its URL on, and has nobody sent it again by hand meanwhile, successfully?
    fn is_still_wanted(&self, event: &Event) -> bool {
        let (now, mut state) = (self.now(), self.state());
        !state.breaker.is_paused(now) && state.undelivered.contains_key(&event.webhook_id)
    }

    /// Keeps how a try ended. Was it accepted?
    fn noted(&self, event: &Event, url: &str, retry: u32, at_ms: i64, answer: Option<&Delivery>) -> bool {
        let status = answer.map(|answer| answer.status);
        let is_accepted = status.is_some_and(|status| (200..300).contains(&status));
        let (webhook_id, kind) = (event.webhook_id.clone(), event.kind.clone());
        let mut state = self.state();
        if is_accepted {
            state.undelivered.remove(&webhook_id);
        } else {
            state.undelivered.insert(webhook_id.clone(), (event.clone(), url.to_owned()));
        }
        state.breaker.tried(is_accepted);
        state.deliveries.push(Delivered { webhook_id, kind, at_ms, retry, status });
        is_accepted
    }

    /// *Resend* in the app's log: a delivery that never succeeded goes out once more, as it was, to
    /// where it went; if it is accepted, the repeats to come are dropped (G §8.6). `None`: there is
    /// no such delivery.
    pub(super) async fn resend(&self, webhook_id: &str) -> Option<std::io::Result<Delivery>> {
        let (event, url) = self.state().undelivered.get(webhook_id).cloned()?;
        let (at_ms, answer) = (self.now(), self.deliver(&event, &url).await);
        self.noted(&event, &url, 0, at_ms, answer.as_ref().ok());
        Some(answer)
    }
}

/// What leaves of a batch, in its order.
pub(super) fn outgoing(switches: &WebhookSwitches, batch: Vec<Event>) -> Vec<Event> {
    let mut out: Vec<Event> =
        if switches.duplicate { batch.into_iter().flat_map(|event| [event.clone(), event]).collect() } else { batch };
    if switches.out_of_order {
        out.reverse();
    }
    out
}

/// Before the repeat after this try: exponential, up to half as long again, and the same for the
/// same event and try.
fn pause(webhook_id: &str, retry: u32) -> i64 {
    let sum = webhook_id.bytes().fold(i64::from(retry) + 1, |sum, byte| (sum * 31 + i64::from(byte)) % 1_000_003);
    let pause = RETRY_FIRST_MS << retry.min(20);
    (pause + pause / 2 * sum / 1_000_003).min(RETRY_LONGEST_MS)
}

pub(super) fn client() -> std::io::Result<reqwest::Client> {
    // Webhooks go to this computer; a proxy from the environment would only be in the way.
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(std::io::Error::other)
}

/// Delivers what is queued as long as there is somebody to deliver for. Its tries end with it.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut tries = JoinSet::new();
    loop {
        let Some(now) = shared.upgrade() else { return };
        let bell = now.bell.clone();
        let heard = bell.notified();
        let resends = std::mem::take(&mut now.state().resends);
        for id in resends {
            let now = now.clone();
            tries.spawn(async move { _ = now.resend(&id).await });
        }
        let work = {
            let (time, mut state) = (now.now(), now.state());
            match state.webhook_url.clone() {
                Some(url) if !state.queue.is_empty() => {
                    let mut batch: Vec<_> = state.queue.drain(..).collect();
                    if state.breaker.is_paused(time) {
                        state.breaker.unsent += batch.len();
                        batch.clear();
                    }
                    // Counted under the same lock: at every moment each event counts as waiting or
                    // as on its way.
                    let batch = outgoing(&state.switches, batch);
                    state.pending += batch.len();
                    Some((url, batch))
                }
                _ => None,
            }
        };
        if let Some((url, batch)) = work {
            for event in batch {
                tries.spawn(now.clone().see_through(event, url.clone()));
            }
            while tries.try_join_next().is_some() {}
            continue;
        }
        drop(now);
        heard.await;
    }
}
