//! Pages for a person with a browser. Plain HTML: no scripts, so nothing that could be injected
//! would run.

mod connections;
mod install;
mod login;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use minijinja::{Environment, HtmlEscape, Value, context};
use tracing::error;
use url::form_urlencoded;

use super::{Problem, Service};
use crate::model::ProblemCode;

/// Every template; `base.html` is what the others extend. Names end in `.html`, because that turns
/// escaping on.
const TEMPLATES: [(&str, &str); 9] = [
    ("base.html", include_str!("base.html")),
    ("connection.html", include_str!("connection.html")),
    ("confirm.html", include_str!("confirm.html")),
    ("credentials.html", include_str!("credentials.html")),
    ("home.html", include_str!("home.html")),
    ("login.html", include_str!("login.html")),
    ("onward.html", include_str!("onward.html")),
    ("refused.html", include_str!("refused.html")),
    ("states.html", include_str!("states.html")),
];

#[expect(clippy::expect_used, reason = "they are part of the program, and every test that sees a page loads them all")]
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.add_filter("code", code);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("our own templates are sound");
    }
    environment
});

/// Our messages set literals in backticks, as terminals want it; on a page they are code.
fn code(text: &str) -> Value {
    let parts = text.split('`').map(|part| HtmlEscape(part).to_string()).enumerate();
    let set = parts.map(|(at, part)| if at % 2 == 0 { part } else { format!("<code>{part}</code>") });
    Value::from_safe_string(set.collect())
}

/// No form of ours is longer.
const LONGEST_FORM: usize = 64 * 1024;

/// All pages.
pub(super) fn routes(service: &Arc<Service>) -> Router<Arc<Service>> {
    let guarded = Router::new()
        .route("/", get(connections::home))
        .route("/connections/{location}", get(connections::show).post(connections::enter))
        .route("/connections/{location}/{verb}", post(connections::act))
        .route("/oauth/install", get(install::begin))
        .route("/oauth/callback", get(install::back).post(install::confirmed))
        .route_layer(from_fn_with_state(service.clone(), guard));
    let open = Router::new()
        .route("/login", get(login::form).post(login::login))
        .route("/logout", post(login::logout))
        .route("/assets/style.css", get(|| asset("text/css; charset=utf-8", include_str!("style.css"))))
        .route("/assets/icon.svg", get(|| asset("image/svg+xml", include_str!("icon.svg"))));
    guarded.merge(open).layer(DefaultBodyLimit::max(LONGEST_FORM))
}

/// A browser without a session is redirected to the login page, and returns here afterwards.
async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    match service.admit(&request) {
        Ok(()) => next.run(request).await,
        // The login page also says how to turn all this on.
        Err(problem) if matches!(problem.code, ProblemCode::NotAllowed | ProblemCode::AdminOff) => {
            let wanted = request.uri().path_and_query().map_or("/", |it| it.as_str());
            // Only what can be asked for again by following a link.
            let next = if request.method().is_safe() { wanted } else { "/" };
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            Redirect::to(&format!("/login?{query}")).into_response()
        }
        Err(problem) => Refused::from(problem).into_response(),
    }
}

/// A page made of `template`, which extends `base.html`. `notice` and `error` in the context are
/// shown above it: what was done, and what could not be.
pub(super) fn page(title: &str, template: &str, context: Value) -> Response {
    let context = context! { title, version => env!("CARGO_PKG_VERSION"), ..context };
    match ENVIRONMENT.get_template(template).and_then(|template| template.render(context)) {
        Ok(page) => Html(page).into_response(),
        Err(cause) => {
            error!(error = %cause, "the page `{template}` could not be rendered: {cause}");
            let detail = "the page could not be made; see the log of the service";
            Problem::new(ProblemCode::InternalError, detail).into_response()
        }
    }
}

/// A refusal, as a page. Handlers of pages return `Result<_, Refused>`; whatever becomes a
/// [`Problem`] becomes one.
#[derive(Debug)]
pub(super) struct Refused(Problem);

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<FormRejection> for Problem {
    fn from(error: FormRejection) -> Self {
        let mut problem = Self::bad_request(format!("{}; open the page anew", error.body_text()));
        problem.status = error.status().as_u16();
        problem
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let page = page(&problem.title, "refused.html", context! { error => &problem.detail });
        with_page(problem, page)
    }
}

/// A refusal's status and headers, with a page instead of its own body.
fn with_page(problem: Problem, page: Response) -> Response {
    let (mut parts, _) = problem.into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts.status, parts.headers, page).into_response()
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")], text)
}
