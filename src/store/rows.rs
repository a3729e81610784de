//! Statements about many rows at once. A statement costs a round trip to the database (with SQLite: to the thread that
//! works for it), so a batch of events takes a few of them, not a few for each event.
//!
//! The rows go in as one JSON text: both databases take it apart with the same operators, and however many rows there
//! are, it is the same statement with one parameter.

use serde::Serialize;

use super::db::Db;

/// A statement that reads its rows as `given.value` out of `ROWS`.
pub(super) struct Text {
    sqlite: String,
    postgres: String,
}

impl Text {
    pub(super) fn new(statement: &str) -> Self {
        Self {
            sqlite: statement.replace("ROWS", "json_each($1) AS given"),
            postgres: statement.replace("ROWS", "json_array_elements(CAST($1 AS json)) AS given(value)"),
        }
    }

    pub(super) fn on(&'static self, db: &Db) -> &'static str {
        if db.is_shared() { &self.postgres } else { &self.sqlite }
    }
}

/// The parameter of such a statement.
pub(super) fn given(rows: impl IntoIterator<Item: Serialize>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    // Texts and numbers: there is nothing that JSON could not say, and no database takes an empty text for rows.
    serde_json::to_string(&rows).unwrap_or_default()
}
