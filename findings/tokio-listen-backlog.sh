#!/bin/sh
# tokio's `TcpListener::bind` lets 128 connections wait to be accepted (mio 1.2.5 took the standard library's number; older versions had
# 1024, and `TcpSocket::listen` takes any). What comes above that while the program is busy is dropped by Linux without a word: the
# sender tries again after a second, and connections that it thought were open are reset, with what was sent on them. A proxy that
# gets 600 requests at once opens that many connections to the service behind it.
#
# Seen with tokio 1.54.1, mio 1.2.5: 129 of 600 connections to a listener that accepts nothing are open after half a second; with
# `TcpSocket::listen(4096)` all 600.
#
# Exits with 1 when `bind` takes more than 200. Needs Linux (net.core.somaxconn of 1024 or more), cargo and its registry.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
mio = "=1.2.5"
tokio = { version = "=1.54.1", features = ["macros", "net", "rt", "time"] }

[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

async fn open(listener: &TcpListener) -> usize {
    let address = listener.local_addr().unwrap();
    let tries: Vec<_> = (0..600).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    tries.iter().filter(|tried| tried.is_finished()).count()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let longer = socket.listen(4096).unwrap();
    let (few, all) = (open(&bound).await, open(&longer).await);
    println!("bind: {few} of 600 open, listen(4096): {all}");
    assert!(few < 200 && all == 600);
}
RUST
cargo run --quiet
