//! What must survive: events, contacts, links, intents. One SQL text; SQLite today, PostgreSQL takes the same.
//!
//! No function here keeps a transaction open across anything but SQL. `now` is always an argument.

mod activities;
mod connections;
mod contacts;
mod customers;
mod db;
mod decisions;
mod inbox;
mod notices;
mod overview;

use std::path::PathBuf;

pub use activities::{Activity, Mirrored, MirroredObject};
pub use connections::Connection;
pub use contacts::{Contact, ContactKey, CreateIntent, Decision, Settle};
pub use customers::{Customer, Write};
pub use decisions::Decided;
pub use inbox::{Accept, Accepted, Inbox, Source, Subject, Unresolved};
pub use notices::Notice;
pub use overview::{ContactView, Cursor, EventFilter, EventView, Load, WriteView};

use db::Db;
use notices::Notices;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only `sqlite:` URLs are understood.
    #[error("`DATABASE_URL` must begin with `sqlite:` (for example `sqlite://ghl-trafft-sync.db`): {0}")]
    Url(String),
    /// Another process has this database open for working.
    #[error(
        "another process works with this database (it holds `{}`): stop it first, or give this one a database of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// The file or its folder cannot be used.
    #[error("the database file `{}` cannot be opened: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
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
    /// The group commit has stopped, or is too far behind to take more.
    #[error("too much is waiting to be stored")]
    Overloaded,
    /// The database refused or is away.
    #[error("the database did not do it: {0}")]
    Database(#[from] sqlx::Error),
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
    notices: Notices,
}

impl Store {
    /// Opens the database, creating it on first start, and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self { db: Db::open(url).await?, notices: Notices::default() })
    }

    /// Proves that a write reaches the disk.
    pub async fn probe(&self) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE connections SET epoch = epoch").execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Closes the database: what was committed is on disk, and another process may open it.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
