//! Gets a new pair of tokens: by the refresh token, by the agency's token, or by asking HighLevel
//! to connect the app again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::grants::{CachedToken, EARLY, Grants, away, lasts};
use crate::clients::ghl::{Grant, OAuth};
use crate::clients::{Error, NotSent, VendorMessage};
use crate::clock::Clock;
use crate::model::{Installer, LocationId, Secret};
use crate::store::{Install, InstallStatus, Pair};

/// How often storing a new pair is tried, one second apart: the old pair is invalid already.
const STORE_TRIES: u32 = 30;

impl Grants {
    /// Renews the token unless another process has just done so. The caller holds the claim.
    pub(super) async fn renew_claimed(
        self: &Arc<Self>,
        installer: &Installer,
        refused: Option<&Secret>,
    ) -> Result<CachedToken, Error> {
        // Looked at again under the claim: another process may have renewed it before.
        let install = self.load(installer).await?;
        if let Some(held) = self.stored(&install, refused)? {
            return Ok(held);
        }
        match self.renew(&install).await {
            Ok(grant) => self.keep(&install, grant).await,
            Err(error) => {
                let (status, error) = match error {
                    Error::GrantInvalid => (InstallStatus::Lost, Error::Reauthorise),
                    // This includes what the agency lacks: it must be fixed at the agency, and then
                    // this install goes on by itself.
                    error if lasts(&error) => (install.status, error),
                    error => return Err(error),
                };
                warn!(install = %installer, error = %error, "no token for {installer}: {error}");
                self.store.remark(installer, install.generation, status, self.clock.now()).await.map_err(away)?;
                Err(error)
            }
        }
    }

    /// A new pair, one way or another; [`Error::GrantInvalid`]: HighLevel does not want to give us
    /// one any more.
    async fn renew(self: &Arc<Self>, install: &Install) -> Result<Grant, Error> {
        let installer = &install.installer;
        let by_agency = match (installer, &install.company) {
            (Installer::Location(location), Some(company)) => Some((location, company)),
            _ => None,
        };
        let is_private = install.tokens.is_some() && install.expires_at.is_none();
        let Some(oauth) = self.oauth.as_ref().filter(|_| !is_private) else {
            return Err(Error::CredentialsRefused { message: VendorMessage::default() });
        };
        let refresh = install.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref());
        let first = match (refresh, by_agency) {
            (Some(refresh), _) => self.refresh(oauth, install, refresh).await,
            (None, Some((location, company))) => self.by_agency(oauth, location, company).await,
            (None, None) => Err(Error::GrantInvalid),
        };
        let Err(Error::GrantInvalid) = first else { return first };
        warn!(install = %installer, "the tokens of {installer} are lost; asking HighLevel to connect it again");
        let again = self.reconnect(oauth, installer).await;
        match (again, by_agency) {
            // As HighLevel's own client falls back (G §3.3).
            (Err(Error::GrantInvalid), Some((location, company))) if refresh.is_some() => {
                // If the agency must be authorised again, there is no other way, and this install
                // is lost.
                self.by_agency(oauth, location, company).await.map_err(|error| match error {
                    Error::Reauthorise => Error::GrantInvalid,
                    error => error,
                })
            }
            (again, _) => again,
        }
    }

    async fn refresh(&self, oauth: &OAuth, install: &Install, refresh: &Secret) -> Result<Grant, Error> {
        let installer = &install.installer;
        self.store.asking(installer, install.generation).await.map_err(away)?;
        match oauth.refresh(installer, refresh).await {
            Err(error) if error.may_have_been_carried_out() => {
                warn!(install = %installer, error = %error, "the answer to the refresh of {installer} was lost, asking once more: {error}");
                oauth.refresh(installer, refresh).await
            }
            settled => settled,
        }
    }

    async fn by_agency(
        self: &Arc<Self>,
        oauth: &OAuth,
        location: &LocationId,
        company: &LocationId,
    ) -> Result<Grant, Error> {
        let agency = Installer::Company(company.clone());
        let token = self.bearer(&agency, None).await?;
        match oauth.location_token(&token, company, location).await {
            Err(Error::CredentialsRefused { .. }) => {
                let token = self.bearer(&agency, Some(&token)).await?;
                oauth.location_token(&token, company, location).await
            }
            settled => settled,
        }
    }

    async fn reconnect(&self, oauth: &OAuth, installer: &Installer) -> Result<Grant, Error> {
        let code = oauth.reconnect(installer).await?;
        let grant = oauth.exchange(&code).await?;
        // Tokens of another location or company must not be stored for this install.
        if grant.installer == *installer { Ok(grant) } else { Err(Error::GrantInvalid) }
    }

    /// Stores the pair, then hands it out.
    async fn keep(&self, install: &Install, grant: Grant) -> Result<CachedToken, Error> {
        let installer = &install.installer;
        let pair = pair(grant, self.clock.now());
        let clock = Clock::system();
        for left in (0..STORE_TRIES).rev() {
            match self.store.renewed(installer, install.generation, &pair).await {
                Ok(true) => {
                    info!(install = %installer, "the token of {installer} was renewed");
                    let until = pair.expires_at.map_or(Timestamp::MAX, |at| at - EARLY);
                    return Ok(CachedToken::Token { token: pair.tokens.access, replaced: None, until });
                }
                // It was authorised anew meanwhile, or uninstalled.
                Ok(false) => {
                    let install = self.load(installer).await?;
                    let again = Error::NotSent { reason: NotSent::Kept("the token was replaced meanwhile") };
                    return self.stored(&install, None)?.ok_or(again);
                }
                Err(error) => {
                    error!(install = %installer, error = %error, "a new token of {installer} cannot be stored, and the old one is dead; {left} more tries: {error}");
                    clock.sleep(Duration::from_secs(1)).await;
                }
            }
        }
        Err(Error::NotSent { reason: NotSent::Kept("the new token could not be stored") })
    }
}

/// A grant as it is stored.
pub(super) fn pair(grant: Grant, now: Timestamp) -> Pair {
    let expires_at = now.checked_add(grant.life).unwrap_or(Timestamp::MAX);
    Pair { tokens: grant.tokens, expires_at: Some(expires_at), scopes: grant.scopes }
}
