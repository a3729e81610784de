//! Who may use the admin API: whoever knows `ADMIN_TOKEN`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Problem, Service};

pub(super) async fn admin(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(token) = &service.admin_token else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "off", "the admin API is off: set `ADMIN_TOKEN` and restart"));
    };
    let given = bearer(request.headers()).unwrap_or_default();
    // Digests have one length, so nothing about the token's own shows in the time it takes.
    let (given, token) = (Sha256::digest(given), Sha256::digest(token.expose_secret()));
    if bool::from(given.as_slice().ct_eq(token.as_slice())) {
        Ok(next.run(request).await)
    } else {
        let detail = "send `Authorization: Bearer` with the value of `ADMIN_TOKEN`";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "not allowed", detail))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
