//! The brake on deletions: when many contacts of a location vanish together, nothing is deleted
//! before that is confirmed.

use jiff::Timestamp;
use sqlx::FromRow;

use super::columns::time;
use super::{ContactKey, Result, Signal, Store, Tx};
use crate::model::LocationId;

/// How many contacts of a location vanish, and whether that is held.
#[derive(Debug, Clone, Copy)]
pub struct Vanishing {
    /// Linked contacts that GHL says are not there, and those found to be gone since `since`.
    pub vanishing: i64,
    /// All linked contacts of the location, but for those that were found to be gone before
    /// `since`.
    pub linked: i64,
    /// Deletions up to this time are confirmed: a person confirmed them then, or the id sweep that
    /// confirmed them began then.
    pub confirmed_at: Option<Timestamp>,
    /// When the last id sweep that met this contact began.
    pub met_at: Option<Timestamp>,
    /// Since when deletions are held.
    pub held_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    vanishing: i64,
    linked: i64,
    confirmed_at: Option<i64>,
    met_at: Option<i64>,
    held_at: Option<i64>,
}

// A contact whose customer was removed by a `delete-created` policy has no customer any more, so
// the DELETE that was sent is counted instead. A contact that was given up on, because Trafft
// refuses the DELETE, is not counted: it is not deleted, and would count for ever. Nor is one that
// was missing when deletions were confirmed: its DELETE follows the confirmation.
pub(super) const VANISHING: &str = "SELECT
    (SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND missing_since IS NOT NULL AND gone_at IS NULL
        AND customer_id IS NOT NULL AND status <> 'failed' AND (missing_since > COALESCE(deletions_confirmed_at, 0) OR met_at >= missing_since))
    + (SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND gone_at IS NOT NULL AND gone_at > $2
        AND COALESCE(missing_since, gone_at) > COALESCE(deletions_confirmed_at, 0) AND customer_id IS NOT NULL)
    + (SELECT COUNT(*) FROM writes WHERE location_id = $1 AND action = 'delete' AND result = 'ok' AND at > $2
        AND NOT EXISTS (SELECT 1 FROM contacts WHERE contacts.location_id = $1
            AND contacts.contact_id = writes.contact_id AND missing_since <= deletions_confirmed_at)) AS vanishing,
    (SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND customer_id IS NOT NULL
        AND (gone_at IS NULL OR gone_at > $2)) AS linked,
    (SELECT met_at FROM contacts WHERE location_id = $1 AND contact_id = $3) AS met_at,
    deletions_confirmed_at AS confirmed_at, deletions_held_at AS held_at
    FROM connections WHERE location_id = $1";
const HOLD: &str = "UPDATE connections SET deletions_held_at = COALESCE(deletions_held_at, $2) WHERE location_id = $1";
const CONFIRM: &str =
    "UPDATE connections SET deletions_held_at = NULL, deletions_confirmed_at =
        CASE WHEN COALESCE(deletions_confirmed_at, 0) > $2 THEN deletions_confirmed_at ELSE $2 END WHERE location_id = $1";
const WAKE: &str = "UPDATE contacts SET due_at = $2
    WHERE location_id = $1 AND missing_since IS NOT NULL AND gone_at IS NULL AND due_at > $2";
// Counts the linked contacts that are not missing (or were met since) and were known when the sweep
// began, and those of them that it has met. Counts none while nothing is held.
const MET: &str = "SELECT COUNT(*) AS others, COALESCE(SUM(CASE WHEN met_at >= $2 THEN 1 ELSE 0 END), 0) AS met
    FROM contacts WHERE location_id = $1 AND customer_id IS NOT NULL AND gone_at IS NULL
        AND (missing_since IS NULL OR met_at >= missing_since) AND COALESCE(known_since, 0) < $2 AND EXISTS (SELECT 1 FROM connections
            WHERE connections.location_id = $1 AND deletions_held_at IS NOT NULL)";

impl Store {
    /// How many contacts vanish together with this one; `since`: those that were found to be gone
    /// after it count.
    pub async fn vanishing(&self, contact: &ContactKey, since: Timestamp) -> Result<Option<Vanishing>> {
        let query = sqlx::query_as::<_, Row>(VANISHING).bind(contact.location.as_str()).bind(since.as_millisecond());
        let query = query.bind(contact.contact.as_str());
        let Some(row) = query.fetch_optional(&self.db.read).await? else { return Ok(None) };
        let Row { vanishing, linked, confirmed_at, met_at, held_at } = row;
        let confirmed_at = confirmed_at.map(|at| time("connections.deletions_confirmed_at", at)).transpose()?;
        let met_at = met_at.map(|at| time("contacts.met_at", at)).transpose()?;
        let held_at = held_at.map(|at| time("connections.deletions_held_at", at)).transpose()?;
        Ok(Some(Vanishing { vanishing, linked, confirmed_at, met_at, held_at }))
    }

    /// From now on nothing is deleted in this location.
    pub async fn hold_deletions(&self, location: &LocationId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(HOLD).bind(location.as_str()).bind(now.as_millisecond()).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// A person says that what vanished in GHL was deleted there. `false`: there is no such
    /// connection.
    pub async fn confirm_deletions(&self, location: &LocationId, now: Timestamp) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let at = now.as_millisecond();
        let confirmed = confirm(&mut tx, location.as_str(), at, at).await?;
        self.signal(&mut tx, &Signal::Due(location.to_string())).await?;
        tx.commit().await?;
        Ok(confirmed)
    }
}

/// What was missing at `until` is confirmed.
async fn confirm(tx: &mut Tx, location: &str, until: i64, now: i64) -> Result<bool> {
    let changed = sqlx::query(CONFIRM).bind(location).bind(until).execute(&mut **tx).await?.rows_affected();
    sqlx::query(WAKE).bind(location).bind(now).execute(&mut **tx).await?;
    Ok(changed == 1)
}

/// To be called when the id sweep that began at `began` has read all pages. If it met at least 90 %
/// of the others, its search shows what is there: then what was missing when it began, and it did
/// not meet, was deleted.
pub(super) async fn confirm_by_sweep(tx: &mut Tx, location: &str, began: i64, now: Timestamp) -> Result<()> {
    let query = sqlx::query_as(MET).bind(location).bind(began);
    let (others, met): (i64, i64) = query.fetch_one(&mut **tx).await?;
    if others > 0 && met * 10 >= others * 9 {
        confirm(tx, location, began, now.as_millisecond()).await?;
    }
    Ok(())
}
