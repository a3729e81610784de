//! The routes, and what their handlers need.

mod admission;
mod api;
mod attempts;
mod auth;
mod connections;
mod deliveries;
mod document;
mod error;
mod health;
mod layers;
mod metrics;
mod pages;
mod serve;
mod session;
mod source;
mod sweeps;
mod timeline;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::post;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::Clock;
use crate::connect::Connector;
use crate::intake::Intake;
use crate::model::{Secret, Spell};
use crate::store::{BySettings, Store};

pub use error::Problem;
pub use metrics::Metrics;
pub use serve::{listen_on, serve};

/// What handlers work with.
#[derive(Debug)]
pub struct Service {
    intake: Intake,
    connector: Arc<Connector>,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    admin: Option<auth::Admin>,
    public_url: Option<Url>,
    proxies: Vec<IpNet>,
    deadline: Duration,
    max_body: usize,
    admission: admission::Admission,
    /// Documents of workflows that do not say what they are about.
    unreadable: Spell,
    by_settings: BySettings,
    stop: CancellationToken,
}

/// How the HTTP side is set up.
#[derive(Debug)]
pub struct Settings {
    /// Guards the admin API and its pages; without it they are off.
    pub admin_token: Option<Secret>,
    /// The origin under which browsers reach us.
    pub public_url: Option<Url>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
    /// How long a webhook waits for its contact to be synced.
    pub deadline: Duration,
    /// The cap on bodies, in bytes.
    pub max_body: usize,
    /// What the settings say of the locations.
    pub by_settings: BySettings,
}

impl Service {
    /// `stop` is cancelled when nothing more is to be taken in.
    pub fn new(
        intake: Intake,
        connector: Arc<Connector>,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        settings: Settings,
        stop: CancellationToken,
    ) -> Self {
        let Settings { admin_token, public_url, proxies, deadline, max_body, by_settings } = settings;
        let admin = admin_token.map(|token| auth::Admin::new(token, public_url.as_ref()));
        let admission = admission::Admission::new();
        Self {
            intake,
            connector,
            store,
            clock,
            metrics,
            admin,
            public_url,
            proxies,
            deadline,
            max_body,
            admission,
            unreadable: Spell::default(),
            by_settings,
            stop,
        }
    }

    fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// All routes.
pub fn router(service: Service) -> Router {
    let service = Arc::new(service);
    let guard = from_fn_with_state(service.clone(), auth::api);
    let ((webhooks, _), (others, _)) =
        (webhooks().split_for_parts(), others(|admin| admin.layer(guard)).split_for_parts());
    let not_allowed = async || Problem::method_not_allowed();
    let others = others
        .merge(pages::routes(&service))
        .method_not_allowed_fallback(not_allowed)
        .fallback(async || Problem::not_found("there is nothing at this address; openapi.yaml lists what there is"));
    layers::around(others, service.public_url.as_ref())
        .merge(webhooks.method_not_allowed_fallback(not_allowed))
        .with_state(service)
}

/// What `openapi.yaml` must hold.
pub fn openapi_yaml() -> String {
    let router = OpenApiRouter::with_openapi(document::Document::openapi());
    let mut document = router.merge(webhooks()).merge(others(|admin| admin)).split_for_parts().1;
    document::complete(&mut document);
    // A document of plain strings always has a YAML form.
    document.to_yaml().unwrap_or_default()
}

/// The two webhook paths.
fn webhooks() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(webhook::marketplace))
        .routes(routes!(webhook::workflow))
        // With a slash at the end, as people write addresses into forms.
        .route("/webhooks/ghl/", post(webhook::marketplace))
        .route("/webhooks/ghl/workflow/", post(webhook::workflow))
        // A mistake of ours is answered 429 as well: nothing on this path is a 5xx.
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::try_again("a mistake of ours; send it again").into_response()
        }))
}

/// Health, and the admin API behind its guard.
fn others(
    guard: impl FnOnce(OpenApiRouter<Arc<Service>>) -> OpenApiRouter<Arc<Service>>,
) -> OpenApiRouter<Arc<Service>> {
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
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(sweeps::sweeps))
        .routes(routes!(sweeps::begin, sweeps::end))
        .routes(routes!(sweeps::findings))
        .routes(routes!(sweeps::retry))
        .routes(routes!(connections::list))
        .routes(routes!(connections::show, connections::enter, connections::remove))
        .routes(routes!(connections::pause))
        .routes(routes!(connections::confirm_deletions))
        .routes(routes!(connections::resume))
        .routes(routes!(connections::test))
        .routes(routes!(connections::rotate));
    health.merge(guard(admin))
}
