//! Which module may use which: the table of `docs/architecture.md`, held against the code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, rooms it may name (`crate::…`), crates it must not name.
const WALLS: &[(&str, &[&str], &[&str])] = &[
    ("model", &[], &["axum", "sqlx", "reqwest", "tokio", "sandbox"]),
    ("clock.rs", &[], &["axum", "sqlx", "reqwest", "sandbox"]),
    ("config", &["model"], &["axum", "sqlx", "reqwest", "tokio", "sandbox"]),
    ("clients", &["model", "clock"], &["axum", "sqlx", "sandbox"]),
    ("store", &["model", "clock"], &["axum", "reqwest", "sandbox"]),
    ("sync", &["clients", "store", "model", "clock"], &["axum", "sqlx", "reqwest", "sandbox"]),
    (
        "intake",
        &["store", "clients::ghl::wire", "clients::json", "sync::Nudge", "model", "clock"],
        &["axum", "sqlx", "reqwest", "sandbox"],
    ),
    ("http", &["intake", "store", "sync::onboard", "model", "clock"], &["sqlx", "reqwest", "sandbox"]),
    ("lifecycle.rs", &["telemetry"], &["axum", "sqlx", "reqwest", "sandbox"]),
    ("telemetry.rs", &[], &["axum", "sqlx", "reqwest", "sandbox"]),
    (
        "cli",
        &["app", "cli", "clients", "clock", "config", "http", "lifecycle", "model", "store", "sync", "telemetry"],
        &["axum", "sqlx", "reqwest"],
    ),
];

/// The only files that may name the sandbox.
const SANDBOX: [&str; 2] = ["cli/demo.rs", "cli/sandbox.rs"];

#[test]
fn every_room_keeps_to_its_walls() {
    let mut broken = Vec::new();
    let mut visited = BTreeMap::new();
    for (path, code) in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let names_sandbox = ["use sandbox::", "sandbox::Sandbox", "sandbox::ghl", "sandbox::trafft"];
        if names_sandbox.iter().any(|name| code.contains(name)) && !SANDBOX.contains(&path.as_str()) {
            broken.push(format!("{path} names the sandbox"));
        }
        let room = path.split('/').next().unwrap_or_default();
        let Some((_, may, never)) = WALLS.iter().find(|(name, ..)| *name == room) else {
            // `app` knows all; `lib` and `main` only hand over.
            assert!(["app", "app.rs", "lib.rs", "main.rs"].contains(&room), "{path} has no row in the table");
            continue;
        };
        *visited.entry(room.to_owned()).or_insert(0) += 1;
        for named in code.match_indices("crate::").map(|(at, _)| &code[at + "crate::".len()..]) {
            let name: String = named.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            let own = name == room || name.starts_with(&format!("{room}::"));
            if !own && !may.iter().any(|may| name == *may || name.starts_with(&format!("{may}::"))) {
                broken.push(format!("{path} names crate::{name}"));
            }
        }
        for library in *never {
            if code.contains(&format!("{library}::")) && !(SANDBOX.contains(&path.as_str()) && *library == "sandbox") {
                broken.push(format!("{path} names {library}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(visited.len(), WALLS.len(), "a row of the table has no code: {visited:?}");
}

#[test]
fn one_vendor_does_not_know_the_other() {
    for (path, code) in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/clients"))) {
        assert!(!path.starts_with("ghl") || !code.contains("trafft::"), "{path} knows Trafft");
        assert!(!path.starts_with("trafft") || !code.contains("ghl::"), "{path} knows GoHighLevel");
    }
}

#[test]
fn the_sandbox_knows_nothing_of_the_service() {
    for (path, code) in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sandbox"))) {
        assert!(!code.contains("ghl_trafft_sync"), "sandbox/{path} names the service");
    }
}

/// Every Rust file below `root`, by its path there, without comments and tests.
fn sources(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if name.split('/').any(|part| ["tests", "tests.rs"].contains(&part)) {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
                found.push((name, code.join("\n")));
            }
        }
    }
    assert!(!found.is_empty(), "nothing found below {}", root.display());
    found
}
