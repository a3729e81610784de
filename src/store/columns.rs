//! Columns as values. What means nothing in its column is an error of that row: never a default, and no trouble of other
//! rows. Such a row is named in the log with table and column, and set aside.

use std::fmt::{Debug, Display};

use jiff::Timestamp;
use tracing::error;

use super::{Error, Result, Signal, Store, Tx};

/// Of what stands in a column, so much is shown.
const SHOWN: usize = 60;

/// An error about `column` (`table.column`), which holds `value`.
pub(super) fn corrupt(column: &'static str, value: impl Debug) -> Error {
    let value: String = format!("{value:?}").chars().take(SHOWN).collect();
    Error::Corrupt(format!("`{column}` is {value}"))
}

pub(super) fn id<T: TryFrom<String>>(column: &'static str, text: String) -> Result<T> {
    T::try_from(text.clone()).map_err(|_| corrupt(column, text))
}

pub(super) fn time(column: &'static str, milliseconds: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| corrupt(column, milliseconds))
}

/// The rows that can be read; the others are logged.
pub(super) fn readable<T>(rows: impl IntoIterator<Item = Result<T>>) -> Vec<T> {
    let log = |error: &Error| error!(error = %error, "a row is left out: {error}");
    rows.into_iter().filter_map(|row| row.inspect_err(log).ok()).collect()
}

const SET_ASIDE_CONTACT: &str = "UPDATE contacts SET status = 'failed', reason = $3, due_at = NULL, settled_at = $4
    WHERE location_id = $1 AND contact_id = $2";
const SETTLE_ITS_EVENTS: &str = "UPDATE events SET status = 'failed', reason = $3, settled_at = $4
    WHERE location_id = $1 AND contact_id = $2 AND status = 'queued' RETURNING id";
const SET_ASIDE_EVENT: &str =
    "UPDATE events SET status = 'failed', reason = $2, due_at = NULL, settled_at = $3 WHERE id = $1";
const SET_ASIDE_SWEEP: &str = "UPDATE sweeps SET due_at = NULL, reason = $3 WHERE location_id = $1 AND kind = $2";

impl Store {
    /// Gives up a contact whose row cannot be read, with the events that wait for it. A mark makes it due again.
    pub async fn set_aside(&self, location: &str, contact: &str, why: &Error, now: Timestamp) -> Result<()> {
        error!(location.id = location, contact.id = contact, error = %why, "contact {location}/{contact} is given up: {why}");
        let (mut tx, reason, now) = (self.db.begin().await?, reason(why), now.as_millisecond());
        let query = sqlx::query(SET_ASIDE_CONTACT).bind(location).bind(contact).bind(&reason).bind(now);
        query.execute(&mut *tx).await?;
        let query = sqlx::query_scalar(SETTLE_ITS_EVENTS).bind(location).bind(contact).bind(&reason).bind(now);
        let told: Vec<String> = query.fetch_all(&mut *tx).await?;
        self.signal(&mut tx, &Signal::Told(told.clone())).await?;
        tx.commit().await?;
        self.notices.tell(&told);
        Ok(())
    }

    /// Lets a sweep whose row cannot be read rest.
    pub(super) async fn set_sweep_aside(&self, location: &str, kind: &str, why: &Error) -> Result<()> {
        error!(location.id = location, sweep = kind, error = %why, "the sweep rests: {why}");
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(SET_ASIDE_SWEEP).bind(location).bind(kind).bind(reason(why));
        query.execute(&mut *tx).await?;
        tx.commit().await
    }
}

/// Gives up an event whose row cannot be read.
pub(super) async fn set_event_aside(tx: &mut Tx, event: &str, why: &Error, now: Timestamp) -> Result<()> {
    error!(event.id = event, error = %why, "event {event} is given up: {why}");
    let query = sqlx::query(SET_ASIDE_EVENT).bind(event).bind(reason(why)).bind(now.as_millisecond());
    query.execute(&mut **tx).await?;
    Ok(())
}

fn reason(why: &dyn Display) -> String {
    format!("{why}; mend the row, or restore the database from a backup, then replay")
}
