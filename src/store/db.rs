//! The connections to the database. Where SQLite and PostgreSQL will differ, they differ here.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::{Error, Result};

#[derive(Clone, Debug)]
pub(super) struct Db {
    /// One connection: SQLite has one writer, and queueing for it here is fair and never answers "busy".
    write: SqlitePool,
    pub(super) read: SqlitePool,
    /// Held as long as anybody may write, and let go by [`Db::close`].
    lock: Arc<std::sync::Mutex<Option<File>>>,
}

impl Db {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| Error::Url(error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged event must survive a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        if !url.starts_with("sqlite:") || options.get_filename().as_os_str().is_empty() || url.contains(":memory:") {
            return Err(Error::Url("name a file".to_owned()));
        }
        let lock = lock(options.get_filename())?;
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!().run(&write).await?;
        let read = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        Ok(Self { write, read, lock: Arc::new(std::sync::Mutex::new(Some(lock))) })
    }

    /// The one way into a write transaction. IMMEDIATE: a transaction that reads first and writes later would fail under load.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
        if let Ok(mut lock) = self.lock.lock() {
            lock.take();
        }
    }
}

/// One process works with a SQLite database. The lock is on a file beside it: SQLite's own locks come and go.
fn lock(database: &Path) -> Result<File> {
    let mut path = PathBuf::from(database).into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|source| Error::File { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(path)),
        Err(TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}
