//! What goes when its time is over, and what goes because a person must be forgotten.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::index::revive;
use super::{ContactKey, Result, Signal, Store};
use crate::model::{CustomerId, Keep};

/// Rows that one transaction deletes: small, so that other writes do not wait long.
const BATCH: i64 = 1000;

/// Events that wait for one location to be connected.
const PARKED: i64 = 50_000;

// Events are deleted in whatever state they are. If one is still queued, its contact keeps the
// mark. One that has waited this long for its location or contact is overtaken by what is read once
// that is found.
const EVENTS: &str = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received_at < $1
    ORDER BY received_at LIMIT $2)";
const WRITES: &str = "DELETE FROM writes WHERE id IN (SELECT id FROM writes WHERE at < $1 ORDER BY at LIMIT $2)";
const CROWDED: &str = "SELECT location_id, COUNT(*) FROM events WHERE status = 'parked'
    GROUP BY location_id HAVING COUNT(*) > $1";
// Ids sort by time.
const UNPARK: &str =
    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE location_id = $1 AND status = 'parked'
    ORDER BY id LIMIT $2)";
const FINDINGS: &str = "DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE at < $1 ORDER BY at LIMIT $2)";

const ERASE: &str =
    "DELETE FROM contacts WHERE location_id = $1 AND contact_id = $2 RETURNING known_since, customer_id";
const ERASE_EVENTS: &str = "DELETE FROM events WHERE location_id = $1 AND contact_id = $2 AND contact_since IN ($3, 0)";
// Events that name a task or note of the contact, and whose contact was never found. Those have 0 in
// `contact_since`, so that the index by contact finds them.
const ERASE_UNRESOLVED: &str = "DELETE FROM events WHERE location_id = $1 AND contact_since = 0 AND contact_id IS NULL
    AND object_id IN (SELECT object_id FROM activities WHERE location_id = $1 AND contact_id = $2)";

// The page that a backfill reads just now may hold the contact, and so may the next one: HighLevel's
// search lags by seconds (G §6.6). A step that was put off meanwhile is not recorded.
const PUT_OFF_BACKFILL: &str =
    "UPDATE sweeps SET due_at = $2 WHERE location_id = $1 AND kind = 'backfill' AND due_at < $2";
const SEARCH_LAG: Duration = Duration::from_mins(1);

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
        Ok(pruned + self.prune_parked().await?)
    }

    /// Keeps at most [`PARKED`] parked events for one location: the newest.
    async fn prune_parked(&self) -> Result<u64> {
        let crowded: Vec<(String, i64)> = sqlx::query_as(CROWDED).bind(PARKED).fetch_all(&self.db.read).await?;
        let mut pruned = 0;
        for (location, parked) in crowded {
            let mut left = parked - PARKED;
            warn!(
                location.id = location,
                dropped = left,
                "location {location} is not connected, and {parked} events wait for it: the oldest {left} are dropped; \
                 run `backfill` once it is connected, or uninstall the app there"
            );
            while left > 0 {
                let mut tx = self.db.begin().await?;
                let query = sqlx::query(UNPARK).bind(&location).bind(left.min(BATCH));
                let deleted = query.execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
                pruned += deleted;
                left -= BATCH;
            }
        }
        Ok(pruned)
    }

    /// Forgets a contact: its events, activities, writes and findings, and the contact itself. What
    /// Trafft shows of its customer stays in the index as long as Trafft shows it: without it the
    /// person would be created twice on coming back. The customer has no contact from then on. A
    /// task that works the contact at this moment is refused: see `not_erased`. False: nothing was
    /// kept about a contact of this id.
    pub async fn erase(&self, key: &ContactKey, now: Timestamp) -> Result<bool> {
        let location = key.location.as_str();
        let contact = key.contact.as_str();
        // In a transaction of its own: a step locks its sweep first and contacts then.
        let later = (now + SEARCH_LAG).as_millisecond();
        let mut tx = self.db.begin().await?;
        sqlx::query(PUT_OFF_BACKFILL).bind(location).bind(later).execute(&mut *tx).await?;
        tx.commit().await?;
        let mut tx = self.db.begin().await?;
        // The same lock as in a settle, and first: a settle of this moment is waited for, and a
        // later one does not find the contact.
        let query = sqlx::query_as(ERASE).bind(location).bind(contact);
        let row: Option<(i64, Option<i64>)> = query.fetch_optional(&mut *tx).await?;
        let (since, customer) = row.unwrap_or_default();
        let events = sqlx::query(ERASE_EVENTS).bind(location).bind(contact).bind(since).execute(&mut *tx).await?;
        for statement in [
            // Before the activities, by which it finds them.
            ERASE_UNRESOLVED,
            "DELETE FROM activities WHERE location_id = $1 AND contact_id = $2",
            "DELETE FROM writes WHERE location_id = $1 AND contact_id = $2",
            "DELETE FROM findings WHERE location_id = $1 AND contact_id = $2",
        ] {
            sqlx::query(statement).bind(location).bind(contact).execute(&mut *tx).await?;
        }
        if let Some(customer) = customer {
            revive(&mut tx, location, CustomerId(customer), now).await?;
            self.signal(&mut tx, &Signal::Due(location.to_owned())).await?;
        }
        tx.commit().await?;
        Ok(row.is_some() || events.rows_affected() > 0)
    }
}
