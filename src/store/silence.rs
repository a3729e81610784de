//! Whether a location's events still come: what is stored of that, and when the last one came.

use jiff::Timestamp;
use sqlx::FromRow;

use super::columns::time;
use super::owners::fence;
use super::{Result, Store};
use crate::model::{LocationId, Silence};

// What we act on, newest first by the time at which HighLevel sent it: that is the order of the
// index.
const HEARD: &str = "SELECT received_at FROM events WHERE location_id = $1 AND delivery_key IS NOT NULL
        AND source = 'marketplace' AND status <> 'ignored'
    ORDER BY delivery_key DESC LIMIT 1";
const SILENCE: &str =
    "SELECT silent_since, untold, untold_since, events_paused_at FROM connections WHERE location_id = $1";
const KEEP: &str = "UPDATE connections SET silent_since = $2, untold = $3, untold_since = $4, events_paused_at = $5
    WHERE location_id = $1";

#[derive(FromRow)]
struct Row {
    silent_since: Option<i64>,
    untold: i64,
    untold_since: Option<i64>,
    events_paused_at: Option<i64>,
}

impl Store {
    /// When the last signed event came that we act on; none: none is stored.
    pub async fn last_heard(&self, location: &LocationId) -> Result<Option<Timestamp>> {
        let query = sqlx::query_scalar(HEARD).bind(location.as_str());
        let heard: Option<i64> = query.fetch_optional(&self.db.read).await?;
        heard.map(|at| time("events.received_at", at)).transpose()
    }

    /// What sweeps have found and no event has told; none: the location is not connected.
    pub async fn silence(&self, location: &LocationId) -> Result<Option<Silence>> {
        let query = sqlx::query_as(SILENCE).bind(location.as_str());
        let Some(row) = query.fetch_optional(&self.db.read).await? else { return Ok(None) };
        let Row { silent_since, untold, untold_since, events_paused_at } = row;
        let at = |column, at: Option<i64>| at.map(|at| time(column, at)).transpose();
        Ok(Some(Silence {
            since: at("connections.silent_since", silent_since)?,
            untold,
            untold_since: at("connections.untold_since", untold_since)?,
            paused_at: at("connections.events_paused_at", events_paused_at)?,
        }))
    }

    /// Keeps it.
    pub async fn keep_silence(&self, location: &LocationId, epoch: i64, silence: &Silence) -> Result<()> {
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        let at = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        sqlx::query(KEEP)
            .bind(location.as_str())
            .bind(at(silence.since))
            .bind(silence.untold)
            .bind(at(silence.untold_since))
            .bind(at(silence.paused_at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
