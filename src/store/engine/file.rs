//! The file of a SQLite database: locked, looked through at the start, and what its log holds
//! copied into it.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use tokio::sync::{Notify, Semaphore};
use tracing::warn;
use url::Url;

use super::log::{Log, beside, on_disk, write_same};
use crate::clock::Clock;
use crate::store::error::{Error, Result};

/// After copying for this long, what SQLite has copied so far is synced to the disk.
const PART: Duration = Duration::from_millis(1);

/// The file of a SQLite database.
#[derive(Debug)]
pub(in crate::store) struct Sqlite {
    path: PathBuf,
    inode: u64,
    /// Held as long as anybody may write.
    lock: Mutex<Option<File>>,
    /// Queue of the writers other than the group commit, so that the group commit waits behind one
    /// of them at most.
    pub(in crate::store) next: Arc<Semaphore>,
    /// The file itself. Open as long as SQLite is at work: closing it would let go of SQLite's own
    /// locks.
    data: Arc<File>,
    pub(in crate::store) log: Arc<Log>,
    /// Something was copied, and an fsync of the file may have failed.
    fsync_failed: AtomicBool,
    /// Copies the log into it.
    copier: AnyPool,
    pub(in crate::store) committed: Notify,
}

impl Sqlite {
    /// A file that SQLite has opened already.
    pub(in crate::store) fn new(path: PathBuf, lock: File, log: Arc<Log>, copier: AnyPool) -> Result<Self> {
        let unreadable = |source| Error::File { path: path.clone(), source };
        let data = OpenOptions::new().read(true).write(true).open(&path).map_err(unreadable)?;
        let inode = data.metadata().map_err(unreadable)?.ino();
        Ok(Self {
            log,
            fsync_failed: AtomicBool::new(false),
            path,
            inode,
            lock: Mutex::new(Some(lock)),
            next: Arc::new(Semaphore::new(1)),
            data: Arc::new(data),
            copier,
            committed: Notify::new(),
        })
    }

    /// Is the file where it was? A file that was moved or deleted can still be written, but it is
    /// never read again.
    pub(in crate::store) fn is_there(&self) -> Result<()> {
        match std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            true => Ok(()),
            false => Err(Error::Vanished(self.path.clone())),
        }
    }

    /// Waits until no checkpoint runs.
    pub(in crate::store) async fn rest(&self) {
        self.copier.close().await;
    }

    /// Releases the lock: another process may open the file for writing.
    pub(in crate::store) fn unlock(&self) {
        if let Ok(mut lock) = self.lock.lock()
            && let Some(file) = lock.take()
        {
            // Closing the file would not be enough: a child process that is just being started
            // holds a copy of it until it becomes another program.
            let _ = file.unlock();
        }
    }

    /// Copies what is in the log now. Returns how many pages that is, also of those that were
    /// copied before. After an fsync that failed, both files are written again before anything more
    /// is made of them.
    pub(in crate::store) async fn copy(&self) -> Result<i64> {
        let query = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)");
        let (_busy, pages, _copied): (i64, i64, i64) = query.fetch_one(&self.copier).await.inspect_err(|error| {
            // SQLITE_IOERR_FSYNC.
            if code(error).as_deref() == Some("1034") {
                self.mark_fsync_failed();
            }
        })?;
        Ok(pages)
    }

    /// Copies and syncs: SQLite itself syncs only when everything is copied, and later goes on from
    /// there even if that sync never happened. A longer copy is synced in parts, because an fsync
    /// of the log waits behind all that the disk was given before.
    pub(in crate::store) async fn copy_and_sync(&self) -> Result<i64> {
        let mut copying = pin!(self.copy());
        let mut synced = Ok(());
        let copied = loop {
            match Clock::system().timeout(PART, &mut copying).await {
                Some(copied) => break copied,
                // It runs to its end even then: the file must not be written by others while a
                // checkpoint writes it.
                None if synced.is_err() => {}
                None => synced = self.sync().await,
            }
        };
        synced?;
        let pages = copied?;
        self.sync().await?;
        Ok(pages)
    }

    async fn sync(&self) -> Result<()> {
        let data = self.data.clone();
        on_disk(&self.path, move || data.sync_data()).await.inspect_err(|_| self.mark_fsync_failed())
    }

    fn mark_fsync_failed(&self) {
        self.log.mark_fsync_failed();
        self.fsync_failed.store(true, Ordering::Release);
    }

    /// May the disk lack something of what was copied?
    pub(in crate::store) fn fsync_failed(&self) -> bool {
        self.fsync_failed.load(Ordering::Acquire)
    }

    /// Rewrites the file with the content it has, for the same reason as [`Log::rewrite`]. `turn`
    /// keeps other writers out, and is held until this is done.
    pub(in crate::store) async fn rewrite(&self, turn: impl Send + 'static) -> Result<()> {
        let data = self.data.clone();
        on_disk(&self.path, move || {
            let _turn = turn;
            write_same(&data)
        })
        .await?;
        self.fsync_failed.store(false, Ordering::Release);
        Ok(())
    }
}

/// The file that an address of a SQLite database leads to, through symbolic links; it need not be
/// there yet. None: it is no such address. SQLite names its log by the file itself, and so does the
/// lock: the file is the same, whatever it is called.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    const LONGEST_CHAIN: usize = 40;
    if !url.starts_with("sqlite:") || url.contains(":memory:") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let mut file = options.get_filename().to_owned();
    for _ in 0..LONGEST_CHAIN {
        let Ok(target) = std::fs::read_link(&file) else { break };
        file = file.parent().unwrap_or(Path::new("")).join(target);
    }
    (!file.as_os_str().is_empty()).then_some(file)
}

/// The same by its one absolute name. What a link leads to may change, and connections are made at
/// any time.
pub(in crate::store) fn absolute(file: &Path) -> Result<PathBuf> {
    let unusable = |source| Error::File { path: file.to_owned(), source };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().ok_or(Error::Url)?;
    Ok(folder.canonicalize().map_err(unusable)?.join(name))
}

/// The address of that file for connections that open it so.
pub(in crate::store) fn address(file: &Path, mode: &str) -> Result<String> {
    let unusable = || Error::File { path: file.to_owned(), source: io::Error::other("its path is not UTF-8") };
    let mut url = Url::parse("sqlite:///").map_err(|_| Error::Url)?;
    let names = file.iter().skip(1).map(|name| name.to_str().ok_or_else(unusable)).collect::<Result<Vec<_>>>()?;
    url.path_segments_mut().map_err(|()| Error::Url)?.pop_if_empty().extend(names);
    Ok(format!("{url}?mode={mode}"))
}

/// Reads the whole file once, because damage is better reported now than when a page is needed. It
/// uses a connection of its own: a pool would retry for long what can never succeed. Before that, a
/// log that outlived its process is rewritten, because the last connection that closes the file
/// copies the log.
pub(in crate::store) async fn check(url: &str, path: &Path, log: &Arc<Log>) -> Result<()> {
    let damaged = |error| damaged(path, error);
    let mut connection = AnyConnection::connect(url).await.map_err(damaged)?;
    connection.execute("BEGIN IMMEDIATE").await.map_err(damaged)?;
    let mut connection = log.rewrite(connection).await?;
    connection.execute("ROLLBACK").await.map_err(damaged)?;
    let query = sqlx::query_scalar("PRAGMA quick_check(1)");
    let what: String = query.fetch_one(&mut connection).await.map_err(damaged)?;
    connection.close().await?;
    if what == "ok" { Ok(()) } else { Err(Error::Damaged { path: path.to_owned(), what }) }
}

/// SQLite's extended code.
fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// What SQLite says of a file that is not a database any more.
fn damaged(path: &Path, error: sqlx::Error) -> Error {
    match code(&error).as_deref() {
        // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended forms.
        Some("11" | "26" | "267" | "523" | "779") => {
            Error::Damaged { path: path.to_owned(), what: "it is not a database".to_owned() }
        }
        _ => error.into(),
    }
}

/// Makes the database's file if there is none: SQLite would let everybody read it. It gives the log
/// and that one's index the permissions of the file. What an earlier version left open to others is
/// closed.
pub(in crate::store) fn make_private(database: &Path) -> Result<()> {
    private().append(true).open(database).map_err(|source| Error::File { path: database.to_owned(), source })?;
    for path in ["", "-wal", "-shm", ".lock"].map(|name| beside(database, name)) {
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let mode = found.permissions().mode();
        if mode & OTHERS != 0
            && let Err(error) = std::fs::set_permissions(&path, Permissions::from_mode(mode & !OTHERS))
        {
            let path = path.display();
            warn!(error = %error, "others can read `{path}`, and that cannot be changed: {error}");
        }
    }
    Ok(())
}

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Opens a file, or makes one for its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

/// One process works with a SQLite database. The lock is on a file beside it: SQLite's own locks
/// come and go.
pub(in crate::store) fn lock(database: &Path) -> Result<File> {
    let path = beside(database, ".lock");
    let file = private().open(&path).map_err(|source| Error::File { path: path.clone(), source })?;
    // Made by root, as by `doctor` before the service starts, it gets the owner of the database:
    // the service has to open it.
    if let Ok(database) = fs::metadata(database) {
        let _ = std::os::unix::fs::fchown(&file, Some(database.uid()), Some(database.gid()));
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(path)),
        Err(TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}
