//! Which marketplace apps' events have come: with the first one, `GHL_APP_ID` is known to be right.

use jiff::Timestamp;

use super::columns::strip_nul;
use super::{Result, Store};

const SEEN: &str = "SELECT COUNT(*) FROM apps WHERE app_id = $1";
const SAW: &str = "INSERT INTO apps (app_id, seen_at) VALUES ($1, $2) ON CONFLICT (app_id) DO NOTHING";

impl Store {
    /// Has a signed event of this app ever come?
    pub async fn was_app_seen(&self, app: &str) -> Result<bool> {
        let seen: i64 = sqlx::query_scalar(SEEN).bind(strip_nul(app)).fetch_one(&self.db.read).await?;
        Ok(seen > 0)
    }

    /// A signed event of this app has come. Written once.
    pub async fn saw_app(&self, app: &str, now: Timestamp) -> Result<()> {
        if self.was_app_seen(app).await? {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        sqlx::query(SAW).bind(strip_nul(app)).bind(now.as_millisecond()).execute(&mut *tx).await?;
        tx.commit().await
    }
}
