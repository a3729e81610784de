//! Whether a location can work with its vendors, stored when it changes: the process that is asked
//! for the state of a location may be another one than its owner.

use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::Connection;
use super::advice;
use super::gate::Look;
use crate::clients::{About, Error};
use crate::model::{Trouble, TroubleKind, Vendor};
use crate::store::{self, Store};

/// A vendor counts as down after this many failed sweeps in a row. Only sweeps can tell this where
/// no contact is worked.
const FAILURES: usize = 3;

/// What is written down about one vendor.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// None: not looked up yet.
    trouble: Option<Option<Trouble>>,
    /// Failures of sweeps in a row.
    failures: usize,
}

/// What an error says of the vendor as a whole: what it refuses everybody; `None`: nothing that is
/// certain.
fn refusal(error: &Error) -> Option<TroubleKind> {
    match error {
        Error::NoToken { why } => refusal(why),
        // Not told here: the contacts already show that the location waits.
        Error::BudgetUsedUp { .. } | Error::RateLimited { .. } => None,
        Error::GrantInvalid | Error::Reauthorise => Some(TroubleKind::Lost),
        error if error.about() == About::Account => Some(TroubleKind::Refused),
        _ => None,
    }
}

impl Connection {
    /// A contact was worked: `failed` tells what a vendor that was asked has answered, if not as it
    /// should.
    pub(super) async fn note_contact(&self, store: &Store, vendor: Vendor, failed: Option<&Error>) {
        let Some(error) = failed else { return self.note(store, vendor, None).await };
        if let Some(kind) = refusal(error) {
            return self.note(store, vendor, Some((kind, error))).await;
        }
        match self.gates.of(vendor).look(self.clock.now()) {
            // Perhaps the token is another location's: that says nothing good of the account.
            Look::Open if *error == Error::AnotherRecord => {}
            // What it answered is about one record: the vendor works.
            Look::Open if error.about() == About::Record || error.is_answer() => self.note(store, vendor, None).await,
            Look::Open => {}
            // It says itself how long it wants to be left alone.
            _ if matches!(error, Error::RateLimited { .. }) => {}
            _ => self.note(store, vendor, Some((TroubleKind::Down, error))).await,
        }
    }

    /// A sweep asked a vendor. While contacts find out whether it is back, their word counts.
    pub(super) async fn note_sweep(&self, store: &Store, vendor: Vendor, failed: Option<&Error>) {
        let failures = {
            let mut known = self.noted.of(vendor).0.lock().await;
            known.failures = if failed.is_some() { known.failures + 1 } else { 0 };
            known.failures
        };
        let is_open = self.gates.of(vendor).look(self.clock.now()) == Look::Open;
        match failed.map(|error| (refusal(error), error)) {
            Some((Some(kind), error)) => self.note(store, vendor, Some((kind, error))).await,
            Some((None, error)) if error.about() == About::Path && failures >= FAILURES => {
                self.note(store, vendor, Some((TroubleKind::Down, error))).await;
            }
            None if is_open => self.note(store, vendor, None).await,
            _ => {}
        }
    }

    /// Is it known, and told, that nothing of the location can be worked with that vendor?
    pub(super) async fn is_in_trouble(&self, vendor: Vendor) -> bool {
        matches!(self.noted.of(vendor).0.lock().await.trouble, Some(Some(_)))
    }

    /// Nothing of the location can be worked before a vendor answers.
    pub(super) async fn note_start(&self, store: &Store, vendor: Vendor, failed: Option<&Error>) {
        match failed {
            None => self.note(store, vendor, None).await,
            Some(Error::RateLimited { .. } | Error::BudgetUsedUp { .. }) => {}
            Some(error) => {
                let kind = refusal(error).unwrap_or(TroubleKind::Down);
                self.note(store, vendor, Some((kind, error))).await;
            }
        }
    }

    /// Written only when it is news. Trouble with that is no trouble of the work: it is tried again
    /// with the next answer.
    async fn note(&self, store: &Store, vendor: Vendor, trouble: Option<(TroubleKind, &Error)>) {
        let mut known = self.noted.of(vendor).0.lock().await;
        let trouble = trouble.map(|(kind, error)| {
            let found = advice::found(error);
            let fix = if vendor == Vendor::Ghl { advice::ghl_fix(error) } else { advice::trafft_fix(error) };
            Trouble { kind, found, fix }
        });
        match self.write(store, vendor, trouble.as_ref(), known.trouble.as_ref()).await {
            Ok(()) => known.trouble = Some(trouble),
            // Its new owner knows better.
            Err(store::Error::NotOwner) => {}
            Err(error) if error.tell_outage() => {}
            Err(error) => {
                error!(error = %error, "the state of the connection to {vendor} could not be stored: {error}")
            }
        }
    }

    async fn write(
        &self,
        store: &Store,
        vendor: Vendor,
        trouble: Option<&Trouble>,
        known: Option<&Option<Trouble>>,
    ) -> Result<(), store::Error> {
        if known.is_some_and(|known| known.as_ref() == trouble) {
            return Ok(());
        }
        let location = &self.location;
        let now = self.clock.now();
        if trouble.is_none() && known.is_none() && !store.has_trouble(location, vendor).await? {
            return Ok(());
        }
        store.note_trouble(location, self.epoch, vendor, trouble, now).await?;
        match trouble {
            // The same trouble with another message: a vendor that is down does not always answer
            // alike.
            Some(Trouble { kind, .. }) if known.and_then(Option::as_ref).is_some_and(|known| known.kind == *kind) => {}
            Some(Trouble { kind, found, fix }) => {
                let kind = kind.name();
                warn!(vendor = vendor.label(), kind, "location {location}: trouble with {vendor}: {found}; {fix}");
            }
            None => {
                info!(vendor = vendor.label(), "location {location}: {vendor} works again")
            }
        }
        Ok(())
    }
}
