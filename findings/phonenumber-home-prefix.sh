#!/bin/sh
# phonenumber 0.3.10 (Rust), asked with a default region: it takes that region's national prefix also from a number that begins
# with `+` and so belongs to another country. One would expect, and libphonenumber's documents say, that the default region does
# not matter then. Without a default region the same number is read rightly, but then the prefix 8 of Russia is taken from
# Russian numbers that begin with 8.
#
# The output that was seen stands below, as `want`.
#
# Exits with 1 when the crate answers otherwise. Needs cargo and its registry.
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
phonenumber = "=0.3.10"

[workspace]
TOML
cat > src/main.rs <<'RUST'
use phonenumber::{Mode, country, parse};

fn main() {
    for (from, region, number) in [
        ("US", Some(country::US), "+4915123456789"),
        ("none", None, "+4915123456789"),
        ("US", Some(country::US), "+5511961234567"),
        ("US", Some(country::US), "+441214960018"),
        ("none", None, "+78005553535"),
    ] {
        println!("{number} from {from}: {}", parse(region, number).unwrap().format().mode(Mode::E164));
    }
}
RUST
cat > want <<'SEEN'
+4915123456789 from US: +495123456789
+4915123456789 from none: +4915123456789
+5511961234567 from US: +55961234567
+441214960018 from US: +44214960018
+78005553535 from none: +7005553535
SEEN
cargo run --quiet > seen
cat seen
cmp -s seen want || { echo "it answers otherwise now" >&2; exit 1; }
