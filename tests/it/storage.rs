//! Storage in trouble: answered 429, never a false 2xx, and taken without a restart once the
//! trouble is over.

use std::collections::HashMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::{Answer, World};

/// A world, and an event that waits to be delivered.
async fn world() -> (World, sandbox::Event) {
    let world = World::on_sqlite(&[]).await;
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().remove(0);
    (world, event)
}

fn is_put_off(answer: &Answer) {
    assert_eq!(answer.code, 429, "{}", answer.json);
    assert!(answer.is_problem() && answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
}

/// Of a service that was in trouble a moment ago.
async fn is_taken(world: &World, event: &sandbox::Event) {
    world.advance(std::time::Duration::from_secs(60));
    let answer = world.deliver_now(event).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "synced"), "{}", answer.json);
    assert_eq!(world.http.get(world.url("/readyz")).send().await.unwrap().status(), 200);
    assert_eq!(world.stored().await.len(), 1, "once");
}

#[tokio::test]
async fn a_database_that_somebody_locks_is_waited_for_a_little() {
    let (world, event) = world().await;
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", world.path("sync.db"))).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    is_put_off(&world.deliver_now(&event).await);
    assert_eq!(world.http.get(world.url("/readyz")).send().await.unwrap().status(), 503);
    assert_eq!(world.http.get(world.url("/healthz")).send().await.unwrap().status(), 200);
    other.execute("ROLLBACK").await.unwrap();
    is_taken(&world, &event).await;
}

#[tokio::test]
async fn a_file_that_was_moved_away_takes_nothing_in_until_it_is_back() {
    let (world, event) = world().await;
    fs::rename(world.path("sync.db"), world.path("elsewhere")).unwrap();
    is_put_off(&world.deliver_now(&event).await);
    let ready = world.get("/readyz").await;
    assert_eq!(ready.code, 503, "{}", ready.json);
    fs::rename(world.path("elsewhere"), world.path("sync.db")).unwrap();
    is_taken(&world, &event).await;
}

/// A link in a folder that is one itself, to a file that is not there yet; then by the file's own
/// name. Odd letters and all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbolic_link_is_the_file_that_it_leads_to() {
    let (world, mut settings, _) = settings().await;
    let (real, links) = (world.path("real 100%?"), world.path("links"));
    fs::create_dir_all(format!("{real}/inner")).unwrap();
    symlink(format!("{real}/inner"), &links).unwrap();
    symlink("../sync.db", format!("{links}/link.db")).unwrap();
    symlink("link.db", format!("{links}/link-to-link.db")).unwrap();
    let by_link = format!("sqlite://{links}/link-to-link.db");
    let by_name = format!("sqlite://{}/sync.db", real.replace('%', "%25").replace('?', "%3F").replace(' ', "%20"));
    settings.insert("DATABASE_URL".to_owned(), by_link);
    let mut process = Process::start(settings.clone());
    process.ready(&world.http).await;
    let body = world.event(json!({}));
    assert_eq!(world.hand(&process, &body).await, 200);
    for name in ["sync.db", "sync.db.lock", "sync.db-wal"] {
        assert!(fs::exists(format!("{real}/{name}")).unwrap(), "no {name}");
    }
    settings.insert("DATABASE_URL".to_owned(), by_name);
    assert_eq!(Process::start(settings.clone()).ended(), Some(1), "the file is locked, by whatever name");
    assert_eq!(process.stop(), Some(0));
    let process = Process::start(settings);
    process.ready(&world.http).await;
    assert_eq!(world.hand(&process, &body).await, 200);
    assert!(!fs::exists(format!("{links}/link.db.lock")).unwrap());
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_the_start_with_what_to_do() {
    type Damage = fn(&str);
    let garbage: Damage =
        |path| fs::write(path, "no database at all, but long enough to be taken for one".repeat(99)).unwrap();
    let truncated: Damage = |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10_000).unwrap();
    let flipped: Damage = |path| {
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for page in 2..12 {
            file.seek(SeekFrom::Start(page * 4096)).unwrap();
            file.write_all(&[0xA5; 512]).unwrap();
        }
    };
    for (what, damage) in [("garbage", garbage), ("truncated", truncated), ("flipped", flipped)] {
        let (mut world, event) = world().await;
        assert_eq!(world.deliver_now(&event).await.code, 200);
        world.stop().await;
        damage(&world.path("sync.db"));
        let why = world.refusal().await;
        for part in ["sync.db", "damaged", "backup", "backfill"] {
            assert!(why.contains(part), "{what}: no `{part}` in: {why}");
        }
    }
}

/// For the real program on a file of its own, which comes last, with vendors that are away: what it
/// acknowledges is all that counts.
pub async fn settings() -> (World, HashMap<String, String>, String) {
    let world = World::stopped(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let path = world.path("own.db");
    let mut settings = world.settings();
    settings.insert("DATABASE_URL".to_owned(), format!("sqlite://{path}"));
    (world, settings, path)
}

async fn process(wrap: impl FnOnce(&mut Command)) -> (World, Process, String) {
    let (world, settings, path) = settings().await;
    let process = Process::wrapped(settings, wrap);
    process.ready(&world.http).await;
    (world, process, path)
}

impl World {
    /// The status of an event that is delivered to that process.
    pub async fn hand(&self, process: &Process, body: &[u8]) -> u16 {
        let mut request = self.http.post(format!("{}/webhooks/ghl", process.url)).body(body.to_owned());
        for (name, value) in self.sandbox.ghl.headers_for(body) {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    /// The same of an event that was never there before.
    async fn knock(&self, process: &Process) -> u16 {
        self.hand(process, &self.event(json!({}))).await
    }
}

#[tokio::test]
async fn the_files_of_the_database_are_for_their_owner_alone() {
    // Whatever the umask; and a log that outlived its process, beside files that an earlier version
    // left open to others.
    let open = |command: &mut Command| {
        command.args(["sh", "-c", "umask 000; exec \"$@\"", "sh"]);
    };
    let (world, mut process, path) = process(open).await;
    for begun in ["made", "found"] {
        process.ready(&world.http).await;
        assert_eq!(world.knock(&process).await, 200);
        for name in ["", "-wal", "-shm", ".lock"] {
            let mode = fs::metadata(format!("{path}{name}")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{begun}: own.db{name} has {mode:o}");
        }
        process.kill();
        for name in ["", "-wal", "-shm", ".lock"] {
            fs::set_permissions(format!("{path}{name}"), fs::Permissions::from_mode(0o644)).unwrap();
        }
        process.kill_and_start();
    }
}

/// A command that root runs before the service does, beside a database that was restored without
/// its lock.
#[tokio::test]
async fn a_lock_that_root_makes_belongs_to_the_owner_of_the_database() {
    let (world, mut process, path) = process(|_| {}).await;
    process.ready(&world.http).await;
    process.kill();
    let lock = format!("{path}.lock");
    fs::remove_file(&lock).unwrap();
    // Only root can give a file away; for others the owner stays the same.
    let _ = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534));
    process.kill_and_start();
    process.ready(&world.http).await;
    let of = |path: &str| fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
    assert_eq!(of(&lock), of(&path));
}

async fn stored(path: &str) -> i64 {
    let mut database = SqliteConnection::connect(&format!("sqlite://{path}?mode=ro")).await.unwrap();
    sqlx::query_scalar("SELECT COUNT(*) FROM events").fetch_one(&mut database).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_is_answered_429_and_room_is_noticed() {
    // A limit on the size of files is a full disk that a test can make, and make go away, in a
    // process that runs.
    let ignore = |command: &mut Command| {
        command.args(["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    };
    let (world, process, path) = process(ignore).await;
    let limit = |size: &str| {
        let (process, limit) = (process.id().to_string(), format!("--fsize={size}:unlimited"));
        assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
    };
    assert_eq!(world.knock(&process).await, 200);
    limit("4096");
    for _ in 0..5 {
        assert_eq!(world.knock(&process).await, 429);
    }
    limit("unlimited");
    assert_eq!(world.knock(&process).await, 200);
    assert_eq!(stored(&path).await, 2, "what was acknowledged, and nothing else");
}

#[tokio::test]
async fn a_disk_that_does_not_keep_what_it_was_given_is_answered_429() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let shim = "#include <errno.h>\n#include <unistd.h>\n#include <stdlib.h>\n\
        static int broken(void) { return access(getenv(\"BROKEN\"), F_OK) == 0; }\n\
        int fsync(int fd) { (void)fd; if (broken()) { errno = EIO; return -1; } return 0; }\n\
        int fdatasync(int fd) { return fsync(fd); }\n";
    fs::write(file("shim.c"), shim).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &file("shim.so"), &file("shim.c")]).status();
    assert!(compiled.unwrap().success());
    let (shim, broken) = (file("shim.so"), file("broken"));
    let preload = |command: &mut Command| {
        command.args(["env", &format!("LD_PRELOAD={shim}"), &format!("BROKEN={broken}")]);
    };
    let (world, process, path) = process(preload).await;
    assert_eq!(world.knock(&process).await, 200);
    fs::write(&broken, "").unwrap();
    let refused: Vec<_> = (0..5).map(|_| world.event(json!({}))).collect();
    for event in &refused {
        assert_eq!(world.hand(&process, event).await, 429);
    }
    fs::remove_file(&broken).unwrap();
    assert_eq!(world.knock(&process).await, 200);
    // Two that were acknowledged, and perhaps the one that met the trouble first.
    assert!((2..=3).contains(&stored(&path).await));
    // GoHighLevel sends again what was answered 429.
    for event in &refused {
        assert_eq!(world.hand(&process, event).await, 200);
    }
    assert_eq!(stored(&path).await, 7, "each once");
}

#[tokio::test]
async fn a_postgresql_that_goes_away_is_found_again() {
    let Some(database) = Database::postgres() else { return };
    let world = World::with(&[("DATABASE_URL", database.url())]).await;
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().remove(0);
    database.refuse(true);
    is_put_off(&world.deliver_now(&event).await);
    database.refuse(false);
    is_taken(&world, &event).await;
}
