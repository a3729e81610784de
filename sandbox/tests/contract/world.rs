//! A sandbox with a clock moved by hand, and a client that does as it is told.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use sandbox::{Clock, Ghl, Options, Sandbox, Trafft};
use serde_json::{Value, json};

/// 2026-09-01T10:00:00.000Z.
pub const START: i64 = 1_788_256_800_000;

pub struct World {
    pub ghl: Ghl,
    pub trafft: Trafft,
    pub clock: Clock,
    pub http: Client,
    _sandbox: Sandbox,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub async fn read(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

impl World {
    pub async fn new() -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { ghl: sandbox.ghl.clone(), trafft: sandbox.trafft.clone(), clock, http, _sandbox: sandbox }
    }

    /// A GHL call with everything that has to be on it.
    pub fn ghl(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}{path}", self.ghl.url()))
            .bearer_auth(self.ghl.token())
            .header("version", "2021-07-28")
    }

    pub async fn get(&self, path: &str) -> Reply {
        read(self.ghl("GET", path)).await
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        read(self.ghl(method, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        read(self.ghl("DELETE", path)).await
    }

    /// A search in the usual location, 100 a page, with these keys besides.
    pub async fn search(&self, more: Value) -> Reply {
        let mut body = json!({ "locationId": self.ghl.location_id(), "pageLimit": 100 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send("POST", "/contacts/search", body).await
    }

    pub async fn token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.trafft.client_id()),
            ("client_secret", &self.trafft.client_secret()),
        ];
        let reply = read(self.http.post(format!("{}/api/v2/token", self.trafft.url())).form(&form)).await;
        assert_eq!(reply.status, 200);
        reply.body["access_token"].as_str().unwrap().to_owned()
    }

    /// A Trafft call under /api/v2.
    pub async fn trafft(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let token = self.token().await;
        read(self.trafft_call(&token, method, path, body)).await
    }

    pub fn trafft_call(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}/api/v2{path}", self.trafft.url())).bearer_auth(token);
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// Types of the events waiting, taken.
    pub fn kinds(&self) -> Vec<String> {
        self.ghl.take_events().into_iter().map(|event| event.kind).collect()
    }

    pub fn no_complaints(&self) {
        assert_eq!(self.ghl.complaints(), [""; 0]);
        assert_eq!(self.trafft.complaints(), [""; 0]);
    }
}

/// Lets everything else run until the condition holds. No waiting by the clock on the wall, but for
/// giving up.
#[expect(clippy::disallowed_methods, reason = "a test that hangs helps nobody")]
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "never: {what}");
}

pub fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

pub fn ids(reply: &Reply) -> Vec<String> {
    reply.body["contacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| contact["id"].as_str().unwrap().to_owned())
        .collect()
}
