//! Trafft's public API v2.
//!
//! Nothing is repeated here but the one call after a 401, which was not carried out (T §3).

mod auth;
pub mod wire;

use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::error::Error;
use super::http::{Answer, Http, Vendor};
use super::refusal::refusal;
use crate::clock::Clock;
use crate::model::{CustomerId, Secret};
use auth::Tokens;
use wire::{Appointment, Customer, CustomerPatch, NewCustomer, Page, Written};

/// Trafft documents no limit; this is what everyone gets along with (T §4).
const AT_ONCE: usize = 2;

/// Where to, and by whose leave.
#[derive(Debug, Clone)]
pub struct TrafftSettings {
    /// The whole origin, such as `https://studio.admin.trafft.com`; it cannot be made from a name (T §2). With `/api/v2`
    /// at its end, as people copy it, it is taken as it is.
    pub origin: Url,
    /// From the API card in the account.
    pub client_id: String,
    /// From the API card in the account.
    pub client_secret: Secret,
}

/// A connection to one Trafft account. Cheap to clone; clones share the token and the two places.
#[derive(Debug, Clone)]
pub struct Trafft(Arc<Connection>);

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
}

const NO_BODY: Option<&Value> = None;

impl Trafft {
    /// Connects to nothing yet.
    pub fn new(http: Http, settings: TrafftSettings, clock: Clock) -> Self {
        let base = base(settings.origin);
        let TrafftSettings { client_id, client_secret, .. } = settings;
        let tokens = Tokens::new(http.clone(), under(&base, &["token"]), client_id, client_secret, clock.clone());
        Self(Arc::new(Connection { http, base, tokens, clock, places: Semaphore::new(AT_ONCE) }))
    }

    /// A page of the customers, newest first, from page 1 (T §5). There is no search.
    pub async fn customers(&self, page: u32, limit: u32) -> Result<Page<Customer>, Error> {
        self.call(self.page("customers", "customers", page, limit), NO_BODY, Answer::json).await
    }

    /// One customer (T §5.1).
    pub async fn customer(&self, id: CustomerId) -> Result<Customer, Error> {
        self.call(self.one("customer", Method::GET, id), NO_BODY, Answer::json).await
    }

    /// Creates a customer (T §5.2). What happens when the e-mail address is taken nobody knows (T §10): look first.
    pub async fn create_customer(&self, customer: &NewCustomer) -> Result<CustomerId, Error> {
        let call =
            Call { operation: "create_customer", method: Method::POST, url: under(&self.0.base, &["customers"]) };
        self.call(call, Some(customer), |answer| Ok(answer.json::<Written>()?.id)).await
    }

    /// Writes the four fields (T §5.3). There is no version to compare: read, merge and write close together.
    pub async fn update_customer(&self, id: CustomerId, patch: &CustomerPatch) -> Result<(), Error> {
        let call = self.one("update_customer", Method::PATCH, id);
        self.call(call, Some(patch), |answer| answer.json::<Map<String, Value>>().map(drop)).await
    }

    /// Deletes a customer (T §5.4). One that is gone already is done.
    pub async fn delete_customer(&self, id: CustomerId) -> Result<(), Error> {
        let read = |answer: &Answer| match answer.body.trim_ascii() {
            b"" => Ok(()),
            _ => answer.json::<Value>().map(drop),
        };
        match self.call(self.one("delete_customer", Method::DELETE, id), NO_BODY, read).await {
            Err(Error::NotFound) => Ok(()),
            result => result,
        }
    }

    /// A page of the appointments, newest first, from page 1 (T §6). Filters do nothing there.
    pub async fn appointments(&self, page: u32, limit: u32) -> Result<Page<Appointment>, Error> {
        self.call(self.page("appointments", "appointments", page, limit), NO_BODY, Answer::json).await
    }

    fn page(&self, operation: &'static str, path: &str, page: u32, limit: u32) -> Call {
        let mut url = under(&self.0.base, &[path]);
        url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("limit", &limit.to_string());
        Call { operation, method: Method::GET, url }
    }

    fn one(&self, operation: &'static str, method: Method, id: CustomerId) -> Call {
        Call { operation, method, url: under(&self.0.base, &["customers", &id.to_string()]) }
    }

    async fn call<T>(
        &self,
        call: Call,
        body: Option<&impl Serialize>,
        read: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Held for the token's request and for the repeat as well: two in flight, whatever they are for.
        let closed = |_| Error::NotSent { reason: "the client is shut" };
        let _place = self.0.places.acquire().await.map_err(closed)?;
        let token = self.0.tokens.bearer().await?;
        let (first, unauthorized) = self.once(&call, &token, body, &read).await;
        if !unauthorized {
            return first;
        }
        self.0.tokens.forget(&token).await;
        let token = self.0.tokens.bearer().await?;
        self.once(&call, &token, body, &read).await.0
    }

    async fn once<T>(
        &self,
        call: &Call,
        token: &Secret,
        body: Option<&impl Serialize>,
        read: &impl Fn(&Answer) -> Result<T, Error>,
    ) -> (Result<T, Error>, bool) {
        let mut request = self.0.http.request(call.method.clone(), call.url.clone());
        request = request.bearer_auth(token.expose_secret()).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut unauthorized = false;
        let result = self.0.http.send(Vendor::Trafft, call.operation, request.build(), |answer| {
            unauthorized = answer.status == StatusCode::UNAUTHORIZED;
            match refusal(Vendor::Trafft, &answer, None, self.0.clock.now()) {
                None => read(&answer),
                Some(error) => Err(error),
            }
        });
        (result.await, unauthorized)
    }
}

fn base(origin: Url) -> Url {
    let path = origin.path().trim_end_matches('/').to_owned();
    if path.ends_with("/api/v2") { origin } else { under(&origin, &["api", "v2"]) }
}

/// An address below another. One that cannot have anything below it is left as it is; sending to it is refused.
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
