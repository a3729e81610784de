//! What must survive: events, contacts, links, intents. One SQL text for SQLite and PostgreSQL.
//!
//! No function here keeps a transaction open across anything but SQL. `now` is always an argument.

mod accept;
mod activities;
mod checkpoints;
mod connections;
mod contacts;
mod customers;
mod db;
mod decisions;
mod file;
mod findings;
mod inbox;
mod index;
mod installs;
mod log;
mod notices;
mod overview;
mod owners;
mod prune;
mod replays;
mod rows;
mod seal;
mod settle;
mod signals;
mod sweeps;
#[cfg(test)]
mod tests;
mod tx;

use std::path::PathBuf;
use std::sync::Arc;

pub use activities::{Activity, Mirrored, MirroredObject};
pub use connections::{ConnectionView, Options, Stored};
pub use contacts::{Contact, ContactKey, CreateIntent, Decision};
pub use customers::{Customer, Linked, Write};
pub use decisions::Decided;
pub use findings::{FindingView, SweepLoad, SweepView};
pub use inbox::{Accept, Accepted, Inbox, Source, Subject};
pub use installs::{Install, InstallStatus, Pair};
pub use notices::{Notice, Told};
pub use overview::{ContactView, Cursor, EventFilter, EventView, Load, WriteView};
pub use owners::{Beat, Connection};
pub use replays::Unresolved;
pub use seal::Keys;
pub use settle::Settle;
pub use signals::{Signal, Signals};
pub use sweeps::{Finding, Import, Step, Sweeping};

use db::Db;
use notices::Notices;
use tx::Tx;

use crate::model::Secret;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address of a database.
    #[error(
        "`DATABASE_URL` must name a SQLite file (`sqlite://ghl-trafft-sync.db`) or a PostgreSQL database \
         (`postgres://user:password@host/name`)"
    )]
    Url,
    /// Another process has this database open for working.
    #[error(
        "another process works with this database (it holds `{}`): stop it first, or give this one a database of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// The file or its folder cannot be used.
    #[error("the database file `{}` cannot be used: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is there, and is not a whole database.
    #[error(
        "the database file `{}` is damaged ({what}): put a backup in its place, or move it away and start with an \
         empty one; then run `backfill`, which finds the customers again by e-mail and phone", .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    /// The file was moved or deleted under our hands.
    #[error("the database file `{}` is gone: put it back, or restart the service", .0.display())]
    Vanished(PathBuf),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The location was paired with another Trafft account before.
    #[error(
        "location `{location}` is paired with the Trafft account `{known}` in this database, not with `{asked}`: \
         its links point at customers of the other account. Set `TRAFFT_API_URL` back, or start with an empty database"
    )]
    OtherAccount {
        /// The location.
        location: String,
        /// The account that the links in the database belong to.
        known: String,
        /// The account in the settings.
        asked: String,
    },
    /// The account belongs to another location.
    #[error("the Trafft account `{account}` belongs to location `{holder}` already: an account is fed by one location")]
    AccountTaken {
        /// The account.
        account: String,
        /// The location that has it.
        holder: String,
    },
    /// There is something to seal or to open, and no key.
    #[error(
        "secrets are kept sealed, and there is no key: set `ENCRYPTION_KEY` ({}), and keep it as safe as the database's backups",
        seal::HOW
    )]
    NoKey,
    /// The key that sealed something is not among those that there are.
    #[error(
        "secrets in this database are sealed with another key (its id is `{id}`): add that key to `ENCRYPTION_KEY`, after a comma; once `keys rotate` has run it may go"
    )]
    KeyMissing {
        /// The first bytes of its digest.
        id: String,
    },
    /// The location has another owner now: nothing was recorded, and nothing may be sent to its vendors.
    #[error("another process works this location now")]
    NotOwner,
    /// The group commit has stopped, or is too far behind to take more.
    #[error("too much is waiting to be stored")]
    Overloaded,
    /// The database refused or is away.
    #[error("the database did not do it: {0}")]
    Database(#[from] sqlx::Error),
    /// What went wrong for several at once.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// What was read back makes no sense: a mistake of ours, or somebody edited the database.
    #[error("the database holds what it should not: {0}")]
    Corrupt(String),
}

/// The outcome of a store call.
pub type Result<T> = std::result::Result<T, Error>;

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// For the listener's own connection; holds a password, so it is never shown.
    url: Secret,
    notices: Notices,
    keys: Keys,
}

impl Store {
    /// Opens the database, creating it on first start, and brings its schema up to date. `keys` seal and open secrets.
    ///
    /// # Errors
    /// Not an address of a database; another process has it; it is damaged, away or not ours to write; a key is missing.
    pub async fn open(url: &str, keys: Keys) -> Result<Self> {
        let store = Self { db: Db::open(url).await?, url: url.into(), notices: Notices::default(), keys };
        store.check_keys().await?;
        if !store.db.is_shared() {
            // The file lock says that nobody else is alive: nothing has to be waited for.
            let mut tx = store.db.begin().await?;
            sqlx::query("DELETE FROM processes").execute(&mut *tx).await?;
            tx.commit().await?;
        }
        Ok(store)
    }

    /// Do other processes work with the same database?
    pub fn is_shared(&self) -> bool {
        self.db.is_shared()
    }

    /// Proves that a write reaches the disk.
    ///
    /// # Errors
    /// It does not.
    pub async fn probe(&self) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE processes SET heartbeat_at = heartbeat_at").execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Closes the database: what was committed is on disk, and another process may open it.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
