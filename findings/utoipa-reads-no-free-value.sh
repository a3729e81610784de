#!/usr/bin/env bash
# utoipa 6.0.0 with serde_json 1.0.154: a field of the type serde_json::Value, which may hold anything, is written into the
# description as the empty schema {}, and that is right: in JSON Schema {} allows everything. But the same library's own
# Deserialize of OpenApi does not read it back. It refuses the whole document and names neither the schema nor the field:
# "data did not match any variant of untagged enum RefOr".
# So what checks a description has to be a program of somebody else's, or look at it as plain JSON.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "reads-itself"
version = "0.0.0"
edition = "2024"

[dependencies]
serde_json = "=1.0.154"
utoipa = "=6.0.0"
TOML
cat >src/main.rs <<'RUST'
#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
struct Parcel {
    label: String,
    content: serde_json::Value,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
struct Letter {
    label: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Parcel)))]
struct Free;

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Letter)))]
struct Plain;

fn main() {
    use utoipa::OpenApi;
    for (name, written) in [("plain", Plain::openapi()), ("free", Free::openapi())] {
        let text = written.to_json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let content = &value["components"]["schemas"]["Parcel"]["properties"]["content"];
        let read = serde_json::from_str::<utoipa::openapi::OpenApi>(&text);
        let read = read.map_or_else(|error| error.to_string(), |_| "read".to_owned());
        println!("{name}: content {content}, {read}");
    }
}
RUST
cargo run --quiet | tee seen
grep -qx "plain: content null, read" seen
grep -qE '^free: content \{\}, .*data did not match any variant of untagged enum RefOr' seen
