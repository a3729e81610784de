//! Locations that the settings connect, each with its own Trafft account: one from the environment,
//! further ones from a TOML file with one `[[connection]]` a location. Those that are installed
//! through the browser are in the database instead.

use std::fmt::Display;

use serde::Deserialize;
use toml::{Table, Value};

use super::reader::Reader;
use super::values::{api_url, secret};
use super::{OWN, Options, Trafft, name, own};
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

/// The settings that together connect one location to its Trafft account.
pub(super) const PAIR: [&str; 5] = [
    name::GHL_LOCATION_ID,
    name::GHL_ACCESS_TOKEN,
    name::TRAFFT_API_URL,
    name::TRAFFT_CLIENT_ID,
    name::TRAFFT_CLIENT_SECRET,
];

impl Pair {
    /// Reads the location of the environment with its Trafft account: all its settings, or none.
    pub(super) fn read(from: &mut Reader) -> Option<Option<Self>> {
        if !PAIR.iter().any(|name| from.is_set(name)) {
            return Some(None);
        }
        if from.is_set(name::GHL_CLIENT_ID) && !from.is_set(name::GHL_ACCESS_TOKEN) {
            for name in PAIR.into_iter().filter(|name| from.is_set(name)).collect::<Vec<_>>() {
                from.agree(name, Err::<(), _>(OF_A_TOKEN.to_owned()));
            }
            return None;
        }
        let (location, token, scopes) = private(from);
        let trafft = Trafft::read(from);
        let options = Options::default();
        Some(Some(Self { location: location?, token: token?, scopes, trafft: trafft?, options }))
    }
}

/// The problem of each of these settings while an app is set up and `GHL_ACCESS_TOKEN` is not set.
const OF_A_TOKEN: &str = "belongs to a location with a private token, and `GHL_ACCESS_TOKEN` is not set. With an app, a location's Trafft \
    account is entered on its page, or with `connections add`: take this setting out, or set `GHL_ACCESS_TOKEN` too";

/// A location and its private token, which must be set.
pub(super) fn private(from: &mut Reader) -> (Option<LocationId>, Option<Secret>, Option<Vec<String>>) {
    let location = from.get(name::GHL_LOCATION_ID, |text| text.parse().map_err(|error| format!("{error}")));
    let token = from.get(name::GHL_ACCESS_TOKEN, secret);
    (location, token, from.optional(name::GHL_SCOPES, |text| Ok(words(text))))
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    connection: Vec<Table>,
}

pub(super) fn read(path: &str) -> Result<Vec<Pair>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))?;
    // The parser's own message would show the line, and with it a secret.
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("`{path}`, line {line}: {}", error.message())
    })?;
    file.connection.into_iter().enumerate().map(|(index, table)| Entry::of(index, table).pair()).collect()
}

/// The key that names the mapping file of a connection.
const MAPPING_FILE: &str = "mapping_file";

/// One `[[connection]]`. Its values are taken by hand: what a parser says of a wrong one might show
/// it.
struct Entry {
    /// As messages call it.
    name: String,
    rest: Table,
}

impl Entry {
    fn of(index: usize, rest: Table) -> Self {
        let location = rest.get("ghl_location_id").and_then(Value::as_str);
        let name = location.map_or_else(|| format!("{} of the file", index + 1), |location| format!("`{location}`"));
        Self { name, rest }
    }

    fn wrong(&self, key: &str, what: impl Display) -> String {
        format!("connection {}, `{key}`: {what}", self.name)
    }

    fn take(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.rest.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "write a text, in quotes")),
        }
    }

    fn must<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
        let text = self.take(key)?.ok_or_else(|| self.wrong(key, "is missing"))?;
        read(&text).map_err(|what| self.wrong(key, what))
    }

    fn pair(mut self) -> Result<Pair, String> {
        let location = self.must("ghl_location_id", |text| text.parse().map_err(|error| format!("{error}")))?;
        let token = self.must("ghl_access_token", secret)?;
        let scopes = self.take("ghl_scopes")?.as_deref().map(words);
        let trafft = Trafft {
            origin: self.must("trafft_api_url", api_url)?,
            client_id: self.must("trafft_client_id", |text| Ok(text.to_owned()))?,
            client_secret: self.must("trafft_client_secret", secret)?,
        };
        let mut options = Options::new();
        if let Some(path) = self.take(MAPPING_FILE)? {
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| self.wrong(MAPPING_FILE, format!("`{path}` cannot be read: {error}")))?;
            options.insert(own::MAPPING.to_owned(), text);
        }
        let own: Vec<_> = OWN.into_iter().filter(|name| *name != own::MAPPING).collect();
        for name in &own {
            let value = self.take(&name.to_lowercase())?;
            options.extend(value.map(|value| ((*name).to_owned(), value)));
        }
        if let Some(key) = self.rest.keys().next() {
            let own: Vec<_> = own.iter().map(|name| name.to_lowercase()).collect();
            let what = format!(
                "there is no such key; there are: {}, {MAPPING_FILE}, {}",
                PAIR.join(", ").to_lowercase(),
                own.join(", ")
            );
            return Err(self.wrong(key, what));
        }
        Ok(Pair { location, token, scopes, trafft, options })
    }
}
