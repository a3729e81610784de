//! What kinds of refusals there are, as the API and the metrics call them.

use serde::Serialize;

/// Why a request was refused. Stable: programs decide by it, never by a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The webhook is not stored; send it again.
    NotStored,
    /// Too many webhooks at once; not stored, send it again.
    Overloaded,
    /// A signature, or a token of workflow webhooks, is missing or wrong.
    NotBelieved,
    /// Signed, and for another app than ours, of which no event has ever come.
    AnotherApp,
    /// The admin token is missing or wrong, and there is no session.
    NotAllowed,
    /// The admin API is not turned on.
    AdminOff,
    /// No page of this service sent it.
    AnotherOrigin,
    /// Too many wrong tokens from one address.
    TooManyAttempts,
    /// The body is larger than the cap.
    TooLarge,
    /// What was sent cannot be read, or says what cannot be.
    BadRequest,
    /// There is no such thing.
    NotFound,
    /// There is such an address, and it does not take the method.
    MethodNotAllowed,
    /// It does not fit what is there.
    Conflict,
    /// The process is stopping.
    NotReady,
    /// The store does not answer.
    StoreUnavailable,
    /// A mistake of the service.
    InternalError,
}

impl ProblemCode {
    /// The word in the API and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotStored => "not_stored",
            Self::Overloaded => "overloaded",
            Self::NotBelieved => "not_believed",
            Self::AnotherApp => "another_app",
            Self::NotAllowed => "not_allowed",
            Self::AdminOff => "admin_off",
            Self::AnotherOrigin => "another_origin",
            Self::TooManyAttempts => "too_many_attempts",
            Self::TooLarge => "too_large",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::NotReady => "not_ready",
            Self::StoreUnavailable => "store_unavailable",
            Self::InternalError => "internal_error",
        }
    }
}
