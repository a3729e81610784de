//! Access to the admin API and the pages: by `ADMIN_TOKEN`, or by a session that was opened with
//! it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::warn;
use url::Url;

use super::attempts::Attempts;
use super::session::Sessions;
use super::source::Source;
use super::{Problem, Service};
use crate::model::{ProblemCode, Secret};

/// The token, and the sessions that were begun with it.
#[derive(Debug)]
pub(super) struct Admin {
    token: Secret,
    attempts: Attempts,
    pub(super) sessions: Sessions,
}

impl Admin {
    pub(super) fn new(token: Secret, public_url: Option<&Url>) -> Self {
        let secure = public_url.is_some_and(|url| url.scheme() == "https");
        Self { sessions: Sessions::new(&token, secure), attempts: Attempts::default(), token }
    }

    /// Is this the token?
    ///
    /// # Errors
    /// It is not, or its source was wrong too often.
    pub(super) fn check(&self, given: &str, source: Source, now: Timestamp) -> Result<(), Problem> {
        // Digests all have the same length, so the time of the comparison does not reveal the
        // token's length.
        let given = Sha256::digest(given);
        let token = Sha256::digest(self.token.expose_secret());
        match self.attempts.judge(given.as_slice().ct_eq(token.as_slice()).into(), source, now) {
            Ok(true) => Ok(()),
            Ok(false) => {
                warn!(source = %source, "a wrong admin token was refused; it came from {source}");
                let detail = "this is not the value of `ADMIN_TOKEN`: copy it again from the settings of the service";
                Err(Problem::new(ProblemCode::NotAllowed, detail))
            }
            Err(wait) => Err(Problem::wait(wait)),
        }
    }
}

/// Guards the admin API: refuses with problem+json.
pub(super) async fn api(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    service.admit(&request)?;
    Ok(next.run(request).await)
}

impl Service {
    /// Is the request allowed to do what an admin may?
    ///
    /// # Errors
    /// Neither the token nor a session, or another page sent it.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Problem> {
        let Some(admin) = &self.admin else {
            let detail = "the admin API is off: set `ADMIN_TOKEN` and restart";
            return Err(Problem::new(ProblemCode::AdminOff, detail));
        };
        let headers = request.headers();
        let now = self.clock.now();
        if let Some(given) = bearer(headers) {
            return admin.check(given, self.source(request.extensions(), headers), now);
        }
        if !admin.sessions.is_in(headers, now) {
            let detail = "send `Authorization: Bearer` with the value of `ADMIN_TOKEN`, or log in at `/login`";
            return Err(Problem::new(ProblemCode::NotAllowed, detail));
        }
        // Browsers send the cookie with requests that other sites start, too; a token is sent on
        // purpose only.
        if matches!(*request.method(), Method::GET | Method::HEAD) { Ok(()) } else { self.same_origin(headers) }
    }

    /// Was this sent by a page of ours? Browsers say so in `Origin`, with every request but GET and
    /// HEAD.
    ///
    /// # Errors
    /// Another page sent it, or something that is no browser.
    pub(super) fn same_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = header(header::ORIGIN);
        let host = header(header::HOST);
        let ours = match (&self.public_url, origin) {
            (Some(url), Some(origin)) => url.origin().ascii_serialization() == origin,
            (None, Some(origin)) => origin
                .split_once("://")
                .is_some_and(|(scheme, authority)| ["http", "https"].contains(&scheme) && Some(authority) == host),
            (_, None) => false,
        };
        if ours {
            return Ok(());
        }
        let here = match &self.public_url {
            Some(url) => {
                format!("open {} (`PUBLIC_URL`) in your browser and do it there", url.origin().ascii_serialization())
            }
            None => {
                "open the page anew and do it there; behind a proxy set `PUBLIC_URL` to the address in your browser"
                    .to_owned()
            }
        };
        let detail = format!(
            "a page of this service must send this, and it did not (`Origin`): {here}; programs send `Authorization: Bearer` instead of a cookie"
        );
        Err(Problem::new(ProblemCode::AnotherOrigin, detail))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // The scheme has no case, and one space or more follow it (RFC 9110 §11.1, §11.4).
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}
