//! Which process works which location.
//!
//! Every process keeps one heartbeat. What a process owns is its own while the heartbeat is younger
//! than the lease, by the database's clock; after that anybody may take it over, under a new epoch.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::FromRow;

use super::columns::{id, readable};
use super::engine::soon;
use super::outage::works;
use super::{Error, Result, Signal, Store, Tx};
use crate::model::LocationId;

/// What a heartbeat brought.
#[derive(Debug)]
pub struct Heartbeat {
    /// All that this process owns from now on, for the time of the lease.
    pub owned: Vec<Connection>,
    /// How many locations are its fair share among the living processes.
    pub share: usize,
}

/// A connection as it is stored.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The GHL location.
    pub location: LocationId,
    /// The Trafft account that its links belong to.
    pub account: String,
    /// Fences off a former owner: what it writes back under an older epoch is refused.
    pub epoch: i64,
    /// Raised by every change of what its owner has to know.
    pub revision: i64,
    /// Every customer up to this id is in the index; none until the first full pass over Trafft's
    /// customers has ended.
    pub customers_seen: Option<i64>,
    /// What the phone keys in the index were made by; none: an older rule.
    pub phone_keys: Option<String>,
}

#[derive(FromRow)]
struct Row {
    location_id: String,
    trafft_account: String,
    owner: Option<String>,
    epoch: i64,
    revision: i64,
    customers_seen: Option<i64>,
    phone_keys: Option<String>,
    paused: i64,
    entered: i64,
    alive: i64,
}

/// A process says that it lives.
pub(super) const BEAT: &str = "INSERT INTO processes (id, heartbeat_at) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at";
// Of a process that was last alive while the clock ran ahead. From now on it has one lease to say
// that it lives.
const FUTURE: &str = "UPDATE processes SET heartbeat_at = $1 WHERE heartbeat_at > $2";
const REVISIONS: &str = "SELECT location_id, revision FROM connections";
const LIVE: &str = "SELECT COUNT(*) FROM processes WHERE heartbeat_at > $1";
const OWNED: &str = "SELECT location_id, trafft_account, owner, epoch, revision, customers_seen, phone_keys, paused,
        (SELECT COUNT(*) FROM installs WHERE kind = 'location' AND id = location_id AND status = 'active'
            AND trafft IS NOT NULL) AS entered,
        (SELECT COUNT(*) FROM processes WHERE processes.id = owner AND heartbeat_at > $1) AS alive
    FROM connections ORDER BY location_id";
const TAKE: &str = "UPDATE connections SET owner = $3, epoch = epoch + 1 WHERE location_id = $1 AND epoch = $2";
const RELEASE: &str = "UPDATE connections SET owner = NULL WHERE location_id = $1 AND owner = $2";
const FORGET: &str = "DELETE FROM processes WHERE heartbeat_at < $1";
const LEAVE: &str = "DELETE FROM processes WHERE id = $1";
const FENCE: &str = "UPDATE connections SET epoch = epoch WHERE location_id = $1 AND epoch = $2";
const SEEN: &str = "UPDATE connections SET customers_seen = $2 WHERE location_id = $1";

/// [`Error::NotOwner`] unless this epoch still owns the location. If it does, no other process
/// takes it over before the transaction ends.
pub(super) async fn fence(tx: &mut Tx, location: &str, epoch: i64) -> Result<()> {
    match sqlx::query(FENCE).bind(location).bind(epoch).execute(&mut **tx).await?.rows_affected() {
        0 => Err(Error::NotOwner),
        _ => Ok(()),
    }
}

impl Store {
    /// One heartbeat of this process; takes over locations without an owner, up to its share among
    /// the living processes.
    ///
    /// `candidates`: the locations that the settings tell this process how to work. Locations that
    /// a person connected carry their own settings. A location in `left_alone` is not taken over,
    /// even without an owner.
    pub async fn beat(
        &self,
        process: &str,
        lease: Duration,
        candidates: &[LocationId],
        left_alone: impl Fn(&Connection) -> bool + Send,
    ) -> Result<Heartbeat> {
        let beat = soon(self.beat_in_time(process, lease, candidates, left_alone)).await??;
        works();
        Ok(beat)
    }

    async fn beat_in_time(
        &self,
        process: &str,
        lease: Duration,
        candidates: &[LocationId],
        left_alone: impl Fn(&Connection) -> bool + Send,
    ) -> Result<Heartbeat> {
        let mut tx = self.db.begin().await?;
        let now = self.db.time(&mut tx).await?;
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let alive_since = now - lease;
        sqlx::query(FUTURE).bind(now).bind(now.saturating_add(lease)).execute(&mut *tx).await?;
        sqlx::query(BEAT).bind(process).bind(now).execute(&mut *tx).await?;
        let live: i64 = sqlx::query_scalar(LIVE).bind(alive_since).fetch_one(&mut *tx).await?;
        let rows: Vec<Row> = sqlx::query_as(OWNED).bind(alive_since).fetch_all(&mut *tx).await?;
        let is_wanted = |row: &Row| {
            row.paused == 0 && (row.entered > 0 || candidates.iter().any(|known| known.as_str() == row.location_id))
        };
        let rows: Vec<Row> = rows.into_iter().filter(is_wanted).collect();
        let share = rows.len().div_ceil(usize::try_from(live).unwrap_or(1).max(1));
        let mut owned = Vec::new();
        let mut free = Vec::new();
        for row in rows {
            let Row {
                location_id,
                trafft_account: account,
                owner,
                epoch,
                revision,
                customers_seen,
                phone_keys,
                alive,
                ..
            } = row;
            let Some(location) = readable([id("connections.location_id", location_id)]).pop() else { continue };
            let connection = Connection { location, account, epoch, revision, customers_seen, phone_keys };
            match owner {
                Some(owner) if owner == process => owned.push(connection),
                Some(_) if alive > 0 => {}
                _ if left_alone(&connection) => {}
                _ => free.push(connection),
            }
        }
        for mut connection in free {
            if owned.len() >= share {
                break;
            }
            let take = sqlx::query(TAKE).bind(connection.location.as_str()).bind(connection.epoch).bind(process);
            // By the epoch: of two that take at once, one does.
            if take.execute(&mut *tx).await?.rows_affected() == 1 {
                connection.epoch += 1;
                owned.push(connection);
            }
        }
        sqlx::query(FORGET).bind(now - 86_400_000).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Heartbeat { owned, share })
    }

    /// How many processes work with this database now: silent for no longer than the lease.
    pub async fn living(&self, lease: Duration) -> Result<i64> {
        let now: i64 = sqlx::query_scalar(self.db.time_query()).fetch_one(&self.db.read).await?;
        let since = now - i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        Ok(sqlx::query_scalar(LIVE).bind(since).fetch_one(&self.db.read).await?)
    }

    /// Hands a location back: the process with the next heartbeat may take it.
    pub async fn release(&self, process: &str, location: &LocationId) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(RELEASE).bind(location.as_str()).bind(process).execute(&mut *tx).await?;
        self.signal(&mut tx, &Signal::Free).await?;
        tx.commit().await
    }

    /// The revision of each connection, by its location's id.
    pub async fn revisions(&self) -> Result<HashMap<String, i64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(REVISIONS).fetch_all(&self.db.read).await?;
        Ok(rows.into_iter().collect())
    }

    /// The process is about to end.
    pub async fn leave(&self, process: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(LEAVE).bind(process).execute(&mut *tx).await?;
        self.signal(&mut tx, &Signal::Free).await?;
        tx.commit().await
    }

    /// Every customer up to this id is in the index now.
    pub async fn customers_seen(&self, location: &LocationId, epoch: i64, newest: i64) -> Result<()> {
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        sqlx::query(SEEN).bind(location.as_str()).bind(newest).execute(&mut *tx).await?;
        tx.commit().await
    }
}
