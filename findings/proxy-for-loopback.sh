#!/usr/bin/env bash
# reqwest 0.13.5 (hyper-util 0.1): with HTTP_PROXY or ALL_PROXY in the environment a call to 127.0.0.1 or localhost goes to the
# proxy, its Authorization header readable there. Nothing exempts loopback addresses but NO_PROXY, unlike Go's client.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "loopback"
version = "0.0.0"
edition = "2024"
[dependencies]
reqwest = { version = "=0.13.5", default-features = false }
tokio = { version = "=1.54.1", features = ["macros", "rt"] }
TOML
cat >src/main.rs <<'RUST'
use std::io::{Read, Write};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let proxy = std::net::TcpListener::bind(std::env::var("PROXY_AT").unwrap()).unwrap();
    let heads = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for stream in proxy.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut head = [0; 2048];
            let read = stream.read(&mut head).unwrap();
            heads.push(String::from_utf8_lossy(&head[..read]).to_lowercase());
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
        }
        heads
    });
    let client = reqwest::Client::new();
    for url in ["http://127.0.0.1:9/", "http://localhost:9/"] {
        client.get(url).bearer_auth("token").send().await.unwrap();
    }
    for head in heads.join().unwrap() {
        assert!(head.contains("authorization: bearer token"), "{head}");
        println!("the proxy got: {}", head.lines().next().unwrap_or_default());
    }
}
RUST
cargo build --quiet
at=127.0.0.1:18873
for name in HTTP_PROXY ALL_PROXY; do
    got=$(env -u NO_PROXY -u no_proxy -u HTTP_PROXY -u http_proxy -u ALL_PROXY -u all_proxy \
        "$name=http://$at" "PROXY_AT=$at" target/debug/loopback)
    printf '%s\n%s\n' "$name" "$got"
    # Seen: the proxy got: get http://127.0.0.1:9/ http/1.1, and the same for localhost
    grep -q 'get http://127.0.0.1:9/' <<<"$got" && grep -q 'get http://localhost:9/' <<<"$got"
done
