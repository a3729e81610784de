//! Telling the world: one delivery, and the background that repeats it as GHL does (G §8.6).

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use super::Shared;
use super::events::Event;

/// Retries after 429: at most so many (G §8.6).
pub const MAX_RETRIES: u32 = 6;
/// About every ten minutes (G §8.6) …
pub const RETRY_EVERY_MS: i64 = 600_000;
/// … plus at most this, so that six of them fit the documented "about 70 minutes".
pub const RETRY_JITTER_MS: i64 = 90_000;

/// No number is published; past this a delivery counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// What can be wrong with webhooks (G §12.10). All off at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSwitches {
    /// Every event is delivered twice.
    pub duplicate: bool,
    /// Events that wait together leave in reverse.
    pub out_of_order: bool,
    /// Every so manieth event never leaves: 1 loses all, 2 every second, 0 none.
    pub drop_every: u32,
    /// `TaskCreate` without `contactId` and `body` (G #332).
    pub thin_task_create: bool,
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
    /// What leaves of a batch, in its order.
    pub(super) fn outgoing(&self, batch: Vec<Event>) -> Vec<Event> {
        let switches = self.state().switches.clone();
        let mut out: Vec<Event> = if switches.duplicate {
            batch.into_iter().flat_map(|event| [event.clone(), event]).collect()
        } else {
            batch
        };
        if switches.out_of_order {
            out.reverse();
        }
        out
    }

    pub(super) fn headers_for(&self, body: &[u8]) -> Vec<(String, String)> {
        let switches = self.state().switches.clone();
        let signed: &[u8] = if switches.bad_signature { b"something else" } else { body };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if switches.not_applicable {
            headers.push(("x-ghl-signature".to_owned(), "N/A".to_owned()));
        } else if !switches.legacy_only {
            headers.push(("x-ghl-signature".to_owned(), self.signer.sign(signed)));
        }
        headers.push(("x-wh-signature".to_owned(), self.signer.sign_legacy(signed)));
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

    /// One event to its end: again after 429 only; everything else, silence included, is final.
    async fn see_through(self: Arc<Self>, event: Event, url: String) {
        for retry in 0..=MAX_RETRIES {
            let at_ms = self.desk.clock.now_ms();
            let status = self.deliver(&event, &url).await.ok().map(|delivery| delivery.status);
            let (webhook_id, kind) = (event.webhook_id.clone(), event.kind.clone());
            self.state().deliveries.push(Delivered { webhook_id, kind, at_ms, retry, status });
            if status != Some(429) || retry == MAX_RETRIES {
                break;
            }
            self.desk.clock.sleep_ms(RETRY_EVERY_MS + jitter(&event.webhook_id, retry)).await;
        }
        self.state().pending -= 1;
    }
}

/// Spread, yet the same for the same event and try.
fn jitter(webhook_id: &str, retry: u32) -> i64 {
    let sum = webhook_id.bytes().fold(i64::from(retry) + 1, |sum, byte| (sum * 31 + i64::from(byte)) % 1_000_003);
    sum % RETRY_JITTER_MS
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
        let work = {
            let mut state = now.state();
            match state.webhook_url.clone() {
                Some(url) if !state.queue.is_empty() => Some((url, state.queue.drain(..).collect::<Vec<_>>())),
                _ => None,
            }
        };
        if let Some((url, batch)) = work {
            let batch = now.outgoing(batch);
            now.state().pending += batch.len();
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
