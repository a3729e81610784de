//! The one way from a refusal to an answer: problem+json (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::intake;
use crate::model::ProblemCode;
use crate::store;

/// A refusal. Says what is wrong and what to do; never repeats what was sent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// The HTTP status once more.
    pub status: u16,
    /// What is wrong: for programs.
    pub code: ProblemCode,
    /// The same in words.
    pub title: String,
    /// What exactly, and what to do.
    pub detail: String,
    /// The parameter that would say what is meant, where that is not clear without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<&'static str>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// How soon a delivery that could not be stored may come again, in seconds. HighLevel waits by its own rule, "from seconds to
/// minutes" (G §8.6); relays and workflows may heed it.
const RETRY_AFTER: u32 = 60;

impl Problem {
    /// A refusal, with the status that belongs to its code.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let status = status(code).as_u16();
        let title = code.name().replace('_', " ");
        Self { status, code, title, detail: detail.into(), parameter: None, retry_after: None }
    }

    /// The same, of a request that could be about several locations.
    #[must_use]
    pub fn which_location(self) -> Self {
        Self { parameter: Some("location_id"), ..self }
    }

    /// 429: not stored, send it again. HighLevel repeats after every answer but 2xx since April 2026, before that after 429
    /// alone (G §8.6): it is right under both rules, and says that neither the sender nor the service is broken.
    pub fn try_again(detail: impl Into<String>) -> Self {
        Self::again(ProblemCode::NotStored, detail)
    }

    /// 429, for this reason.
    pub(super) fn again(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { retry_after: Some(RETRY_AFTER), ..Self::new(code, detail) }
    }

    /// 429, for somebody who guesses.
    pub fn wait(time: Duration) -> Self {
        let seconds = u32::try_from(time.as_secs() + 1).unwrap_or(u32::MAX);
        let detail =
            format!("too many wrong tokens came from your address: wait {seconds} s; open sessions are not affected");
        Self { retry_after: Some(seconds), ..Self::new(ProblemCode::TooManyAttempts, detail) }
    }

    /// 413.
    pub fn too_large(cap: usize) -> Self {
        let detail = format!("the body is larger than {cap} bytes (`MAX_BODY_BYTES`)");
        Self::new(ProblemCode::TooLarge, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::NotFound, detail)
    }

    /// 405; the header `Allow` lists the methods.
    pub fn method_not_allowed() -> Self {
        let detail = "this address does not take that method; the header `Allow` lists those that it takes";
        Self::new(ProblemCode::MethodNotAllowed, detail)
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::BadRequest, detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::Conflict, detail)
    }
}

fn status(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::BadRequest => StatusCode::BAD_REQUEST,
        ProblemCode::NotBelieved | ProblemCode::NotAllowed => StatusCode::UNAUTHORIZED,
        ProblemCode::AdminOff | ProblemCode::AnotherOrigin => StatusCode::FORBIDDEN,
        ProblemCode::NotFound => StatusCode::NOT_FOUND,
        ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemCode::Conflict => StatusCode::CONFLICT,
        ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // No 5xx on the webhook path: see `try_again`.
        ProblemCode::NotStored | ProblemCode::Overloaded | ProblemCode::AnotherApp | ProblemCode::TooManyAttempts => {
            StatusCode::TOO_MANY_REQUESTS
        }
        ProblemCode::NotReady | ProblemCode::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemCode::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<intake::Error> for Problem {
    fn from(error: intake::Error) -> Self {
        match &error {
            intake::Error::Refused(refusal) => Self::new(ProblemCode::NotBelieved, refusal.to_string()),
            intake::Error::Unreadable(unreadable) => Self::bad_request(unreadable.to_string()),
            intake::Error::OtherApp => Self::again(ProblemCode::AnotherApp, error.to_string()),
            intake::Error::NotStored(cause) => {
                if !cause.tell_outage() {
                    error!(error = %cause, "an event could not be stored: {cause}");
                }
                Self::try_again("the event could not be stored; send it again")
            }
        }
    }
}

/// For the admin API: the caller learns that it failed, the log learns why.
impl From<store::Error> for Problem {
    fn from(cause: store::Error) -> Self {
        if !cause.tell_outage() {
            error!(error = %cause, "the store failed: {cause}");
        }
        let detail = match cause {
            // These name nothing that a stranger should not read.
            store::Error::ReadOnly | store::Error::Swallowed(_) => cause.to_string(),
            _ => "the store did not answer; see the log of the service".to_owned(),
        };
        Self::new(ProblemCode::StoreUnavailable, detail)
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
