//! What a power cut leaves, on a disk whose fsync has failed before: everything that was ever acknowledged.

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
    // Left open: who looks at the file while nobody works with it, and goes on looking, must not stand in anybody's way.
    database.execute("BEGIN").await.unwrap();
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM events").fetch_all(&mut database).await.unwrap();
    (database, bodies.into_iter().collect())
}

/// The true program on a disk that forgets, which breaks as long as a file is there.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { folder: tempfile::TempDir::new().unwrap() };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/disk.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &disk.path("shim.so"), source]).status();
        assert!(compiled.unwrap().success());
        fs::create_dir(disk.path("disk")).unwrap();
        disk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, settings: &HashMap<String, String>) -> Process {
        let names = [("LD_PRELOAD", "shim.so"), ("BROKEN", "broken"), ("DISK", "disk")];
        let set = names.map(|(name, path)| format!("{name}={}", self.path(path)));
        Process::wrapped(settings.clone(), |command| _ = command.arg("env").args(set))
    }

    fn is_broken(&self, is: bool) {
        let path = self.path("broken");
        if is { fs::write(path, "").unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// What a power cut leaves.
    async fn left(&self) -> BTreeSet<String> {
        keys(&self.path("disk/own.db")).await.1
    }
}

fn three_events(world: &World) -> ([Vec<u8>; 3], BTreeSet<String>) {
    let events = ["before", "during", "after"].map(|name| world.event(json!({ "firstName": name })));
    let texts = events.iter().map(|body| String::from_utf8(body.clone()).unwrap()).collect();
    (events, texts)
}

#[tokio::test]
async fn what_is_acknowledged_after_a_failed_fsync_and_a_kill_outlives_a_power_cut() {
    let disk = Disk::new();
    let (world, settings, path) = settings().await;
    let (events, all) = three_events(&world);

    let mut process = disk.start(&settings);
    process.ready(&world.http).await;
    assert_eq!(world.hand(&process, &events[0]).await, 200);
    let mut tries = 0;
    let _reader = loop {
        disk.is_broken(true);
        assert_eq!(world.hand(&process, &events[1]).await, 429);
        process.kill();
        let (reader, seen) = keys(&path).await;
        disk.is_broken(false);
        process = disk.start(&settings);
        process.ready(&world.http).await;
        if seen.len() == 2 {
            break reader;
        }
        // A heartbeat or a settle met the broken disk first, and the event was not let in. Once more, then.
        tries += 1;
        assert!(tries < 10, "the system shows what the disk does not hold, or this test shows nothing: {seen:?}");
    };
    // GoHighLevel sends again what was answered 429.
    for event in &events[1..] {
        assert_eq!(world.hand(&process, event).await, 200);
    }
    process.kill();
    assert_eq!(disk.left().await, all, "all of it was acknowledged");
}

#[tokio::test]
async fn what_is_acknowledged_after_a_failed_fsync_by_the_same_process_outlives_a_power_cut() {
    let disk = Disk::new();
    let (world, settings, _) = settings().await;
    let (events, all) = three_events(&world);

    let mut process = disk.start(&settings);
    process.ready(&world.http).await;
    assert_eq!(world.hand(&process, &events[0]).await, 200);
    disk.is_broken(true);
    // As long as it is broken, whoever comes again is refused again, though the event can be read by now.
    for _ in 0..2 {
        assert_eq!(world.hand(&process, &events[1]).await, 429);
    }
    disk.is_broken(false);
    for event in &events[1..] {
        assert_eq!(world.hand(&process, event).await, 200);
    }
    process.kill();
    assert_eq!(disk.left().await, all, "all of it was acknowledged");
}
