//! The service as the world outside sees it, through its proxy.

use reqwest::{Method, Url};
use serde_json::Value;

use super::error::Error;
use super::http::{Answer, Http};
use super::not_sent::NotSent;
use crate::model::ProblemCode;

/// What answers at the public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Front {
    /// The service, of this version, and it refuses what is not signed.
    Service(String),
    /// The service, but its webhook path does not reach it: it was answered with this status.
    NoWebhooks(u16),
    /// Something else, with this status.
    Other(u16),
}

/// Calls `/healthz`, and the webhook path with nothing signed.
///
/// # Errors
/// No answer.
pub async fn knock(http: &Http, base: &Url) -> Result<Front, Error> {
    let health = ask(http, Method::GET, base, &["healthz"]).await?;
    let version = health.json::<Value>().ok().filter(|health| health["status"] == "ok");
    let Some(version) = version.and_then(|health| health["version"].as_str().map(str::to_owned)) else {
        return Ok(Front::Other(health.status.as_u16()));
    };
    let refused = ask(http, Method::POST, base, &["webhooks", "ghl"]).await?;
    let is_ours = refused.json::<Value>().is_ok_and(|problem| problem["code"] == ProblemCode::NotBelieved.name());
    Ok(if is_ours { Front::Service(version) } else { Front::NoWebhooks(refused.status.as_u16()) })
}

async fn ask(http: &Http, method: Method, base: &Url, path: &[&str]) -> Result<Answer, Error> {
    let mut url = base.clone();
    let not_a_base = |()| Error::NotSent { reason: NotSent::NotHttps };
    url.path_segments_mut().map_err(not_a_base)?.pop_if_empty().extend(path);
    http.exchange(http.request(method, url).build()).await
}
