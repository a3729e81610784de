//! Trafft's public API v2.
//!
//! Nothing is repeated here but the one call after a 401, which was not carried out (T §3).

mod auth;
pub mod wire;

use std::fmt;
use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::error::Error;
use super::http::{Answer, Http};
use super::not_sent::NotSent;
use super::refusal::{Asked, Record, refusal};
use crate::clock::Clock;
use crate::model::{CustomerId, Secret, Vendor};
use auth::Tokens;
use wire::{Appointment, Customer, CustomerPatch, NewCustomer, Page, Written};

/// Trafft documents no limit; this is what everyone gets along with (T §4).
const AT_ONCE: usize = 2;

/// Base URL and credentials of one client.
#[derive(Debug, Clone)]
pub struct TrafftSettings {
    /// The whole origin, such as `https://studio.admin.trafft.com`; it cannot be made from a name
    /// (T §2). With `/api/v2` at its end, as people copy it, it is taken as it is.
    pub origin: Url,
    /// From the API card in the account.
    pub client_id: String,
    /// From the API card in the account.
    pub client_secret: Secret,
}

/// A connection to one Trafft account. Cheap to clone; clones share the token and the two places.
#[derive(Debug, Clone)]
pub struct Trafft {
    connection: Arc<Connection>,
    may_write: MayWrite,
}

/// Asked right before a write leaves, after the wait for a free place and for a token: may this
/// process still write?
#[derive(Clone)]
pub struct MayWrite(Arc<dyn Fn() -> bool + Send + Sync>);

impl MayWrite {
    /// Asks `check` each time.
    pub fn new(check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

impl fmt::Debug for MayWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MayWrite")
    }
}

#[derive(Debug)]
struct Connection {
    http: Http,
    base: Url,
    tokens: Tokens,
    clock: Clock,
    places: Semaphore,
}

/// What a call is, apart from what is in it.
struct Call {
    operation: &'static str,
    method: Method,
    url: Url,
    /// The customer that it is about: Trafft may say that there is none.
    customer: Option<CustomerId>,
}

const NO_BODY: Option<&Value> = None;

impl Trafft {
    /// Connects to nothing yet.
    pub fn new(http: Http, settings: TrafftSettings, clock: Clock) -> Self {
        let base = base(settings.origin);
        let TrafftSettings { client_id, client_secret, .. } = settings;
        let tokens = Tokens::new(http.clone(), under(&base, &["token"]), client_id, client_secret, clock.clone());
        let connection = Arc::new(Connection { http, base, tokens, clock, places: Semaphore::new(AT_ONCE) });
        Self { connection, may_write: MayWrite::new(|| true) }
    }

    /// The same connection; its writes leave only while `may_write` says so, else they end as
    /// [`Error::Withdrawn`].
    #[must_use]
    pub fn guarded(&self, may_write: MayWrite) -> Self {
        Self { connection: self.connection.clone(), may_write }
    }

    /// The account, by its origin.
    pub fn account(&self) -> String {
        self.connection.base.origin().ascii_serialization()
    }

    /// A page of the customers, newest first, from page 1 (T §5). There is no search.
    pub async fn customers(&self, page: u32, limit: u32) -> Result<Page<Customer>, Error> {
        self.listed("customers", page, limit).await
    }

    /// One customer (T §5.1).
    ///
    /// # Errors
    /// [`Error::Gone`]: Trafft says that there is no such customer.
    pub async fn customer(&self, id: CustomerId) -> Result<Customer, Error> {
        self.call(self.one("customer", Method::GET, id), NO_BODY, |answer| {
            let customer: Customer = answer.json()?;
            if customer.id == id { Ok(customer) } else { Err(Error::AnotherRecord) }
        })
        .await
    }

    /// Creates a customer (T §5.2). What happens when the e-mail address is taken nobody knows
    /// (T §10): look first.
    pub async fn create_customer(&self, customer: &NewCustomer) -> Result<CustomerId, Error> {
        let url = under(&self.connection.base, &["customers"]);
        let call = Call { operation: "create_customer", method: Method::POST, url, customer: None };
        self.call(call, Some(customer), |answer| Ok(answer.json::<Written>()?.id)).await
    }

    /// Writes the four fields (T §5.3). There is no version to compare: read, merge and write close
    /// together. An empty 2xx is a success; any other has to name this customer, as Trafft's own
    /// answer does: another service's JSON does not.
    pub async fn update_customer(&self, id: CustomerId, patch: &CustomerPatch) -> Result<(), Error> {
        self.call(self.one("update_customer", Method::PATCH, id), Some(patch), |answer| of(id, answer)).await
    }

    /// Deletes a customer (T §5.4). One that is gone already is done. What a 2xx says is judged as
    /// that of an update is.
    pub async fn delete_customer(&self, id: CustomerId) -> Result<(), Error> {
        match self.call(self.one("delete_customer", Method::DELETE, id), NO_BODY, |answer| of(id, answer)).await {
            Err(Error::Gone(_)) => Ok(()),
            result => result,
        }
    }

    /// A page of the appointments, newest first, from page 1 (T §6). Filters do nothing there.
    pub async fn appointments(&self, page: u32, limit: u32) -> Result<Page<Appointment>, Error> {
        self.listed("appointments", page, limit).await
    }

    /// A page of the list of that name. What could not be read of its records is reported. A first
    /// page that is empty, and does not say that there are none, is not believed: another service
    /// may have answered.
    async fn listed<T: DeserializeOwned>(&self, name: &'static str, number: u32, limit: u32) -> Result<Page<T>, Error> {
        let mut url = under(&self.connection.base, &[name]);
        url.query_pairs_mut().append_pair("page", &number.to_string()).append_pair("limit", &limit.to_string());
        let call = Call { operation: name, method: Method::GET, url, customer: None };
        let page: Page<T> = self.call(call, NO_BODY, Answer::json).await?;
        if number == 1 && page.data.given() == 0 && page.pagination.total.is_none() {
            return Err(Error::Unreadable { is_json: true });
        }
        let owner = self.connection.base.host_str().unwrap_or_default();
        self.connection.http.report_odd(Vendor::Trafft, name, owner, &page.data.odd);
        Ok(page)
    }

    fn one(&self, operation: &'static str, method: Method, id: CustomerId) -> Call {
        let url = under(&self.connection.base, &["customers", &id.to_string()]);
        Call { operation, method, url, customer: Some(id) }
    }

    async fn call<T>(
        &self,
        call: Call,
        body: Option<&impl Serialize>,
        read: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Held for the token's request and for the repeat as well: two in flight, whatever they are
        // for.
        let closed = |_| Error::NotSent { reason: NotSent::Kept("the client is shut") };
        let _place = self.connection.places.acquire().await.map_err(closed)?;
        let token = self.connection.tokens.bearer().await?;
        let (first, unauthorized) = self.once(&call, &token, body, &read).await;
        if !unauthorized {
            return first;
        }
        self.connection.tokens.forget(&token).await;
        let token = self.connection.tokens.bearer().await?;
        self.once(&call, &token, body, &read).await.0
    }

    async fn once<T>(
        &self,
        call: &Call,
        token: &Secret,
        body: Option<&impl Serialize>,
        read: &impl Fn(&Answer) -> Result<T, Error>,
    ) -> (Result<T, Error>, bool) {
        let writes = call.method != Method::GET;
        if writes && !(self.may_write.0)() {
            return (Err(Error::Withdrawn), false);
        }
        let Connection { http, clock, .. } = &*self.connection;
        let id = call.customer.map(|customer| customer.to_string());
        let record = id.as_deref().map(|id| Record { noun: "customer", id });
        let asked = Asked { record, writes, scope: None };
        let mut request = http.request(call.method.clone(), call.url.clone());
        request = request.bearer_auth(token.expose_secret()).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut unauthorized = false;
        let result = http.send(Vendor::Trafft, call.operation, request.build(), |answer| {
            unauthorized = answer.status == StatusCode::UNAUTHORIZED;
            match refusal(Vendor::Trafft, &answer, asked, clock.now()) {
                None => read(&answer),
                Some(error) => Err(error),
            }
        });
        (result.await, unauthorized)
    }
}

/// Is this answer about that customer? An empty one is.
fn of(id: CustomerId, answer: &Answer) -> Result<(), Error> {
    if answer.body.trim_ascii().is_empty() {
        return Ok(());
    }
    let Written { id: written } = answer.json()?;
    if written == id { Ok(()) } else { Err(Error::AnotherRecord) }
}

fn base(origin: Url) -> Url {
    let path = origin.path().trim_end_matches('/').to_owned();
    if path.ends_with("/api/v2") { origin } else { under(&origin, &["api", "v2"]) }
}

/// An address below another. One that cannot have anything below it is left as it is; sending to it
/// is refused.
fn under(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_may_come_with_the_path_of_the_api() {
        for (origin, want) in [
            ("https://studio.admin.trafft.com", "https://studio.admin.trafft.com/api/v2/customers"),
            ("https://studio.admin.trafft.com/", "https://studio.admin.trafft.com/api/v2/customers"),
            ("https://studio.admin.trafft.com/api/v2", "https://studio.admin.trafft.com/api/v2/customers"),
            ("https://studio.admin.trafft.com/api/v2/", "https://studio.admin.trafft.com/api/v2/customers"),
            ("https://example.com/booking", "https://example.com/booking/api/v2/customers"),
        ] {
            assert_eq!(under(&base(origin.parse().unwrap()), &["customers"]).as_str(), want, "{origin}");
        }
    }
}
