//! How much memory does the service take with a million linked contacts and a thousand idle
//! connections, how long does it take to start, and does it stay so under load?
//!
//! Run: `cargo bench --bench memory`, and for the long run `cargo bench --bench memory -- --soak
//! 30` (minutes). The true program, as a process of its own; Linux, since it reads `/proc`.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use sandbox::Sandbox;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONTACTS: u32 = 1_000_000;
const CONNECTIONS: usize = 1_000;
/// Contacts that are edited under load; their events come faster than HighLevel lets anybody read
/// them.
const EDITED: usize = 1_000;
const EVENTS_PER_SECOND: u32 = 50;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "a bench lives by the machine's clock")]
async fn main() {
    let minutes: u64 =
        std::env::args().skip_while(|arg| arg != "--soak").nth(1).map_or(1, |text| text.parse().unwrap());
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
    let program = Program::new(Client::new(), &sandbox, folder.path());
    program.start().await.stop();
    seed(&folder.path().join("sync.db"), &sandbox.ghl.location_id()).await;

    let start = Instant::now();
    let mut running = program.start().await;
    println!(
        "{CONTACTS} linked contacts: ready after {:.1} s, {} resident",
        start.elapsed().as_secs_f64(),
        running.memory()
    );
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(connection(program.address).await);
    }
    println!("{CONNECTIONS} idle connections: {}", running.memory());

    let mut events = 0;
    let contact =
        |number| json!({ "firstName": "Soak", "lastName": "Contact", "email": format!("soak{number}@example.com") });
    let contacts: Vec<_> = (0..EDITED).map(|number| sandbox.ghl.create_contact(contact(number))).collect();
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / EVENTS_PER_SECOND);
    for minute in 1..=minutes {
        while start.elapsed() < Duration::from_secs(60 * minute) {
            tick.tick().await;
            sandbox.ghl.edit_contact(&contacts[events % EDITED], json!({ "firstName": format!("Soak{events}") }));
            for event in sandbox.ghl.take_events() {
                let request = program.http.post(format!("http://{}/webhooks/ghl", program.address));
                let request = request.header("x-ghl-signature", sandbox.ghl.sign(&event.body)).body(event.body);
                let sent = tokio::spawn(request.send());
                // Most wait for a place in HighLevel's budget, or are told that there is none; all
                // must be stored.
                tokio::spawn(async move { assert_eq!(sent.await.unwrap().unwrap().status(), 200) });
                events += 1;
            }
        }
        println!(
            "minute {minute}: {events} events, {} writes to Trafft, {}",
            sandbox.trafft.journal().writes(),
            running.memory()
        );
        sandbox.ghl.journal().clear();
    }
    drop(idle);
    running.stop();
}

/// The program and what it is told.
struct Program {
    http: Client,
    address: SocketAddr,
    settings: HashMap<String, String>,
}

struct Running(Child);

impl Program {
    fn new(http: Client, sandbox: &Sandbox, folder: &Path) -> Self {
        // Free a moment ago; others that look for one get another.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let vendors = sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut settings: HashMap<_, _> = vendors.collect();
        settings.insert("BIND_ADDR".to_owned(), address.to_string());
        settings.insert("DATABASE_URL".to_owned(), format!("sqlite://{}/sync.db", folder.display()));
        // The sandbox does not know the million: a sweep would find that they are all gone.
        for sweep in ["CONTACTS_MINUTES", "TASKS_MINUTES", "ROTATION_DAYS", "IDS_HOURS", "CUSTOMERS_HOURS"] {
            settings.insert(format!("SWEEP_{sweep}"), "0".to_owned());
        }
        Self { http, address, settings }
    }

    /// Started, and ready for webhooks.
    async fn start(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghl-trafft-sync"));
        command.arg("serve").env_clear().envs(&self.settings).env("RUST_LOG", "error").stdout(Stdio::null());
        let running = Running(command.spawn().unwrap());
        let mut moment = tokio::time::interval(Duration::from_millis(10));
        loop {
            moment.tick().await;
            let answer = self.http.get(format!("http://{}/readyz", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return running;
            }
        }
    }
}

impl Running {
    /// What the kernel says it holds now, and has held at most.
    fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u32>().unwrap() / 1024
        };
        format!("{} MiB (at most {})", megabytes("VmRSS:"), megabytes("VmHWM:"))
    }

    fn stop(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(asked.success() && self.0.wait().unwrap().success());
    }
}

/// Has asked once, and stays.
async fn connection(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    stream
}

/// Contacts and customers as a sync of long ago left them. Trafft's ids are below zero: those that
/// the sandbox will give to new customers must be nobody's yet.
async fn seed(file: &Path, location: &str) {
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    for statement in [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
            INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, status, marked_at,
                settled_at, customer_id, fields, updated_at, rotated_at)
            SELECT $1, lower(hex(randomblob(10))), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 'synced', i, i, -i,
                json_object('firstName', 'N', 'lastName', 'N' || i, 'email', 'n' || i || '@example.com'), i, i FROM n",
        "INSERT INTO customers SELECT location_id, customer_id, 'N', 'N' || -customer_id, 'n' || -customer_id || '@example.com',
            '', 'n' || -customer_id || '@example.com', NULL, settled_at FROM contacts WHERE location_id = $1 AND $2 > 0",
        "UPDATE connections SET customers_seen = 0 WHERE location_id = $1 AND $2 > 0",
    ] {
        sqlx::query(statement).bind(location).bind(CONTACTS).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
}
