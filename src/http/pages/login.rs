//! Logging in with the admin token, and out.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;

use super::Refused;
use crate::http::Service;
use crate::http::source::Source;

/// A path that redirects to another host. Browsers check all redirects of a form against the
/// policy's `form-action`, so a form must not end there; a page that goes on by itself may.
const ELSEWHERE: &str = "/oauth/install";

/// What the form sends; its address may carry `next` alone.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Login {
    token: String,
    next: String,
}

/// Shows the form.
pub(super) async fn form(State(service): State<Arc<Service>>, query: Result<Query<Login>, QueryRejection>) -> Response {
    let Query(Login { next, .. }) = query.unwrap_or_default();
    show(&service, &next, None)
}

/// Begins a session, and goes on to where the person wanted to be.
pub(super) async fn login(
    State(service): State<Arc<Service>>,
    source: Source,
    headers: HeaderMap,
    form: Result<Form<Login>, FormRejection>,
) -> Result<Response, Refused> {
    service.same_origin(&headers)?;
    let Form(Login { token, next }) = form?;
    let Some(admin) = &service.admin else {
        return Ok((StatusCode::FORBIDDEN, show(&service, &next, None)).into_response());
    };
    let now = service.clock.now();
    if let Err(problem) = admin.check(&token, source, now) {
        let form = show(&service, &next, Some(&problem.detail));
        return Ok(super::with_page(problem, form));
    }
    let cookie = [(header::SET_COOKIE, admin.sessions.begin(now))];
    let to = local(&next);
    if !to.starts_with(ELSEWHERE) {
        return Ok((cookie, Redirect::to(to)).into_response());
    }
    let page = super::page("You are logged in", "onward.html", context! { to });
    Ok((cookie, [(header::REFRESH, format!("0; url={to}"))], page).into_response())
}

/// Takes the session out of the browser.
pub(super) async fn logout(State(service): State<Arc<Service>>, headers: HeaderMap) -> Result<Response, Refused> {
    service.same_origin(&headers)?;
    let cookie = service.admin.as_ref().map(|admin| [(header::SET_COOKIE, admin.sessions.end())]);
    Ok((cookie, Redirect::to("/login")).into_response())
}

fn show(service: &Service, next: &str, error: Option<&str>) -> Response {
    super::page("Log in", "login.html", context! { off => service.admin.is_none(), next => local(next), error })
}

/// A place on this host, whatever the link said: not another one, by any of the ways in which
/// browsers read an address.
fn local(next: &str) -> &str {
    let plain = next.starts_with('/') && !next.contains("//") && !next.contains('\\');
    if plain && next.bytes().all(|byte| byte.is_ascii_graphic()) { next } else { "/" }
}
