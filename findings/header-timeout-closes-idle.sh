#!/usr/bin/env bash
# hyper 1.12.0, server: `header_read_timeout` is no limit for heads alone. It also runs while a kept-alive connection is idle, from the
# end of one request on. Set to a few seconds, as against slow heads, it closes the idle connections of a proxy whose own
# keep-alive is longer (nginx 60 s), and what the proxy is just sending is lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "idle"
version = "0.0.0"
edition = "2024"
[dependencies]
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "=1.54.1", features = ["io-util", "macros", "net", "rt", "time"] }
TOML
cat >src/main.rs <<'RUST'
use std::convert::Infallible;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn answer(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("fine".to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(1));
        let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    let read = client.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    let began = Instant::now();
    let closed = tokio::time::timeout(Duration::from_secs(5), client.read(&mut buffer)).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "it stayed open");
    println!("answered, idle, and closed by the server after {} s", began.elapsed().as_secs());
}
RUST
cargo build --quiet
# Seen: answered, idle, and closed by the server after 1 s
target/debug/idle | tee /dev/stderr | grep -q 'closed by the server after 1 s'
