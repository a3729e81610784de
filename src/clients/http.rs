//! The one HTTP client, and the one way to send.

use std::net::IpAddr;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Request, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::error::Error;
use super::json;
use super::listed::Odd;
use super::not_sent::{NoConnection, NotSent};
use crate::model::{USER_AGENT, Vendor};

/// No answer of either vendor comes near this; what is larger is not for us.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

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

/// Counts of calls by vendor, operation and outcome, and of records in their answers that could not
/// be read.
#[derive(Debug, Clone, Default)]
pub struct CallCounts {
    calls: Family<CallLabels, Counter>,
    odd: Family<OddLabels, Counter>,
}

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OddLabels {
    vendor: &'static str,
    operation: &'static str,
}

impl CallCounts {
    /// Shows the counts as `vendor_calls_total` and `odd_records_total`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "vendor_calls",
            "Calls to GoHighLevel and Trafft by operation and outcome",
            self.calls.clone(),
        );
        registry.register(
            "odd_records",
            "Records in answers of GoHighLevel and Trafft that could not be read; the log names them",
            self.odd.clone(),
        );
    }

    /// How many calls ended so, since the start.
    pub fn get(&self, labels: &CallLabels) -> u64 {
        self.calls.get(labels).map_or(0, |count| count.get())
    }
}

/// The one client: our name, timeouts, no redirects. Cheap to clone.
///
/// It holds two. Only calls that are encrypted up to the vendor go through a proxy of the
/// environment (`HTTPS_PROXY` or `ALL_PROXY`, except for `NO_PROXY`; the library reads them). Plain
/// http, which is allowed for this machine alone, never does: by default the library sends it to
/// the proxy too, loopback or not, and every credential with it.
#[derive(Debug, Clone)]
pub struct Http {
    proxied: reqwest::Client,
    direct: reqwest::Client,
    counts: CallCounts,
}

impl Http {
    /// Builds the client; fails when TLS cannot be set up on this machine.
    pub fn new(timeouts: Timeouts, counts: CallCounts) -> Result<Self, Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(format!("{USER_AGENT}{}", env!("CARGO_PKG_VERSION")))
                .connect_timeout(timeouts.connect)
                .timeout(timeouts.request)
                // A redirect would send the credentials to an address that is not configured
                // (T §2).
                .redirect(redirect::Policy::none())
        };
        // A system without any certificates can still be asked to call itself. What it calls
        // elsewhere is told then.
        let built = |builder: &dyn Fn() -> reqwest::ClientBuilder| {
            let built = builder().build().or_else(|_| builder().tls_certs_only([]).build());
            built.map_err(|_| Error::NotSent { reason: NotSent::Kept("the HTTP client cannot be set up") })
        };
        let proxied = built(&builder)?;
        let direct = built(&|| builder().no_proxy())?;
        Ok(Self { proxied, direct, counts })
    }

    /// Starts a request; [`Http::send`] sends it.
    pub(super) fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.to(&url).request(method, url)
    }

    /// The client for that address.
    fn to(&self, url: &Url) -> &reqwest::Client {
        if goes_direct(url) { &self.direct } else { &self.proxied }
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
        self.counts.calls.get_or_create(&CallLabels { vendor: vendor.label(), operation, outcome }).inc();
        result
    }

    /// Counts and names the records of a list that could not be read. `owner`: the location or the
    /// account that was asked.
    pub(super) fn report_odd(&self, vendor: Vendor, operation: &'static str, owner: &str, odd: &[Odd]) {
        const NAMED: usize = 10;
        if odd.is_empty() {
            return;
        }
        let vendor = vendor.label();
        let count = odd.len();
        self.counts.odd.get_or_create(&OddLabels { vendor, operation }).inc_by(count as u64);
        let ids = odd.iter().take(NAMED).map(Odd::to_string).collect::<Vec<_>>().join(", ");
        let more = if count > NAMED { ", and others" } else { "" };
        warn!(
            vendor,
            operation,
            owner,
            count,
            ids,
            "{operation} of {owner}: {count} records cannot be read and are left as they are: {ids}{more}"
        );
    }

    pub(super) async fn exchange(&self, request: reqwest::Result<Request>) -> Result<Answer, Error> {
        let request = request.map_err(|error| transport(error, None))?;
        may_be_called(request.url())?;
        let url = request.url().clone();
        let response = self.to(&url).execute(request).await.map_err(|error| transport(error, proxy(&url)))?;
        Answer::read(response).await
    }
}

/// Credentials and personal data travel encrypted, or do not leave this machine.
pub fn may_be_called(url: &Url) -> Result<(), Error> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(()),
        "http" => Err(Error::NotSent { reason: NotSent::PlainHttp }),
        _ => Err(Error::NotSent { reason: NotSent::NotHttps }),
    }
}

fn goes_direct(url: &Url) -> bool {
    url.scheme() != "https" || url.host_str().is_none_or(is_loopback)
}

/// Host and port of the environment's proxy; none: it is not used for this address. The environment
/// is one for the whole process, and so is this text. It names the host alone: proxies have
/// credentials in their URLs.
fn proxy(url: &Url) -> Option<&'static str> {
    static PROXIES: LazyLock<Matcher> = LazyLock::new(Matcher::from_env);
    static PROXY: OnceLock<String> = OnceLock::new();
    let target = url.as_str().parse().ok().filter(|_| !goes_direct(url))?;
    let used = PROXIES.intercept(&target)?;
    Some(PROXY.get_or_init(|| {
        let authority = used.uri().authority().map(|authority| authority.as_str()).unwrap_or_default();
        // A password may contain `@`, so only the part after the last one is kept.
        authority.rsplit('@').next().unwrap_or_default().to_owned()
    }))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// Told by type, not by text. A timeout while connecting is a failure to connect: nothing was sent.
fn transport(error: reqwest::Error, proxy: Option<&'static str>) -> Error {
    if error.is_builder() {
        Error::NotSent {
            reason: NotSent::Kept(
                "the request cannot be built; does the address or the credential hold stray characters?",
            ),
        }
    } else if error.is_connect() {
        Error::NotSent { reason: NotSent::NoConnection { why: NoConnection::of(&error), proxy } }
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

    /// The body as JSON.
    ///
    /// # Errors
    /// No JSON: a proxy's page is no answer of the vendor's (T §2). [`Error::Unreadable`]: JSON,
    /// and not what was asked for.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let value = json::read(&self.body).ok_or(Error::Unreadable { is_json: false })?;
        serde_json::from_value(value).map_err(|_| Error::UNEXPECTED_BODY)
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
