//! The service's own admin API, as its command line calls it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::http::{Http, may_be_called};
use super::not_sent::{NoConnection, NotSent};
use crate::model::Secret;

/// Why the service brought no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kept back, and why.
    #[error("the call to `{1}` was {0}")]
    NotSent(Box<super::Error>, Url),
    /// Nothing listens there, or not as it should.
    #[error("no connection to `{url}`{}", more(*.why))]
    NoConnection {
        /// The URL of the service that was asked.
        url: Url,
        /// What kept the connection.
        why: NoConnection,
    },
    /// Sent, and no answer came.
    #[error("no answer from `{0}`; what was asked may have been done")]
    Unanswered(Url),
    /// The service said no, in its own words.
    #[error("{title}: {detail}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What is wrong.
        title: String,
        /// What exactly, and what to do.
        detail: String,
        /// The parameter to add so that the request is clear.
        parameter: Option<String>,
    },
    /// Something answers there, but not as the service does.
    #[error("what answers at `{url}` is not the service's admin API ({status})")]
    Foreign {
        /// The URL of the service that was asked.
        url: Url,
        /// The status of the answer.
        status: u16,
    },
}

fn more(why: NoConnection) -> String {
    if why == NoConnection::Network { String::new() } else { format!(": {why}") }
}

/// One call: its path below `/api/v1`, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Request {
    /// A request that only reads.
    pub fn get(path: &[&str]) -> Self {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        Self { method: Method::GET, path, query: Vec::new(), body: None }
    }

    /// Acts.
    pub fn post(path: &[&str]) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// Puts in place.
    pub fn put(path: &[&str]) -> Self {
        Self { method: Method::PUT, ..Self::get(path) }
    }

    /// Takes away.
    pub fn delete(path: &[&str]) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// Adds to the query what is there.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// The same list, from this `next` on.
    #[must_use]
    pub fn from_page(mut self, next: &str) -> Self {
        self.query.retain(|(name, _)| *name != "cursor");
        self.query("cursor", Some(next))
    }

    /// Sends JSON along.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn url(&self, base: &Url) -> Option<Url> {
        let mut url = base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1"]).extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Some(url)
    }
}

/// A running service.
#[derive(Debug)]
pub struct Admin {
    http: Http,
    base: Url,
    token: Secret,
}

impl Admin {
    /// Connects to nothing yet.
    pub fn new(http: Http, base: Url, token: Secret) -> Self {
        Self { http, base, token }
    }

    /// The service on this machine that was told to listen there; "on all addresses" is reached by
    /// the loopback.
    pub fn local(bind: SocketAddr) -> String {
        let ip = match bind.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, bind.port()))
    }

    /// Sends, and returns the JSON of a good answer.
    ///
    /// # Errors
    /// What the service refused, or why there is no answer.
    pub async fn call(&self, request: Request) -> Result<Value, Error> {
        let not_sent = |error| Error::NotSent(Box::new(error), self.base.clone());
        // The token gives access to all of the service, so it goes only where credentials may go.
        may_be_called(&self.base).map_err(not_sent)?;
        let url = request.url(&self.base);
        let url = url.ok_or_else(|| not_sent(super::Error::NotSent { reason: NotSent::NotHttps }))?;
        let mut sent = self.http.request(request.method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let broken = |error: reqwest::Error| {
            let url = self.base.clone();
            if !error.is_connect() {
                return Error::Unanswered(url);
            }
            Error::NoConnection { url, why: NoConnection::of(&error) }
        };
        let answer = sent.send().await.map_err(broken)?;
        let status = answer.status();
        read(&self.base, status, &answer.bytes().await.map_err(broken)?)
    }
}

fn read(base: &Url, status: StatusCode, body: &[u8]) -> Result<Value, Error> {
    #[derive(Deserialize)]
    struct Problem {
        title: String,
        detail: String,
        #[serde(default)]
        parameter: Option<String>,
    }
    let foreign = || Error::Foreign { url: base.clone(), status: status.as_u16() };
    if status == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|_| foreign());
    }
    match serde_json::from_slice(body) {
        Ok(Problem { title, detail, parameter }) => {
            Err(Error::Refused { status: status.as_u16(), title, detail, parameter })
        }
        Err(_) => Err(foreign()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_below_the_base() {
        let request = Request::get(&["contacts", "a/b"]).query("status", Some("synced")).query("cursor", None::<&str>);
        for (base, want) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v1/contacts/a%2Fb?status=synced"),
            ("https://example.com/sync/?x#y", "https://example.com/sync/api/v1/contacts/a%2Fb?status=synced"),
        ] {
            assert_eq!(request.url(&base.parse().unwrap()).unwrap().as_str(), want);
        }
    }

    #[test]
    fn a_service_on_all_addresses_is_reached_by_the_loopback() {
        for (bind, want) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8080", "http://[::1]:8080"),
            ("10.0.0.5:8080", "http://10.0.0.5:8080"),
        ] {
            assert_eq!(Admin::local(bind.parse().unwrap()), want);
        }
    }

    #[test]
    fn an_answer_is_data_a_refusal_or_somebody_elses() {
        let base = "http://localhost".parse().unwrap();
        let read = |status, body: &str| {
            let answer = read(&base, StatusCode::from_u16(status).unwrap(), body.as_bytes());
            answer.map(|json| json.to_string()).map_err(|error| error.to_string())
        };
        let foreign = "what answers at `http://localhost/` is not the service's admin API";
        assert_eq!(read(202, r#"{"a":1}"#), Ok(r#"{"a":1}"#.to_owned()));
        assert_eq!(
            read(404, r#"{"status":404,"title":"not found","detail":"no event"}"#),
            Err("not found: no event".into())
        );
        assert_eq!(read(502, "<html>"), Err(format!("{foreign} (502)")));
        assert_eq!(read(200, "<html>"), Err(format!("{foreign} (200)")));
    }
}
