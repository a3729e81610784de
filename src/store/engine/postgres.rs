//! What is particular to PostgreSQL: how its sessions are set up, and what is looked at before the
//! first one is used.

use sqlx::any::AnyPoolOptions;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, Executor, Row};

use super::limits::{DB_WAIT, soon};
use crate::store::error::{Error, Result};

/// A process that was paused inside a transaction must not keep its locks from those that take
/// over. Nobody waits longer for a lock than a webhook can wait. Writes are fenced by row locks, so
/// each statement has to see what was committed before it, whatever the role's default isolation
/// level is.
pub(in crate::store) const SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '20s'; \
    SET lock_timeout = '3s'; SET default_transaction_isolation = 'read committed'";

/// A migration of a large table takes as long as it takes, and waits for that of another process.
const MIGRATION: &str = "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = 0; \
    SET default_transaction_isolation = 'read committed'";

/// Looks whether this database will do, and brings its schema up to date. Takes as long as the
/// migrations do.
pub(in crate::store) async fn prepare(url: &str) -> Result<()> {
    let pool = AnyPoolOptions::new().max_connections(2).acquire_timeout(DB_WAIT).connect(url).await;
    let pool = pool.map_err(|error| match code(&error).as_deref() {
        Some(PROTOCOL) => Error::Pooler(error),
        Some("3D000") => Error::NoDatabase,
        _ => error.into(),
    })?;
    let mut connection = pool.acquire().await?.detach();
    let encoding: String = soon(connection.fetch_one("SHOW server_encoding")).await??.try_get(0)?;
    if encoding != "UTF8" {
        return Err(Error::Encoding(encoding));
    }
    keeps_sessions(&pool, &mut connection).await?;
    soon(connection.execute(MIGRATION)).await??;
    migrate(&mut connection).await?;
    // This connection was needed only once, so an error while closing it does not matter.
    let _ = soon(connection.close()).await;
    pool.close().await;
    Ok(())
}

/// Looks first: sqlx begins with a CREATE TABLE, which PostgreSQL refuses to a role without CREATE
/// even where the table is there. Where there is something to do, its lock sees to it that one
/// process does it.
async fn migrate(connection: &mut AnyConnection) -> Result<()> {
    let migrator = sqlx::migrate!();
    if is_up_to_date(connection, &migrator).await {
        return Ok(());
    }
    migrator.run(connection).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if is_denied(&error) => {
            Error::MayNotMigrate(error)
        }
        error => error.into(),
    })
}

/// Does the schema have exactly what this program knows? The migration reports what cannot be
/// read.
async fn is_up_to_date(connection: &mut AnyConnection, migrator: &Migrator) -> bool {
    // Where sqlx takes down what it has done.
    const APPLIED: &str = "_sqlx_migrations";
    let Ok(None) = connection.dirty_version(APPLIED).await else { return false };
    let Ok(applied) = connection.list_applied_migrations(APPLIED).await else { return false };
    let applied = applied.iter().map(|one| (one.version, &one.checksum));
    applied.eq(migrator.iter().map(|one| (one.version, &one.checksum)))
}

fn is_denied(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("42501")
}

/// PgBouncer refuses two things with this code. One is a startup that names a parameter which it
/// does not track: sqlx names `extra_float_digits`, and an `Any` connection cannot leave it out.
/// The other is BEGIN with `pool_mode = statement`. PostgreSQL itself gives it for bytes that sqlx
/// never sends.
const PROTOCOL: &str = "08P01";

/// A pooler that gives each transaction another server connection loses what belongs to a session:
/// prepared statements, LISTEN, the settings above, and the lock of the migrations.
///
/// To detect one, the first connection sets a setting of its session, and both connections read it
/// while the second has a transaction open. With such a pooler, the second holds the first's server
/// connection and sees its setting; or the first was given another one and does not see it.
async fn keeps_sessions(pool: &AnyPool, first: &mut AnyConnection) -> Result<()> {
    const MARK: &str = "SET ghl_trafft_sync.session = 'first'";
    const MARKED: &str = "SELECT COALESCE(current_setting('ghl_trafft_sync.session', true), '')";
    let mut second = pool.acquire().await?.detach();
    let marked = async |connection: &mut AnyConnection| {
        Ok::<_, sqlx::Error>(connection.fetch_one(MARKED).await?.try_get::<String, _>(0)? == "first")
    };
    let look = async {
        // Once is enough when this is the only client of the pooler.
        for _ in 0..5 {
            first.execute(MARK).await?;
            second.execute("BEGIN").await?;
            let kept = !marked(&mut second).await? && marked(first).await?;
            second.execute("ROLLBACK").await?;
            first.execute("RESET ghl_trafft_sync.session").await?;
            if !kept {
                return Ok(false);
            }
        }
        Ok::<_, sqlx::Error>(true)
    };
    // A timeout means that the pooler has no connection left: BEGIN waits for nothing else.
    match soon(look).await.map_err(|_| Error::NoConnection)? {
        Ok(true) => {}
        Ok(false) => return Err(Error::Transactions),
        Err(error) if code(&error).as_deref() == Some(PROTOCOL) => return Err(Error::Transactions),
        Err(error) => return Err(error.into()),
    }
    let _ = soon(second.close()).await;
    Ok(())
}

/// Is the statement refused for what one of its rows holds? Then the other rows need not share its
/// fate. Data, constraints, limits of the program, row security, and what triggers raise.
pub(in crate::store) fn is_about_rows(code: &str) -> bool {
    code == "42501" || ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class))
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(Into::into)
}
