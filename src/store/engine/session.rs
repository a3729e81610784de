//! Connections to the database as sessions: each statement has a time limit, and a connection whose
//! last statement was not seen to end is closed instead of used again.
//!
//! SQLite needs neither: its answers come from a thread of this process, and it waits for locks no
//! longer than its `busy_timeout`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Describe, Either, Execute, Executor, Row, SqlStr};

use super::limits::{soon, within};
use super::rows::Script;
use crate::store::error::{ReadOnly, Result};

/// PostgreSQL ends a statement itself, by its `statement_timeout`; this limit is for a network that
/// does not carry the answer.
const STATEMENT: Duration = Duration::from_secs(25);

/// A connection that one task uses.
#[derive(Debug)]
pub(in crate::store) struct Session {
    held: Held,
    is_shared: bool,
}

#[derive(Debug)]
enum Held {
    Own(Line<AnyConnection>),
    Pooled(Pooled),
}

#[derive(Debug)]
struct Line<C> {
    connection: C,
    /// A transaction was begun and has not ended.
    is_open: bool,
    /// A statement was sent and its end was not seen: its answer could be taken for that of the
    /// next one.
    is_lost: bool,
}

impl<C> Line<C> {
    fn new(connection: C) -> Self {
        Self { connection, is_open: false, is_lost: false }
    }
}

#[derive(Debug)]
struct Pooled(Line<PoolConnection<Any>>);

impl Drop for Pooled {
    fn drop(&mut self) {
        if self.0.is_open || self.0.is_lost {
            // That rolls back, whatever state it is in.
            self.0.connection.close_on_drop();
        }
    }
}

impl Session {
    /// Of a connection that belongs to no pool. `is_shared`: with PostgreSQL.
    pub(in crate::store) fn own(connection: AnyConnection, is_shared: bool) -> Self {
        Self { held: Held::Own(Line::new(connection)), is_shared }
    }

    fn pooled(connection: PoolConnection<Any>, is_shared: bool) -> Self {
        Self { held: Held::Pooled(Pooled(Line::new(connection))), is_shared }
    }

    fn line(&mut self) -> (&mut AnyConnection, &mut bool, &mut bool) {
        match &mut self.held {
            Held::Own(Line { connection, is_open, is_lost }) => (connection, is_open, is_lost),
            Held::Pooled(Pooled(Line { connection, is_open, is_lost })) => (connection, is_open, is_lost),
        }
    }

    /// Was a transaction begun that has not ended?
    pub(in crate::store) fn is_open(&self) -> bool {
        match &self.held {
            Held::Own(line) => line.is_open,
            Held::Pooled(Pooled(line)) => line.is_open,
        }
    }

    /// Begins a write transaction.
    pub(in crate::store) async fn begin(&mut self) -> sqlx::Result<()> {
        if self.is_shared {
            self.ask(BEGIN).await?;
        } else {
            // A SQLite transaction that reads first and writes later would fail under load.
            self.execute("BEGIN IMMEDIATE").await?;
        }
        *self.line().1 = true;
        Ok(())
    }

    /// Does the server answer, and take writes?
    async fn ask(&mut self, statement: &'static str) -> sqlx::Result<()> {
        let rows = self.fetch_all(statement).await?;
        let read_only: String = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        if read_only == "off" {
            return Ok(());
        }
        *self.line().2 = true;
        Err(sqlx::Error::Configuration(ReadOnly.into()))
    }

    /// The statements of a script, and COMMIT.
    pub(in crate::store) async fn commit(&mut self, script: Script) -> Result<()> {
        let (query, statements) = script.and_commit();
        let done: Vec<_> = self.execute_many(query).try_collect().await?;
        // Where SQLite's thread dies, the answers just end.
        if done.len() < statements {
            return Err(sqlx::Error::WorkerCrashed.into());
        }
        *self.line().1 = false;
        Ok(())
    }

    /// Takes back what was written, on purpose.
    pub(in crate::store) async fn roll_back(&mut self) -> Result<()> {
        self.execute("ROLLBACK").await?;
        *self.line().1 = false;
        Ok(())
    }

    /// Ready to begin anew. None: it is of no use any more. One to PostgreSQL is closed rather than
    /// rolled back: after an error nobody knows what its server has become. After an I/O error
    /// SQLite has ended the transaction itself.
    pub(in crate::store) async fn rolled_back(mut self) -> Option<Self> {
        let is_shared = self.is_shared;
        let (connection, is_open, is_lost) = self.line();
        if *is_lost || *is_open && (is_shared || connection.execute("ROLLBACK").await.is_err()) {
            return None;
        }
        *is_open = false;
        Some(self)
    }

    /// Ends the connection; a pool ends its own.
    pub(in crate::store) async fn close(self) {
        if let Held::Own(Line { connection, is_lost: false, .. }) = self.held {
            // What it had begun is rolled back; whatever else is wrong with it, nothing is lost by
            // it.
            let _ = soon(connection.close()).await;
        }
    }

    /// What `work` on the connection brings.
    async fn limited<'s, T>(
        &'s mut self,
        work: impl FnOnce(&'s mut AnyConnection) -> BoxFuture<'s, sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        let is_shared = self.is_shared;
        let (connection, _, is_lost) = self.line();
        if !is_shared {
            return work(connection).await;
        }
        // Set before the statement is sent, because this future may be dropped half-way.
        *is_lost = true;
        let done = within(STATEMENT, work(connection)).await?;
        *is_lost = false;
        done
    }

    /// All that the statements bring. Nothing here reads as it goes: answers are small, and a limit
    /// for each row would be none.
    async fn all<'q>(
        &mut self,
        query: impl Execute<'q, Any> + 'q,
    ) -> sqlx::Result<Vec<Either<AnyQueryResult, AnyRow>>> {
        self.limited(|connection| connection.fetch_many(query).try_collect().boxed()).await
    }
}

const PING: &str = "SHOW transaction_read_only";
const BEGIN: &str = "BEGIN; SHOW transaction_read_only";

/// The pool of connections; as an executor it takes one for each statement.
#[derive(Clone, Debug)]
pub(in crate::store) struct Sessions {
    pool: AnyPool,
    is_shared: bool,
}

impl Sessions {
    pub(in crate::store) fn new(pool: AnyPool, is_shared: bool) -> Self {
        Self { pool, is_shared }
    }

    /// One that has just answered, and takes writes.
    async fn session(&self) -> sqlx::Result<Session> {
        self.asked(PING).await
    }

    /// A write transaction. With PostgreSQL.
    pub(in crate::store) async fn begin(&self) -> sqlx::Result<Session> {
        let mut session = self.asked(BEGIN).await?;
        *session.line().1 = true;
        Ok(session)
    }

    async fn asked(&self, statement: &'static str) -> sqlx::Result<Session> {
        if !self.is_shared {
            // The pool has asked already.
            return Ok(Session::pooled(self.pool.acquire().await?, false));
        }
        soon(async {
            loop {
                let is_new = self.pool.num_idle() == 0;
                let mut session = Session::pooled(self.pool.acquire().await?, true);
                match session.ask(statement).await {
                    Ok(()) => return Ok(session),
                    Err(error) => {
                        *session.line().2 = true;
                        // The other idle connections may be dead as well, so they are tried too;
                        // the error of a new connection tells what is wrong.
                        if is_new {
                            return Err(error);
                        }
                    }
                }
            }
        })
        .await?
    }

    pub(in crate::store) async fn close(&self) {
        self.pool.close().await;
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        self.all(query).map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        self.limited(|connection| connection.fetch_optional(query)).boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        self.limited(move |connection| connection.prepare_with(sql, parameters)).boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Any>>>
    where
        'c: 'e,
    {
        self.limited(move |connection| connection.describe(sql)).boxed()
    }
}

impl<'c> Executor<'c> for &'c Sessions {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let all = async move { self.session().await?.all(query).await };
        all.map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move { self.session().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        async move { self.session().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Any>>>
    where
        'c: 'e,
    {
        async move { self.session().await?.describe(sql).await }.boxed()
    }
}
