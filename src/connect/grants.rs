//! Keeps the tokens of installs: hands them out, renews them in time, gets lost ones back.
//!
//! A refresh token is good once (G §3.3), so one process at a time renews an install (a claim in
//! the store), and within a process one caller; the others wait for what it brings. A pair is
//! stored before it is used. What a lost answer or a crash can lose is the pair that GHL has just
//! made. For 30 seconds GHL answers the same refresh token with the same pair again: it is asked
//! once more at once, and after a crash by the process that works the location next. Later the pair
//! is lost. Then HighLevel is asked to connect the app again, which it may not offer any more
//! (G §3.6), and else a person has to authorise it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::clients::ghl::{Credential, OAuth, TokenSource};
use crate::clients::{Error, NotSent, VendorMessage};
use crate::clock::Clock;
use crate::model::{Installer, LocationId, Secret};
use crate::store::{self, Install, InstallStatus, Store};

/// A token is renewed this long before it expires.
pub(super) const EARLY: Duration = Duration::from_mins(5);
/// After a failure that a retry cannot fix, HighLevel is not asked again for this long.
const REST: Duration = Duration::from_mins(5);
/// GHL answers a repeated refresh with the same pair of tokens for this long after the first one
/// (G §3.3).
const SAME_PAIR: Duration = Duration::from_secs(30);
/// Longest wait for another process that renews the same install, and the pause between two looks.
const RENEWAL_WAIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);

/// The tokens of one process's installs.
pub struct Grants {
    pub(super) store: Store,
    /// None: there is no marketplace app, only private tokens.
    pub(super) oauth: Option<OAuth>,
    process: String,
    lease: Duration,
    pub(super) clock: Clock,
    /// Locked by the task that renews the tokens of that install.
    held: Mutex<HashMap<Installer, Arc<AsyncMutex<Option<CachedToken>>>>>,
    tasks: TaskTracker,
}

/// The tokens of an install, kept in memory.
#[derive(Clone)]
pub(super) enum CachedToken {
    /// `replaced`: when it took the place of one that was refused, if it did.
    Token {
        token: Secret,
        replaced: Option<Timestamp>,
        until: Timestamp,
    },
    Nothing {
        error: Error,
        until: Timestamp,
    },
}

impl CachedToken {
    fn told(&self, refused: Option<&Secret>, now: Timestamp) -> Option<Result<Secret, Error>> {
        match self {
            Self::Token { token, until, .. } if now < *until && !is_that(token, refused) => Some(Ok(token.clone())),
            // A token that was just renewed is refused as well: the next one would be, too.
            Self::Token { replaced: Some(at), .. } if refused.is_some() && now < *at + REST => {
                Some(Err(Error::CredentialsRefused { message: VendorMessage::default() }))
            }
            Self::Nothing { error, until } if now < *until => Some(Err(error.clone())),
            _ => None,
        }
    }
}

impl Grants {
    /// `process` and `lease`: as in its heartbeats.
    pub fn new(store: Store, oauth: Option<OAuth>, process: String, lease: Duration, clock: Clock) -> Arc<Self> {
        Arc::new(Self { store, oauth, process, lease, clock, held: Mutex::default(), tasks: TaskTracker::new() })
    }

    /// Runs work that may hold the only copy of a new pair of tokens: it goes on to its end even if
    /// the caller is dropped.
    pub(super) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn(work)
    }

    /// Waits for such work. Call it before the store closes, when no task asks for tokens any more.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What a location's client authenticates with. A task of its own gets back a pair of tokens
    /// whose answer was lost.
    pub fn credential(self: &Arc<Self>, location: LocationId) -> Credential {
        self.spawn({
            let grants = self.clone();
            let location = location.clone();
            async move { grants.ask_again(&location).await }
        });
        let grants = self.clone();
        let installer = Installer::Location(location);
        // The cached tokens may be older than the install that has just been connected, or than
        // what its agency has agreed to since.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other, _| matches!(other, Installer::Location(_)) && *other != installer);
        drop(held);
        Credential::Kept(TokenSource::new(move |refused| {
            let grants = grants.clone();
            let installer = installer.clone();
            async move { grants.bearer(&installer, refused.as_ref()).await }
        }))
    }

    /// A person has authorised it anew.
    pub(super) fn forget(&self, installer: &Installer) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(installer);
    }

    /// A token that is good for now, and is not the one that was refused.
    pub(super) fn bearer<'a>(
        self: &'a Arc<Self>,
        installer: &'a Installer,
        refused: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let mut held = self.lock_of(installer).lock_owned().await;
            if let Some(told) = held.as_ref().and_then(|held| held.told(refused, self.clock.now())) {
                return told;
            }
            // A task of its own: if the caller is dropped, a pair that was just made must not be
            // lost.
            let fresh = self.spawn({
                let grants = self.clone();
                let installer = installer.clone();
                let refused = refused.cloned();
                async move { grants.fresh(&installer, refused.as_ref()).await }
            });
            let mut fresh = fresh
                .await
                .unwrap_or(Err(Error::NotSent { reason: NotSent::Kept("the renewal of the token broke off") }));
            if let (Ok(CachedToken::Token { replaced, .. }), Some(_)) = (&mut fresh, refused) {
                *replaced = Some(self.clock.now());
            }
            *held = match &fresh {
                Ok(held) => Some(held.clone()),
                Err(error) if lasts(error) => {
                    Some(CachedToken::Nothing { error: error.clone(), until: self.clock.now() + REST })
                }
                Err(_) => None,
            };
            match fresh? {
                CachedToken::Token { token, .. } => Ok(token),
                CachedToken::Nothing { error, .. } => Err(error),
            }
        })
    }

    /// The process that worked the location before may have asked for a pair and got no answer.
    /// Asks once more while HighLevel still answers with the same pair.
    async fn ask_again(self: &Arc<Self>, location: &LocationId) {
        let unanswered = match self.store.unanswered(location, SAME_PAIR).await {
            Ok(unanswered) => unanswered,
            Err(error) => return drop(away(error)),
        };
        for (installer, asked) in unanswered {
            let mut held = self.lock_of(&installer).lock_owned().await;
            let Ok(Install { tokens: Some(tokens), generation, .. }) = self.load(&installer).await else { continue };
            if generation != asked {
                // It was only on its way: another process has stored the answer meanwhile.
                continue;
            }
            warn!(install = %installer, "the answer to the last refresh of {installer} was lost: asking once more");
            *held = self.fresh(&installer, Some(&tokens.access)).await.ok();
        }
    }

    fn lock_of(&self, installer: &Installer) -> Arc<AsyncMutex<Option<CachedToken>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).entry(installer.clone()).or_default().clone()
    }

    /// The stored token if it is good, else a new one, made here or by the process that is renewing
    /// it.
    async fn fresh(self: &Arc<Self>, installer: &Installer, refused: Option<&Secret>) -> Result<CachedToken, Error> {
        // Other processes do not use a clock that is moved by hand.
        let clock = Clock::system();
        let latest = clock.now() + RENEWAL_WAIT;
        loop {
            if let Some(held) = self.stored(&self.load(installer).await?, refused)? {
                return Ok(held);
            }
            if self.store.claim_renewal(installer, &self.process, self.lease).await.map_err(away)? {
                break;
            }
            if clock.now() > latest || self.tasks.is_closed() {
                return Err(Error::NotSent { reason: NotSent::Kept("another process is renewing the token") });
            }
            clock.sleep(LOOK).await;
        }
        let renewed = self.renew_claimed(installer, refused).await;
        if let Err(error) = self.store.end_renewal(installer, &self.process).await
            && !error.tell_outage()
        {
            warn!(install = %installer, error = %error, "the claim to renew the token of {installer} could not be released, so no process can renew it before the claim expires: {error}");
        }
        renewed
    }

    pub(super) async fn load(&self, installer: &Installer) -> Result<Install, Error> {
        let install = self.store.install(installer).await.map_err(away)?;
        install.filter(|install| install.status != InstallStatus::Uninstalled).ok_or(Error::Reauthorise)
    }

    /// What is stored, if it is good.
    pub(super) fn stored(&self, install: &Install, refused: Option<&Secret>) -> Result<Option<CachedToken>, Error> {
        let Some(tokens) = &install.tokens else { return Ok(None) };
        let until = match install.expires_at {
            Some(at) => at - EARLY,
            // A private token: valid until it is replaced in HighLevel (G §3.7).
            None => Timestamp::MAX,
        };
        let is_good = self.clock.now() < until && !is_that(&tokens.access, refused);
        Ok(is_good.then(|| CachedToken::Token { token: tokens.access.clone(), replaced: None, until }))
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").field("process", &self.process).finish_non_exhaustive()
    }
}

fn is_that(token: &Secret, refused: Option<&Secret>) -> bool {
    refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret())
}

/// Will asking again soon bring the same?
pub(super) fn lasts(error: &Error) -> bool {
    matches!(
        error,
        Error::GrantInvalid
            | Error::Reauthorise
            | Error::LocationInactive
            | Error::CredentialsRefused { .. }
            | Error::AppRefused { .. }
            | Error::ScopeMissing { .. }
    )
}

pub(super) fn away(error: store::Error) -> Error {
    if !error.tell_outage() {
        error!(error = %error, "tokens cannot be read from the database or stored there: {error}");
    }
    Error::NotSent { reason: NotSent::Kept("the database with the tokens does not work just now") }
}
