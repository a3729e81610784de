//! SQLite's log is copied into its file beside the writer, not by it: who commits does not wait for the copying.

use std::time::Duration;

use tracing::warn;

use super::Store;
use crate::clock::Clock;

/// Commits are taken together for so long: a page that many of them wrote is copied once. In longer, more comes together than the
/// disk takes while nobody notices.
const PAUSE: Duration = Duration::from_millis(700);

impl Store {
    /// Copies whenever something was committed. Never ends; with PostgreSQL it never begins.
    pub async fn checkpoints(&self) {
        let clock = Clock::system();
        loop {
            self.db.committed().await;
            clock.sleep(PAUSE).await;
            if let Err(error) = self.db.checkpoint().await
                && !error.tell_outage()
            {
                // Whoever writes next meets the same trouble, and tells of it where it matters.
                warn!(error = %error, "the database's log could not be copied into its file: {error}");
            }
        }
    }
}
