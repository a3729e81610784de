//! Sweeps and what they found, as people ask for it; and contacts that are tried again on demand.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::columns::{Flag, Time, id, readable, strip_nul, view};
use super::contacts::rare;
use super::{Cursor, Page, Result, Signal, Store};
use crate::model::{LocationId, Sweep};

/// A sweep, as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Sweep)]
pub struct SweepView {
    /// The GHL location.
    pub location_id: String,
    /// Which. As it is stored: a row of an unknown kind is shown as well, with its reason.
    #[schema(value_type = Sweep)]
    pub kind: String,
    /// When it goes on or comes round again.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Time>,
    /// Is it under way?
    #[schema(value_type = bool)]
    pub under_way: Flag,
    /// When the current or last one began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Time>,
    /// When the last one ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    /// Records met by the current or last one.
    pub seen: i64,
    /// What it found that no event had told.
    pub found: i64,
    /// Records in all, if the vendor says so.
    pub total: Option<i64>,
    /// Calls that it took.
    pub calls: i64,
    /// What stopped it, or what it has to say.
    pub reason: Option<String>,
}

/// A finding, as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// Newer ids sort later.
    pub id: String,
    /// The GHL location.
    pub location_id: String,
    /// Which sweep found it.
    #[schema(value_type = Sweep)]
    pub kind: String,
    /// Which contact.
    pub contact_id: String,
    /// What no event had told.
    pub what: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

/// How the sweeps of one kind are going, over all locations.
#[derive(Debug, Clone, FromRow)]
pub struct SweepLoad {
    /// Which.
    pub kind: String,
    /// What the current or last ones found that no event had told.
    pub found: i64,
    /// Calls that they took.
    pub calls: i64,
    /// When the last sweep ended, of the location where that is longest ago, in Unix milliseconds;
    /// 0: in one location none has ended yet.
    pub finished_at: i64,
}

const SWEEPS: &str = "SELECT location_id, kind, due_at, CASE WHEN cursor IS NULL THEN 0 ELSE 1 END AS under_way,
        started_at, finished_at, seen, found, total, calls, reason
    FROM sweeps WHERE location_id = $1 OR $1 IS NULL ORDER BY location_id, kind";
const LOAD: &str = "SELECT kind, CAST(SUM(found) AS BIGINT) AS found, CAST(SUM(calls) AS BIGINT) AS calls,
        MIN(COALESCE(finished_at, 0)) AS finished_at
    FROM sweeps GROUP BY kind";
const FINDINGS: &str = "SELECT id, location_id, kind, contact_id, what, at FROM findings
    WHERE id < $1 AND id >= $2 AND (location_id = $3 OR $3 IS NULL) AND (kind = $4 OR $4 IS NULL)
        AND (at >= $5 OR $5 IS NULL)
    ORDER BY id DESC LIMIT $6";
const FINDINGS_END: &str = "SELECT id FROM findings WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
const REVIVE: &str = concat!(
    "UPDATE contacts SET status = 'queued', due_at = $3, lane = 1, attempt = 0
    WHERE status = 'failed' AND (location_id = $1 OR $1 IS NULL) AND (settled_at >= $2 OR $2 IS NULL) AND ",
    rare!(),
    " RETURNING location_id"
);

impl Store {
    /// Every sweep there is, of one location or of all.
    pub async fn sweeps(&self, location: Option<&str>) -> Result<Vec<SweepView>> {
        let rows = sqlx::query(SWEEPS).bind(location.map(strip_nul)).fetch_all(&self.db.read).await?;
        Ok(readable(rows.iter().map(|row| view("sweeps", row))))
    }

    /// How the sweeps of each kind are going.
    pub async fn sweep_load(&self) -> Result<Vec<SweepLoad>> {
        Ok(sqlx::query_as(LOAD).fetch_all(&self.db.read).await?)
    }

    /// What sweeps found, the newest first.
    pub async fn findings(
        &self,
        location: Option<&str>,
        sweep: Option<Sweep>,
        since: Option<Timestamp>,
        page: &Cursor,
    ) -> Result<Page<FindingView>> {
        let before = page.after.as_deref().map_or_else(|| Uuid::max().to_string(), strip_nul);
        let end = self.end(FINDINGS_END, &before).await?;
        let query = sqlx::query(FINDINGS)
            .bind(&before)
            .bind(end.as_deref().unwrap_or_default())
            .bind(location.map(strip_nul))
            .bind(sweep.map(Sweep::name))
            .bind(since.map(Timestamp::as_millisecond))
            .bind(page.limit);
        let rows = query.fetch_all(&self.db.read).await?;
        Page::of("findings", &rows, page.limit, end, |row| row.try_get("id"))
    }

    /// Tries contacts again that were given up on at or after `since`. Returns how many of each
    /// location.
    pub async fn revive(
        &self,
        location: Option<&str>,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<(LocationId, u64)>> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query_scalar(REVIVE)
            .bind(location.map(strip_nul))
            .bind(since.map(Timestamp::as_millisecond))
            .bind(now.as_millisecond());
        let revived: Vec<String> = query.fetch_all(&mut *tx).await?;
        let mut counts = std::collections::BTreeMap::new();
        for location in revived {
            *counts.entry(location).or_insert(0) += 1;
        }
        for location in counts.keys() {
            self.signal(&mut tx, &Signal::Due(location.clone())).await?;
        }
        tx.commit().await?;
        Ok(readable(counts.into_iter().map(|(location, count)| Ok((id("contacts.location_id", location)?, count)))))
    }
}
