//! How HighLevel's deliveries were answered lately.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{Problem, Service};
use crate::model::Deliveries;

/// First deliveries of signed webhooks in the past three days, by all processes. What never reached the service, or was refused before
/// it was read, is among neither; a repeat that comes to another process than the first try counts as a first one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Answered {
    /// Answered 2xx.
    accepted: i64,
    /// Answered otherwise, whatever became of the repeats.
    refused: i64,
    /// The share that was accepted, from 0 to 1; none: there were no deliveries.
    share: Option<f64>,
    /// So few are accepted that HighLevel may switch the address off.
    too_few: bool,
}

impl From<Deliveries> for Answered {
    fn from(all: Deliveries) -> Self {
        Self { accepted: all.accepted, refused: all.refused, share: all.share(), too_few: all.are_too_few() }
    }
}

/// Shows how HighLevel's deliveries were answered in the past three days, over which HighLevel judges an address too.
#[utoipa::path(get, operation_id = "get_deliveries", path = "/api/v1/deliveries", tag = "admin", security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Answered)))]
pub(super) async fn deliveries(State(service): State<Arc<Service>>) -> Result<Json<Answered>, Problem> {
    Ok(Json(service.intake.deliveries().await?.into()))
}
