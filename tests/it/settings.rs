//! Whatever is wrong with the settings is told at start, all at once, each with its fix, and no
//! secret is shown.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::config::{Config, Problems, SETTINGS, Sources};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::World;

const GOOD: &[(&str, &str)] = &[
    ("GHL_LOCATION_ID", "ve9EPM428h8vShlRW1KT"),
    ("GHL_ACCESS_TOKEN", "pit-0d9f1f6e-6c0a-4b7e-9b7e-3f0d8b0c2a11"),
    ("TRAFFT_API_URL", "https://studio.admin.trafft.com"),
    ("TRAFFT_CLIENT_ID", "client"),
    ("TRAFFT_CLIENT_SECRET", "secret-of-the-client"),
];

fn sources(changes: &[(&str, &str)], file: Option<PathBuf>) -> Sources {
    let all = GOOD.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources { environment: all.collect(), file, ..Default::default() }
}

fn with(changes: &[(&str, &str)]) -> Result<Config, Problems> {
    load(&sources(changes, None))
}

/// A file in a folder that lasts as long as the test.
fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The one problem, as it is told.
fn told(changes: &[(&str, &str)], name: &str) -> String {
    let problems = with(changes).expect_err(name);
    assert_eq!(problems.0.iter().map(|problem| problem.name.as_str()).collect::<Vec<_>>(), [name], "{problems}");
    problems.0[0].wrong.to_string()
}

#[test]
fn five_settings_are_enough() {
    let config = with(&[]).unwrap();
    assert_eq!(config.bind.to_string(), "127.0.0.1:8080");
    assert_eq!((config.max_body, config.inline_deadline.as_millis()), (4_194_304, 2000));
    assert!(config.admin_token.is_none() && config.ghl.workflow_token.is_none() && config.ghl.webhook_keys.is_none());
}

#[test]
fn what_is_missing_is_told_all_at_once_with_where_to_find_it() {
    let names = |problems: &Problems| problems.0.iter().map(|problem| problem.name.clone()).collect::<Vec<_>>();
    let nothing = load(&Sources::default()).unwrap_err();
    assert_eq!(names(&nothing), ["GHL_LOCATION_ID"], "there are several ways to connect a location: {nothing}");
    for way in ["GHL_ACCESS_TOKEN", "GHL_CLIENT_ID"] {
        assert!(nothing.to_string().contains(way), "{nothing}");
    }
    let app =
        load(&Sources { environment: [("GHL_CLIENT_ID".to_owned(), "app-1".to_owned())].into(), ..Default::default() });
    let needed = ["ADMIN_TOKEN", "ENCRYPTION_KEY", "GHL_CLIENT_SECRET", "PUBLIC_URL"];
    assert_eq!(names(&app.unwrap_err()), needed, "the app whole, or not at all");
    let app = [
        ("GHL_CLIENT_ID", "app-1"),
        ("TRAFFT_API_URL", "https://studio.admin.wlbookingapp.com"),
        ("TRAFFT_CLIENT_ID", "42"),
    ];
    let environment: HashMap<_, _> =
        app.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let both = load(&Sources { environment, ..Default::default() }).unwrap_err();
    let needed = [&needed[..], &["TRAFFT_API_URL", "TRAFFT_CLIENT_ID"]].concat();
    assert_eq!(names(&both), needed, "nobody with an app is sent for a private token");
    assert!(both.to_string().contains("entered on its page"), "{both}");
    let (first, others) = GOOD.split_first().unwrap();
    let environment: HashMap<_, _> = [(first.0.to_owned(), first.1.to_owned())].into();
    let problems = load(&Sources { environment, ..Default::default() }).unwrap_err();
    assert_eq!(names(&problems), others.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let text = problems.to_string();
    assert!(text.starts_with("4 settings need attention (all are described in docs/settings.md):\n"), "{text}");
    for hint in ["is not set; ", "Private Integrations", "API card"] {
        assert!(text.contains(hint), "no `{hint}` in: {text}");
    }
    let folder = TempDir::new().unwrap();
    let nobody = [("CONNECTIONS_FILE".to_owned(), file(&folder, "connections", "\n"))].into();
    assert_eq!(
        load(&Sources { environment: nobody, ..Default::default() }).unwrap_err(),
        nothing,
        "a file without anybody"
    );
    // Empty counts as not set: that is how compose files leave things out.
    let empty: HashMap<_, _> = GOOD.iter().map(|(name, _)| ((*name).to_owned(), "  ".to_owned())).collect();
    assert_eq!(load(&Sources { environment: empty, ..Default::default() }).unwrap_err(), nothing);
}

#[test]
fn every_problem_is_named_with_its_fix_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let bad = [
        ("BIND_ADDR", "localhost", "`address:port`"),
        ("PUBLIC_URL", "https://example.com/sync", "the origin alone"),
        ("TRUSTED_PROXIES", "127.0.0.1,proxy", "10.0.0.0/8"),
        ("GHL_LOCATION_ID", "a/b", "letters"),
        ("GHL_ACCESS_TOKEN", "hush hush-1", "copy it again"),
        ("GHL_API_URL", "http://services.leadconnectorhq.com", "write `https://`"),
        ("GHL_WEBHOOK_PUBLIC_KEYS", "AAAA", "key 1 is not an Ed25519 public key"),
        ("GHL_WORKFLOW_TOKEN", "hush-2", "at least 16 characters"),
        ("GHL_WORKFLOW_SECRET", "hush-3", "at least 16 characters"),
        ("TRAFFT_API_URL", "studio.admin.trafft.com", "beginning with `https://`"),
        ("TRAFFT_CLIENT_SECRET", "hush\nhush-4", "copy it again"),
        ("ADMIN_TOKEN", "hush-5", "at least 16 characters"),
        ("SYNC_INLINE_DEADLINE_MS", "soon", "a whole number from 0 to 30000"),
        ("MAPPING_FILE", "/no/such/file", "cannot be read"),
        ("PHONE_REGION", "Atlantis", "two letters"),
        ("TIME_ZONE", "Moon/Base", "Europe/Berlin"),
        ("DESCRIPTION_POLICY", "never", "created, all, at-creation"),
        ("DESCRIPTION_ESCAPE", "xml", "html, none"),
        ("DELETE_POLICY", "purge", "keep, delete-created, ignore"),
        ("MISSING_CUSTOMER_POLICY", "panic", "conflict, recreate"),
        ("MAX_BODY_BYTES", "1", "from 65536"),
        ("SETTLE_SECONDS", "0", "from 1 to 3600"),
        ("TRAFFT_PAGE_PAUSE_MS", "-1", "from 0 to 60000"),
        ("SHUTDOWN_SECONDS", "99999999999999999999", "from 1 to 600"),
        ("LOG_FORMAT", "xml", "text, json"),
    ];
    let changes: Vec<_> = bad.iter().map(|(name, value, _)| (*name, *value)).collect();
    let problems = with(&changes).unwrap_err();
    let mut names: Vec<_> = bad.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    assert_eq!(problems.0.iter().map(|problem| problem.name.as_str()).collect::<Vec<_>>(), names, "{problems}");
    for (name, value, fix) in bad {
        let message = told(&[(name, value)], name);
        assert!(message.contains(fix), "`{name}`: {message}");
    }
    assert!(!problems.to_string().contains("hush"), "{problems}");
    drop(folder);
}

#[test]
fn the_dots_of_the_example_are_no_value() {
    for name in ["GHL_CLIENT_ID", "GHL_WORKFLOW_TOKEN", "TRAFFT_CLIENT_ID"] {
        let problems = with(&[(name, "…")]).unwrap_err().to_string();
        assert!(problems.contains(name) && problems.contains("put your own value there"), "{problems}");
    }
}

/// Several parts of the program read the same setting, and each finds fault with it.
#[test]
fn a_setting_that_is_wrong_is_told_once() {
    let app = [("GHL_CLIENT_ID", "app-1"), ("GHL_CLIENT_SECRET", "secret-of-the-app")];
    let rest = [
        ("PUBLIC_URL", "https://sync.example.com"),
        ("ADMIN_TOKEN", "an-admin-token-of-tests"),
        ("ENCRYPTION_KEY", "0707070707070707070707070707070707070707070707070707070707070707"),
    ];
    assert!(with(&[&app[..], &rest].concat()).is_ok());
    for (name, wrong) in [
        ("PUBLIC_URL", "http://sync.example.com"),
        ("ADMIN_TOKEN", "short"),
        ("ENCRYPTION_KEY", "no key, and with blanks"),
        ("ENCRYPTION_KEY_FILE", "/no/such/file"),
        ("GHL_WORKFLOW_SECRET", "whsec_!"),
        ("GHL_ACCESS_TOKEN_FILE", "/no/such/file"),
    ] {
        let other = name.strip_suffix("_FILE");
        let all: Vec<_> = app.iter().chain(&rest).copied().filter(|(known, _)| Some(*known) != other).collect();
        // Empty counts as not set.
        let emptied = other.map(|other| (other, ""));
        let changes: Vec<_> = all.into_iter().chain(emptied).chain([(name, wrong)]).collect();
        told(&changes, name);
    }
    let environment = [("TRAFFT_CLIENT_ID".to_owned(), "client".to_owned())].into();
    let problems = load(&Sources { environment, ..Default::default() }).unwrap_err();
    let names: Vec<_> = problems.0.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["GHL_ACCESS_TOKEN", "GHL_LOCATION_ID", "TRAFFT_API_URL", "TRAFFT_CLIENT_SECRET"], "{problems}");
}

#[test]
fn variables_that_are_not_utf_8_are_told_only_if_they_are_ours() {
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    let good = GOOD.iter().map(|(name, value)| (OsString::from(*name), OsString::from(*value)));
    let given = |changes: &[(&str, &OsStr)]| {
        let changes: Vec<_> = changes.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect();
        load(&Sources::new(good.clone().chain(changes), None))
    };
    assert!(given(&[("LESSOPEN", &odd)]).is_ok());
    for name in ["GHL_LOCATION_ID", "TRAFFT_CLIENT_SECRET", "LOG_FORMAT", "ADMIN_TOKEN_FILE"] {
        let problems = given(&[(name, &odd)]).unwrap_err();
        let names: Vec<_> = problems.0.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, [name], "{problems}");
        assert!(problems.to_string().contains("UTF-8"), "{problems}");
    }
}

#[test]
fn a_variable_of_somebody_elses_ends_no_command() {
    let odd = OsString::from_vec(b"LESSOPEN=x\xff".to_vec());
    let mut command = std::process::Command::new("env");
    command.arg(odd).args([env!("CARGO_BIN_EXE_ghl-trafft-sync"), "settings"]);
    let said = command.output().unwrap();
    assert_eq!((said.status.code(), said.stderr.len()), (Some(0), 0), "{said:?}");
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for name in ["GHL_API_URL", "TRAFFT_API_URL", "PUBLIC_URL"] {
        for fine in
            ["http://127.0.0.1:4010", "http://localhost:4010", "http://[::1]:4010", "https://vendor.example.com"]
        {
            assert!(with(&[(name, fine)]).is_ok(), "{name} {fine}");
        }
        for foreign in [
            "http://vendor.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "file:///etc/passwd",
        ] {
            assert!(told(&[(name, foreign)], name).contains("https://"), "{foreign}");
        }
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let folder = TempDir::new().unwrap();
    let path =
        file(&folder, "settings.toml", "MAX_BODY_BYTES = 131072\nSETTLE_SECONDS = \"7\"\nLOG_FORMAT = \"json\"\n");
    let config = load(&sources(&[("SETTLE_SECONDS", "9"), ("LOG_FORMAT", "")], Some(path.into()))).unwrap();
    assert_eq!((config.max_body, config.policy.settle_time.as_secs()), (131_072, 9));
}

#[test]
fn mistakes_in_the_file_are_named() {
    let folder = TempDir::new().unwrap();
    let path = file(
        &folder,
        "settings.toml",
        "ADMIN_TOKN = \"hush-hush-hush-hush\"\nGHL_SCOPES = [\"a\"]\nSETTLE_SECONDS = 0\n",
    );
    let problems = load(&sources(&[], Some(path.clone().into()))).unwrap_err();
    let names: Vec<_> = problems.0.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["ADMIN_TOKN", "GHL_SCOPES", "SETTLE_SECONDS"], "{problems}");
    let text = problems.to_string();
    assert!(text.contains("is no setting") && text.contains(&path), "{text}");
    assert!(!text.contains("hush"), "{text}");
    for (name, text) in [("broken.toml", "ADMIN_TOKEN = \"hush-hush-hush-hush\nX"), ("none.toml", "")] {
        let path = folder.path().join(name);
        if !text.is_empty() {
            std::fs::write(&path, text).unwrap();
        }
        let problems = load(&sources(&[], Some(path))).unwrap_err().to_string();
        assert!(problems.contains("`CONFIG_FILE`") && problems.contains(name), "{problems}");
        assert!(!problems.contains("hush-hush"), "the parser shows the line that it trips over: {problems}");
    }
}

#[test]
fn secrets_come_from_files_too() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "token", "a-token-from-a-file\n");
    let config = with(&[("ADMIN_TOKEN_FILE", &path), ("GHL_WORKFLOW_TOKEN_FILE", &path)]).unwrap();
    for secret in [config.admin_token, config.ghl.workflow_token] {
        use secrecy::ExposeSecret;
        assert_eq!(secret.unwrap().expose_secret(), "a-token-from-a-file");
    }
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let by_file = format!("{}_FILE", setting.name);
        let both = [(setting.name, "a-token-from-here"), (by_file.as_str(), path.as_str())];
        let problems = with(&both).unwrap_err();
        let problem = problems.0.iter().find(|problem| problem.name == by_file).expect(&by_file);
        assert!(problem.wrong.to_string().contains("set only one of them"));
    }
    assert!(
        told(&[("ADMIN_TOKEN_FILE", "/no/such/file")], "ADMIN_TOKEN_FILE").contains("`/no/such/file` cannot be read")
    );
    let short = file(&folder, "short", "hush\n");
    assert!(!told(&[("ADMIN_TOKEN_FILE", &short)], "ADMIN_TOKEN").contains("hush"));
    let broken = file(&folder, "broken", "hush-hush-hush\nhush-hush-hush");
    assert!(!told(&[("ADMIN_TOKEN_FILE", &broken)], "ADMIN_TOKEN").contains("hush"));
}

#[test]
fn mistakes_in_the_mapping_file_are_told_with_line_and_field() {
    let folder = TempDir::new().unwrap();
    let path = file(
        &folder,
        "mapping.toml",
        "only = \"'vip' in\"\n\n[customer]\nfirst_name = \"{{ frist_name }}\"\nlast_name = \"{{ last_name | nonsense }}\"\nemail = \"{{ email\"\n",
    );
    let problems = with(&[("MAPPING_FILE", &path), ("SETTLE_SECONDS", "0")]).unwrap_err();
    assert_eq!(problems.0.len(), 2, "{problems}");
    let text = problems.to_string();
    for part in [
        "`MAPPING_FILE`: ",
        "`SETTLE_SECONDS`: ",
        &path,
        "line 1, `only`: ",
        "line 4, `customer.first_name`: ",
        "frist_name",
        "line 5, `customer.last_name`: ",
        "nonsense",
        "line 6, `customer.email`: ",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    let path = file(&folder, "unknown.toml", "[customer]\n\nfirstname = \"x\"\n");
    let text = told(&[("MAPPING_FILE", &path)], "MAPPING_FILE");
    assert!(text.contains("line 3") && text.contains("firstname"), "{text}");
}

/// Builds, beside a world that runs, and says why not.
async fn refused(world: &World, settings: &[(&str, &str)]) -> String {
    let mut all: HashMap<String, String> = GOOD
        .iter()
        .chain([("BIND_ADDR", "127.0.0.1:0")].iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.insert("DATABASE_URL".to_owned(), format!("sqlite://{}", world.path("sync.db")));
    all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let config = load(&Sources { environment: all, ..Default::default() }).unwrap();
    App::build(config, world.clock.clone(), CancellationToken::new()).await.expect_err("it was built").to_string()
}

#[tokio::test]
async fn a_second_process_on_the_same_database_is_refused() {
    let mut world = World::on_sqlite(&[]).await;
    let why = refused(&world, &[]).await;
    assert!(why.contains("another process works with this database") && why.contains("sync.db.lock"), "{why}");
    // The first is none the worse for it, and a stopped one is no obstacle.
    world.synced(serde_json::json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    world.restart().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named() {
    let world = World::stopped(&[]).await;
    for (url, part) in [
        ("mysql://user:hush@db/sync", "must name a SQLite file"),
        ("postgres://user:hush@nowhere.invalid/sync", "the database"),
        ("sqlite::memory:", "must name a SQLite file"),
        ("sqlite:///no/such/folder/sync.db", "/no/such/folder/sync.db"),
    ] {
        let why = refused(&world, &[("DATABASE_URL", url)]).await;
        assert!(why.contains(part) && !why.contains("hush"), "{url}: {why}");
    }
}
