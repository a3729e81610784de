//! Floods of what is not signed keep nothing out that is, wherever either comes from.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stopping::Stage;
use crate::support::process::Process;
use crate::support::{Answer, World};

const FLOOD: &str = "192.0.2.1";
const OTHERS: &str = "192.0.2.2";

/// As a proxy of ours passes it on, signed.
async fn signed(world: &World, from: &str, body: Vec<u8>) -> Answer {
    let mut headers = world.sandbox.ghl.headers_for(&body);
    headers.push(("X-Forwarded-For".to_owned(), from.to_owned()));
    soon(world.post("/webhooks/ghl", &headers, body)).await
}

/// The clock stands still, so who is kept out would wait for ever: by the machine's own, that is a
/// failure.
#[expect(clippy::disallowed_methods, reason = "only a test that fails waits for it")]
async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("it was kept out")
}

async fn forged(world: &World, from: &str) -> Answer {
    let (body, signature) = (world.event(json!({})), world.sandbox.ghl.sign(b"something else"));
    let headers = [("X-GHL-Signature".to_owned(), signature), ("X-Forwarded-For".to_owned(), from.to_owned())];
    world.post("/webhooks/ghl", &headers, body).await
}

/// A request whose body never comes whole.
async fn slow(world: &World, from: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let signature = world.sandbox.ghl.sign(b"something else");
    let head = format!(
        "POST /webhooks/ghl HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {from}\r\nX-GHL-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn event(world: &World, length: usize) -> Vec<u8> {
    let mut event = world.event(json!({ "type": "INSTALL" }));
    event.resize(length.max(event.len()), b' ');
    event
}

const LONG: usize = 100_000;

#[tokio::test]
async fn what_bears_no_signature_is_refused_before_its_body_comes() {
    let world = World::new().await;
    for path in ["/webhooks/ghl", "/webhooks/ghl/workflow"] {
        for head in ["Content-Length: 4000000", "Transfer-Encoding: chunked"] {
            let request = format!("POST {path} HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n");
            let answer = soon(world.raw(&request)).await;
            assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("not believed"), "{path} {head}: {answer}");
        }
    }
    assert_eq!(world.stored().await.len(), 0);
}

#[tokio::test]
async fn bodies_that_never_come_keep_nobody_out() {
    let world = World::new().await;
    let mut held = Vec::new();
    // More than there are doors.
    for _ in 0..1100 {
        held.push(slow(&world, FLOOD, 1000).await);
    }
    for from in [OTHERS, FLOOD] {
        let answer = signed(&world, from, event(&world, 0)).await;
        assert_eq!(answer.code, 200, "{from}: {}", answer.json);
    }
    // More than there is room for long ones.
    for _ in 0..100 {
        held.push(slow(&world, FLOOD, LONG).await);
    }
    for (from, length) in [(OTHERS, LONG), (OTHERS, 0), (FLOOD, 0)] {
        let answer = signed(&world, from, event(&world, length)).await;
        assert_eq!(answer.code, 200, "{from} {length}: {}", answer.json);
    }
}

#[tokio::test]
async fn forged_ones_keep_no_signed_one_out() {
    let world = World::new().await;
    for _ in 0..3 {
        let forgeries = futures_util::future::join_all((0..200).map(|_| forged(&world, FLOOD))).await;
        assert!(forgeries.iter().all(|answer| answer.code == 401));
        for (from, length) in [(OTHERS, 0), (OTHERS, LONG), (FLOOD, 0), (FLOOD, LONG)] {
            let answer = signed(&world, from, event(&world, length)).await;
            assert_eq!(answer.code, 200, "{from} {length}: {}", answer.json);
        }
    }
}

#[tokio::test]
async fn a_signed_one_from_a_suspect_waits_for_room_and_gets_it() {
    let world = World::new().await;
    assert_eq!(forged(&world, FLOOD).await.code, 401);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(slow(&world, FLOOD, LONG).await);
    }
    // Suspects have rooms of their own: however many there are, the others' stay free.
    for n in 0..20 {
        let from = format!("198.51.100.{n}");
        assert_eq!(forged(&world, &from).await.code, 401);
        for _ in 0..4 {
            held.push(slow(&world, &from, LONG).await);
        }
    }
    assert_eq!(signed(&world, OTHERS, event(&world, LONG)).await.code, 200);
    let mut waiting = std::pin::pin!(signed(&world, FLOOD, event(&world, LONG)));
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("it did not wait: {}", answer.json),
        answer = signed(&world, OTHERS, event(&world, LONG)) => assert_eq!(answer.code, 200),
    }
    // The first to go makes room.
    held.clear();
    let answer = waiting.await;
    assert_eq!(answer.code, 200, "{}", answer.json);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_and_asked_for_again() {
    let world = World::new().await;
    let mut held = Vec::new();
    for length in [1000, LONG, LONG, LONG, LONG, LONG] {
        held.push(slow(&world, FLOOD, length).await);
    }
    for mut stream in held {
        let mut answer = vec![0; 4096];
        let length = loop {
            tokio::select! {
                biased;
                length = stream.read(&mut answer) => break length.unwrap(),
                () = tokio::task::yield_now() => world.advance(Duration::from_secs(1)),
            }
        };
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        assert!(answer.starts_with("http/1.1 429") && answer.contains("retry-after: 60"), "{answer}");
    }
    assert_eq!(signed(&world, FLOOD, event(&world, LONG)).await.code, 200);
}

#[tokio::test]
async fn six_hundred_connections_wait_until_they_are_accepted() {
    let listener = ghl_trafft_sync::http::listen_on("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..600)
        .map(|number| {
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))
                .unwrap_or_else(|error| panic!("connection {number}: {error}"))
        })
        .collect();
    assert_eq!(waiting.len(), 600);
}

/// Clients that connect and say nothing use up what the process may open: it says so once, and gets
/// rid of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_that_use_up_the_descriptors_are_told_once_and_let_go() {
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log").display().to_string();
    let stage = Stage::set(&[("LOG_TO", &log), ("LOG_FORMAT", "json")]).await;
    let process = Process::wrapped(stage.settings.clone(), |command| {
        command.args(["prlimit", "--nofile=100:100"]);
    });
    process.ready(&stage.http).await;
    let address = process.url.replace("http://", "");
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    // Behind all of them.
    let answer = stage.contact(&process, "ada").await;
    assert_eq!(answer.map(|(code, _)| code), Some(200));
    let text = std::fs::read_to_string(&log).unwrap();
    let told = text.lines().filter(|line| line.contains("no connection can be accepted")).count();
    assert_eq!(told, 1, "{text}");
}
