//! How a process ends, and what becomes of its locations: the real program, alone and two on one
//! database.

#![expect(clippy::disallowed_methods, reason = "tests talk HTTP themselves")]

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use sandbox::{Fault, Matcher, Sandbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::World;
use crate::support::database::Database;
use crate::support::process::Process;

/// The vendors, and what a process needs to be told to work between them.
pub struct Stage {
    pub sandbox: Sandbox,
    pub http: Client,
    pub settings: HashMap<String, String>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub async fn set(more: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let mut settings: HashMap<String, String> =
            sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let database = format!("sqlite://{}/sync.db", folder.path().display());
        for (name, value) in
            [("DATABASE_URL", database.as_str()), ("TIME_ZONE", "UTC"), ("PHONE_REGION", "US")].iter().chain(more)
        {
            settings.insert((*name).to_owned(), (*value).to_owned());
        }
        Self { sandbox, http: Client::new(), settings, _folder: folder }
    }

    pub async fn process(&self) -> Process {
        let process = Process::start(self.settings.clone());
        process.ready(&self.http).await;
        process
    }

    /// A new contact's event, delivered there: the status code, and how far it came.
    pub async fn contact(&self, process: &Process, name: &str) -> Option<(u16, String)> {
        let body = self.event(name);
        let (code, answer) = self.deliver(process, &body).await?;
        Some((code, answer["status"].as_str().unwrap_or_default().to_owned()))
    }

    /// The event of a new contact, not delivered yet.
    pub fn event(&self, name: &str) -> Vec<u8> {
        self.sandbox.ghl.create_contact(json!({ "firstName": name, "email": format!("{name}@example.com") }));
        self.sandbox.ghl.take_events().remove(0).body
    }

    pub async fn deliver(&self, process: &Process, body: &[u8]) -> Option<(u16, Value)> {
        let mut request = self.http.post(format!("{}/webhooks/ghl", process.url)).body(body.to_owned());
        for (name, value) in self.sandbox.ghl.headers_for(body) {
            request = request.header(name, value);
        }
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// A contact that is being synced when these signals come, a moment apart: how its webhook is
    /// answered.
    async fn signalled(&self, process: &Process, signals: &[&str]) -> Option<(u16, String)> {
        let during = self.contact(process, "during");
        let stop = async {
            self.sandbox.ghl.journal().clear();
            let mut moment = tokio::time::interval(Duration::from_millis(50));
            while self.sandbox.ghl.journal().entries().is_empty() {
                moment.tick().await;
            }
            for signal in signals {
                process.signal(signal);
                moment.tick().await;
            }
        };
        tokio::join!(during, stop).0
    }

    /// Waits until Trafft has a customer of that name.
    pub async fn customer(&self, name: &str) {
        let mut moment = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1000 {
            if self.sandbox.trafft.customers().iter().any(|customer| customer.first_name == name) {
                return;
            }
            moment.tick().await;
        }
        panic!("no customer {name} after 20 s");
    }
}

pub fn done(status: &str) -> Option<(u16, String)> {
    Some((200, status.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_signal_finishes_what_is_in_flight_and_exits_with_zero() {
    let stage = Stage::set(&[]).await;
    let mut process = stage.process().await;
    assert_eq!(stage.contact(&process, "before").await, done("synced"));
    // One is being synced when the signal comes: it is answered, and its customer made.
    stage.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/"), Fault::Slow { ms: 600 });
    assert_eq!(stage.signalled(&process, &["TERM"]).await, done("synced"));
    assert_eq!(process.ended(), Some(0));
    stage.customer("during").await;
    // The file is free for the next one.
    let next = stage.process().await;
    assert_eq!(stage.contact(&next, "after").await, done("synced"));
}

/// As when a terminal is closed: once by the system, once by the shell, and by systemd beside a
/// SIGTERM.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_is_a_soft_stop_however_often_it_comes_and_none_under_nohup() {
    for signals in [&["HUP", "HUP", "HUP"][..], &["TERM", "HUP"], &["HUP", "TERM"]] {
        // As long as a busy machine may take.
        let stage = Stage::set(&[("SYNC_INLINE_DEADLINE_MS", "20000")]).await;
        let mut process = stage.process().await;
        assert_eq!(stage.contact(&process, "before").await, done("synced"));
        stage.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/"), Fault::Slow { ms: 600 });
        assert_eq!(stage.signalled(&process, signals).await, done("synced"), "{signals:?}");
        assert_eq!(process.ended(), Some(0), "{signals:?}");
    }
    let stage = Stage::set(&[("SYNC_INLINE_DEADLINE_MS", "20000")]).await;
    let mut process = Process::wrapped(stage.settings.clone(), |command| {
        command.arg("nohup");
    });
    process.ready(&stage.http).await;
    process.signal("HUP");
    assert_eq!(stage.contact(&process, "after").await, done("synced"));
    assert_eq!(process.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_does_not_wait_and_too_long_a_stop_is_no_success() {
    for (seconds, signals, code) in [("60", 2, Some(130)), ("1", 1, Some(1))] {
        let stage = Stage::set(&[("SHUTDOWN_SECONDS", seconds), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
        let mut process = stage.process().await;
        stage.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/"), Fault::Slow { ms: 25_000 });
        assert_eq!(stage.contact(&process, "slow").await, done("queued"));
        let mut moment = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..signals {
            moment.tick().await;
            moment.tick().await;
            process.signal("TERM");
        }
        let began = Instant::now();
        assert_eq!(process.ended(), code, "SHUTDOWN_SECONDS={seconds}");
        assert!(began.elapsed() < Duration::from_secs(20), "it waited for the vendor");
        // Nothing is lost by either.
        stage.sandbox.ghl.faults().clear();
        let _next = stage.process().await;
        stage.customer("slow").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_dies_takes_the_process_with_it_and_the_exit_says_so() {
    let stage = Stage::set(&[("LEASE_SECONDS", "3")]).await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    // From a moment on the machine says that it is the year 33658: no part that asks can go on from
    // there, and each heartbeat asks. The first thread only waits for the parts, and is left alone.
    let shim = "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
        int clock_gettime(clockid_t id, struct timespec *now) {\n\
            int said = syscall(SYS_clock_gettime, id, now);\n\
            int first = syscall(SYS_gettid) == getpid();\
            if (id == CLOCK_REALTIME && !first && access(getenv(\"BROKEN\"), F_OK) == 0) now->tv_sec = 1000000000000;\n\
            return said;\n\
        }\n";
    fs::write(file("shim.c"), shim).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &file("shim.so"), &file("shim.c")]).status();
    assert!(compiled.unwrap().success());
    let (shim, broken) = (file("shim.so"), file("broken"));
    let mut process = Process::wrapped(stage.settings.clone(), |command| {
        command.args(["env", &format!("LD_PRELOAD={shim}"), &format!("BROKEN={broken}")]);
    });
    process.ready(&stage.http).await;
    assert_eq!(stage.contact(&process, "before").await, done("synced"));
    fs::write(&broken, "").unwrap();
    assert_eq!(process.ended(), Some(1));
    // Whoever starts it again finds everything in order.
    let next = stage.process().await;
    assert_eq!(stage.contact(&next, "after").await, done("synced"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_lands_on_the_other_process_is_answered_with_the_outcome() {
    let Some(database) = Database::postgres() else { return };
    let stage = Stage::set(&[("DATABASE_URL", database.url())]).await;
    let (first, second) = (stage.process().await, stage.process().await);
    for number in 0..10 {
        let process = if number % 2 == 0 { &first } else { &second };
        assert_eq!(stage.contact(process, &format!("n{number}")).await, done("synced"), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_to_both_processes_at_once_is_one_event() {
    let Some(database) = Database::postgres() else { return };
    let stage = Stage::set(&[("DATABASE_URL", database.url()), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let (first, second) = (stage.process().await, stage.process().await);
    for number in 0..20 {
        let bodies: Vec<_> = (0..8).map(|n| stage.event(&format!("n{number}-{n}"))).collect();
        let to = |process| join_all(bodies.iter().map(|body| stage.deliver(process, body)));
        let (here, there) = tokio::join!(to(&first), to(&second));
        for (here, there) in here.into_iter().zip(there) {
            let ((code, here), (other, there)) = (here.unwrap(), there.unwrap());
            assert_eq!((code, other), (200, 200), "{here} {there}");
            assert_eq!(here["event_id"], there["event_id"], "{here} {there}");
            let duplicates = [&here, &there].into_iter().filter(|answer| answer["status"] == "duplicate");
            assert_eq!(duplicates.count(), 1, "{here} {there}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_hands_over_at_once_and_who_dies_within_the_lease() {
    for (lease, dies) in [("120", false), ("3", true)] {
        let Some(database) = Database::postgres() else { return };
        let stage = Stage::set(&[("DATABASE_URL", database.url()), ("LEASE_SECONDS", lease)]).await;
        let (mut first, second) = (stage.process().await, stage.process().await);
        assert_eq!(stage.contact(&first, "before").await, done("synced"));
        if dies {
            first.kill()
        } else {
            assert_eq!(first.stop(), Some(0))
        }
        // Stored, and worked as soon as somebody owns the location: in 20 s at most, or this fails.
        assert_eq!(stage.contact(&second, "after").await.map(|(code, _)| code), Some(200));
        stage.customer("after").await;
    }
}

/// Requests that never arrive whole, and connections without any, neither stay open for ever nor
/// hold up a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_has_its_time_and_does_not_hold_up_a_stop() {
    let head = "POST /login HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: same-origin\r\n\
        content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n";
    let (health, body) = ("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", format!("{head}\r\ntoken="));
    let mut world = World::new().await;
    let open = async |world: &World, sent: &str| {
        let mut stream = TcpStream::connect(world.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    };
    let (mut half, mut slow) = (open(&world, head).await, open(&world, &body).await);
    let mut idle = open(&world, health).await;
    answered(&mut idle).await;
    let (mut taken, mut moment) = (0, tokio::time::interval(Duration::from_millis(20)));
    for (stream, least) in [(&mut half, 1), (&mut slow, 6)] {
        let mut byte = [0];
        let mut read = std::pin::pin!(stream.read(&mut byte));
        while futures_util::poll!(read.as_mut()).is_pending() {
            world.advance(Duration::from_secs(10));
            taken += 1;
            moment.tick().await;
            assert!(taken < 200, "it is still open");
        }
        assert!(taken >= least, "closed after {taken} looks");
    }
    idle.write_all(health.as_bytes()).await.unwrap();
    answered(&mut idle).await;
    let _held = [open(&world, head).await, open(&world, &body).await, open(&world, "").await, idle];
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "the stop took {:?}", began.elapsed());
}

async fn answered(stream: &mut TcpStream) {
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
}
