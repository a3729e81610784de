//! The connections to the database. Where SQLite and PostgreSQL differ, they differ here.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, Connection, Executor};
use tokio::sync::Mutex;

use super::file::{self, Sqlite};
use super::limits::{CONNECTIONS, DB_WAIT, soon};
use super::log::Log;
use super::postgres;
use super::rows::Dialect;
use super::session::{Session, Sessions};
use super::tx::{Shared, Tx, WriterGuard, Writing};
use crate::store::error::{Error, Result};

#[derive(Clone, Debug)]
pub(in crate::store) struct Db {
    /// With PostgreSQL, writes go through it too.
    pub(in crate::store) read: Sessions,
    own: Shared,
    options: AnyConnectOptions,
    /// None with PostgreSQL.
    file: Option<Arc<Sqlite>>,
}

/// An acknowledged event must survive a power cut, not only a crash. With `NORMAL`, SQLite syncs
/// its log before the log is copied into the file; [`super::log`] makes sure that a commit is on
/// the disk before it is acknowledged. Ids are random, so every event touches pages all over the
/// indexes: the cache holds 8 MiB of them (the default is 2). A larger cache costs more than it
/// saves: when a page in the middle is split, SQLite goes through the whole cache at the end of the
/// commit. Data that a statement needs to undo itself stays in memory, too; otherwise each
/// statement would need a file for it. [`Db::checkpoint`] copies the log into the file; a commit
/// has to do so only when the log reaches 384 MiB because the checkpoint does not keep up. Only
/// this process writes the file; a lock of another program is waited for no longer than a webhook
/// can wait.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
    PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 98304; PRAGMA busy_timeout = 2000";

/// Up to this many pages (128 MiB) the log grows, because starting it anew costs more.
const LONG: i64 = 32768;

/// When fewer pages than `SHORT` (2 MiB) are left to copy, commits may wait for them. Under full
/// load there are always more, so only `TRIES` attempts are made to get there.
const SHORT: i64 = 512;
const TRIES: usize = 3;

impl Db {
    pub(in crate::store) async fn open(url: &str) -> Result<Self> {
        install_default_drivers();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else {
            Self::open_sqlite(&file::sqlite_file(url).ok_or(Error::Url)?).await
        }
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        postgres::prepare(url).await?;
        // Each session is asked when it is taken, for more than whether it is alive.
        let options = pool(CONNECTIONS, postgres::SESSION).test_before_acquire(false);
        let read = Sessions::new(options.connect(url).await?, true);
        Ok(Self { options: AnyConnectOptions::from_str(url)?, read, own: Arc::default(), file: None })
    }

    async fn open_sqlite(file: &Path) -> Result<Self> {
        let path = file::absolute(file)?;
        let lock = file::lock(&path)?;
        file::make_private(&path)?;
        // The file may be created only here: if it was moved away, a connection that creates it
        // anew would make SQLite throw the log away (`findings/sqlite-new-file-beside-a-log.sh`).
        let made = file::address(&path, "rwc")?;
        let url = file::address(&path, "rw")?;
        let read_only = file::address(&path, "ro")?;
        let log = Arc::new(Log::of(&path));
        file::check(&made, &path, &log).await?;
        let options = AnyConnectOptions::from_str(&url)?;
        let mut connection = AnyConnection::connect_with(&options).await?;
        connection.execute(SQLITE).await?;
        let copier = pool(1, SQLITE).connect_lazy(&url)?;
        let file = Sqlite::new(path, lock, log, copier)?;
        sqlx::migrate!().run(&mut connection).await?;
        let read = Sessions::new(pool(4, "").connect(&read_only).await?, false);
        let own = Arc::new(Mutex::new(Some(Session::own(connection, false))));
        Ok(Self { read, own, options, file: Some(Arc::new(file)) })
    }

    /// The way into a write transaction.
    pub(in crate::store) async fn begin(&self) -> Result<Tx> {
        let Some(file) = &self.file else {
            return Ok(Tx { connection: Writing::Pooled(self.read.begin().await?), file: None, _next: None });
        };
        let next = soon(file.next.clone().acquire_owned()).await?.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Tx { _next: Some(next), ..self.begin_first().await? })
    }

    /// The same for the group commit: it waits behind one other write at most.
    pub(in crate::store) async fn begin_first(&self) -> Result<Tx> {
        let mut own = soon(self.own.clone().lock_owned()).await?;
        self.is_there()?;
        // Taken out until the transaction has begun: a connection that is lost, or half-way through
        // BEGIN, must not be found by the next writer.
        let old = own.take();
        *own = Some(soon(self.begun(old)).await??);
        let mut turn = WriterGuard::new(own, self.own.clone()).ok_or(sqlx::Error::PoolClosed)?;
        if let Some(file) = &self.file
            && file.log.fsync_failed()
        {
            turn = file.log.rewrite(turn).await?;
        }
        Ok(Tx { connection: Writing::Own(turn), file: self.file.clone(), _next: None })
    }

    /// Begins on the old connection if that still works; else on a new one.
    async fn begun(&self, old: Option<Session>) -> Result<Session> {
        let old = match old {
            Some(old) => old.rolled_back().await,
            None => None,
        };
        if let Some(mut session) = old {
            match session.begin().await {
                Ok(()) => return Ok(session),
                // The connection is good: another program locks the file.
                Err(error) if !self.is_shared() => return Err(error.into()),
                // A new connection may work where the old one does not, for example after a
                // failover.
                Err(_) => {}
            }
        }
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        connection.execute(if self.is_shared() { postgres::SESSION } else { SQLITE }).await?;
        let mut session = Session::own(connection, self.is_shared());
        session.begin().await?;
        Ok(session)
    }

    /// Is the file that was written still the one that will be read?
    pub(in crate::store) fn is_there(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.is_there())
    }

    /// Do other processes work with the same database?
    pub(in crate::store) fn is_shared(&self) -> bool {
        self.file.is_none()
    }

    /// How it wants its parameters.
    pub(in crate::store) fn dialect(&self) -> Dialect {
        if self.is_shared() { Dialect::Postgres } else { Dialect::Sqlite }
    }

    /// Does the database refuse what it was given, rather than fail to work at all?
    pub(in crate::store) fn refuses_rows(&self, error: &Error) -> bool {
        let Error::Database(error) = error else { return matches!(error, Error::Swallowed(_)) };
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else {
            return matches!(error, sqlx::Error::Encode(_));
        };
        if self.is_shared() {
            return postgres::is_about_rows(&code);
        }
        // BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB, in the low byte.
        code.parse::<u32>().is_ok_and(|code| !matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14 | 26))
    }

    /// Asks for the database's own time, in Unix milliseconds: the one clock that all its processes
    /// share. SQLite's is the machine's.
    pub(in crate::store) fn time_query(&self) -> &'static str {
        match self.file {
            Some(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            None => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// The same, inside a transaction.
    pub(in crate::store) async fn time(&self, tx: &mut Tx) -> Result<i64> {
        Ok(sqlx::query_scalar(self.time_query()).fetch_one(&mut **tx).await?)
    }

    /// Returns once something was committed to a SQLite file, by this process.
    pub(in crate::store) async fn committed(&self) {
        match &self.file {
            Some(file) => file.committed.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Copies SQLite's log (WAL) into the database file while writers go on. When the log is long,
    /// the rest is copied while writers wait, because SQLite starts a new log only after the old
    /// one was copied completely. We sync and copy several times before that, so that this last
    /// wait is short.
    pub(in crate::store) async fn checkpoint(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // What the disk may not hold must not go into the file either, or a power cut would leave
        // half of it there.
        if file.log.fsync_failed() || file.fsync_failed() {
            // Beginning a write transaction rewrites the log after a failed fsync.
            let writing = self.begin().await?;
            if file.fsync_failed() {
                file.rewrite(writing).await?;
            }
        }
        let mut copied = file.copy_and_sync().await?;
        if copied > LONG {
            for _ in 0..TRIES {
                let before = copied;
                copied = file.copy_and_sync().await?;
                if copied - before < SHORT {
                    break;
                }
            }
            let _next = soon(file.next.acquire()).await?;
            let _writing = soon(self.own.lock()).await?;
            file.copy().await?;
        }
        Ok(())
    }

    pub(in crate::store) async fn close(&self) {
        if let Some(file) = &self.file {
            file.rest().await;
        }
        self.read.close().await;
        // A write still hangs on a disk that does not answer. The lock stays until this process
        // ends, so that no other process writes.
        let Ok(mut own) = soon(self.own.lock()).await else { return };
        if let Some(own) = own.take() {
            own.close().await;
        }
        if let Some(file) = &self.file {
            file.unlock();
        }
    }
}

fn pool(connections: u32, prepare: &'static str) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(DB_WAIT);
    // After an I/O error SQLite has ended the transaction itself, and sqlx still counts it as open:
    // such a connection would never begin another one.
    let options = options.before_acquire(|connection, _| {
        let clean = !connection.is_in_transaction();
        Box::pin(async move { Ok(clean) })
    });
    options.after_connect(move |connection: &mut AnyConnection, _| {
        Box::pin(async move {
            if !prepare.is_empty() {
                connection.execute(prepare).await?;
            }
            Ok(())
        })
    })
}
