//! By which rules the contacts of a location were last projected, and who has to be projected anew.

use super::columns::{id, readable};
use super::owners::fence;
use super::{Result, Store};
use crate::model::{ContactId, LocationId};

// Other contacts are read first or are queued already: they are projected by the rules in force
// then.
const KNOWN: &str = "FROM contacts WHERE location_id = $1 AND contact_id > $2
    AND fields IS NOT NULL AND gone_at IS NULL AND status <> 'queued'";
const REVISION: &str = "SELECT projection FROM connections WHERE location_id = $1";
const PROJECTED: &str = "UPDATE connections SET projection = $2 WHERE location_id = $1";

impl Store {
    /// The rules by which every contact of the location was projected. `None`: the rules of an
    /// older version, or the location is new here.
    pub async fn projection(&self, location: &LocationId) -> Result<Option<String>> {
        let query = sqlx::query_scalar(REVISION).bind(location.as_str());
        Ok(query.fetch_optional(&self.db.read).await?.flatten())
    }

    /// From now on every contact of the location was projected by these rules, or is about to be;
    /// none: some by these, some by others.
    pub async fn projected(&self, location: &LocationId, epoch: i64, revision: Option<&str>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        sqlx::query(PROJECTED).bind(location.as_str()).bind(revision).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Contacts whose record is known, by id, after this one: at most `limit`.
    pub async fn projectable(&self, location: &LocationId, after: &str, limit: i64) -> Result<Vec<ContactId>> {
        let statement = format!("SELECT contact_id {KNOWN} ORDER BY contact_id LIMIT $3");
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement));
        let rows = query.bind(location.as_str()).bind(after).bind(limit).fetch_all(&self.db.read).await?;
        Ok(readable(rows.into_iter().map(|contact| id("contacts.contact_id", contact))))
    }

    /// How many there are.
    pub async fn count_projectable(&self, location: &LocationId) -> Result<i64> {
        let statement = format!("SELECT COUNT(*) {KNOWN}");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(statement));
        Ok(query.bind(location.as_str()).bind("").fetch_one(&self.db.read).await?)
    }
}
