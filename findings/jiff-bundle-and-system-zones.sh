#!/bin/sh
# jiff 1.0 (Rust) with `tzdb-bundle-always` looks into the time zones that are built in only where the system has no zone files at all.
# Where it has some, a name that they lack is unknown, and older rules win: Debian 13 keeps `US/Central` and the like in the
# package tzdata-legacy, and zone files are as old as the system's last update. Without the feature `tzdb-zoneinfo` the built-in
# ones are always taken.
#
# Seen with 1.0.1 (built-in data 2026f): with a folder that holds one zone, `US/Central` is unknown; without `tzdb-zoneinfo` it is known.
#
# Exits with 1 when a missing name is looked for in the bundle as well. Needs cargo, its registry, and Europe/Berlin in
# /usr/share/zoneinfo.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p src zones/Europe
cp /usr/share/zoneinfo/Europe/Berlin zones/Europe/Berlin
cat > src/main.rs <<'RUST'
fn main() {
    for name in ["Europe/Berlin", "US/Central"] {
        println!("{name}: {}", if jiff::tz::TimeZone::get(name).is_ok() { "known" } else { "unknown" });
    }
}
RUST
for features in '"tzdb-bundle-always", "tzdb-zoneinfo"' '"tzdb-bundle-always"'; do
    cat > Cargo.toml <<TOML
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
jiff = { version = "=1.0.1", default-features = false, features = ["std", $features] }

[workspace]
TOML
    cargo build --quiet
    TZDIR="$folder/zones" target/debug/finding > said
    echo "$features:" && cat said
    cp said "$(echo "$features" | tr -d '", ')"
done
grep -q "US/Central: unknown" tzdb-bundle-alwaystzdb-zoneinfo || { echo "the bundle is asked as well now" >&2; exit 1; }
grep -q "US/Central: known" tzdb-bundle-always
