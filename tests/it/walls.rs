//! Which module may use which: the table of `docs/architecture.md`, held against the code.

use std::collections::{BTreeMap, BTreeSet};
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
    ("connect", &["clients", "store", "sync", "model", "clock"], &["axum", "sqlx", "reqwest", "sandbox"]),
    ("http", &["intake", "connect", "store", "model", "clock"], &["sqlx", "reqwest", "sandbox"]),
    ("lifecycle.rs", &["telemetry"], &["axum", "sqlx", "reqwest", "sandbox"]),
    ("telemetry.rs", &[], &["axum", "sqlx", "reqwest", "sandbox"]),
    (
        "cli",
        &[
            "app",
            "cli",
            "clients",
            "clock",
            "config",
            "connect",
            "http",
            "lifecycle",
            "model",
            "store",
            "sync",
            "telemetry",
        ],
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

/// A module and its own parents may name each other; no others may in a circle.
#[test]
fn no_files_of_a_module_need_each_other_in_a_circle() {
    let files: BTreeMap<Vec<String>, String> = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")))
        .into_iter()
        .map(|(path, code)| (path_of(&path), code))
        .collect();
    let mut needs: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for (module, code) in &files {
        for named in names(module, code) {
            let Some(needed) = (1..=named.len()).rev().find_map(|len| files.get_key_value(&named[..len])) else {
                continue;
            };
            let needed = needed.0.as_slice();
            if needed[0] == module[0] && !needed.starts_with(module) && !module.starts_with(needed) {
                needs.entry(module).or_default().insert(needed);
            }
        }
    }
    assert!(needs.len() > 50, "the code was not understood: {needs:?}");
    // What needs nothing more is taken out, until nothing is left but circles.
    while let Some(free) = needs.iter().find(|(_, needed)| !needed.iter().any(|one| needs.contains_key(one))) {
        let free = *free.0;
        needs.remove(free);
    }
    assert!(needs.is_empty(), "circles, and what leads into them: {needs:#?}");
}

/// `store/engine/mod.rs` as `["store", "engine"]`.
fn path_of(file: &str) -> Vec<String> {
    let parts = file.trim_end_matches(".rs").split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    parts.map(str::to_owned).collect()
}

/// The modules and items that a module names by path, from the root of the crate.
fn names(module: &[String], code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = ["use ", "super::", "crate::"].iter().filter_map(|word| rest.find(word)).min() {
        rest = &rest[at..];
        let end = match rest.strip_prefix("use ") {
            Some(tree) => {
                let end = rest.find(';').unwrap_or(rest.len());
                expand(&[], &tree[..end.saturating_sub(4)], &mut found);
                end
            }
            None => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).unwrap_or(rest.len());
                expand(&[], &rest[..end], &mut found);
                end
            }
        };
        rest = &rest[end.max(1)..];
    }
    let absolute = |named: Vec<String>| match named.first().map(String::as_str) {
        Some("crate") => Some(named[1..].to_vec()),
        Some("super") => {
            let up = named.iter().take_while(|part| *part == "super").count();
            Some([&module[..module.len().checked_sub(up)?], &named[up..]].concat())
        }
        _ => None,
    };
    found.into_iter().filter_map(absolute).collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let (path, inner) = match tree.split_once('{') {
        Some((path, inner)) => (path, Some(inner.rsplit_once('}').map_or(inner, |(inner, _)| inner))),
        None => (tree, None),
    };
    let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    let path: Vec<_> = before.iter().cloned().chain(parts).collect();
    let Some(inner) = inner else { return found.push(path) };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&path, &inner[start..at], found);
                }
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
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
