//! SQLite's log on its way to the disk. SQLite itself would let every commit wait for it with the
//! file locked; here the next one may begin meanwhile, and one fsync serves all that were committed
//! before it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::store::error::{Error, Result};

/// A commit that may not be on the disk yet, so it must not be acknowledged. None with PostgreSQL,
/// which answers COMMIT only when it is on the disk.
#[derive(Debug)]
pub(in crate::store) struct Ahead(Option<(Arc<Log>, u64)>);

impl Ahead {
    /// Of what is there already.
    pub(in crate::store) const NOT: Self = Self(None);

    /// Returns once it is on the disk.
    pub(in crate::store) async fn arrived(&self) -> Result<()> {
        match &self.0 {
            Some((log, commit)) => log.reach(*commit).await,
            None => Ok(()),
        }
    }
}

/// The file beside the database that all commits go into first.
#[derive(Debug)]
pub(in crate::store) struct Log {
    path: PathBuf,
    commits: AtomicU64,
    /// An fsync has failed: the page cache holds data that the disk may lack, and the kernel will
    /// not write it again.
    fsync_failed: AtomicBool,
    /// Locked by the task that syncs; the tasks that waited for the lock find their commits synced.
    disk: Arc<Mutex<Disk>>,
}

/// How far the disk is.
#[derive(Debug, Default)]
struct Disk {
    /// The number of the last commit that it holds.
    reached: u64,
    /// Stays open: the kernel reports a failed write once to each open file, and not to files
    /// opened later.
    file: Option<File>,
}

impl Log {
    /// Of the database in that file.
    pub(in crate::store) fn of(database: &Path) -> Self {
        Self {
            path: beside(database, "-wal"),
            commits: AtomicU64::new(0),
            fsync_failed: AtomicBool::new(false),
            disk: Arc::default(),
        }
    }

    /// Something was committed.
    pub(in crate::store) fn grown(self: &Arc<Self>) -> Ahead {
        Ahead(Some((self.clone(), self.commits.fetch_add(1, Ordering::AcqRel) + 1)))
    }

    /// An fsync has failed, or may have.
    pub(in crate::store) fn mark_fsync_failed(&self) {
        self.fsync_failed.store(true, Ordering::Release);
    }

    /// Is something in it that the disk may never get?
    pub(in crate::store) fn fsync_failed(&self) -> bool {
        self.fsync_failed.load(Ordering::Acquire)
    }

    async fn reach(self: &Arc<Self>, commit: u64) -> Result<()> {
        let mut disk = self.disk.clone().lock_owned().await;
        if disk.reached >= commit {
            return Ok(());
        }
        if self.fsync_failed() {
            return Err(Error::File { path: self.path.clone(), source: io::Error::other("an fsync failed before") });
        }
        let log = self.clone();
        let all = self.last();
        on_disk(&self.path, move || {
            disk.opened(&log.path)?.sync_data().inspect_err(|_| log.mark_fsync_failed())?;
            disk.reached = all;
            Ok(())
        })
        .await
    }

    /// After a failed fsync the page cache holds data that the disk may lack and the kernel will
    /// not write again. Every process that reads the file sees that data, and a power cut would
    /// lose it together with all commits behind it. So the log is rewritten in place and synced;
    /// only what the kernel has dropped from its cache since is lost. A checkpoint instead would
    /// have to wait for readers.
    ///
    /// `turn` keeps other writers out. It is returned at the end, and held until then even if the
    /// caller has gone.
    pub(in crate::store) async fn rewrite<T: Send + 'static>(self: &Arc<Self>, turn: T) -> Result<T> {
        let mut disk = self.disk.clone().lock_owned().await;
        let log = self.clone();
        let all = self.last();
        on_disk(&self.path, move || {
            match disk.opened(&log.path) {
                // There is none: all that was in it was copied.
                Err(error) if error.kind() == ErrorKind::NotFound && all == 0 => {}
                file => write_same(file?)?,
            }
            disk.reached = all;
            log.fsync_failed.store(false, Ordering::Release);
            Ok(turn)
        })
        .await
    }

    fn last(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }
}

impl Disk {
    /// The file that SQLite writes now: it begins a new one when all its connections were closed.
    fn opened(&mut self, path: &Path) -> io::Result<&File> {
        let now = std::fs::metadata(path)?.ino();
        let same = match self.file.take() {
            Some(file) if file.metadata()?.ino() == now => file,
            _ => OpenOptions::new().read(true).write(true).open(path)?,
        };
        Ok(self.file.insert(same))
    }
}

/// Blocking work on that file. It runs to its end even if the caller has gone.
pub(in crate::store) async fn on_disk<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let failed = |source| Error::File { path: path.to_owned(), source };
    done.map_err(io::Error::other).and_then(|done| done).map_err(failed)
}

/// Rewrites a file in place with the content that the page cache has. The caller keeps other
/// writers out.
pub(in crate::store) fn write_same(file: &File) -> io::Result<()> {
    let (mut buffer, mut offset) = (vec![0; 1 << 20], 0);
    loop {
        let length = file.read_at(&mut buffer, offset)?;
        if length == 0 {
            return file.sync_data();
        }
        file.write_all_at(&buffer[..length], offset)?;
        if offset == 0 {
            // Syncs after the first part: a broken disk is reported here, not after all the rest.
            file.sync_data()?;
        }
        offset += length as u64;
    }
}

/// A file beside the database, as SQLite calls its own.
pub(in crate::store) fn beside(database: &Path, name: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(name);
    path.into()
}
