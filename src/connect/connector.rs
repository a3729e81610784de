//! Connects locations: what a browser brings from HighLevel becomes an install, what a person
//! enters for Trafft a connection.

use std::fmt;
use std::sync::Arc;

use secrecy::ExposeSecret;
use tracing::warn;
use url::Url;

use super::checks;
use super::grants::Grants;
use super::renewal::pair;
use crate::clients::ghl::wire::LocationRecord;
use crate::clients::ghl::{Ghl, Grant, OAuth};
use crate::clients::{self, http};
use crate::clock::Clock;
use crate::model::{Check, ContactId, Installer, LocationId, Scopes, Secret, Tokens, TrafftAccess};
use crate::store::{self, InstallStatus, Options, Pair, Store, Stored};
use crate::sync::advice::{APP_KEYS, ghl_fix};
use crate::sync::{Nudge, OpenVendors};

/// Why a location is not connected; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no marketplace app.
    #[error("no marketplace app is set up here: set `GHL_CLIENT_ID` and `GHL_CLIENT_SECRET`")]
    NoApp,
    /// HighLevel did not take the code.
    #[error(
        "HighLevel did not take the code: begin again with `/oauth/install`, and finish within a few minutes. If that fails as well, compare `GHL_CLIENT_ID` and `GHL_CLIENT_SECRET` with the client keys of your app"
    )]
    Code,
    /// HighLevel did not take the app's own credentials.
    #[error("HighLevel refuses the app itself: {APP_KEYS}. Then begin again with `/oauth/install`")]
    App,
    /// HighLevel could not be asked.
    #[error("the code could not be given to HighLevel ({0}): begin again with `/oauth/install` when that is mended")]
    Away(clients::Error),
    /// There is no token for it.
    #[error("the app is not installed in location `{0}`: install it there, or give a private integration token")]
    NotInstalled(LocationId),
    /// The settings have it.
    #[error("location `{0}` is connected by the settings: change it there")]
    InSettings(LocationId),
    /// A value is wrong.
    #[error("{0}")]
    Wrong(String),
    /// A vendor, tried with it, did not answer as it should.
    #[error("{}: {}; {}", .0.tried, .0.found, .0.fix.as_deref().unwrap_or_default())]
    Tried(Check),
    /// The account is another location's, the key is missing, or the store is away.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What an install has brought.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Whose install it is.
    pub installer: Installer,
    /// The locations that it covers.
    pub locations: Vec<LocationId>,
    /// Those of an agency could not be listed: the install has to be made once more.
    pub unlisted: bool,
}

/// What a person enters for a location.
#[derive(Debug)]
pub struct Entered {
    /// Which.
    pub location: LocationId,
    /// Its private integration token; none: the app is installed there, or the token was given
    /// before.
    pub token: Option<Secret>,
    /// Its Trafft account.
    pub trafft: TrafftAccess,
    /// Where it differs from the settings.
    pub options: Options,
}

/// Connects locations, and tries whether that works.
pub struct Connector {
    store: Store,
    grants: Arc<Grants>,
    oauth: Option<OAuth>,
    /// HighLevel's own chooser, and the one for agencies with a domain of their own.
    choosers: Option<[Url; 2]>,
    reach: OpenVendors,
    nudge: Nudge,
    clock: Clock,
}

impl Connector {
    /// `oauth` and `choosers`: of the marketplace app, if there is one.
    pub fn new(
        store: Store,
        grants: Arc<Grants>,
        oauth: Option<OAuth>,
        choosers: Option<[Url; 2]>,
        reach: OpenVendors,
        nudge: Nudge,
        clock: Clock,
    ) -> Self {
        Self { store, grants, oauth, choosers, reach, nudge, clock }
    }

    /// Where an admin chooses the location.
    ///
    /// # Errors
    /// There is no marketplace app.
    pub fn chooser(&self, white_label: bool, state: &str) -> Result<Url, Refused> {
        let (oauth, choosers) = self.oauth.as_ref().zip(self.choosers.as_ref()).ok_or(Refused::NoApp)?;
        Ok(oauth.chooser(&choosers[usize::from(white_label)], state))
    }

    /// Takes what the browser brought back. Runs to its end whatever becomes of the caller: a code
    /// is good once.
    ///
    /// # Errors
    /// The code was not taken, or the store is away.
    pub async fn welcome(self: &Arc<Self>, code: String) -> Result<Installed, Refused> {
        let connector = self.clone();
        let done = self.grants.spawn(async move { connector.take(&code).await });
        done.await.unwrap_or_else(|_| {
            Err(Refused::Wrong("the install broke off; begin again with `/oauth/install`".to_owned()))
        })
    }

    async fn take(&self, code: &str) -> Result<Installed, Refused> {
        let oauth = self.oauth.as_ref().ok_or(Refused::NoApp)?;
        let grant = oauth.exchange(code).await.inspect_err(|error| {
            warn!(error = %error, "an install could not be finished: {error}; {}", ghl_fix(error));
        });
        let grant = grant.map_err(|error| match error {
            clients::Error::GrantInvalid => Refused::Code,
            clients::Error::AppRefused { .. } => Refused::App,
            error => Refused::Away(error),
        })?;
        let Grant { installer, company, .. } = grant.clone();
        let now = self.clock.now();
        let pair = pair(grant, now);
        let installed_at = oauth.their_time(now);
        self.store.granted(&installer, company.as_ref(), &pair, installed_at).await?;
        self.grants.forget(&installer);
        let mut unlisted = false;
        let locations = match &installer {
            Installer::Location(location) => vec![location.clone()],
            Installer::Company(company) => {
                // The code is spent and its tokens are kept: what is missing now comes with the
                // next install, or with its event.
                let found = oauth.installed_locations(&pair.tokens.access, company).await;
                let found = found.inspect_err(|error| {
                    warn!(install = %installer, error = %error, "the locations of {installer} could not be listed: {error}");
                });
                unlisted = found.is_err();
                let found = found.unwrap_or_default().into_iter().map(|location| (location.id, location.name));
                let found: Vec<_> = found.collect();
                self.store.include(company, &found, installed_at).await?;
                found.into_iter().map(|(location, _)| location).collect()
            }
        };
        self.nudge.connections();
        Ok(Installed { installer, locations, unlisted })
    }

    /// Tries what was entered, and keeps it if it works.
    ///
    /// # Errors
    /// Nothing was kept.
    pub async fn enter(&self, entered: Entered) -> Result<Check, Refused> {
        let Entered { location, token, trafft, options } = entered;
        // Copied values often have blanks around them.
        let bare = |secret: &Secret| Secret::from(secret.expose_secret().trim());
        let token = token.as_ref().map(bare);
        let client_secret = bare(&trafft.client_secret);
        let url = trafft.url.trim().to_owned();
        let client_id = trafft.client_id.trim().to_owned();
        let trafft = TrafftAccess { url, client_id, client_secret };
        if self.is_in_settings(&location) {
            return Err(Refused::InSettings(location));
        }
        let known = self.store.connection(&location).await?;
        let installed =
            known.is_some_and(|known| known.install.is_some_and(|status| status != InstallStatus::Uninstalled));
        if token.is_none() && !installed {
            return Err(Refused::NotInstalled(location));
        }
        let account = account(&trafft.url)?;
        let stored = Stored { trafft, options };
        let reached = (self.reach)(&location, Some(stored.clone())).map_err(Refused::Wrong)?;
        let mut ghl = reached.ghl;
        if let Some(token) = &token {
            ghl = ghl.with_token(token.clone());
            tried(checks::contacts(&ghl).await)?;
        }
        let check = tried(checks::customers(&reached.trafft).await)?;
        self.store.enter(&location, &account, &stored, self.clock.now()).await?;
        if let Some(access) = token {
            let pair = Pair { tokens: Tokens { access, refresh: None }, expires_at: None, scopes: None };
            let installer = Installer::Location(location.clone());
            self.store.granted(&installer, None, &pair, self.clock.now()).await?;
            self.grants.forget(&installer);
        }
        self.learn_name(&location, &ghl).await?;
        self.nudge.connections();
        Ok(check)
    }

    /// What people call the location, for the pages: the install of a single one does not tell it.
    async fn learn_name(&self, location: &LocationId, ghl: &Ghl) -> Result<(), Refused> {
        let Some(known) = self.store.connection(location).await? else { return Ok(()) };
        let may_read = known.scopes.is_none_or(|scopes| Scopes::parse(&scopes).holds("locations.readonly"));
        if known.name.is_none()
            && may_read
            && let Ok(LocationRecord { name: Some(name), .. }) = ghl.location().await
        {
            self.store.name_location(location, &name).await?;
        }
        Ok(())
    }

    /// Tries everything that working the location needs; `contact`: shows what that one would
    /// become.
    ///
    /// # Errors
    /// There is no such connection.
    pub async fn probe(&self, location: &LocationId, contact: Option<&ContactId>) -> Result<Vec<Check>, Refused> {
        let entered = self.store.entered(location).await?;
        let reached = (self.reach)(location, entered).map_err(Refused::Wrong)?;
        Ok(checks::location(&reached, contact, &self.clock).await)
    }

    /// Is it connected by the settings, and changed there alone?
    pub fn is_in_settings(&self, location: &LocationId) -> bool {
        (self.reach)(location, None).is_ok()
    }

    /// Can locations be connected by installing an app?
    pub fn has_app(&self) -> bool {
        self.oauth.is_some()
    }

    /// What is connected, or could be, has changed by other means.
    pub fn changed(&self) {
        self.nudge.connections();
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

fn tried(check: Check) -> Result<Check, Refused> {
    if check.ok { Ok(check) } else { Err(Refused::Tried(check)) }
}

/// The account that a URL means: two URLs of one account must not make two connections.
fn account(url: &str) -> Result<String, Refused> {
    let wrong = |what: &str| Refused::Wrong(format!("the Trafft URL: {what}"));
    let parsed: Url = url.trim().parse().map_err(|_| wrong("write a whole one, beginning with `https://`"))?;
    let plain = "write `https://`; plain http is for a sandbox on this machine only";
    http::may_be_called(&parsed).map_err(|_| wrong(plain))?;
    Ok(parsed.origin().ascii_serialization())
}
