#!/usr/bin/env bash
# tracing-subscriber 0.3.23 `fmt()`: where standard error is full, the first line that is logged panics in the task that logs it.
# The library tells a failed write by `eprintln!`, on by default in `fmt()` (not in `fmt::layer()`). With
# `log_internal_errors(false)` the line is dropped.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "full"
version = "0.0.0"
edition = "2024"
[dependencies]
tracing = "=0.1.44"
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["fmt"] }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let quiet = std::env::args().any(|argument| argument == "quiet");
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    if quiet { logs.log_internal_errors(false).init() } else { logs.init() }
    tracing::info!("a line");
    println!("worked");
}
RUST
cargo build --quiet
run() { target/debug/full "$@" 2>/dev/full || echo "exit $?"; }
as_it_comes=$(run)
quiet=$(run quiet)
printf 'as it comes: %s\nlog_internal_errors(false): %s\n' "$as_it_comes" "$quiet"
# Seen: as it comes: exit 101; log_internal_errors(false): worked
[ "$as_it_comes" = "exit 101" ] && [ "$quiet" = "worked" ]
