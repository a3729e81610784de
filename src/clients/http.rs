//! The one HTTP client, and the one way to send.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Request, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use super::error::Error;

/// No answer of either vendor comes near this; what is larger is not for us.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Whom a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vendor {
    Ghl,
    Trafft,
}

impl Vendor {
    fn name(self) -> &'static str {
        match self {
            Self::Ghl => "ghl",
            Self::Trafft => "trafft",
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// For a whole request, connecting and reading the answer included.
    pub request: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect; 30 s for all of it, as GHL's own client has it (G §5).
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(30) }
    }
}

/// How many calls went to whom, for what, and what came of them.
#[derive(Debug, Clone, Default)]
pub struct CallCounts(Family<CallLabels, Counter>);

/// What calls are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// `ghl` or `trafft`.
    pub vendor: &'static str,
    /// The method of the client.
    pub operation: &'static str,
    /// `ok`, or the kind of error.
    pub outcome: &'static str,
}

impl CallCounts {
    /// Shows the counts as `vendor_calls_total`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("vendor_calls", "Calls to GoHighLevel and Trafft by operation and outcome", self.0.clone());
    }

    /// How many calls ended so, since the start.
    pub fn get(&self, labels: &CallLabels) -> u64 {
        self.0.get(labels).map_or(0, |count| count.get())
    }
}

/// The one client: our name, timeouts, no redirects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    counts: CallCounts,
}

impl Http {
    /// Builds the client; fails when TLS cannot be set up on this machine.
    pub fn new(timeouts: Timeouts, counts: CallCounts) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("ghl-trafft-sync/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.request)
            // A redirect would take the credentials to an address that nobody configured (T §2).
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|_| Error::NotSent {
                reason: "the HTTP client cannot be set up; are the system's root certificates there?",
            })?;
        Ok(Self { client, counts })
    }

    /// Starts a request; [`Http::send`] sends it.
    pub(super) fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends, reads the answer, lets `read` judge it, and counts what came of it.
    pub(super) async fn send<T>(
        &self,
        vendor: Vendor,
        operation: &'static str,
        request: reqwest::Result<Request>,
        read: impl FnOnce(Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.exchange(request).await.and_then(read);
        let outcome = result.as_ref().map_or_else(Error::kind, |_| "ok");
        self.counts.0.get_or_create(&CallLabels { vendor: vendor.name(), operation, outcome }).inc();
        result
    }

    pub(super) async fn exchange(&self, request: reqwest::Result<Request>) -> Result<Answer, Error> {
        let request = request.map_err(transport)?;
        may_be_called(request.url())?;
        let response = self.client.execute(request).await.map_err(transport)?;
        Answer::read(response).await
    }
}

/// Credentials and personal data travel encrypted, or do not leave this machine.
pub fn may_be_called(url: &Url) -> Result<(), Error> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(()),
        "http" => Err(Error::NotSent {
            reason: "plain http is for this machine only (localhost, 127.0.0.1, [::1]); use https",
        }),
        _ => Err(Error::NotSent { reason: "the address is not an https address" }),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// Told by type, not by text. A timeout while connecting is a failure to connect: nothing was sent.
fn transport(error: reqwest::Error) -> Error {
    if error.is_builder() {
        Error::NotSent {
            reason: "the request cannot be built; does the address or the credential hold stray characters?",
        }
    } else if error.is_connect() {
        Error::NotSent { reason: "no connection (name, network, port or TLS)" }
    } else if error.is_timeout() {
        Error::Unanswered { reason: "no answer in time" }
    } else {
        Error::Unanswered { reason: "the connection broke" }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    async fn read(mut response: Response) -> Result<Self, Error> {
        let mut body = Vec::new();
        loop {
            let part = match response.chunk().await {
                Ok(part) => part,
                Err(error) if error.is_timeout() => {
                    return Err(Error::Unanswered { reason: "the answer did not end in time" });
                }
                Err(_) => return Err(Error::Unanswered { reason: "the answer was cut short" }),
            };
            let Some(part) = part else { break };
            if body.len() + part.len() > LARGEST_ANSWER {
                return Err(Error::Unanswered { reason: "the answer is larger than 8 MiB" });
            }
            body.extend_from_slice(&part);
        }
        Ok(Self { status: response.status(), headers: response.headers().clone(), body })
    }

    /// When the vendor says that it answered.
    pub(super) fn date(&self) -> Option<Timestamp> {
        DateTimeParser::new().parse_timestamp(self.headers.get(DATE)?.to_str().ok()?).ok()
    }

    /// The body as JSON. That a proxy's HTML page is no answer shows here (T §2).
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::UNEXPECTED_BODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (address, fine) in [
            ("https://services.leadconnectorhq.com", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://studio.admin.trafft.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("ftp://localhost", false),
        ] {
            assert_eq!(may_be_called(&address.parse().unwrap()).is_ok(), fine, "{address}");
        }
    }
}
