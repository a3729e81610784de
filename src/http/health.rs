//! Alive, ready, and how it has been going.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::metrics::text_form;
use super::{Problem, Service};
use crate::model::ProblemCode;

/// Alive.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    pub status: &'static str,
    /// The version of the service.
    pub version: &'static str,
}

/// Says that the process is alive, and nothing else.
#[utoipa::path(get, operation_id = "get_liveness", path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Says whether webhooks can be taken in: the store can be written, the keys are loaded, and the service is not stopping. A
/// vendor's outage does not matter here, because events are stored all the same.
#[utoipa::path(
    get, operation_id = "get_readiness", path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Result<Json<Health>, Problem> {
    if service.stopping() {
        return Err(Problem::new(ProblemCode::NotReady, "the service is stopping"));
    }
    // Keys are loaded before anything listens, so the store is all that can be missing.
    service.store.probe().await?;
    Ok(healthz().await)
}

/// What has been counted, for Prometheus.
#[utoipa::path(get, operation_id = "get_metrics", path = "/metrics", tag = "health", responses((status = 200, content(
    (String = "text/plain; version=0.0.4; charset=utf-8"),
    (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
), description = "In Prometheus' own text form, or in OpenMetrics' where `Accept` names that")))]
pub(super) async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Result<Response, Problem> {
    let states = service.store.states(&service.by_settings, None, service.clock.now()).await?;
    let load = service.store.load().await?;
    let sweeps = service.store.sweep_load().await?;
    let text = service.metrics.render(load, sweeps, &states, service.intake.deliveries().await?);
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    Ok(if accepts.contains("application/openmetrics-text") {
        ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text_form(&text)).into_response()
    })
}
