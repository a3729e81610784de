//! What a power cut leaves, on a disk whose fsync has failed before: everything that was ever
//! acknowledged.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::process::Command;

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::storage::settings;
use crate::support::World;
use crate::support::process::Process;

/// The keys of what is stored there.
async fn keys(path: &str) -> (SqliteConnection, BTreeSet<String>) {
    let mut database = SqliteConnection::connect(&format!("sqlite://{path}?mode=ro")).await.unwrap();
    // Left open: who looks at the file while nobody works with it, and goes on looking, must not
    // stand in anybody's way.
    database.execute("BEGIN").await.unwrap();
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM events").fetch_all(&mut database).await.unwrap();
    (database, bodies.into_iter().collect())
}

/// The true program on a disk that forgets, and three events to be delivered.
struct Disk {
    folder: tempfile::TempDir,
    world: World,
    settings: HashMap<String, String>,
    /// The database, as the system shows it.
    path: String,
    events: [Vec<u8>; 3],
}

impl Disk {
    async fn new() -> Self {
        let (world, settings, path) = settings().await;
        let events = ["before", "during", "after"].map(|name| world.event(json!({ "firstName": name })));
        let disk = Self { folder: tempfile::TempDir::new().unwrap(), world, settings, path, events };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/disk.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &disk.file("shim.so"), source]).status();
        assert!(compiled.unwrap().success());
        fs::create_dir(disk.file("disk")).unwrap();
        disk
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn start(&self) -> Process {
        let names = [("LD_PRELOAD", "shim.so"), ("BROKEN", "broken"), ("DISK", "disk")];
        let set = names.map(|(name, file)| format!("{name}={}", self.file(file)));
        let process = Process::wrapped(self.settings.clone(), |command| _ = command.arg("env").args(set));
        process.ready(&self.world.http).await;
        process
    }

    /// From now on each fsync fails, or none.
    fn is_broken(&self, is: bool) {
        let file = self.file("broken");
        if is { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    async fn is_answered(&self, process: &Process, event: usize, status: u16) {
        assert_eq!(self.world.hand(process, &self.events[event]).await, status, "{event}");
    }

    /// The first so many of the events.
    fn first(&self, count: usize) -> BTreeSet<String> {
        self.events[..count].iter().map(|body| String::from_utf8(body.clone()).unwrap()).collect()
    }

    /// After a power cut all three are there, which were acknowledged.
    async fn holds_all(&self) {
        let (_reader, left) = keys(&self.file("disk/own.db")).await;
        assert_eq!(left, self.first(3));
    }
}

#[tokio::test]
async fn what_is_acknowledged_after_a_failed_fsync_and_a_kill_outlives_a_power_cut() {
    let disk = Disk::new().await;
    let mut process = disk.start().await;
    disk.is_answered(&process, 0, 200).await;
    let mut tries = 0;
    let _reader = loop {
        disk.is_broken(true);
        disk.is_answered(&process, 1, 429).await;
        process.kill();
        let (reader, seen) = keys(&disk.path).await;
        disk.is_broken(false);
        process = disk.start().await;
        if seen == disk.first(2) {
            break reader;
        }
        // A heartbeat or a settle met the broken disk first, and the event was not let in. Once
        // more, then.
        tries += 1;
        assert!(tries < 10, "the system shows what the disk does not hold, or this test shows nothing: {seen:?}");
    };
    // GoHighLevel sends again what was answered 429.
    disk.is_answered(&process, 1, 200).await;
    disk.is_answered(&process, 2, 200).await;
    process.kill();
    disk.holds_all().await;
}

#[tokio::test]
async fn what_is_acknowledged_after_a_failed_fsync_by_the_same_process_outlives_a_power_cut() {
    let disk = Disk::new().await;
    let mut process = disk.start().await;
    disk.is_answered(&process, 0, 200).await;
    disk.is_broken(true);
    // As long as it is broken, whoever comes again is refused again, though the event can be read
    // by now.
    disk.is_answered(&process, 1, 429).await;
    disk.is_answered(&process, 1, 429).await;
    disk.is_broken(false);
    disk.is_answered(&process, 1, 200).await;
    disk.is_answered(&process, 2, 200).await;
    process.kill();
    disk.holds_all().await;
}
