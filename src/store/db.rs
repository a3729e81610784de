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
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{Error, Result};
use crate::clock::Clock;

/// A write transaction.
pub(super) struct Tx<'c> {
    transaction: Transaction<'c, Any>,
    file: Option<Arc<Sqlite>>,
    _turns: Vec<OwnedSemaphorePermit>,
}

impl Tx<'_> {
    pub(super) async fn commit(self) -> Result<()> {
        self.transaction.commit().await?;
        if let Some(file) = self.file {
            file.committed.notify_one();
        }
        Ok(())
    }
}

impl Deref for Tx<'_> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Tx<'_> {
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
    /// Who writes, and who is the next to, of all but the group commit: that one never waits behind more than one of them.
    writing: Arc<Semaphore>,
    next: Arc<Semaphore>,
    /// The file itself. Open as long as SQLite is at work: closing it would let go of SQLite's own locks.
    data: Arc<File>,
    /// Copies the log into it.
    copier: AnyPool,
    committed: Notify,
}

impl Sqlite {
    /// Copies what is in the log now. Returns how many pages that is, also of those that were copied before.
    async fn copy(&self) -> Result<i64> {
        let query = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)");
        let (_busy, pages, _copied): (i64, i64, i64) = query.fetch_one(&self.copier).await?;
        let data = self.data.clone();
        let synced = tokio::task::spawn_blocking(move || data.sync_data()).await;
        let failed = |source| Error::File { path: self.path.clone(), source };
        synced.map_err(std::io::Error::other).and_then(|synced| synced).map_err(failed)?;
        Ok(pages)
    }
}

/// Who waits longer for a connection is told that the database is away: GHL's webhooks are better answered 429 soon
/// than stored late.
const PATIENCE: Duration = Duration::from_secs(5);

/// An acknowledged event must survive a power cut, not only a crash: hence `FULL`. Ids are random, so every event
/// touches pages all over the indexes: 32 MiB of them stay in memory (the default is 2). The log is copied into the file by
/// [`Db::checkpoint`]; only where that does not keep up, at 256 MiB, does a commit have to do it. Nobody but us writes this
/// file; whoever locks it all the same is waited for no longer than a webhook can wait.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 65536; PRAGMA busy_timeout = 2000";

/// Pages of the log, 32 MiB.
const LONG: i64 = 8192;

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
        let copier = pool(1, SQLITE).connect_lazy(&url)?;
        let unreadable = |source| Error::File { path: path.clone(), source };
        let data = OpenOptions::new().read(true).write(true).open(&path).map_err(unreadable)?;
        let inode = data.metadata().map_err(unreadable)?.ino();
        Ok(Self {
            write,
            read,
            file: Some(Arc::new(Sqlite {
                path,
                inode,
                lock: Mutex::new(Some(lock)),
                writing: Arc::new(Semaphore::new(1)),
                next: Arc::new(Semaphore::new(1)),
                data: Arc::new(data),
                copier,
                committed: Notify::new(),
            })),
        })
    }

    /// The way into a write transaction.
    pub(super) async fn begin(&self) -> Result<Tx<'static>> {
        let file = self.file.as_ref();
        let turns = turns(file.into_iter().flat_map(|file| [&file.next, &file.writing])).await?;
        self.is_there()?;
        let transaction = self.write.begin_with(self.opening()).await?;
        Ok(Tx { transaction, file: self.file.clone(), _turns: turns })
    }

    /// The same for the group commit.
    pub(super) fn line(&self) -> Line {
        Line { db: self.clone(), connection: None }
    }

    fn opening(&self) -> &'static str {
        // A SQLite transaction that reads first and writes later would fail under load.
        if self.is_shared() { "BEGIN" } else { "BEGIN IMMEDIATE" }
    }

    /// A connection as the writing pool's.
    async fn connect(&self) -> Result<AnyConnection> {
        let mut connection = AnyConnection::connect_with(&self.write.connect_options()).await?;
        make_ready(&mut connection, if self.is_shared() { POSTGRES } else { SQLITE }).await?;
        Ok(connection)
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
    pub(super) async fn time(&self, tx: &mut Tx<'_>) -> Result<i64> {
        let ask = match self.file {
            Some(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            None => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        Ok(sqlx::query_scalar(ask).fetch_one(&mut **tx).await?)
    }

    /// Returns once something was committed to a SQLite file, by this process.
    pub(super) async fn committed(&self) {
        match &self.file {
            Some(file) => file.committed.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Copies SQLite's log into its file, beside whoever writes. Once the log is long, what was written meanwhile is copied while
    /// nobody writes: only a log that was copied whole is begun anew. SQLite syncs the file only then; we have before, so that
    /// there is little left to wait for.
    pub(super) async fn checkpoint(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.copy().await? > LONG {
            file.copy().await?;
            let _turns = turns([&file.next, &file.writing].into_iter()).await?;
            file.copy().await?;
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        if let Some(file) = &self.file {
            file.copier.close().await;
        }
        self.read.close().await;
        self.write.close().await;
        if let Some(Ok(mut lock)) = self.file.as_ref().map(|file| file.lock.lock()) {
            lock.take();
        }
    }
}

/// The group commit's own connection. One of a pool comes back to it by a task, which has to wait for its turn among the
/// requests whose events it is needed for.
pub(super) struct Line {
    db: Db,
    connection: Option<AnyConnection>,
}

impl Line {
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>> {
        let Self { db, connection } = self;
        let turns = turns(db.file.iter().map(|file| &file.writing)).await?;
        db.is_there()?;
        let mut old = connection.take();
        let mut alive = async || match old.as_mut() {
            Some(old) => !old.is_in_transaction() && old.ping().await.is_ok(),
            None => false,
        };
        let alive = Clock::system().timeout(PATIENCE, alive()).await == Some(true);
        let connected = match old {
            Some(old) if alive => old,
            _ => Clock::system().timeout(PATIENCE, db.connect()).await.ok_or(sqlx::Error::PoolTimedOut)??,
        };
        let transaction = connection.insert(connected).begin_with(db.opening()).await?;
        Ok(Tx { transaction, file: db.file.clone(), _turns: turns })
    }
}

/// What has to be had before a write begins, one after the other.
async fn turns(semaphores: impl Iterator<Item = &Arc<Semaphore>>) -> Result<Vec<OwnedSemaphorePermit>> {
    let mut turns = Vec::new();
    for semaphore in semaphores {
        let turn = Clock::system().timeout(PATIENCE, semaphore.clone().acquire_owned()).await;
        turns.push(turn.and_then(std::result::Result::ok).ok_or(sqlx::Error::PoolTimedOut)?);
    }
    Ok(turns)
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
    options.after_connect(move |connection: &mut AnyConnection, _| Box::pin(make_ready(connection, prepare)))
}

async fn make_ready(connection: &mut AnyConnection, prepare: &'static str) -> sqlx::Result<()> {
    for statement in prepare.split(';').filter(|statement| !statement.is_empty()) {
        connection.execute(statement).await?;
    }
    Ok(())
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
