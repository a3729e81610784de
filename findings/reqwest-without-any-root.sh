#!/usr/bin/env bash
# reqwest 0.13.5 with its default `rustls` (rustls-platform-verifier 0.7.1): where no root certificate is to be found, as in an image
# without ca-certificates, `Client::build()` itself fails, also for a client that only ever calls `http://` on this machine. With
# `tls_certs_only([])`, the platform's roots are not asked for, and plain http works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "rootless"
version = "0.0.0"
edition = "2024"
[dependencies]
reqwest = { version = "=0.13.5", default-features = false, features = ["blocking", "rustls"] }
rustls-platform-verifier = "=0.7.1"
TOML
cat >src/main.rs <<'RUST'
use std::io::{Read, Write};

fn main() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let _ = caller.read(&mut [0; 1024]);
        caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    });
    let builder = reqwest::blocking::Client::builder().no_proxy();
    let builder = match std::env::args().nth(1).as_deref() {
        Some("without") => builder.tls_certs_only([]),
        _ => builder,
    };
    match builder.build() {
        Err(error) => println!("no client, builder error: {}", error.is_builder()),
        Ok(client) => println!("{}", client.get(format!("http://{address}/")).send().unwrap().text().unwrap()),
    }
}
RUST
cargo build --quiet
run() { env -u SSL_CERT_DIR SSL_CERT_FILE="$folder/not-there.pem" target/debug/rootless "$@"; }
as_it_comes=$(run)
without=$(run without)
printf 'as it comes: %s\ntls_certs_only([]): %s\n' "$as_it_comes" "$without"
# Seen: as it comes: no client, builder error: true; tls_certs_only([]): hi
[ "$as_it_comes" = "no client, builder error: true" ] && [ "$without" = "hi" ]
