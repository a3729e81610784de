//! Trouble of the database as a whole. Everything that asks the database meets it, so it is logged
//! here, once while it lasts.

use std::time::Instant;

use sqlx::error::ErrorKind;
use tracing::{error, info};

use super::Error;
use crate::model::Spell;

/// One for the process, as its log is.
static OUTAGE: Spell = Spell::new();

impl Error {
    /// Logs an outage once while it lasts. False: the error is no outage, and the caller logs it.
    pub fn tell_outage(&self) -> bool {
        let is_outage = self.is_outage();
        if is_outage && OUTAGE.came(Instant::now()) {
            error!(error = %self, "the database does not work; until it does webhooks are answered 429, and nothing is synced: {self}");
        }
        is_outage
    }

    fn is_outage(&self) -> bool {
        match self {
            // Only the kind `Other` is an outage; the other kinds are about one row.
            Self::Database(sqlx::Error::Database(error)) => matches!(error.kind(), ErrorKind::Other),
            Self::Database(_)
            | Self::NoConnection
            | Self::ReadOnly
            | Self::Swallowed(_)
            | Self::File { .. }
            | Self::Vanished(_)
            | Self::Overloaded => true,
            Self::Shared(error) => error.is_outage(),
            _ => false,
        }
    }
}

/// The database has done something: if that ends an outage, it is logged.
pub(super) fn works() {
    if let Some(lasted) = OUTAGE.over(Instant::now()) {
        let errors = lasted.times;
        let seconds = lasted.seconds();
        info!(errors, seconds, "the database works again, after {seconds} s and {errors} errors");
    }
}
