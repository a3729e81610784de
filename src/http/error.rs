//! The one way from a refusal to an answer: problem+json (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::intake;
use crate::store;

/// A refusal. Says what is wrong and what to do; never repeats what was sent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// The HTTP status once more.
    pub status: u16,
    /// What is wrong, in two or three words.
    pub title: &'static str,
    /// What exactly, and what to do.
    pub detail: String,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// How soon a delivery that could not be stored may come again; HighLevel waits about 10 minutes anyway (G §8.6).
const RETRY_AFTER: u32 = 60;

impl Problem {
    /// A refusal with this status.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), title, detail: detail.into(), retry_after: None }
    }

    /// 429: the one answer that makes HighLevel send an event again.
    pub fn try_again(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "not stored", detail);
        Self { retry_after: Some(RETRY_AFTER), ..problem }
    }

    /// 429, for somebody who guesses.
    pub fn wait(time: Duration) -> Self {
        let seconds = u32::try_from(time.as_secs() + 1).unwrap_or(u32::MAX);
        let detail = format!(
            "too many wrong tokens came from your address: wait {seconds} s; whoever is logged in already is not affected"
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts", detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    /// 413.
    pub fn too_large(cap: usize) -> Self {
        let detail = format!("the body is larger than {cap} bytes (`MAX_BODY_BYTES`)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too large", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", detail)
    }

    /// 405; the header `Allow` lists the methods.
    pub fn method_not_allowed() -> Self {
        let detail = "this address does not take that method; the header `Allow` lists those that it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad request", detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }
}

impl From<intake::Error> for Problem {
    fn from(error: intake::Error) -> Self {
        match error {
            intake::Error::Refused(refusal) => Self::new(StatusCode::UNAUTHORIZED, "not believed", refusal.to_string()),
            intake::Error::Unreadable(unreadable) => Self::bad_request(unreadable.to_string()),
            intake::Error::NotStored(cause) => {
                error!(error = %cause, "an event could not be stored: {cause}");
                Self::try_again("the event could not be stored; send it again")
            }
        }
    }
}

/// For the admin API: the caller learns that it failed, the log learns why.
impl From<store::Error> for Problem {
    fn from(cause: store::Error) -> Self {
        error!(error = %cause, "the store failed: {cause}");
        let detail = "the store did not answer; see the log of the service";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store unavailable", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
