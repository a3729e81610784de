//! Installing the app: to HighLevel's chooser, and back with a code.
//!
//! Only somebody who is signed in gets here. A code that comes with a `state` must come back to the
//! browser that began; one that comes without, as installs do that are started in the marketplace
//! (G §3.1, §13), needs a confirmation.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;
use tracing::info;
use uuid::Uuid;

use super::Refused;
use crate::connect::Installed;
use crate::http::{Problem, Service};
use crate::model::Installer;

/// Which chooser.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    white_label: bool,
}

/// Sends the browser to HighLevel's chooser.
pub(super) async fn begin(
    State(service): State<Arc<Service>>,
    query: Result<Query<Begin>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Begin { white_label }) = query.unwrap_or_default();
    let state = Uuid::new_v4().simple().to_string();
    let chooser = service.connector.chooser(white_label, &state)?;
    let cookie = service.admin.as_ref().map(|admin| [(header::SET_COOKIE, admin.sessions.bind(&state))]);
    Ok((cookie, Redirect::to(chooser.as_str())).into_response())
}

/// What comes back.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    code: Option<String>,
    state: Option<String>,
}

/// Takes the code, or asks first.
pub(super) async fn back(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    query: Result<Query<Back>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Back { code, state }) = query.unwrap_or_default();
    let Some(code) = code.filter(|code| !code.is_empty()) else {
        return Err(Problem::bad_request(
            "HighLevel sent no code: nothing was installed. Begin again from the first page",
        )
        .into());
    };
    match state {
        None => Ok(super::page("Connect this install?", "confirm.html", context! { code })),
        Some(state) if service.admin.as_ref().is_some_and(|admin| admin.sessions.is_bound(&headers, &state)) => {
            take(&service, code).await
        }
        Some(_) => Err(Problem::bad_request(
            "this install was not begun in this browser, or more than a quarter of an hour ago. Begin again from the first page",
        )
        .into()),
    }
}

/// A person has confirmed that an install without a state is theirs. The guard has already checked
/// that a page of ours sent this.
pub(super) async fn confirmed(
    State(service): State<Arc<Service>>,
    form: Result<Form<Back>, FormRejection>,
) -> Result<Response, Refused> {
    let Form(Back { code, .. }) = form?;
    let code = code.ok_or_else(|| Problem::bad_request("the code is missing: begin again from the first page"))?;
    take(&service, code).await
}

/// Installs the app. Redirects to a page that can be loaded again, since the code is good for one
/// use.
async fn take(service: &Service, code: String) -> Result<Response, Refused> {
    let Installed { installer, locations, unlisted } = service.connector.welcome(code).await?;
    info!(install = %installer, locations = locations.len(), "the app was installed by {installer}");
    let page = match &installer {
        Installer::Location(location) => format!("/connections/{location}?notice=installed"),
        Installer::Company(_) if unlisted => "/?notice=unlisted".to_owned(),
        Installer::Company(_) => "/?notice=agency".to_owned(),
    };
    Ok(Redirect::to(&page).into_response())
}
