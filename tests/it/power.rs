//! What a power cut leaves, on a disk whose fsync has failed before: everything that was ever acknowledged.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::storage::settings;
use crate::support::process::Process;

/// The keys of what is stored there.
async fn keys(path: &str) -> (SqliteConnection, BTreeSet<String>) {
    let mut database = SqliteConnection::connect(&format!("sqlite://{path}?mode=ro")).await.unwrap();
    // Left open: who looks at the file while nobody works with it, and goes on looking, must not stand in anybody's way.
    database.execute("BEGIN").await.unwrap();
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM events").fetch_all(&mut database).await.unwrap();
    (database, bodies.into_iter().collect())
}

#[tokio::test]
async fn what_is_acknowledged_after_a_failed_fsync_and_a_kill_outlives_a_power_cut() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/disk.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &file("disk.so"), source]).status();
    assert!(compiled.unwrap().success());
    fs::create_dir(file("disk")).unwrap();
    let (shim, broken, disk) = (file("disk.so"), file("broken"), file("disk"));
    let on_disk = |command: &mut Command| {
        let set = [format!("LD_PRELOAD={shim}"), format!("BROKEN={broken}"), format!("DISK={disk}")];
        command.arg("env").args(set);
    };
    let (world, settings, path) = settings().await;
    let events = ["before", "during", "after"].map(|name| world.event(json!({ "firstName": name })));
    let texts = |events: &[Vec<u8>]| events.iter().map(|body| String::from_utf8(body.clone()).unwrap()).collect();

    let mut process = Process::wrapped(settings.clone(), on_disk);
    process.ready(&world.http).await;
    assert_eq!(world.hand(&process, &events[0]).await, 200);
    let all: BTreeSet<String> = texts(&events[..2]);
    let mut tries = 0;
    let _reader = loop {
        fs::write(&broken, "").unwrap();
        assert_eq!(world.hand(&process, &events[1]).await, 429);
        process.kill();
        let (reader, seen) = keys(&path).await;
        fs::remove_file(&broken).unwrap();
        process = Process::wrapped(settings.clone(), on_disk);
        process.ready(&world.http).await;
        if seen == all {
            break reader;
        }
        // What the process wrote last, a heartbeat or a settle, took the place of the commit that failed. Once more, then.
        tries += 1;
        assert!(tries < 10, "the system shows what the disk does not hold, or this test shows nothing: {seen:?}");
    };
    // GoHighLevel sends again what was answered 429.
    for event in &events[1..] {
        assert_eq!(world.hand(&process, event).await, 200);
    }
    process.kill();
    let (_reader, left) = keys(&format!("{disk}/own.db")).await;
    let all: BTreeSet<String> = texts(&events);
    assert_eq!(left, all, "all of it was acknowledged");
}
