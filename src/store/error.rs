//! Why the store could not do what it was asked. Each message says what to do.

use std::path::PathBuf;
use std::sync::Arc;

use super::engine::{ALL_CONNECTIONS, DB_WAIT};

/// How a database is made that can hold every text.
const CREATE: &str = "`CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0`";

/// How a key that seals is made.
pub(super) const HOW: &str = "make one with `openssl rand -hex 32`";

/// The database takes no writes. Said before anything is written: on a standby BEGIN succeeds, and
/// only the first write fails.
#[derive(Debug, thiserror::Error)]
#[error("the database is read-only, as a standby is: see that `DATABASE_URL` leads to the primary")]
pub(super) struct ReadOnly;

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
    /// The file was moved or deleted while it was in use.
    #[error("the database file `{}` is gone: put it back, or restart the service", .0.display())]
    Vanished(PathBuf),
    /// A database that cannot hold every text.
    #[error(
        "the database keeps text as {0}, which has no place for many names: make one with {CREATE}, and name that in `DATABASE_URL`"
    )]
    Encoding(String),
    /// PostgreSQL is there, the database is not.
    #[error("the PostgreSQL server has no such database: make it with {CREATE}, or name another one in `DATABASE_URL`")]
    NoDatabase,
    /// A pooler refuses the connection, as PgBouncer does with its default settings.
    #[error(
        "the pooler at `DATABASE_URL` refuses the connection ({0}): where it names `extra_float_digits`, set \
         `ignore_startup_parameters = extra_float_digits` in PgBouncer"
    )]
    Pooler(sqlx::Error),
    /// A pooler that is for transactions, not for sessions.
    #[error(
        "the pooler at `DATABASE_URL` gives each transaction another connection: set `pool_mode = session` for this database \
         (PgBouncer), or name PostgreSQL itself"
    )]
    Transactions,
    /// A migration was made that is not among ours.
    #[error(
        "the database was made by a newer version of this program (this one does not know its migration {0}): start that \
         version again, or put a backup from before the upgrade in its place"
    )]
    Newer(i64),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// The schema needs what this role may not do.
    #[error(
        "the database schema is to be brought up to date, and the role in `DATABASE_URL` may not do that ({0}): start this version once with \
         the role that owns the tables (on an empty database: one that may CREATE in the schema)"
    )]
    MayNotMigrate(sqlx::Error),
    /// The contact was erased while it was worked: nothing of that work is kept.
    #[error("the contact was erased meanwhile")]
    Erased,
    /// The location was paired with another Trafft account before.
    #[error(
        "location `{location}` is paired with the Trafft account `{known}` in this database, not with `{asked}`: \
         its links point at customers of the other account. Give it the former URL again, or forget them: `connections remove {location} --yes`"
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
        HOW
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
    /// The location has another owner now: nothing was recorded, and nothing may be sent to its
    /// vendors.
    #[error("another process works this location now")]
    NotOwner,
    /// The database said that it had stored a row, and the row is not there.
    #[error(
        "the database took a row of the {0} and did not keep it: look for a trigger or a row security policy on the tables of this service, \
         and remove it, or exempt the service's role"
    )]
    Swallowed(&'static str),
    /// The group commit has stopped, or is too far behind to take more.
    #[error("too much is waiting to be stored")]
    Overloaded,
    /// The database refused or is away.
    #[error("the database did not do it: {0}")]
    Database(#[source] sqlx::Error),
    /// No connection became free in time, and no further one could be opened.
    #[error(
        "no connection to the database within {} s: all are busy, or the server or a pooler before it gives no more (each process \
         needs up to {}: see `max_connections` of PostgreSQL, `default_pool_size` of PgBouncer)",
        DB_WAIT.as_secs(), ALL_CONNECTIONS
    )]
    NoConnection,
    /// The database takes no writes.
    #[error("{ReadOnly}")]
    ReadOnly,
    /// What went wrong for several at once.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// What was read back makes no sense: a mistake of ours, or somebody edited the database. Only
    /// that row is affected; the text names table and column.
    #[error("a value in the database cannot be used: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Configuration(cause) if cause.is::<ReadOnly>() => Self::ReadOnly,
            sqlx::Error::PoolTimedOut => Self::NoConnection,
            error => Self::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(migration) => Self::Newer(migration),
            error => Self::Migration(error),
        }
    }
}

/// The outcome of a store call.
pub type Result<T> = std::result::Result<T, Error>;
