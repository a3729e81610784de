//! PgBouncer, Debian's, between the service and the PostgreSQL server of the tests.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::database::Database;
use super::process::free_address;

const LOG: &str = "pgbouncer.log";

/// Stopped when dropped.
pub struct Pooler {
    command: Command,
    process: Child,
    address: String,
    folder: TempDir,
}

impl Pooler {
    /// In front of `database`'s server, with lines of its own for its `pgbouncer.ini`.
    pub async fn before(database: &Database, settings: &str) -> Self {
        let (host, port) =
            database.server().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
        let listen = free_address();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let ini = format!(
            "[databases]\n* = host={host} port={port} user=postgres\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\n{settings}\n",
            listen.ip(),
            listen.port()
        );
        std::fs::write(&file, ini).unwrap();
        let mut command = Command::new("pgbouncer");
        // It does not run as root.
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg(file);
        let output =
            || Stdio::from(std::fs::File::options().create(true).append(true).open(folder.path().join(LOG)).unwrap());
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        let process = command.spawn().expect("pgbouncer is needed for tests on PostgreSQL");
        let mut pooler = Self { command, process, address: listen.to_string(), folder };
        pooler.listens().await;
        pooler
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Gone with all its connections.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn start(&mut self) {
        self.process = self.command.spawn().unwrap();
        self.listens().await;
    }

    async fn listens(&mut self) {
        while TcpStream::connect(&self.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(self.folder.path().join(LOG)).unwrap());
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
