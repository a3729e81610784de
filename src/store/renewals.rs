//! How the tokens of an install are renewed.
//!
//! A new pair is stored by the generation that it replaces, whatever else has changed meanwhile: a
//! finished refresh is the only valid pair there is. One process at a time asks for a new pair of
//! one install; its claim ends with its heartbeat.

use std::time::Duration;

use jiff::Timestamp;

use super::installs::installer;
use super::owners::BEAT;
use super::{InstallStatus, Pair, Result, Store};
use crate::model::{Installer, LocationId, Scopes};

// Even the process that holds the claim cannot claim again: another of its tasks is still renewing.
const CLAIM: &str = "UPDATE installs SET renewer = $3, renewing_until = $5
    WHERE kind = $1 AND id = $2 AND (renewer IS NULL OR renewing_until < $4
        OR renewer NOT IN (SELECT id FROM processes WHERE heartbeat_at > $6))";
const UNCLAIM: &str = "UPDATE installs SET renewer = NULL WHERE kind = $1 AND id = $2 AND renewer = $3";
const ASKING: &str =
    "UPDATE installs SET asked_at = $4, asked_generation = $3 WHERE kind = $1 AND id = $2 AND generation = $3";
// Of a location, and of the agency that it has its tokens from.
const UNANSWERED: &str =
    "SELECT kind, id, generation FROM installs WHERE asked_generation = generation AND asked_at > $2 AND tokens IS NOT NULL
    AND ((kind = 'location' AND id = $1)
        OR (kind = 'company' AND id = (SELECT company_id FROM installs WHERE kind = 'location' AND id = $1)))";
const RENEW: &str = "UPDATE installs SET tokens = $4, expires_at = $5, scopes = COALESCE($6, scopes),
        generation = generation + 1, status = 'active'
    WHERE kind = $1 AND id = $2 AND generation = $3 AND status <> 'uninstalled'";
const REMARK: &str = "UPDATE installs SET status = $4, asked_generation = NULL,
        lost_at = CASE WHEN status = 'lost' THEN lost_at ELSE $5 END
    WHERE kind = $1 AND id = $2 AND generation = $3";

/// How long one process may take to ask for a new pair: a refresh, and what follows when it fails.
const RENEWING: Duration = Duration::from_mins(2);

impl Store {
    /// Claims the right to ask for a new pair. `false`: another living process is at it.
    pub async fn claim_renewal(&self, installer: &Installer, process: &str, lease: Duration) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let now = self.db.time(&mut tx).await?;
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let claimed = sqlx::query(CLAIM)
            .bind(installer.kind())
            .bind(installer.id())
            .bind(process)
            .bind(now)
            .bind(now + milliseconds(RENEWING))
            .bind(now - milliseconds(lease))
            .execute(&mut *tx)
            .await?
            .rows_affected()
            == 1;
        if claimed {
            // A claim is a living process's, and this one may not have had its first heartbeat.
            sqlx::query(BEAT).bind(process).bind(now).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Gives that right back.
    pub async fn end_renewal(&self, installer: &Installer, process: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(UNCLAIM).bind(installer.kind()).bind(installer.id()).bind(process);
        query.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// To be called before a new pair is asked for, by the holder of the claim.
    pub async fn asking(&self, installer: &Installer, generation: i64) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let now = self.db.time(&mut tx).await?;
        let query = sqlx::query(ASKING).bind(installer.kind()).bind(installer.id()).bind(generation).bind(now);
        query.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// The installs that a location has its tokens from and that a new pair was asked for within
    /// this time, without an answer that was stored; each with the generation of the pair that was
    /// to be replaced.
    pub async fn unanswered(&self, location: &LocationId, within: Duration) -> Result<Vec<(Installer, i64)>> {
        let mut tx = self.db.begin().await?;
        let since = self.db.time(&mut tx).await? - i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        let query = sqlx::query_as::<_, (String, String, i64)>(UNANSWERED).bind(location.as_str()).bind(since);
        let found = query.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        found.iter().map(|(kind, id, generation)| Ok((installer(kind, id)?, *generation))).collect()
    }

    /// Stores a new pair in the place of that generation. `false`: there is a newer one already, or
    /// the app is uninstalled.
    pub async fn renewed(&self, installer: &Installer, generation: i64, pair: &Pair) -> Result<bool> {
        let tokens = self.sealed(installer, &pair.tokens)?;
        let mut tx = self.db.begin().await?;
        let stored = sqlx::query(RENEW)
            .bind(installer.kind())
            .bind(installer.id())
            .bind(generation)
            .bind(tokens)
            .bind(pair.expires_at.map(|at| at.as_millisecond()))
            .bind(pair.scopes.as_ref().map(Scopes::to_string))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(stored.rows_affected() == 1)
    }

    /// HighLevel gave no new pair in the place of that generation: how the install stands since.
    pub async fn remark(
        &self,
        installer: &Installer,
        generation: i64,
        status: InstallStatus,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(REMARK).bind(installer.kind()).bind(installer.id()).bind(generation);
        query.bind(status.name()).bind(now.as_millisecond()).execute(&mut *tx).await?;
        tx.commit().await
    }
}
