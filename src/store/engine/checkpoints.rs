//! SQLite's log (WAL) is copied into the database file by a task of its own, so that commits do not
//! wait for it.

use std::time::Duration;

use tracing::warn;

use super::db::Db;
use crate::clock::Clock;

/// Commits are collected for this long, so that a page that many of them wrote is copied once. A
/// longer pause would collect more than the disk can take without a noticeable delay.
const PAUSE: Duration = Duration::from_millis(700);

impl Db {
    /// Copies whenever something was committed. Never ends; with PostgreSQL it never begins.
    pub(in crate::store) async fn checkpoints(&self) {
        let clock = Clock::system();
        loop {
            self.committed().await;
            clock.sleep(PAUSE).await;
            if let Err(error) = self.checkpoint().await
                && !error.tell_outage()
            {
                // The next write meets the same error, and reports it.
                warn!(error = %error, "the database's log could not be copied into its file: {error}");
            }
        }
    }
}
