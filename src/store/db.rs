//! The connections to the database. Where SQLite and PostgreSQL differ, they differ here.

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Error, Result};
use crate::clock::Clock;

/// A write transaction.
pub(super) struct Tx {
    transaction: Transaction<'static, Any>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Tx {
    pub(super) async fn commit(self) -> Result<()> {
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

#[derive(Clone, Debug)]
pub(super) struct Db {
    write: AnyPool,
    pub(super) read: AnyPool,
    /// None with PostgreSQL.
    file: Option<Arc<Sqlite>>,
}

/// The file of a SQLite database.
#[derive(Debug)]
struct Sqlite {
    path: PathBuf,
    inode: u64,
    /// Held as long as anybody may write, and let go by [`Db::close`].
    lock: Mutex<Option<File>>,
    /// Whose turn it is to write, of all but the group commit: that one never waits behind more than one of them.
    turn: Arc<Semaphore>,
}

/// Who waits longer for a connection is told that the database is away: GHL's webhooks are better answered 429 soon
/// than stored late.
const PATIENCE: Duration = Duration::from_secs(5);

/// An acknowledged event must survive a power cut, not only a crash: hence `FULL`. Ids are random, so every event
/// touches pages all over the indexes: 32 MiB of them stay in memory (the default is 2), and the log grows to 32 MiB
/// (the default is 4) before they are copied into the file, each page then once for many commits. Nobody but us writes
/// this file; whoever locks it all the same is waited for no longer than a webhook can wait.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192; PRAGMA busy_timeout = 2000";

/// A process that was paused in the middle of a transaction must not keep its locks from those that take over.
const POSTGRES: &str = "SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '30s'";
const POSTGRES_CONNECTIONS: u32 = 10;

impl Db {
    pub(super) async fn open(url: &str) -> Result<Self> {
        install_default_drivers();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else if url.starts_with("sqlite:") && !url.contains(":memory:") {
            Self::open_sqlite(url).await
        } else {
            Err(Error::Url)
        }
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let pool = pool(POSTGRES_CONNECTIONS, POSTGRES).connect(url).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self { write: pool.clone(), read: pool, file: None })
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url).map_err(|_| Error::Url)?;
        let path = options.get_filename().to_owned();
        if path.as_os_str().is_empty() {
            return Err(Error::Url);
        }
        let lock = lock(&path)?;
        let bare = url.split('?').next().unwrap_or(url);
        // One connection: SQLite has one writer, and queueing for it here is fair and never answers "busy".
        let url = format!("{bare}?mode=rwc");
        check(&url, &path).await?;
        let write = pool(1, SQLITE).connect(&url).await?;
        sqlx::migrate!().run(&write).await?;
        let read = pool(4, "").connect(&format!("{bare}?mode=ro")).await?;
        let inode = std::fs::metadata(&path).map_err(|source| Error::File { path: path.clone(), source })?.ino();
        Ok(Self {
            write,
            read,
            file: Some(Arc::new(Sqlite {
                path,
                inode,
                lock: Mutex::new(Some(lock)),
                turn: Arc::new(Semaphore::new(1)),
            })),
        })
    }

    /// The way into a write transaction.
    pub(super) async fn begin(&self) -> Result<Tx> {
        let Some(file) = &self.file else { return self.enter(None).await };
        let turn = Clock::system().timeout(PATIENCE, file.turn.clone().acquire_owned()).await;
        self.enter(Some(turn.and_then(std::result::Result::ok).ok_or(sqlx::Error::PoolTimedOut)?)).await
    }

    /// The same for the group commit: webhooks wait for it.
    pub(super) async fn begin_first(&self) -> Result<Tx> {
        self.enter(None).await
    }

    async fn enter(&self, turn: Option<OwnedSemaphorePermit>) -> Result<Tx> {
        self.is_there()?;
        let transaction = match self.file {
            // A SQLite transaction that reads first and writes later would fail under load.
            Some(_) => self.write.begin_with("BEGIN IMMEDIATE").await?,
            None => self.write.begin().await?,
        };
        Ok(Tx { transaction, _turn: turn })
    }

    /// A SQLite file that was moved or deleted can still be written, and nobody would ever read it again.
    pub(super) fn is_there(&self) -> Result<()> {
        match &self.file {
            Some(file) if !std::fs::metadata(&file.path).is_ok_and(|there| there.ino() == file.inode) => {
                Err(Error::Vanished(file.path.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Do other processes work with the same database?
    pub(super) fn is_shared(&self) -> bool {
        self.file.is_none()
    }

    /// The database's own time, in Unix milliseconds: the one clock that all its processes share.
    pub(super) async fn time(&self, tx: &mut Tx) -> Result<i64> {
        let ask = match self.file {
            Some(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            None => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        Ok(sqlx::query_scalar(ask).fetch_one(&mut **tx).await?)
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
        if let Some(Ok(mut lock)) = self.file.as_ref().map(|file| file.lock.lock()) {
            lock.take();
        }
    }
}

/// PostgreSQL's text has no place for NUL; texts of strangers may hold one.
pub(super) fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn pool(connections: u32, prepare: &'static str) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
    // After an I/O error SQLite has ended the transaction itself, and sqlx still counts it as open: such a connection would never
    // begin another one.
    let options = options.before_acquire(|connection, _| {
        let clean = !connection.is_in_transaction();
        Box::pin(async move { Ok(clean) })
    });
    options.after_connect(move |connection: &mut AnyConnection, _| {
        Box::pin(async move {
            for statement in prepare.split(';').filter(|statement| !statement.is_empty()) {
                connection.execute(statement).await?;
            }
            Ok(())
        })
    })
}

/// Reads the whole file once: what is damaged is better told now than when a page is needed. By a connection of its own, since
/// a pool tries for long what will never succeed.
async fn check(url: &str, path: &Path) -> Result<()> {
    let damaged = |error| damaged(path, error);
    let mut connection = AnyConnection::connect(url).await.map_err(damaged)?;
    let query = sqlx::query_scalar("PRAGMA quick_check(1)");
    let what: String = query.fetch_one(&mut connection).await.map_err(damaged)?;
    connection.close().await?;
    if what == "ok" { Ok(()) } else { Err(Error::Damaged { path: path.to_owned(), what }) }
}

/// What SQLite says of a file that is not a database any more.
fn damaged(path: &Path, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match code.as_deref() {
        // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended forms.
        Some("11" | "26" | "267" | "523" | "779") => {
            Error::Damaged { path: path.to_owned(), what: "it is not a database".to_owned() }
        }
        _ => error.into(),
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
