//! How HighLevel's deliveries were answered: so many an hour, added up over all processes.

use std::time::Duration;

use jiff::Timestamp;

use super::{Result, Store};
use crate::model::Deliveries;

const HOUR: i64 = 3_600_000;

/// The time over which HighLevel judges a webhook URL (G §8.6).
const JUDGED: Duration = Duration::from_hours(72);

const ADD: &str = "INSERT INTO deliveries (hour, accepted, refused) VALUES ($1, $2, $3)
    ON CONFLICT (hour) DO UPDATE SET accepted = deliveries.accepted + excluded.accepted,
        refused = deliveries.refused + excluded.refused";
const FORGET: &str = "DELETE FROM deliveries WHERE hour < $1";
const TOTAL: &str = "SELECT CAST(COALESCE(SUM(accepted), 0) AS BIGINT), CAST(COALESCE(SUM(refused), 0) AS BIGINT)
    FROM deliveries WHERE hour > $1";

/// The last moment that does not count any more.
fn before(now: Timestamp) -> i64 {
    (now - JUDGED).as_millisecond() - HOUR
}

impl Store {
    /// Adds what was counted lately.
    pub async fn add_deliveries(&self, counted: Deliveries, now: Timestamp) -> Result<()> {
        let at = now.as_millisecond();
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(ADD).bind(at - at.rem_euclid(HOUR)).bind(counted.accepted).bind(counted.refused);
        query.execute(&mut *tx).await?;
        sqlx::query(FORGET).bind(before(now)).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// All of the past three days.
    pub async fn deliveries(&self, now: Timestamp) -> Result<Deliveries> {
        let (accepted, refused) = sqlx::query_as(TOTAL).bind(before(now)).fetch_one(&self.db.read).await?;
        Ok(Deliveries { accepted, refused })
    }
}
