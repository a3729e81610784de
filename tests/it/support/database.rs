//! A database for one test: a SQLite file, or a PostgreSQL database of its own.

use std::io::Write;
use std::path::Path;

use sqlx::Connection;

/// With `TEST_DATABASE_URL` (a PostgreSQL address whose user may create databases) every world
/// lives there.
pub const SERVER: &str = "TEST_DATABASE_URL";

/// Gone when dropped.
pub struct Database {
    url: String,
    made: Option<(String, String)>,
}

impl Database {
    /// PostgreSQL when the environment names a server, else SQLite.
    pub fn from_environment(folder: &Path) -> Self {
        match std::env::var(SERVER) {
            Ok(server) => Self::on(server),
            Err(_) => Self::sqlite(folder),
        }
    }

    pub fn sqlite(folder: &Path) -> Self {
        Self { url: format!("sqlite://{}/sync.db", folder.display()), made: None }
    }

    /// For tests that need PostgreSQL: `None`, and saying so, when there is no server to use.
    pub fn postgres() -> Option<Self> {
        let server = std::env::var(SERVER).ok();
        if server.is_none() {
            // Past the test harness, which hides what a test that passes says.
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let _ = writeln!(std::io::stderr(), "skipped: {test} needs PostgreSQL, and `{SERVER}` is not set");
        }
        server.map(Self::on)
    }

    /// The same, made in a way of its own.
    pub fn postgres_with(options: &str) -> Option<Self> {
        Self::postgres()?;
        std::env::var(SERVER).ok().map(|server| Self::made(server, options))
    }

    fn on(server: String) -> Self {
        Self::made(server, "")
    }

    fn made(server: String, options: &str) -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        psql(&server, &format!("CREATE DATABASE {name} {options}"));
        // The server is not what dies in these tests, so they need not wait for its disk.
        psql(&server, &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
        let (base, _) = server.rsplit_once('/').expect("an address ends with a database's name");
        Self { url: format!("{base}/{name}"), made: Some((server, name)) }
    }

    /// Throws everybody out, and lets nobody in, or lets them in again.
    pub fn refuse(&self, refuse: bool) {
        let (server, name) = self.made.as_ref().expect("a PostgreSQL");
        psql(server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !refuse));
        if refuse {
            self.end_sessions();
        }
    }

    /// It is away from now on, or back.
    pub fn lose(&self, is: bool) {
        if self.made.is_some() {
            return self.refuse(is);
        }
        let here = self.url.trim_start_matches("sqlite://").to_owned();
        let elsewhere = format!("{here}.elsewhere");
        let (from, to) = if is { (&here, &elsewhere) } else { (&elsewhere, &here) };
        std::fs::rename(from, to).unwrap();
    }

    /// A default for the sessions that begin from now on.
    pub fn set(&self, setting: &str) {
        let (server, name) = self.made.as_ref().expect("a PostgreSQL");
        psql(server, &format!("ALTER DATABASE {name} SET {setting}"));
    }

    /// Its sessions end.
    pub fn end_sessions(&self) {
        let (server, name) = self.made.as_ref().expect("a PostgreSQL");
        psql(server, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    }

    /// The same database by another way.
    pub fn through(&self, address: &str) -> String {
        let (_, name) = self.made.as_ref().expect("a PostgreSQL");
        let user =
            self.url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("postgres", |(user, _)| user);
        format!("postgres://{user}@{address}/{name}")
    }

    /// Host and port of the server.
    pub fn server(&self) -> String {
        let rest = self.url.rsplit_once('@').map_or(&*self.url, |(_, rest)| rest);
        let address = rest.split_once('/').expect("an address ends with a database's name").0.to_owned();
        if address.contains(':') { address } else { format!("{address}:5432") }
    }

    /// One statement, beside the service.
    pub async fn execute(&self, statement: &'static str) {
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.made {
            psql(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

fn psql(server: &str, statement: &str) {
    let run = std::process::Command::new("psql").args([server, "-qc", statement]).output();
    let output = run.expect("psql is needed for tests on PostgreSQL");
    assert!(output.status.success() || std::thread::panicking(), "{}", String::from_utf8_lossy(&output.stderr));
}
