//! Which locations there are, and a page for each: how it stands, its Trafft credentials, what to
//! do next.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use super::Refused;
use crate::connect::{Entered, missing_scopes};
use crate::http::connections::Connection;
use crate::http::{Problem, Service};
use crate::model::{Check, Level, LocationId, Scopes, Secret, StateName, TrafftAccess};

/// What has just been done, by a word: a link cannot make a page say anything else.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    notice: String,
}

impl Told {
    fn text(&self) -> Option<&'static str> {
        Some(match self.notice.as_str() {
            "installed" => "The app is installed. One step is left: the Trafft account of this location",
            "agency" => {
                "The app is installed for the agency. Each location needs its Trafft account: open it and enter it"
            }
            "unlisted" => {
                "The app is installed for the agency, but HighLevel did not list its locations: see the log of the service, then install it once more"
            }
            "entered" => {
                "Trafft took the credentials. Contacts are synced from now on; `backfill` takes over those that are there already"
            }
            "confirm-deletions" => "Confirmed: what was deleted in HighLevel is now handled as DELETE_POLICY says",
            "pause" => "Paused: what comes is stored, nothing is read or written",
            "resume" => "It goes on",
            _ => return None,
        })
    }
}

/// The first page.
pub(super) async fn home(
    State(service): State<Arc<Service>>,
    told: Result<Query<Told>, QueryRejection>,
) -> Result<Response, Refused> {
    let connections: Vec<_> = service.connections().await?.iter().map(|one| service.shown(one)).collect();
    let Query(told) = told.unwrap_or_default();
    let app = service.connector.has_app();
    let all = service.intake.deliveries().await.map_err(Problem::from)?;
    let deliveries =
        context! { accepted => all.accepted, all => all.accepted + all.refused, too_few => all.are_too_few() };
    Ok(super::page("Connections", "home.html", context! { connections, app, deliveries, notice => told.text() }))
}

/// One location.
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Path(location): Path<String>,
    told: Result<Query<Told>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(told) = told.unwrap_or_default();
    let connection = service.located(&location).await?;
    Ok(service.page(&connection, context! { notice => told.text() }))
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Credentials {
    url: String,
    client_id: String,
    client_secret: Secret,
}

/// Tries the Trafft credentials, and keeps them if they work.
pub(super) async fn enter(
    State(service): State<Arc<Service>>,
    Path(location): Path<String>,
    form: Result<Form<Credentials>, FormRejection>,
) -> Result<Response, Refused> {
    let Form(Credentials { url, client_id, client_secret }) = form?;
    let connection = service.located(&location).await?;
    let id: LocationId = parse(&location)?;
    let trafft = TrafftAccess { url: url.trim().to_owned(), client_id: client_id.trim().to_owned(), client_secret };
    let options = connection.view.options.clone().unwrap_or_default();
    let entered = Entered { location: id, token: None, trafft: trafft.clone(), options };
    match service.connector.enter(entered).await {
        Ok(_) => Ok(Redirect::to(&format!("/connections/{location}?notice=entered")).into_response()),
        // What was typed stays, but for the secret.
        Err(refused) => {
            let problem = Problem::from(refused);
            let typed = context! { url => trafft.url, client_id => trafft.client_id, error => &problem.detail };
            Ok(super::with_page(problem, service.page(&connection, typed)))
        }
    }
}

/// Pauses, resumes, or tries a location.
pub(super) async fn act(
    State(service): State<Arc<Service>>,
    Path((location, verb)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let connection = service.located(&location).await?;
    let id = parse(&location)?;
    match verb.as_str() {
        "pause" | "resume" => {
            service.store.pause(&id, verb == "pause", service.clock.now()).await?;
            service.connector.changed();
            Ok(Redirect::to(&format!("/connections/{location}?notice={verb}")).into_response())
        }
        "confirm-deletions" => {
            service.store.confirm_deletions(&id, service.clock.now()).await?;
            service.intake.nudge(&id);
            Ok(Redirect::to(&format!("/connections/{location}?notice={verb}")).into_response())
        }
        "test" => {
            let checks: Vec<Check> = service.connector.probe(&id, None).await?;
            Ok(service.page(&connection, context! { checks => Serde(checks) }))
        }
        _ => Err(Problem::not_found("there is no such action").into()),
    }
}

fn parse(location: &str) -> Result<LocationId, Problem> {
    location.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

impl Service {
    async fn located(&self, location: &str) -> Result<Connection, Problem> {
        let known = self.find_connection(&parse(location)?).await?;
        known.ok_or_else(|| Problem::not_found("there is no such location: install the app there first"))
    }
}

impl Service {
    fn page(&self, connection: &Connection, context: Value) -> Response {
        let view = &connection.view;
        let scopes = view.scopes.as_deref().map(Scopes::parse);
        let missing: Vec<_> = scopes.as_ref().map(missing_scopes).unwrap_or_default();
        let missing: Vec<_> = missing.into_iter().map(|(scope, what)| context! { scope, what }).collect();
        let title = view.name.as_deref().unwrap_or(&view.location_id);
        super::page(title, "connection.html", context! { one => self.shown(connection), missing, ..context })
    }

    /// A location as the pages show it.
    fn shown(&self, one: &Connection) -> Value {
        let by_settings = self.by_settings.accounts.keys().any(|known| known.as_str() == one.view.location_id);
        let states: Vec<_> = one
            .states
            .iter()
            .map(|one| context! { is_ill => one.state.level() == Level::Ill, ..Value::from(Serde(one)) })
            .collect();
        let is_held = one.states.iter().any(|one| one.state == StateName::DeletionsHeld);
        context! { by_settings, states, is_held, ..Value::from(Serde(one)) }
    }
}
