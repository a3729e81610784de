//! What every request to pages, API and health passes, from the outside in.
//!
//! The two webhook routes use none of these layers. They have an admission of their own
//! (`admission.rs`), a span of their own that begins once the signature is verified, and no browser
//! reads their answers. Time limits are not here either: `serve.rs` has those for heads and bodies,
//! and each wait for the database or a vendor has its own, with an answer that says what was waited
//! for.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Level, Span, error_span};
use url::Url;

use super::Service;

/// What answers tell browsers about themselves.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    // No scripts at all. Browsers apply `form-action` to redirects as well, so what leaves for
    // another host, as an install at HighLevel does, has to be a link.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms, and we could
    // not tell them apart.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];
/// A handler that wants its answer kept says so itself.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// Browsers come back by https only, for a year.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// An id that a proxy has given is kept up to this length; a longer one is not logged.
const LONGEST_ID: usize = 64;

/// The routes with all of it. `public_url`: as browsers know this service.
pub(super) fn around(routes: Router<Arc<Service>>, public_url: Option<&Url>) -> Router<Arc<Service>> {
    let is_https = public_url.is_some_and(|url| url.scheme() == "https");
    let [policy, sniffing, referrer, frames] =
        ALWAYS.map(|(name, value)| SetResponseHeaderLayer::overriding(name, value));
    routes.layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(
                TraceLayer::new_for_http()
                    .make_span_with(span)
                    .on_request(())
                    .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                    .on_failure(()),
            )
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(policy)
            .layer(sniffing)
            .layer(referrer)
            .layer(frames)
            .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, NOT_KEPT))
            .option_layer(
                is_https.then(|| SetResponseHeaderLayer::overriding(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY)),
            )
            .layer(CompressionLayer::new()),
    )
}

/// What every line of the log that belongs to this request has to name. Not its query, which may
/// hold a code.
fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let id = id.filter(|id| id.len() <= LONGEST_ID);
    error_span!(parent: None, "request", request.id = id, method = %request.method(), path = request.uri().path())
}
