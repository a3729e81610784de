//! What every answer tells browsers about itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use super::Service;

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    // No scripts at all. Browsers apply `form-action` to redirects as well, so what leaves for another host, as an
    // install at HighLevel does, has to be a link.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms, and we could not tell them apart.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Puts them on; a handler that wants its answer kept says so itself.
pub(super) async fn secure(State(service): State<Arc<Service>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if service.public_url.as_ref().is_some_and(|url| url.scheme() == "https") {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
