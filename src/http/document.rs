//! The description of the API: what the operations say of themselves, and what is true of all of
//! them.

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Server};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "ghl-trafft-sync", description = "Keeps Trafft customers equal to their GoHighLevel contacts."),
    tags(
        (name = "webhooks", description = "What HighLevel calls"),
        (name = "health", description = "What a monitor calls"),
        (name = "admin", description = "What an operator calls, with `ADMIN_TOKEN` or a login made with it"),
    ),
    modifiers(&AdminToken)
)]
pub(super) struct Document;

/// Declares what the admin operations accept: the bearer token, or the cookie of a login.
struct AdminToken;

impl utoipa::Modify for AdminToken {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        let about = "The cookie of a login at `/login`; it is named `session` where `PUBLIC_URL` is not https. All but GET and HEAD must come from the same origin.";
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("__Host-session", about)));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("admin_token", bearer);
        components.add_security_scheme("session", cookie);
    }
}

/// What is answered whatever the operation, in the order of the status.
const GUARDED: [(&str, &str); 4] = [
    ("401", "`ADMIN_TOKEN` is missing or wrong, and there is no login"),
    ("403", "The admin API is off, since `ADMIN_TOKEN` is not set; or the request comes from another site"),
    ("429", "Too many wrong tokens came from this address"),
    ("503", "The database cannot be reached just now"),
];

/// Adds what is the same for all operations.
pub(super) fn complete(document: &mut OpenApi) {
    document.servers = Some(vec![Server::new("http://127.0.0.1:8080")]);
    for path in document.paths.paths.values_mut() {
        operations(path).for_each(operation);
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = path;
    [get, put, post, delete].into_iter().flatten()
}

fn operation(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    match &operation.security {
        None => operation.security = Some(vec![SecurityRequirement::default()]),
        Some(_) => {
            for (status, description) in GUARDED {
                responses.entry(status.to_owned()).or_insert_with(|| problem(description).into());
            }
        }
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
            response.description =
                status.and_then(|status| status.canonical_reason()).unwrap_or("An answer").to_owned();
        }
    }
}

fn problem(description: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", Content::new(Some(schema)))
        .build()
}
