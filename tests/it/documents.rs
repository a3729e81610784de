//! What the documents say is what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ghl_trafft_sync::config::{SETTINGS, markdown};
use ghl_trafft_sync::http::openapi_yaml;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default()
}

#[test]
fn openapi_yaml_is_what_the_routes_say() {
    assert!(read("openapi.yaml") == openapi_yaml(), "run: cargo run -- openapi > openapi.yaml");
}

#[test]
fn the_settings_page_is_what_is_read() {
    assert!(read("docs/settings.md") == markdown(), "run: cargo run -- settings > docs/settings.md");
}

#[test]
fn the_proxies_share_the_services_cap() {
    let settings = markdown();
    assert!(settings.contains("| `MAX_BODY_BYTES` | `4194304` |"));
    assert!(read("deploy/nginx.conf").contains("client_max_body_size 4m;"));
    let caddy = read("deploy/Caddyfile");
    assert!(caddy.contains("> 4194304"), "the one for a body without a length is the service's own");
    assert!(read("deploy/haproxy.cfg").contains("gt 4194304"));
    assert!(read("deploy/apache.conf").contains("-gt 4194304"));
}

#[test]
fn unit_and_compose_file_have_a_slot_for_every_secret() {
    let (unit, compose) = (read("deploy/ghl-trafft-sync.service"), read("deploy/compose.yaml"));
    let secrets = SETTINGS.iter().filter(|setting| setting.secret).map(|setting| setting.name);
    let files = SETTINGS.iter().filter_map(|setting| setting.name.strip_suffix("_FILE"));
    for name in secrets.chain(files) {
        let file = name.to_lowercase();
        for line in [
            format!("LoadCredential={file}:/etc/ghl-trafft-sync/secrets/{file}"),
            // The default of a file that is not there.
            format!("SetCredential={file}:\\n"),
            format!("Environment={name}_FILE=%d/{file}"),
        ] {
            assert!(unit.lines().any(|other| other == line), "the unit lacks: {line}");
        }
        for line in [
            format!("      {name}_FILE: /run/secrets/{file}"),
            format!("      - {file}"),
            format!("  {file}: {{ file: secrets/{file} }}"),
        ] {
            assert!(compose.lines().any(|other| other == line), "the compose file lacks: {line}");
        }
        assert!(compose.lines().take_while(|line| line.starts_with('#')).any(|line| line.contains(&file)), "{file}");
    }
}

#[test]
fn the_sample_of_settings_has_no_comment_behind_a_value_and_no_name_that_is_none() {
    let readme = read("README.md");
    let samples = readme.lines().filter_map(|line| line.trim().split_once('='));
    let samples = samples.filter(|(name, _)| SETTINGS.iter().any(|setting| setting.name == *name)).collect::<Vec<_>>();
    assert!(samples.len() > 5 && samples.iter().all(|(_, value)| !value.contains('#')), "README.md: {samples:?}");
    for line in read("deploy/settings.env.example").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        assert!(SETTINGS.iter().any(|setting| setting.name == name && !setting.secret), "{line}");
        assert!(!value.contains('#'), "systemd would take the comment as a part of the value: {line}");
    }
}

/// The books on the vendors, each with the letter that stands for it in a citation.
const BOOKS: [(&str, &str); 2] = [("G", "docs/vendors/ghl.md"), ("T", "docs/vendors/trafft.md")];

/// What can be cited: `G §6.5` for a heading with that number, `G #332` for a row of the list of
/// reports.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (letter, path) in BOOKS {
        for line in read(path).lines() {
            if let Some(number) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with("##")) {
                let number = number.split(' ').next().unwrap_or_default();
                assert!(known.insert(format!("{letter} §{number}")), "{path} has two sections {number}");
            }
            if let Some((issues, _)) = line.strip_prefix("| #").and_then(|row| row.split_once(" |")) {
                known.extend(issues.split(", #").map(|number| format!("{letter} #{number}")));
            }
        }
    }
    known
}

/// What a line cites. A book's letter holds for the whole line, as in `G §6.1, §6.2, #64`, until a
/// number or another letter stands before a section: `RFC 9110 §11.1`.
fn cited(line: &str) -> Vec<String> {
    let (mut book, mut found) = ("", Vec::new());
    for (at, sign) in line.match_indices(['§', '#']) {
        let rest = &line[at + sign.len()..];
        let number = &rest[..rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())];
        let word = line[..at].trim_end().rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if BOOKS.iter().any(|(letter, _)| *letter == word) || sign != "#" && word.parse::<u32>().is_ok() {
            book = word;
        }
        let is_reference = sign != "#" || !book.is_empty() && line[..at].ends_with([' ', '(']);
        match number.trim_end_matches('.') {
            "" => {}
            number if is_reference => found.push(format!("{book} {sign}{number}")),
            _ => {}
        }
    }
    found
}

/// What of it the books lack.
fn lacking(place: &str, line: &str, known: &BTreeSet<String>) -> Vec<String> {
    let lacks = |cited: &String| match BOOKS.iter().find(|(letter, _)| cited.starts_with(&format!("{letter} "))) {
        Some((_, book)) => {
            (!known.contains(cited)).then(|| format!("{place} cites {cited}, which {book} does not have"))
        }
        None => cited.starts_with(' ').then(|| format!("{place} cites{cited}, and does not say of what")),
    };
    cited(line).iter().filter_map(lacks).collect()
}

fn files_under(path: &Path, found: &mut Vec<PathBuf>) {
    match fs::read_dir(path) {
        Ok(entries) => entries.for_each(|entry| files_under(&entry.unwrap().path(), found)),
        Err(_) => found.push(path.to_owned()),
    }
}

#[test]
fn what_is_cited_of_the_vendors_stands_in_their_books() {
    let (known, root) = (known(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut files = Vec::new();
    for part in ["src", "sandbox", "tests", "docs", "migrations", "README.md"] {
        files_under(&root.join(part), &mut files);
    }
    let (mut citations, mut lacks) = (0, Vec::new());
    for file in files {
        // Not everything is text.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.strip_prefix(root).unwrap().display(), number + 1);
            citations += cited(line).len();
            lacks.extend(lacking(&place, line, &known));
        }
    }
    assert!(lacks.is_empty(), "{}", lacks.join("\n"));
    assert!(citations > 400, "{citations}: they are not found any more");
    // With a number that no book has, put in here so that these lines are not citations themselves.
    for (line, want) in [
        ("G §%, §6.1", "x.rs:1 cites G §%, which docs/vendors/ghl.md does not have"),
        ("T §%", "x.rs:1 cites T §%, which docs/vendors/trafft.md does not have"),
        ("G §4, #%", "x.rs:1 cites G #%, which docs/vendors/ghl.md does not have"),
        ("as §% says", "x.rs:1 cites §%, and does not say of what"),
    ] {
        let [line, want] = [line, want].map(|text| text.replace('%', "99"));
        assert_eq!(lacking("x.rs:1", &line, &known), [want]);
    }
    assert!(lacking("x.rs:1", "RFC 9110 §11.1, §11.4", &known).is_empty());
}

/// Turns of phrase that readers have stumbled over. What they stand for can be said in plain words.
const RIDDLES: [&str; 10] = [
    "whoever",
    "whom ",
    "by whose leave",
    "nobody but",
    "nobody else",
    "somebody else",
    "is none like",
    "told to come again",
    "as they must be",
    "in the hands of",
];

#[test]
fn nothing_is_written_in_riddles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for part in [
        "src",
        "sandbox/src",
        "docs",
        "deploy",
        "examples",
        "migrations",
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ] {
        files_under(&root.join(part), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let riddles = RIDDLES.iter().filter(|riddle| lower.contains(*riddle));
            found
                .extend(riddles.map(|riddle| {
                    format!("{}:{}: `{riddle}`", file.strip_prefix(root).unwrap().display(), number + 1)
                }));
        }
    }
    assert!(found.is_empty(), "say it in plain words:\n{}", found.join("\n"));
}

#[test]
fn the_files_that_the_glossary_names_are_there() {
    let text = read("docs/glossary.md");
    let words: Vec<_> = text.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert!(words.len() > 25, "{words:?}");
    assert!(words.is_sorted_by_key(|line| line.to_lowercase()), "the words stand in the order of the alphabet");
    for file in words.iter().flat_map(|line| line.split('`').skip(1).step_by(2)) {
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file).exists(),
            "docs/glossary.md names `{file}`"
        );
    }
}
