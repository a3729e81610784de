//! What goes when its time is over, and what goes because a person must be forgotten.

use jiff::Timestamp;

use super::{ContactKey, Result, Store};
use crate::model::Keep;

/// Rows that one transaction deletes: nobody should have to wait long for it.
const BATCH: i64 = 1000;

// Not what is still queued, parked or looked for.
const EVENTS: &str = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received_at < $1 AND due_at IS NULL
    AND status NOT IN ('queued', 'parked') ORDER BY received_at LIMIT $2)";
const WRITES: &str = "DELETE FROM writes WHERE id IN (SELECT id FROM writes WHERE at < $1 ORDER BY at LIMIT $2)";
const FINDINGS: &str = "DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE at < $1 ORDER BY at LIMIT $2)";

impl Store {
    /// Deletes what was kept long enough; returns how many rows.
    pub async fn prune(&self, keep: &Keep, now: Timestamp) -> Result<u64> {
        let mut pruned = 0;
        for (statement, kept) in [(EVENTS, keep.events), (WRITES, keep.writes), (FINDINGS, keep.writes)] {
            loop {
                let mut tx = self.db.begin().await?;
                let query = sqlx::query(statement).bind((now - kept).as_millisecond()).bind(BATCH);
                let deleted = query.execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
                pruned += deleted;
                if deleted < BATCH.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(pruned)
    }

    /// Forgets a contact: its events, activities, writes and findings, and the contact itself. What Trafft shows of its customer
    /// stays in the index as long as Trafft shows it: without it the person would be made twice on coming back.
    pub async fn erase(&self, key: &ContactKey) -> Result<()> {
        let (location, contact) = (key.location.as_str(), key.contact.as_str());
        let mut tx = self.db.begin().await?;
        for statement in [
            "DELETE FROM events WHERE location_id = $1 AND contact_id = $2 AND contact_since IN
                (SELECT known_since FROM contacts WHERE location_id = $1 AND contact_id = $2 UNION SELECT 0)",
            "DELETE FROM activities WHERE location_id = $1 AND contact_id = $2",
            "DELETE FROM writes WHERE location_id = $1 AND contact_id = $2",
            "DELETE FROM findings WHERE location_id = $1 AND contact_id = $2",
            "DELETE FROM contacts WHERE location_id = $1 AND contact_id = $2",
        ] {
            sqlx::query(statement).bind(location).bind(contact).execute(&mut *tx).await?;
        }
        tx.commit().await
    }
}
