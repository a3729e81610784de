//! What is wrong with the settings is told at once, whole, with its fix, and without a secret.

use std::collections::HashMap;
use std::fs;

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn sound(folder: &TempDir) -> HashMap<String, String> {
    [
        ("DATABASE_URL", format!("sqlite://{}/sync.db", folder.path().display()).as_str()),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("GHL_LOCATION_ID", "loc1"),
        ("GHL_ACCESS_TOKEN", "pit-secret"),
        ("TRAFFT_API_URL", "https://demo.admin.trafft.com"),
        ("TRAFFT_CLIENT_ID", "id"),
        ("TRAFFT_CLIENT_SECRET", "trafft-secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn problems(environment: HashMap<String, String>) -> String {
    load(&Sources { environment, file: None }).map(drop).expect_err("should be refused").to_string()
}

#[test]
fn every_problem_is_told_with_its_fix() {
    let folder = TempDir::new().unwrap();
    let mapping = folder.path().join("mapping.toml");
    fs::write(&mapping, "\n[customer]\nemail = '{{ emial }}'\n").unwrap();
    let mut wrong = sound(&folder);
    for (name, value) in [
        ("BIND_ADDR", "here"),
        ("GHL_LOCATION_ID", "a b"),
        ("GHL_ACCESS_TOKEN", "pit- top secret"),
        ("GHL_WEBHOOK_PUBLIC_KEYS", "AAAA"),
        ("GHL_WORKFLOW_TOKEN", "brief"),
        ("TRAFFT_API_URL", "http://demo.admin.trafft.com"),
        ("TRAFFT_CLIENT_SECRET", ""),
        ("DESCRIPTION_POLICY", "always"),
        ("FRESHNESS_SECONDS", "300"),
        ("TIME_ZONE", "Berlin"),
        ("PHONE_REGION", "Germany"),
        ("MAPPING_FILE", mapping.to_str().unwrap()),
    ] {
        wrong.insert(name.to_owned(), value.to_owned());
    }
    let told = problems(wrong);
    for (name, fix) in [
        ("BIND_ADDR", "address:port"),
        ("GHL_LOCATION_ID", "letters, digits"),
        ("GHL_ACCESS_TOKEN", "copy it again"),
        ("GHL_WEBHOOK_PUBLIC_KEYS", "key 1 is not an Ed25519"),
        ("GHL_WORKFLOW_TOKEN", "at least 16"),
        ("TRAFFT_API_URL", "https://"),
        ("TRAFFT_CLIENT_SECRET", "is not set"),
        ("DESCRIPTION_POLICY", "created, all, at-creation"),
        ("FRESHNESS_SECONDS", "from 4500"),
        ("TIME_ZONE", "Europe/Berlin"),
        ("PHONE_REGION", "two letters"),
        ("MAPPING_FILE", "line 3, `customer.email`: a contact has no `emial`"),
    ] {
        let line =
            told.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap_or_else(|| panic!("{name}: {told}"));
        assert!(line.contains(fix), "{line}");
    }
    assert!(!told.contains("top secret") && !told.contains("brief"), "{told}");
}

#[test]
fn a_file_gives_what_the_environment_does_not() {
    let folder = TempDir::new().unwrap();
    let (file, secret) = (folder.path().join("sync.toml"), folder.path().join("secret"));
    fs::write(&file, "SETTLE_SECONDS = 90\nMAX_BODY_BYTES = 100000\nMAX_BODY = 1\n").unwrap();
    fs::write(&secret, "an-admin-token-from-a-file\n").unwrap();
    let mut environment = sound(&folder);
    environment.insert("MAX_BODY_BYTES".to_owned(), "200000".to_owned());
    environment.insert("ADMIN_TOKEN_FILE".to_owned(), secret.display().to_string());
    let sources = Sources { environment, file: Some(file.clone()) };
    let told = load(&sources).map(drop).expect_err("MAX_BODY is no setting").to_string();
    assert!(told.contains("`MAX_BODY`: is no setting"), "{told}");
    fs::write(&file, "SETTLE_SECONDS = 90\nMAX_BODY_BYTES = 100000\n").unwrap();
    let config = load(&sources).unwrap();
    assert_eq!((config.policy.settle_time.as_secs(), config.max_body), (90, 200_000));
    assert!(config.admin_token.is_some());
    assert!(!format!("{config:?}").contains("secret\""), "a config can be printed without giving anything away");
}

#[tokio::test]
async fn one_process_and_one_account_a_database() {
    let folder = TempDir::new().unwrap();
    let build = async |environment: HashMap<String, String>| {
        let config = load(&Sources { environment, file: None }).unwrap();
        App::build(config, Clock::system(), CancellationToken::new()).await
    };
    let first = build(sound(&folder)).await.unwrap();
    let told = build(sound(&folder)).await.expect_err("two processes on one file").to_string();
    assert!(told.contains("another process works with this database"), "{told}");
    first.handle().store().close().await;
    drop(first);
    let mut other = sound(&folder);
    other.insert("TRAFFT_API_URL".to_owned(), "https://other.admin.trafft.com".to_owned());
    let told = build(other).await.expect_err("the links belong to the first account").to_string();
    assert!(told.contains("paired with the Trafft account `https://demo.admin.trafft.com`"), "{told}");
}
