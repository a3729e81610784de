//! The routes, and what their handlers need.

mod api;
mod auth;
mod connections;
mod error;
mod health;
mod metrics;
mod sweeps;
mod timeline;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::Clock;
use crate::intake::Intake;
use crate::model::Secret;
use crate::store::Store;
use crate::sync::Onboard;

pub use error::Problem;
pub use metrics::Metrics;

/// Webhooks that may be read and verified at the same time; more are told to come again.
const DOORS: usize = 1024;

/// What handlers work with.
#[derive(Debug)]
pub struct Service {
    intake: Intake,
    onboard: Arc<Onboard>,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    admin_token: Option<Secret>,
    deadline: Duration,
    max_body: usize,
    doors: Semaphore,
    stop: CancellationToken,
}

/// How the HTTP side is set up.
#[derive(Debug)]
pub struct Settings {
    /// Guards the admin API.
    pub admin_token: Option<Secret>,
    /// How long a webhook waits for its contact to be synced.
    pub deadline: Duration,
    /// The cap on bodies, in bytes.
    pub max_body: usize,
}

impl Service {
    /// `stop` is cancelled when nothing more is to be taken in.
    pub fn new(
        intake: Intake,
        onboard: Arc<Onboard>,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        settings: Settings,
        stop: CancellationToken,
    ) -> Self {
        let Settings { admin_token, deadline, max_body } = settings;
        Self { intake, onboard, store, clock, metrics, admin_token, deadline, max_body, doors: Semaphore::new(DOORS), stop }
    }

    fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// All routes.
pub fn router(service: Service) -> Router {
    let service = Arc::new(service);
    let guard = axum::middleware::from_fn_with_state(service.clone(), auth::admin);
    let (router, _) = routes(|admin| admin.layer(guard)).split_for_parts();
    router
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .fallback(async || Problem::not_found("there is nothing at this address; openapi.yaml lists what there is"))
        .with_state(service)
}

/// What `openapi.yaml` must hold.
pub fn openapi_yaml() -> String {
    let document = routes(|admin| admin).split_for_parts().1;
    // A document of plain strings always has a YAML form.
    document.to_yaml().unwrap_or_default()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "ghl-trafft-sync", description = "Keeps Trafft customers equal to their GoHighLevel contacts."),
    tags(
        (name = "webhooks", description = "What HighLevel calls"),
        (name = "health", description = "What a monitor calls"),
        (name = "admin", description = "What an operator calls, with `ADMIN_TOKEN`"),
    ),
    modifiers(&AdminToken)
)]
struct Document;

/// Declares the bearer token that the admin operations name.
struct AdminToken;

impl utoipa::Modify for AdminToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("admin_token", bearer);
    }
}

fn routes(
    guard: impl FnOnce(OpenApiRouter<Arc<Service>>) -> OpenApiRouter<Arc<Service>>,
) -> OpenApiRouter<Arc<Service>> {
    // A mistake of ours must not turn into a 5xx where HighLevel would take it for final.
    let webhooks = OpenApiRouter::new().routes(routes!(webhook::marketplace)).routes(routes!(webhook::workflow)).layer(
        CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::try_again("a mistake of ours; send it again").into_response()
        }),
    );
    let health = OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics));
    let admin = OpenApiRouter::new()
        .routes(routes!(api::events))
        .routes(routes!(api::event))
        .routes(routes!(api::replay))
        .routes(routes!(api::contacts))
        .routes(routes!(api::contact, api::erase))
        .routes(routes!(api::sync))
        .routes(routes!(api::link))
        .routes(routes!(api::unlink))
        .routes(routes!(api::create))
        .routes(routes!(timeline::timeline))
        .routes(routes!(sweeps::sweeps))
        .routes(routes!(sweeps::begin, sweeps::end))
        .routes(routes!(sweeps::findings))
        .routes(routes!(sweeps::retry))
        .routes(routes!(connections::list))
        .routes(routes!(connections::show, connections::enter, connections::remove))
        .routes(routes!(connections::pause))
        .routes(routes!(connections::resume))
        .routes(routes!(connections::test))
        .routes(routes!(connections::rotate));
    OpenApiRouter::with_openapi(Document::openapi()).merge(webhooks).merge(health).merge(guard(admin))
}
