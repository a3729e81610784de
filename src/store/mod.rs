//! What must survive: events, contacts, links, intents. One SQL text for SQLite and PostgreSQL.
//!
//! No function here keeps a transaction open across anything but SQL. `now` is always an argument.

mod accept;
mod activities;
mod apps;
mod candidates;
mod columns;
mod connections;
mod contacts;
mod customers;
mod decisions;
mod deletions;
mod deliveries;
mod engine;
mod error;
mod findings;
mod inbox;
mod index;
mod installs;
mod links;
mod marks;
mod notices;
mod outage;
mod overview;
mod owners;
mod projections;
mod prune;
mod renewals;
mod replays;
mod seal;
mod settle;
mod signals;
mod silence;
mod states;
mod sweeps;
#[cfg(test)]
mod tests;
mod times;

pub use activities::{Activity, Mirrored, MirroredObject};
pub use candidates::Standing;
pub use connections::{ConnectionView, Options, Stored};
pub use contacts::{Contact, ContactKey, Decision, Drift};
pub use customers::{Customer, LinkOutcome, Write};
pub use decisions::Decided;
pub use deletions::Vanishing;
pub use engine::sqlite_file;
pub use error::{Error, Result};
pub use findings::{FindingView, SweepLoad, SweepView};
pub use inbox::{Inbox, IncomingEvent, Receipt, Source, Subject};
pub use index::LinkedPhone;
pub use installs::{Install, InstallStatus, Pair};
pub use links::{Agreed, Agreement, CreateIntent, Link, Linked};
pub use notices::{Notice, Told};
pub use overview::{ContactView, Cursor, EventFilter, EventView, Load, Page, WriteView};
pub use owners::{Connection, Heartbeat};
pub use replays::Unresolved;
pub use seal::Keys;
pub use settle::Settle;
pub use signals::{Signal, Signals};
pub use states::{BySettings, States};
pub use sweeps::{Finding, Import, Step, Sweeping};

use engine::{Db, Tx, soon};
use notices::Notices;

use crate::model::Secret;

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
    /// Opens the database, creating it on first start, and brings its schema up to date. `keys`
    /// seal and open secrets.
    ///
    /// # Errors
    /// Not an address of a database; another process has it; it is damaged, away or not ours to
    /// write; a key is missing.
    pub async fn open(url: &str, keys: Keys) -> Result<Self> {
        let store = Self { db: Db::open(url).await?, url: url.into(), notices: Notices::default(), keys };
        store.check_keys().await?;
        if !store.db.is_shared() {
            // The file lock shows that no other process is alive, so there are no leases to wait
            // for.
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

    /// Proves that an event can be stored, and that a write reaches the disk.
    ///
    /// # Errors
    /// It does not, or not soon.
    pub async fn probe(&self) -> Result<()> {
        soon(self.probe_in_time()).await?
    }

    async fn probe_in_time(&self) -> Result<()> {
        if self.db.is_shared() {
            self.try_accepting().await?;
        }
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE processes SET heartbeat_at = heartbeat_at").execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Copies SQLite's log into its file whenever something was committed. Never ends; with
    /// PostgreSQL it never begins.
    pub async fn checkpoints(&self) {
        self.db.checkpoints().await;
    }

    /// Closes the database: what was committed is on disk, and another process may open it.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
