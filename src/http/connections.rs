//! The admin API's part about connections: which locations there are, and what a person enters for
//! them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::api::{Named, Parsed};
use super::{Problem, Service};
use crate::connect::{Entered, Refused};
use crate::model::{Check, ConnectionState, LocationId, Secret, StateName, TrafftAccess};
use crate::store::{ConnectionView, Error, Options};

/// A location, and how it stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Connection {
    #[serde(flatten)]
    pub(super) view: ConnectionView,
    /// Every state that holds, the worst first; never empty.
    pub(super) states: Vec<ConnectionState>,
}

/// All of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Connections {
    connections: Vec<Connection>,
}

/// What a person enters for a location.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
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
    #[schema(inline)]
    options: Options,
}

/// What was tried, and what came back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Checks {
    /// Is everything as it must be?
    ok: bool,
    checks: Vec<Check>,
}

/// What to test with.
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
#[utoipa::path(get, operation_id = "list_connections", path = "/api/v1/connections", tag = "admin", security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Connections)))]
pub(super) async fn list(State(service): State<Arc<Service>>) -> Result<Json<Connections>, Problem> {
    Ok(Json(Connections { connections: service.connections().await? }))
}

/// Shows one of them.
#[utoipa::path(get, operation_id = "get_connection", path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = Connection), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<Connection>, Problem> {
    service.connection(&parse(&location)?).await.map(Json)
}

/// Enters a location's credentials, which are tried first; or replaces them.
#[utoipa::path(put, operation_id = "set_connection", path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")), request_body = Credentials,
    responses(
        (status = 200, body = Connection),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A value is wrong, or Trafft does not take it"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The account belongs to another location, or the location to another account"),
    ))]
pub(super) async fn enter(
    State(service): State<Arc<Service>>,
    Named(location): Named,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Json<Connection>, Problem> {
    // The parser's own words might repeat a secret.
    let Json(entry) = body.map_err(|_| {
        Problem::bad_request("the body must be a JSON object with `trafft_api_url`, `trafft_client_id`, `trafft_client_secret` and, if wanted, `ghl_access_token` and `options`")
    })?;
    let location = parse(&location)?;
    let Credentials { ghl_access_token: token, trafft_api_url, trafft_client_id, trafft_client_secret, options } =
        entry;
    let trafft = TrafftAccess { url: trafft_api_url, client_id: trafft_client_id, client_secret: trafft_client_secret };
    service.connector.enter(Entered { location: location.clone(), token, trafft, options }).await?;
    info!(location.id = %location, "location {location} was connected");
    service.connection(&location).await.map(Json)
}

/// Pauses a location: what comes is stored, nothing is read or written.
#[utoipa::path(post, operation_id = "pause_connection", path = "/api/v1/connections/{location}/pause", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = Connection), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn pause(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<Connection>, Problem> {
    service.rest(&location, true).await
}

/// Lets it go on.
#[utoipa::path(post, operation_id = "resume_connection", path = "/api/v1/connections/{location}/resume", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = Connection), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn resume(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<Connection>, Problem> {
    service.rest(&location, false).await
}

/// Says that the contacts which vanished at once were deleted in HighLevel on purpose: the deletions that were held go on.
#[utoipa::path(post, operation_id = "confirm_deletions", path = "/api/v1/connections/{location}/confirm-deletions", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 200, body = Connection), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn confirm_deletions(
    State(service): State<Arc<Service>>,
    Named(location): Named,
) -> Result<Json<Connection>, Problem> {
    let location = parse(&location)?;
    if !service.store.confirm_deletions(&location, service.clock.now()).await? {
        return Err(Problem::not_found("there is no such connection, or its Trafft credentials have not been entered"));
    }
    info!(location.id = %location, "deletions of location {location} were confirmed");
    service.intake.nudge(&location);
    service.connection(&location).await.map(Json)
}

/// Tries everything that working the location needs.
#[utoipa::path(post, operation_id = "test_connection", path = "/api/v1/connections/{location}/test", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id"), With),
    responses((status = 200, body = Checks), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn test(
    State(service): State<Arc<Service>>,
    Named(location): Named,
    Parsed(with): Parsed<With>,
) -> Result<Json<Checks>, Problem> {
    let contact = with.contact_id.map(|id| id.parse()).transpose();
    let contact = contact.map_err(|error| Problem::bad_request(format!("`contact_id`: {error}")))?;
    let checks = service.connector.probe(&parse(&location)?, contact.as_ref()).await?;
    Ok(Json(Checks { ok: checks.iter().all(|check| check.ok), checks }))
}

/// Forgets a location: its secrets, links, events, everything. Neither vendor is told.
#[utoipa::path(delete, operation_id = "remove_connection", path = "/api/v1/connections/{location}", tag = "admin", security(("admin_token" = []), ("session" = [])),
    params(("location" = String, Path, description = "The location's id")),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove(State(service): State<Arc<Service>>, Named(location): Named) -> Result<StatusCode, Problem> {
    let location = parse(&location)?;
    let standing = service.connection(&location).await?.states;
    let is_apart = standing.iter().any(|one| one.state == StateName::OtherAccount);
    if service.connector.is_in_settings(&location) && !is_apart {
        return Err(Problem::from(Refused::InSettings(location)));
    }
    service.store.disconnect(&location).await?;
    service.connector.changed();
    info!(location.id = %location, "location {location} was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Seals every secret with the first key of `ENCRYPTION_KEY`; afterwards the others are not needed any more.
#[utoipa::path(post, operation_id = "rotate_keys", path = "/api/v1/keys/rotate", tag = "admin", security(("admin_token" = []), ("session" = [])),
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
    /// All locations, each with its states.
    pub(super) async fn connections(&self) -> Result<Vec<Connection>, Problem> {
        let mut views = self.store.connections().await?;
        let is_listed = |location: &LocationId| views.iter().any(|view| view.location_id == location.as_str());
        let unlisted = self.by_settings.accounts.keys().filter(|location| !is_listed(location));
        let unlisted: Vec<_> = unlisted.map(ConnectionView::of_settings).collect();
        views.extend(unlisted);
        views.sort_by(|one, other| one.location_id.cmp(&other.location_id));
        let mut states = self.store.states(&self.by_settings, None, self.clock.now()).await?;
        // One that has gone between the two is not shown.
        let both = views.into_iter().filter_map(|view| Some((states.remove(&view.location_id)?, view)));
        Ok(both.map(|(states, view)| Connection { view, states }).collect())
    }

    /// One of them, if it is there.
    pub(super) async fn find_connection(&self, location: &LocationId) -> Result<Option<Connection>, Problem> {
        let stored = self.store.connection(location).await?;
        let view = stored.unwrap_or_else(|| ConnectionView::of_settings(location));
        let mut states = self.store.states(&self.by_settings, Some(location), self.clock.now()).await?;
        Ok(states.remove(&view.location_id).map(|states| Connection { view, states }))
    }

    async fn connection(&self, location: &LocationId) -> Result<Connection, Problem> {
        self.find_connection(location).await?.ok_or_else(|| {
            Problem::not_found("there is no connection with this id; `connections list` shows those there are")
        })
    }

    async fn rest(&self, location: &str, paused: bool) -> Result<Json<Connection>, Problem> {
        let location = parse(location)?;
        if !self.store.pause(&location, paused, self.clock.now()).await? {
            return Err(Problem::not_found(
                "there is no such connection, or its Trafft credentials have not been entered",
            ));
        }
        self.connector.changed();
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
