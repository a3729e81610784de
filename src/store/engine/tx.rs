//! Write transactions, and the one connection that SQLite's take turns at.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedSemaphorePermit};

use super::file::Sqlite;
use super::limits::soon;
use super::log::Ahead;
use super::rows::Script;
use super::session::Session;
use crate::store::error::Result;

/// A write transaction: rolled back unless it is committed.
pub(in crate::store) struct Tx {
    pub(in crate::store) connection: Writing,
    pub(in crate::store) file: Option<Arc<Sqlite>>,
    pub(in crate::store) _next: Option<OwnedSemaphorePermit>,
}

pub(in crate::store) enum Writing {
    /// PostgreSQL's pool has many.
    Pooled(Session),
    /// The connection that SQLite's writers take turns at: a commit by another connection would
    /// make it drop all pages in its cache. With PostgreSQL it belongs to the group commit.
    Own(WriterGuard),
}

/// None: not connected, or taken by a task that is about to begin a transaction.
pub(in crate::store) type Shared = Arc<Mutex<Option<Session>>>;

/// A transaction on it.
pub(in crate::store) struct WriterGuard {
    own: OwnedMappedMutexGuard<Option<Session>, Session>,
    shared: Shared,
}

impl WriterGuard {
    /// None: there is no connection.
    pub(in crate::store) fn new(own: OwnedMutexGuard<Option<Session>>, shared: Shared) -> Option<Self> {
        let own = OwnedMutexGuard::try_map(own, Option::as_mut).ok()?;
        Some(Self { own, shared })
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        // The transaction was dropped: by an error, or because its task ended. The next writer
        // would roll it back; without a next writer it is done here, since SQLite's lock keeps
        // other programs out until then.
        if self.own.is_open()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(roll_back(self.shared.clone()));
        }
    }
}

async fn roll_back(shared: Shared) {
    let mut own = shared.lock().await;
    if let Some(old) = own.take() {
        // What does not answer is let go.
        *own = soon(old.rolled_back()).await.ok().flatten();
    }
}

impl Tx {
    /// Returns once it is on the disk; others may write before that. After an error it may have
    /// happened all the same.
    pub(in crate::store) async fn commit(self) -> Result<()> {
        self.commit_ahead().await?.arrived().await
    }

    /// Takes back what it wrote, on purpose.
    pub(in crate::store) async fn roll_back(mut self) -> Result<()> {
        (*self).roll_back().await
    }

    /// Leaves it to the caller to wait for the disk.
    pub(in crate::store) async fn commit_ahead(self) -> Result<Ahead> {
        self.commit_after(Script::new(0)).await
    }

    /// The same, after the statements of a script, which is empty with PostgreSQL.
    pub(in crate::store) async fn commit_after(mut self, script: Script) -> Result<Ahead> {
        (*self).commit(script).await?;
        Ok(self.file.map_or(Ahead::NOT, |file| {
            file.committed.notify_one();
            file.log.grown()
        }))
    }
}

impl Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        match &self.connection {
            Writing::Pooled(session) => session,
            Writing::Own(turn) => &turn.own,
        }
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        match &mut self.connection {
            Writing::Pooled(session) => session,
            Writing::Own(turn) => &mut turn.own,
        }
    }
}
