//! The admin API's part about connections: which locations there are, and what a person enters for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::api::{Named, Parsed};
use super::{Problem, Service};
use crate::model::{LocationId, Secret, TrafftAccess};
use crate::store::{ConnectionView, Error, Options};
use crate::sync::onboard::{Check, Entered, Refused};

/// All of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Connections {
    connections: Vec<ConnectionView>,
}

/// What a person enters for a location.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// A private integration token of the location; not needed where the app is installed.
    #[schema(value_type = Option<String>, format = Password)]
    ghl_access_token: Option<Secret>,
    /// The URL on Trafft's API card.
    trafft_api_url: String,
    /// On the same card.
    trafft_client_id: String,
    /// On the same card.
    #[schema(value_type = String, format = Password)]
    trafft_client_secret: Secret,
    /// Settings that hold for this connection alone: `MAPPING` (the text of a mapping file), `PHONE_REGION`, `TIME_ZONE`,
    /// `DESCRIPTION_POLICY`, `DESCRIPTION_ESCAPE`, `DELETE_POLICY`, `MISSING_CUSTOMER_POLICY`.
    #[serde(default)]
    options: Options,
}

/// What was tried, and what came back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Checks {
    /// Is everything as it must be?
    ok: bool,
    checks: Vec<Check>,
}

/// With whom to try.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    /// Show what this contact would become.
    contact_id: Option<String>,
}

/// How many secrets were sealed anew.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Resealed {
    resealed: u64,
}

/// Lists every location that is connected, or could be.
#[utoipa::path(get, path = "/api/v1/connections", tag = "admin", security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Connections)))]
pub(super) async fn list(State(service): State<Arc<Service>>) -> Result<Json<Connections>, Problem> {
    Ok(Json(Connections { connections: service.store.connections().await? }))
}

/// Shows one of them.
#[utoipa::path(get, path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = ConnectionView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<ConnectionView>, Problem> {
    service.connection(&parse(&location)?).await.map(Json)
}

/// Enters a location's credentials, which are tried first; or replaces them.
#[utoipa::path(put, path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")), request_body = Entry,
    responses(
        (status = 200, body = ConnectionView),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A value is wrong, or Trafft does not take it"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The account belongs to another location, or the location to another account"),
    ))]
pub(super) async fn enter(
    State(service): State<Arc<Service>>,
    Named(location): Named,
    body: Result<Json<Entry>, JsonRejection>,
) -> Result<Json<ConnectionView>, Problem> {
    // The parser's own words might repeat a secret.
    let Json(entry) = body.map_err(|_| {
        Problem::bad_request("the body must be a JSON object with `trafft_api_url`, `trafft_client_id`, `trafft_client_secret` and, if wanted, `ghl_access_token` and `options`")
    })?;
    let location = parse(&location)?;
    let Entry { ghl_access_token: token, trafft_api_url, trafft_client_id, trafft_client_secret, options } = entry;
    let trafft = TrafftAccess { url: trafft_api_url, client_id: trafft_client_id, client_secret: trafft_client_secret };
    service.onboard.enter(Entered { location: location.clone(), token, trafft, options }).await?;
    info!(location.id = %location, "location {location} was connected");
    service.connection(&location).await.map(Json)
}

/// Lets a location rest: what comes is stored, nothing is read or written.
#[utoipa::path(post, path = "/api/v1/connections/{location}/pause", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = ConnectionView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn pause(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<ConnectionView>, Problem> {
    service.rest(&location, true).await
}

/// Lets it go on.
#[utoipa::path(post, path = "/api/v1/connections/{location}/resume", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = ConnectionView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn resume(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<ConnectionView>, Problem> {
    service.rest(&location, false).await
}

/// Tries everything that working the location needs.
#[utoipa::path(post, path = "/api/v1/connections/{location}/test", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id"), With),
    responses((status = 200, body = Checks), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn test(
    State(service): State<Arc<Service>>,
    Named(location): Named,
    Parsed(with): Parsed<With>,
) -> Result<Json<Checks>, Problem> {
    let contact = with.contact_id.map(|id| id.parse()).transpose();
    let contact = contact.map_err(|error| Problem::bad_request(format!("`contact_id`: {error}")))?;
    let checks = service.onboard.probe(&parse(&location)?, contact.as_ref()).await?;
    Ok(Json(Checks { ok: checks.iter().all(|check| check.ok), checks }))
}

/// Forgets a location: its secrets, links, events, everything. Neither vendor is told.
#[utoipa::path(delete, path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove(State(service): State<Arc<Service>>, Named(location): Named) -> Result<StatusCode, Problem> {
    let location = parse(&location)?;
    service.connection(&location).await?;
    if service.onboard.is_in_settings(&location) {
        return Err(Problem::from(Refused::InSettings(location)));
    }
    service.store.disconnect(&location).await?;
    service.onboard.changed();
    info!(location.id = %location, "location {location} was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Seals every secret with the first key of `ENCRYPTION_KEY`; afterwards the others are not needed any more.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "admin", security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Resealed), (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(State(service): State<Arc<Service>>) -> Result<Json<Resealed>, Problem> {
    let resealed = service.store.reseal().await.map_err(Refused::from)?;
    info!(resealed, "{resealed} secrets were sealed anew");
    Ok(Json(Resealed { resealed }))
}

fn parse(location: &str) -> Result<LocationId, Problem> {
    location.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

impl Service {
    async fn connection(&self, location: &LocationId) -> Result<ConnectionView, Problem> {
        let known = self.store.connection(location).await?;
        known.ok_or_else(|| {
            Problem::not_found("there is no connection with this id; `connections list` shows those there are")
        })
    }

    async fn rest(&self, location: &str, paused: bool) -> Result<Json<ConnectionView>, Problem> {
        let location = parse(location)?;
        if !self.store.pause(&location, paused).await? {
            return Err(Problem::not_found(
                "there is no such connection, or its Trafft credentials have not been entered",
            ));
        }
        self.onboard.changed();
        self.connection(&location).await.map(Json)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(
                error @ (Error::AccountTaken { .. }
                | Error::OtherAccount { .. }
                | Error::NoKey
                | Error::KeyMissing { .. }),
            ) => Self::conflict(error.to_string()),
            Refused::Store(error) => error.into(),
            other => Self::bad_request(other.to_string()),
        }
    }
}
