//! What is sent to the service, and what it answers: webhooks, signed as HighLevel does it, and
//! calls to the admin API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use sandbox::Event;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ADMIN, World};

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

    /// Lets a moment pass, and what becomes due in it be done: a contact that was just settled
    /// takes a breather, and with a clock that stands still it would take it for ever.
    pub async fn pass(&self) {
        self.advance(Duration::from_secs(1));
        self.idle().await;
        self.advance(Duration::from_secs(1));
    }

    /// One event, without moving the clock.
    pub async fn deliver_now(&self, event: &Event) -> Answer {
        self.signed(event.body.clone()).await
    }

    /// A body of the test's own making, signed, a second after whatever was before: a contact that
    /// was just settled rests for a moment.
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
        let id =
            shown.json["contact"]["trafft_customer_id"].as_i64().unwrap_or_else(|| panic!("no link: {}", shown.json));
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

    /// HTTP by hand: these bytes, and all that comes back. The service may answer, and hang up,
    /// before it has read everything.
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

/// A time of the API's, in Unix milliseconds; none: there is none.
pub fn time(shown: &Value) -> Option<i64> {
    shown.as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (code, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    Answer { code, headers, json: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}
