//! What processes on one PostgreSQL tell each other at once. A signal that is lost costs time,
//! never data: behind it, owners look for what is due by themselves, and requests read their row at
//! their deadline.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sqlx::Executor;
use sqlx::postgres::PgListener;

use super::engine::soon;
use super::{Result, Store, Tx};
use crate::clock::Clock;

const CHANNEL: &str = "ghl_trafft_sync";

/// PostgreSQL takes less than 8000 bytes a signal (`NOTIFY`), and ids of events are 36 characters
/// long.
const IDS_A_SIGNAL: usize = 150;

/// How long the listener's connection may say nothing before it is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(30);

/// News for other processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Something of this location is due.
    Due(String),
    /// These events were settled, or put off with a reason.
    Told(Vec<String>),
    /// A location has no owner now.
    Free,
}

/// Hears what other processes say.
#[derive(Debug)]
pub struct Signals(PgListener);

impl Signals {
    /// The next signal; connects anew when the connection was lost.
    ///
    /// # Errors
    /// The database is away.
    pub async fn next(&mut self) -> Result<Signal> {
        loop {
            let Some(notification) = Clock::system().timeout(SILENCE, self.0.recv()).await else {
                // A connection that was lost without a word would be silent for ever.
                soon(self.0.execute("SELECT 1")).await??;
                continue;
            };
            let notification = notification?;
            // What a newer version says is not for us.
            if let Ok(signal) = serde_json::from_str(notification.payload()) {
                return Ok(signal);
            }
        }
    }
}

impl Store {
    /// What other processes say, if there can be any.
    ///
    /// # Errors
    /// The database is away.
    pub async fn signals(&self) -> Result<Option<Signals>> {
        if !self.db.is_shared() {
            return Ok(None);
        }
        let mut listener = PgListener::connect(self.url.expose_secret()).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Signals(listener)))
    }

    /// Says it once the transaction is committed.
    pub(super) async fn signal(&self, tx: &mut Tx, signal: &Signal) -> Result<()> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let parts = match signal {
            Signal::Told(events) => events.chunks(IDS_A_SIGNAL).map(|part| Signal::Told(part.to_vec())).collect(),
            other => vec![other.clone()],
        };
        for part in parts {
            let text = serde_json::to_string(&part).unwrap_or_default();
            sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(text).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// Tells waiting requests of this process that another process has settled these events.
    pub fn tell(&self, events: &[String]) {
        self.notices.tell(events);
    }
}
