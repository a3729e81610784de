//! How each location's vendors are reached: by the settings, or as a person entered it.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;

use super::Error;
use crate::clients::Http;
use crate::clients::ghl::{AppSettings, Credential, Ghl, GhlSettings, OAuth};
use crate::clients::trafft::{Trafft, TrafftSettings};
use crate::clock::Clock;
use crate::config::{self, Config, Options, Pair};
use crate::connect::{self, Grants};
use crate::model::{Check, ConnectionState, ContactId, LocationId, Policy, Scopes, StateName, TrafftAccess};
use crate::store::{self, BySettings, Keys, Store, Stored};
use crate::sync::{self, Mapping, OpenVendors, VendorClients};

/// The GoHighLevel client for trying things by hand.
pub fn ghl(config: config::ByHand, http: Http, clock: Clock) -> Ghl {
    let config::ByHand { api_url: base, location, token, scopes } = config;
    let credential = Credential::PrivateToken(token);
    let scopes = scopes.map(Scopes::from_iter);
    Ghl::new(http, GhlSettings { base, location, credential, scopes }, clock)
}

/// The marketplace app, if there is one.
pub(super) fn oauth(config: &Config, http: &Http, clock: &Clock) -> Option<OAuth> {
    let app = config.app.clone()?;
    let settings = AppSettings {
        base: config.ghl.api_url.clone(),
        client_id: app.client_id,
        client_secret: app.client_secret,
        redirect: app.redirect,
        scopes: app.scopes.into_iter().collect(),
    };
    Some(OAuth::new(http.clone(), settings, clock.clone()))
}

/// How one location is reached and worked: out of the settings, else as a person entered it.
struct Access {
    credential: Credential,
    scopes: Option<Scopes>,
    trafft: TrafftSettings,
    options: Options,
}

impl Access {
    fn of_settings(pair: &Pair) -> Self {
        let config::Trafft { origin, client_id, client_secret } = pair.trafft.clone();
        Self {
            credential: Credential::PrivateToken(pair.token.clone()),
            scopes: pair.scopes.clone().map(Scopes::from_iter),
            trafft: TrafftSettings { origin, client_id, client_secret },
            options: pair.options.clone(),
        }
    }

    fn as_entered(entered: Stored, credential: Credential) -> Result<Self, String> {
        let Stored { trafft: TrafftAccess { url, client_id, client_secret }, options } = entered;
        let origin =
            url.parse().map_err(|_| "its stored Trafft URL is no URL: enter the credentials again".to_owned())?;
        let trafft = TrafftSettings { origin, client_id, client_secret };
        Ok(Self { credential, scopes: None, trafft, options })
    }
}

/// What all locations share on their way to the vendors.
pub(super) struct Shared {
    base: Url,
    policy: Policy,
    mapping: Arc<Mapping>,
    http: Http,
    clock: Clock,
}

impl Shared {
    pub(super) fn new(config: &Config, mapping: Mapping, http: Http, clock: Clock) -> Self {
        let base = config.ghl.api_url.clone();
        let policy = config.policy.clone();
        Self { base, policy, mapping: Arc::new(mapping), http, clock }
    }

    /// New clients each time, because what an owner before us has spent and seen is not known.
    fn reached(&self, location: LocationId, way: Access) -> Result<VendorClients, String> {
        let Self { base, policy, mapping, http, clock } = self;
        let (policy, mapping) = own(&way.options, policy, mapping)?;
        let settings = GhlSettings { base: base.clone(), location, credential: way.credential, scopes: way.scopes };
        let ghl = Ghl::new(http.clone(), settings, clock.clone());
        let trafft = Trafft::new(http.clone(), way.trafft, clock.clone());
        Ok(VendorClients { ghl, trafft, mapping, policy })
    }
}

pub(super) fn reach(config: &Config, shared: Shared, grants: Arc<Grants>) -> OpenVendors {
    let pairs: HashMap<_, _> = config.pairs.iter().cloned().map(|pair| (pair.location.clone(), pair)).collect();
    Arc::new(move |location, entered| {
        let way = match (pairs.get(location), entered) {
            (Some(pair), _) => Access::of_settings(pair),
            (None, Some(entered)) => Access::as_entered(entered, grants.credential(location.clone()))?,
            (None, None) => return Err(NOBODY_KNOWS.to_owned()),
        };
        shared.reached(location.clone(), way)
    })
}

const NOBODY_KNOWS: &str = "its Trafft credentials are not known here: enter them with `connections add`; where they stand in \
    `CONNECTIONS_FILE`, see that it is the same for every process";

/// Tries everything that working the locations of the settings needs; `contact`: shows what that
/// one would become.
///
/// # Errors
/// What is wrong with a connection's own settings.
pub async fn probe(
    config: &Config,
    http: Http,
    contact: Option<&ContactId>,
) -> Result<Vec<(LocationId, Vec<Check>)>, Error> {
    let shared = Shared::new(config, mapping(config)?, http, Clock::system());
    let mut all = Vec::new();
    for pair in &config.pairs {
        let reached = shared.reached(pair.location.clone(), Access::of_settings(pair)).map_err(Error::Setting)?;
        all.push((pair.location.clone(), connect::check(&reached, contact, &shared.clock).await));
    }
    Ok(all)
}

/// For each location of the settings whose customers hold numbers that an older version made: how
/// many will be written anew, how many belong to a contact whose number is left out now, and how
/// many were left out and will be written. Writes nothing.
///
/// # Errors
/// What is wrong with a connection's own settings.
pub async fn phones(config: &Config, http: Http, store: &Store) -> Result<Vec<(LocationId, [usize; 3])>, Error> {
    let shared = Shared::new(config, mapping(config)?, http, Clock::system());
    let mut all = Vec::new();
    for pair in &config.pairs {
        let reached = shared.reached(pair.location.clone(), Access::of_settings(pair)).map_err(Error::Setting)?;
        // The other checks report a vendor that does not answer.
        if let Ok(counts) = sync::phones_to_be_mended(store, &pair.location, &reached, &shared.clock).await
            && counts != [0; 3]
        {
            all.push((pair.location.clone(), counts));
        }
    }
    Ok(all)
}

/// For each location of the settings, how many contacts will be projected anew because the mapping
/// or another rule has changed. Writes nothing.
///
/// # Errors
/// What is wrong with a connection's own settings.
pub async fn projections(config: &Config, http: Http, store: &Store) -> Result<Vec<(LocationId, i64)>, Error> {
    let shared = Shared::new(config, mapping(config)?, http, Clock::system());
    let mut all = Vec::new();
    for pair in &config.pairs {
        let reached = shared.reached(pair.location.clone(), Access::of_settings(pair)).map_err(Error::Setting)?;
        // The other checks report a vendor that does not answer.
        if let Ok(contacts) = sync::contacts_to_be_projected(store, &pair.location, &reached, &shared.clock).await
            && contacts > 0
        {
            all.push((pair.location.clone(), contacts));
        }
    }
    Ok(all)
}

/// What the settings say of the locations.
pub(super) fn by_settings(config: &Config) -> BySettings {
    let account = |pair: &Pair| (pair.location.clone(), pair.trafft.origin.origin().ascii_serialization());
    BySettings { accounts: config.pairs.iter().map(account).collect(), app: config.ghl.app.clone() }
}

/// Locations of the settings that cannot be worked by the account that they name, and why.
///
/// # Errors
/// The store's.
pub async fn apart(config: &Config, store: &Store) -> Result<Vec<(LocationId, ConnectionState)>, store::Error> {
    let all = store.states(&by_settings(config), None, Clock::system().now()).await?;
    let of = |pair: &Pair| {
        let mut states = all.get(pair.location.as_str())?.iter();
        let apart = states.find(|one| one.state == StateName::OtherAccount)?.clone();
        Some((pair.location.clone(), apart))
    };
    Ok(config.pairs.iter().filter_map(of).collect())
}

/// The keys that seal and open secrets.
///
/// # Errors
/// What is wrong with them.
pub fn keys(config: &Config) -> Result<Keys, Error> {
    let keys = config.encryption_key.as_ref().map(|keys| Keys::parse(keys.expose_secret())).transpose();
    Ok(keys.map_err(|what| Error::Setting(format!("`ENCRYPTION_KEY`: {what}")))?.unwrap_or_default())
}

pub(super) fn mapping(config: &Config) -> Result<Mapping, Error> {
    Mapping::parse(&config.mapping).map_err(|mistakes| {
        let told: Vec<_> = mistakes.iter().map(|mistake| format!("`MAPPING_FILE` {mistake}")).collect();
        Error::Setting(told.join("; "))
    })
}

/// How a connection wants to be worked, with what it has for itself.
pub(super) fn own(
    options: &Options,
    policy: &Policy,
    mapping: &Arc<Mapping>,
) -> Result<(Policy, Arc<Mapping>), String> {
    let policy = policy.clone().with(options)?;
    let mapping = match options.get(config::MAPPING) {
        None => mapping.clone(),
        Some(text) => Arc::new(Mapping::parse(text).map_err(|mistakes| {
            let told: Vec<_> = mistakes.iter().map(|mistake| format!("the mapping: {mistake}")).collect();
            told.join("; ")
        })?),
    };
    Ok((policy, mapping))
}
