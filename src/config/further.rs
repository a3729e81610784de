//! Further locations, each with its own Trafft account: a TOML file with one `[[connection]]` a location.

use serde::Deserialize;

use super::{Ghl, Trafft, api_url, secret};
use crate::model::Secret;

/// A location and its account, beside those of the environment.
#[derive(Debug, Clone)]
pub(super) struct Further {
    location: crate::model::LocationId,
    token: Secret,
    scopes: Option<Vec<String>>,
    trafft: Trafft,
}

impl Further {
    /// Whole, with what all locations share.
    pub(super) fn with(self, shared: &Ghl) -> (Ghl, Trafft) {
        let Self { location, token, scopes, trafft } = self;
        (Ghl { location, token, scopes, ..shared.clone() }, trafft)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    connection: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    ghl_location_id: String,
    ghl_access_token: String,
    ghl_scopes: Option<String>,
    trafft_api_url: String,
    trafft_client_id: String,
    trafft_client_secret: String,
}

pub(super) fn read(path: &str) -> Result<Vec<Further>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))?;
    // The parser's own message would show the line, and with it a secret.
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
        format!("`{path}`, line {line}: {}", error.message())
    })?;
    file.connection.into_iter().map(further).collect()
}

fn further(entry: Entry) -> Result<Further, String> {
    let Entry { ghl_location_id: location, ghl_access_token, ghl_scopes, .. } = entry;
    let wrong = |name: &str, what: String| format!("connection `{location}`, `{name}`: {what}");
    let trafft = Trafft {
        origin: api_url(&entry.trafft_api_url).map_err(|what| wrong("trafft_api_url", what))?,
        client_id: entry.trafft_client_id,
        client_secret: secret(&entry.trafft_client_secret).map_err(|what| wrong("trafft_client_secret", what))?,
    };
    let token = secret(&ghl_access_token).map_err(|what| wrong("ghl_access_token", what))?;
    let scopes = ghl_scopes.map(|scopes| scopes.split_whitespace().map(str::to_owned).collect());
    Ok(Further {
        location: location.parse().map_err(|error| wrong("ghl_location_id", format!("{error}")))?,
        token,
        scopes,
        trafft,
    })
}
