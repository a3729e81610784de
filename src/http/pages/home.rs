//! The first page: what this is, and what there is.

use axum::response::Response;
use minijinja::context;

/// Shows it.
pub(super) async fn home() -> Response {
    super::page("Home", "home.html", context! {})
}
