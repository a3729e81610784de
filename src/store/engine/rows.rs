//! Statements about many rows at once. A statement costs a round trip to the database (with SQLite:
//! to the thread that works for it), so a batch of events takes a few of them, not a few for each
//! event.
//!
//! The rows are parameters. Their number is rounded up, so that a few statement texts serve every
//! batch, and both databases have them prepared already. The extra rows are NULL, and are left out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Arguments, AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::store::error::Result;

/// How parameters are written: SQLite finds them by their order sooner than by name; PostgreSQL
/// knows no others than by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement that reads its rows out of `given`.
pub(in crate::store) struct Text {
    columns: &'static [&'static str],
    statement: String,
    /// The finished texts, by dialect and number of rows.
    made: Mutex<HashMap<(Dialect, usize), SqlStr>>,
}

/// A value of a row; what stands in one column is of the same kind in all rows.
#[derive(Clone)]
pub(in crate::store) enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    Number(Option<i64>),
}

impl Cell<'_> {
    fn null(&self) -> Self {
        match self {
            Cell::Text(_) => Cell::Text(None),
            Cell::Number(_) => Cell::Number(None),
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Some(text.into()))
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(text: Option<String>) -> Self {
        Cell::Text(text.map(Cow::Owned))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Cell::Text(text.map(Cow::Borrowed))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Number(Some(number))
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        Cell::Number(number)
    }
}

impl Text {
    /// The first of the columns is never NULL.
    pub(in crate::store) fn new(columns: &'static [&'static str], statement: &str) -> Self {
        Self { columns, statement: statement.to_owned(), made: Mutex::default() }
    }

    /// The statement about so many rows.
    pub(in crate::store) fn about(&self, rows: usize, dialect: Dialect) -> SqlStr {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((dialect, rows)).or_insert_with(|| self.make(rows, dialect)).clone()
    }

    fn make(&self, rows: usize, dialect: Dialect) -> SqlStr {
        let Self { columns, statement, .. } = self;
        let parameter = |number: usize| match dialect {
            Dialect::Postgres => format!("${number}"),
            Dialect::Sqlite => "?".to_owned(),
        };
        let row = |row: usize| {
            let numbers = row * columns.len() + 1..=(row + 1) * columns.len();
            format!("({})", numbers.map(parameter).collect::<Vec<_>>().join(", "))
        };
        let columns = columns.join(", ");
        let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
        let text = format!(
            "WITH given ({columns}) AS (SELECT * FROM (VALUES {values}) AS padded WHERE column1 IS NOT NULL) {statement}"
        );
        AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
    }

    /// The statement about these rows, of which there is at least one, and its parameters.
    pub(in crate::store) fn with<const N: usize>(
        &self,
        rows: Vec<[Cell<'_>; N]>,
        dialect: Dialect,
    ) -> Result<(SqlStr, AnyArguments)> {
        let number = rows.len().next_power_of_two();
        let mut arguments = AnyArguments::default();
        fill(&mut arguments, rows, number)?;
        Ok((self.about(number, dialect), arguments))
    }
}

/// Adds the rows (at least one) as parameters, after as many rows of NULLs as the statement's
/// number of rows requires.
fn fill<const N: usize>(arguments: &mut AnyArguments, rows: Vec<[Cell<'_>; N]>, number: usize) -> Result<()> {
    let padding: Vec<_> = rows.first().map(|row| row.each_ref().map(Cell::null)).into_iter().collect();
    let padding = padding.iter().cycle().take(number - rows.len()).cloned();
    for cell in padding.chain(rows).flatten() {
        match cell {
            Cell::Text(Some(text)) => arguments.add(&*text),
            Cell::Text(None) => arguments.add(None::<&str>),
            Cell::Number(number) => arguments.add(number),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(())
}

/// Statements that SQLite takes together, in one round trip. PostgreSQL takes no parameters with
/// more than one.
pub(in crate::store) struct Script {
    text: String,
    arguments: AnyArguments,
    /// The number of rows that every statement is made for: one number keeps the script texts few.
    number: usize,
    statements: usize,
}

impl Script {
    /// An empty one, whose statements are about no more rows than that.
    pub(in crate::store) fn new(most: usize) -> Self {
        Self {
            text: String::new(),
            arguments: AnyArguments::default(),
            number: most.next_power_of_two(),
            statements: 0,
        }
    }

    /// Adds the statement about these rows, if there are any.
    pub(in crate::store) fn add<const N: usize>(
        &mut self,
        text: &Text,
        rows: Vec<[Cell<'_>; N]>,
        dialect: Dialect,
    ) -> Result<()> {
        if !rows.is_empty() {
            self.text.push_str(text.about(self.number, dialect).as_str());
            self.text.push(';');
            fill(&mut self.arguments, rows, self.number)?;
            self.statements += 1;
        }
        Ok(())
    }

    /// All of it and COMMIT, as one query; and how many statements that are.
    pub(in crate::store) fn and_commit(self) -> (Query<'static, Any, AnyArguments>, usize) {
        let Self { mut text, arguments, statements, .. } = self;
        text.push_str("COMMIT");
        (sqlx::query_with(AssertSqlSafe(text), arguments), statements + 1)
    }
}
