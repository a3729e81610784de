//! Locations, the Trafft accounts they are paired with, and who works them.

use jiff::Timestamp;

use super::{Error, Result, Store};
use crate::model::LocationId;

/// A connection as it is stored.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The GHL location.
    pub location: LocationId,
    /// Fences off a former owner: what it writes back under an older epoch is refused.
    pub epoch: i64,
    /// Every customer up to this id is in the index; none until the first full pass over Trafft's customers has ended.
    pub customers_seen: Option<i64>,
}

const CONNECT: &str = "INSERT INTO connections (location_id, trafft_account, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (location_id) DO NOTHING";
const ACCOUNT: &str = "SELECT trafft_account FROM connections WHERE location_id = $1";
const OWN: &str = "UPDATE connections SET owner = $2, epoch = epoch + 1 WHERE location_id = $1
    RETURNING epoch, customers_seen";
const SEEN: &str = "UPDATE connections SET customers_seen = $2 WHERE location_id = $1";

impl Store {
    /// Pairs the location with the account, if it is not yet, and takes it over under a new epoch.
    ///
    /// `account` is the origin of the Trafft account: with another one the stored links would point at strangers,
    /// so that is an error.
    pub async fn take_over(
        &self,
        location: &LocationId,
        account: &str,
        owner: &str,
        now: Timestamp,
    ) -> Result<Connection> {
        let mut tx = self.db.begin().await?;
        sqlx::query(CONNECT).bind(location.as_str()).bind(account).bind(now.as_millisecond()).execute(&mut *tx).await?;
        let known: String = sqlx::query_scalar(ACCOUNT).bind(location.as_str()).fetch_one(&mut *tx).await?;
        if known != account {
            return Err(Error::OtherAccount { location: location.to_string(), known, asked: account.to_owned() });
        }
        let (epoch, customers_seen): (i64, Option<i64>) =
            sqlx::query_as(OWN).bind(location.as_str()).bind(owner).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(Connection { location: location.clone(), epoch, customers_seen })
    }

    /// Every customer up to this id is in the index now.
    pub async fn customers_seen(&self, location: &LocationId, newest: i64) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(SEEN).bind(location.as_str()).bind(newest).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}
