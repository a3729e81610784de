//! Columns as values. A value that has no meaning in its column is an error of that row: it is
//! never replaced by a default, and other rows are not affected. Such a row is logged with table
//! and column, and set aside. Only where a row is shown to people, an impossible time is shown as
//! the nearest possible one: the row's reason tells what is wrong.

use std::fmt::{Debug, Display};

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::{AnyRow, AnyTypeInfo, AnyValueRef};
use sqlx::error::BoxDynError;
use sqlx::{Any, Decode, FromRow, Type};
use tracing::error;

use super::{Decision, Error, Result, Signal, Store, Tx};
use crate::model::Status;

/// Longest part of a column's value that a message shows.
const SHOWN: usize = 60;

/// PostgreSQL's text has no place for NUL; texts of strangers may hold one.
pub(in crate::store) fn strip_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// An error about `column` (`table.column`), which holds `value`.
pub(super) fn corrupt(column: &'static str, value: impl Debug) -> Error {
    Error::Corrupt(format!("`{column}` is {}", shown(value)))
}

fn shown(value: impl Debug) -> String {
    format!("{value:?}").chars().take(SHOWN).collect()
}

pub(super) fn id<T: TryFrom<String>>(column: &'static str, text: String) -> Result<T> {
    T::try_from(text.clone()).map_err(|_| corrupt(column, text))
}

pub(super) fn time(column: &'static str, milliseconds: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| corrupt(column, milliseconds))
}

/// A time that is kept in Unix milliseconds and shown as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

/// A boolean that is kept as 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

/// How a column of a row is read: as what it is kept as, then as what it stands for.
macro_rules! column {
    ($type:ty, $kept:ty, $read:expr) => {
        impl Type<Any> for $type {
            fn type_info() -> AnyTypeInfo {
                <$kept as Type<Any>>::type_info()
            }

            fn compatible(kind: &AnyTypeInfo) -> bool {
                <$kept as Type<Any>>::compatible(kind)
            }
        }

        impl<'r> Decode<'r, Any> for $type {
            fn decode(value: AnyValueRef<'r>) -> std::result::Result<Self, BoxDynError> {
                let kept = <$kept as Decode<'r, Any>>::decode(value)?;
                let read: Option<Self> = $read(&kept);
                read.ok_or_else(|| Unknown(shown(&kept)).into())
            }
        }
    };
}
column!(Time, i64, |kept: &i64| {
    let nearest = if *kept < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Some(Time(Timestamp::from_millisecond(*kept).unwrap_or(nearest)))
});
column!(Flag, i64, |kept: &i64| matches!(kept, 0 | 1).then_some(Flag(*kept == 1)));
column!(Status, String, |kept: &String| kept.parse().ok());
column!(Decision, String, |kept: &String| Decision::from_name(kept));

/// What stands in a column and means nothing there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unknown(String);

/// The row as it is shown to people.
pub(super) fn view<T: for<'r> FromRow<'r, AnyRow>>(table: &'static str, row: &AnyRow) -> Result<T> {
    T::from_row(row).map_err(|error| match error {
        sqlx::Error::ColumnDecode { index, source } if source.is::<Unknown>() => {
            Error::Corrupt(format!("`{table}.{}` is {source}", index.trim_matches('"')))
        }
        error => error.into(),
    })
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
    /// Gives up a contact whose row cannot be read, with the events that wait for it. A mark makes
    /// it due again.
    pub async fn set_aside(&self, location: &str, contact: &str, why: &Error, now: Timestamp) -> Result<()> {
        error!(location.id = location, contact.id = contact, error = %why, "contact {location}/{contact} is given up: {why}");
        let mut tx = self.db.begin().await?;
        let reason = reason(why);
        let now = now.as_millisecond();
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
        error!(location.id = location, sweep = kind, error = %why, "the sweep `{kind}` of location {location} is stopped, because its row cannot be read: {why}");
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
