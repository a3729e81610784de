//! What is looked for without any event: how far each sweep is, what it found, and a backfill on
//! demand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::{Named, Parsed};
use super::{Problem, Service};
use crate::model::{LocationId, Sweep};
use crate::store::{Cursor, FindingView, Page, SweepView};

/// Of which location.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// The location in GoHighLevel. When it is not given: to look, all of them; to act, the one of the settings, else the only one
    /// that is connected.
    location_id: Option<String>,
}

/// Which findings to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Of this location.
    location_id: Option<String>,
    /// Of this sweep.
    sweep: Option<Sweep>,
    /// Found at or after this time, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows at most: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// All sweeps.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Sweeps {
    sweeps: Vec<SweepView>,
}

/// A page of findings, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Findings {
    findings: Vec<FindingView>,
    /// Give this as `cursor` for the next page; none: this is the last. A page looks at 10,000 findings at most: with a filter it may
    /// hold fewer than `limit`, even none, and not be the last.
    next: Option<String>,
}

/// Shows how far each sweep is, and how the last one went.
#[utoipa::path(get, operation_id = "list_sweeps", path = "/api/v1/sweeps", tag = "admin", params(Whose), security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Sweeps)))]
pub(super) async fn sweeps(
    State(service): State<Arc<Service>>,
    Parsed(whose): Parsed<Whose>,
) -> Result<Json<Sweeps>, Problem> {
    Ok(Json(Sweeps { sweeps: service.store.sweeps(whose.location_id.as_deref()).await? }))
}

/// Begins a sweep now, or a backfill, or its `dry-run`, which only counts what a backfill would do.
#[utoipa::path(post, operation_id = "begin_sweep", path = "/api/v1/sweeps/{kind}", tag = "admin",
    params(("kind" = String, Path, description = "`contacts`, `tasks`, `rotation`, `ids`, `customers`, `projection`, `backfill` or `dry-run`"), Whose),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = Sweeps), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn begin(
    State(service): State<Arc<Service>>,
    Named(kind): Named,
    Parsed(whose): Parsed<Whose>,
) -> Result<(StatusCode, Json<Sweeps>), Problem> {
    let (kind, location) = service.meant(&kind, whose).await?;
    if !service.store.ask_for_sweep(&location, kind, service.clock.now()).await? {
        return Err(Problem::not_found("this location is not connected"));
    }
    service.intake.nudge(&location);
    Ok((StatusCode::ACCEPTED, Json(Sweeps { sweeps: service.store.sweeps(Some(location.as_str())).await? })))
}

/// Ends a backfill or a dry run where it is; what it took over stays.
#[utoipa::path(delete, operation_id = "end_sweep", path = "/api/v1/sweeps/{kind}", tag = "admin",
    params(("kind" = String, Path, description = "`backfill` or `dry-run`"), Whose), security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = Sweeps), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end(
    State(service): State<Arc<Service>>,
    Named(kind): Named,
    Parsed(whose): Parsed<Whose>,
) -> Result<(StatusCode, Json<Sweeps>), Problem> {
    let (kind, location) = service.meant(&kind, whose).await?;
    if !matches!(kind, Sweep::Backfill | Sweep::DryRun) {
        return Err(Problem::bad_request("the other sweeps come round by their settings; 0 there turns one off"));
    }
    service.store.stop_sweep(&location, kind).await?;
    Ok((StatusCode::ACCEPTED, Json(Sweeps { sweeps: service.store.sweeps(Some(location.as_str())).await? })))
}

/// Lists what sweeps found that no event had told, the newest first.
#[utoipa::path(get, operation_id = "list_findings", path = "/api/v1/findings", tag = "admin", params(Filter), security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Findings), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn findings(
    State(service): State<Arc<Service>>,
    Parsed(filter): Parsed<Filter>,
) -> Result<Json<Findings>, Problem> {
    let limit = super::api::limit(filter.limit)?;
    let page = Cursor { after: filter.cursor, limit };
    let Page { rows: findings, next } =
        service.store.findings(filter.location_id.as_deref(), filter.sweep, filter.since, &page).await?;
    Ok(Json(Findings { findings, next }))
}

/// How many contacts were given up on, and are tried again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Retried {
    contacts: u64,
}

/// Which of those that were given up on.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Dead {
    /// Only of this location.
    location_id: Option<String>,
    /// Only those given up at or after this time, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
}

/// Tries contacts again that were given up on (`failed`), with all their attempts.
#[utoipa::path(post, operation_id = "retry_contacts", path = "/api/v1/retry", tag = "admin", params(Dead), security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = Retried)))]
pub(super) async fn retry(
    State(service): State<Arc<Service>>,
    Parsed(dead): Parsed<Dead>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    let revived = service.store.revive(dead.location_id.as_deref(), dead.since, service.clock.now()).await?;
    for (location, _) in &revived {
        service.intake.nudge(location);
    }
    Ok((StatusCode::ACCEPTED, Json(Retried { contacts: revived.iter().map(|(_, contacts)| contacts).sum() })))
}

impl Service {
    async fn meant(&self, kind: &str, whose: Whose) -> Result<(Sweep, LocationId), Problem> {
        let kind = Sweep::from_name(kind).ok_or_else(|| {
            let names: Vec<_> = Sweep::ALL.iter().map(|sweep| sweep.name()).collect();
            Problem::not_found(format!("there is no such sweep; there are {}", names.join(", ")))
        })?;
        Ok((kind, self.whose(whose.location_id).await?))
    }
}
