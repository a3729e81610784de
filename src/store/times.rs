//! The database's clock, and stored times that lie in the future because a clock ran ahead.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::columns::time;
use super::engine::soon;
use super::owners::fence;
use super::{Result, Store};
use crate::clock::Reading;
use crate::model::LocationId;

/// Clocks that are kept right differ by less.
const AHEAD: Duration = Duration::from_mins(1);

// A due time alone may lie far ahead: appointments begin, vendors ask for patience. That a contact
// was marked or settled in the future says that its other times are wrong as well. What is at rest
// becomes due by its next mark, which ignores such a settle time.
const CONTACTS: &str = "UPDATE contacts SET due_at = $2,
        marked_at = CASE WHEN marked_at > $2 THEN $2 ELSE marked_at END,
        settled_at = CASE WHEN settled_at > $2 THEN $2 ELSE settled_at END,
        retry_at = CASE WHEN retry_at > $2 THEN $2 ELSE retry_at END,
        missing_since = CASE WHEN missing_since > $2 THEN $2 ELSE missing_since END,
        customer_missing_since = CASE WHEN customer_missing_since > $2 THEN $2 ELSE customer_missing_since END
    WHERE location_id = $1 AND lane IN (0, 1, 2, 3) AND due_at > $2 AND status = 'queued'
        AND (marked_at > $3 OR settled_at > $3)";
const INTENTS: &str =
    "UPDATE contacts SET intent_at = $2 WHERE location_id = $1 AND intent_id IS NOT NULL AND intent_at > $3";
// A pass that began in the future would take all that it has not met since for gone: it begins
// anew.
const PASSES: &str = "UPDATE sweeps SET cursor = NULL, started_at = NULL, due_at = $2
    WHERE location_id = $1 AND kind IN ('ids', 'customers') AND started_at > $3";
const PASS_BEFORE: &str = "UPDATE sweeps SET since = NULL WHERE location_id = $1 AND kind = 'customers' AND since > $3";
const MET: &str = "UPDATE contacts SET met_at = NULL WHERE location_id = $1 AND met_at > $3";
// The id sweep looks for nobody who was marked after it began.
const MARKED: &str = "UPDATE contacts SET marked_at = $2 WHERE location_id = $1 AND marked_at > $3";
const ROTATED: &str = "UPDATE contacts SET rotated_at = $2 WHERE location_id = $1 AND rotated_at > $3";
const SHOWN: &str = "UPDATE customers SET seen_at = $2 WHERE location_id = $1 AND seen_at > $3";
// Contacts and customers are many: they are looked through before the transaction begins, and in
// nearly all cases there is nothing to mend.
const IS_MET: &str =
    "SELECT COUNT(*) FROM contacts WHERE location_id = $1 AND (met_at > $2 OR rotated_at > $2 OR marked_at > $2)";
const IS_SHOWN: &str = "SELECT COUNT(*) FROM customers WHERE location_id = $1 AND seen_at > $2";
// Nobody can have confirmed what has not happened yet.
const CONFIRMED: &str =
    "UPDATE connections SET deletions_confirmed_at = NULL WHERE location_id = $1 AND deletions_confirmed_at > $3";
const EVENTS: &str = "UPDATE events SET due_at = $2 WHERE location_id = $1 AND due_at > $2 AND received_at > $3";

impl Store {
    /// Reads the database's clock.
    pub async fn time(&self) -> Result<Reading> {
        let asked = Instant::now();
        let query = sqlx::query_scalar(self.db.time_query());
        let now: i64 = soon(query.fetch_one(&self.db.read)).await??;
        let answered = Instant::now();
        Ok(Reading { time: time("the database's clock", now)?, asked, answered })
    }

    /// What waits because it was marked, settled or sent at a time that is still to come is due
    /// now. Returns how many records there were.
    ///
    /// # Errors
    /// [`super::Error::NotOwner`]: another process has taken over.
    pub async fn end_future(&self, location: &LocationId, epoch: i64, now: Timestamp) -> Result<u64> {
        let future = (now + AHEAD).as_millisecond();
        let mut statements = vec![CONTACTS, INTENTS, EVENTS, PASSES, PASS_BEFORE, CONFIRMED];
        for (question, answers) in [(IS_MET, &[MET, ROTATED, MARKED][..]), (IS_SHOWN, &[SHOWN])] {
            let query = sqlx::query_scalar(question).bind(location.as_str()).bind(future);
            let count: i64 = query.fetch_one(&self.db.read).await?;
            statements.extend(answers.iter().filter(|_| count > 0));
        }
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        let mut ended = 0;
        for statement in statements {
            let query = sqlx::query(statement).bind(location.as_str()).bind(now.as_millisecond()).bind(future);
            ended += query.execute(&mut *tx).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(ended)
    }
}
