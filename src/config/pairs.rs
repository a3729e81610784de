//! Locations that the settings connect, each with its own Trafft account: one from the environment, further ones from a TOML
//! file with one `[[connection]]` a location. Those that are installed through the browser are in the database instead.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::reader::Reader;
use super::{Options, Trafft, api_url, own, secret};
use crate::model::{LocationId, Secret};

/// A location, its private token, and its account.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The location.
    pub location: LocationId,
    /// Its private integration token.
    pub token: Secret,
    /// What that token may do, when known.
    pub scopes: Option<Vec<String>>,
    /// Its Trafft account.
    pub trafft: Trafft,
    /// Where it differs from the settings.
    pub options: Options,
}

/// What the pair of the environment is made of.
const PAIR: [&str; 5] =
    ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"];

impl Pair {
    /// The pair of the environment: whole, or not at all.
    pub(super) fn read(from: &mut Reader) -> Option<Option<Self>> {
        if !PAIR.iter().any(|name| from.is_set(name)) {
            return Some(None);
        }
        let (location, token, scopes) = private(from);
        let trafft = Trafft::read(from);
        let options = Options::default();
        Some(Some(Self { location: location?, token: token?, scopes, trafft: trafft?, options }))
    }
}

/// A location and its private token, which must be set.
pub(super) fn private(from: &mut Reader) -> (Option<LocationId>, Option<Secret>, Option<Vec<String>>) {
    let location = from.get("GHL_LOCATION_ID", |text| text.parse().map_err(|error| format!("{error}")));
    let token = from.get("GHL_ACCESS_TOKEN", secret);
    (location, token, from.optional("GHL_SCOPES", |text| Ok(words(text))))
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    connection: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    ghl_location_id: String,
    ghl_access_token: String,
    ghl_scopes: Option<String>,
    trafft_api_url: String,
    trafft_client_id: String,
    trafft_client_secret: String,
    /// Settings of its own.
    #[serde(flatten)]
    own: BTreeMap<String, String>,
}

pub(super) fn read(path: &str) -> Result<Vec<Pair>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))?;
    // The parser's own message would show the line, and with it a secret.
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
        format!("`{path}`, line {line}: {}", error.message())
    })?;
    file.connection.into_iter().map(pair).collect()
}

fn pair(entry: Entry) -> Result<Pair, String> {
    let Entry { ghl_location_id: location, ghl_access_token, ghl_scopes, own: given, .. } = entry;
    let wrong = |name: &str, what: String| format!("connection `{location}`, `{name}`: {what}");
    let trafft = Trafft {
        origin: api_url(&entry.trafft_api_url).map_err(|what| wrong("trafft_api_url", what))?,
        client_id: entry.trafft_client_id,
        client_secret: secret(&entry.trafft_client_secret).map_err(|what| wrong("trafft_client_secret", what))?,
    };
    let token = secret(&ghl_access_token).map_err(|what| wrong("ghl_access_token", what))?;
    let mut options = Options::new();
    for (name, value) in given {
        let (name, value) = match name.as_str() {
            "mapping_file" => {
                let text = std::fs::read_to_string(&value);
                (own::MAPPING.to_owned(), text.map_err(|error| wrong(&name, format!("`{value}`: {error}")))?)
            }
            _ => (name.to_uppercase(), value),
        };
        options.insert(name, value);
    }
    Ok(Pair {
        location: location.parse().map_err(|error| wrong("ghl_location_id", format!("{error}")))?,
        token,
        scopes: ghl_scopes.as_deref().map(words),
        trafft,
        options,
    })
}
