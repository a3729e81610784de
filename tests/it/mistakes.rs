//! A stranger's mistakes each give one clear line with the fix, and `docs/operations.md` has them
//! all, word for word.

use std::collections::BTreeSet;
use std::net::TcpListener;

use sandbox::Clock;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::command::run;
use crate::support::desk::{Desk, Row, app, row, rows};

const HOUR: i64 = 3_600_000;

fn closed() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}")
}

#[tokio::test]
async fn each_mistake_with_the_vendors_has_one_line_with_the_fix() {
    Desk::mistaken("a client secret of Trafft that is wrong", |desk| {
        desk.set(&[("TRAFFT_CLIENT_SECRET", "not-the-secret")]);
    })
    .await;
    Desk::mistaken("a token of HighLevel that is wrong", |desk| desk.set(&[("GHL_ACCESS_TOKEN", "pit-not-it")])).await;
    Desk::mistaken("a token of HighLevel for another location", |desk| {
        let token = desk.sandbox.ghl.add_location("anotherLocation00001", "Studio", "UTC", "US");
        desk.set(&[("GHL_ACCESS_TOKEN", &token)]);
    })
    .await;
    Desk::mistaken("the scope `contacts.readonly` is missing", |desk| {
        desk.sandbox.ghl.set_scopes(&desk.sandbox.ghl.token(), &["locations.readonly"]);
    })
    .await;
    Desk::mistaken("a URL of Trafft that leads nowhere", |desk| desk.set(&[("TRAFFT_API_URL", &closed())])).await;
    Desk::mistaken("a URL of Trafft that leads elsewhere", |desk| {
        let url = desk.sandbox.ghl.url();
        desk.set(&[("TRAFFT_API_URL", &url)]);
    })
    .await;
    Desk::mistaken("a URL of HighLevel that leads elsewhere", |desk| {
        let url = desk.sandbox.trafft.url();
        desk.set(&[("GHL_API_URL", &url)]);
    })
    .await;
}

#[tokio::test]
async fn each_mistake_in_the_settings_has_one_line_with_the_fix() {
    Desk::mistaken("`http://` instead of `https://`", |desk| {
        desk.set(&[("TRAFFT_API_URL", "http://yourname.admin.trafft.com")]);
    })
    .await;
    Desk::mistaken("a setting is forgotten", |desk| desk.set(&[("GHL_ACCESS_TOKEN", "")])).await;
    Desk::mistaken("the example's `…` is left in a setting", |desk| desk.set(&[("GHL_ACCESS_TOKEN", "pit-…")])).await;
    Desk::mistaken("the key that seals secrets is forgotten", |desk| {
        app(desk);
        desk.set(&[("ENCRYPTION_KEY", "")]);
    })
    .await;
    Desk::mistaken("the key of webhooks is none", |desk| desk.set(&[("GHL_WEBHOOK_PUBLIC_KEYS", "AAAA")])).await;
    Desk::mistaken("the database's folder is not there", |desk| {
        desk.set(&[("DATABASE_URL", "sqlite:///no/such/folder/sync.db")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_with_a_service_that_runs_has_one_line_with_the_fix() {
    let mut desk = Desk::new().await;
    let mut service = desk.serve().await;
    desk.set(&[("PUBLIC_URL", &closed())]);
    desk.is_told("a public URL where nobody answers").await;
    let url = desk.sandbox.trafft.url();
    desk.set(&[("PUBLIC_URL", &url)]);
    desk.is_told("a public URL where something else answers").await;
    assert_eq!(service.stop(), Some(0));
    desk.set(&[("PUBLIC_URL", "")]);
    let mut database = SqliteConnection::connect(&desk.settings["DATABASE_URL"]).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    desk.is_told("a database that a newer version made").await;
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_seen_by_the_vendors() {
    let now = Clock::system().now_ms();
    let ahead = Desk::by(Clock::manual(now - HOUR)).await;
    ahead.is_told("this machine's clock is an hour ahead").await;
    let behind = Desk::by(Clock::manual(now + HOUR)).await;
    behind.is_told("this machine's clock is an hour behind").await;
}

#[tokio::test]
async fn whoever_connects_a_location_is_told_the_same() {
    let mut world = World::app(&[]).await;
    world.forgiving = true;
    let (ghl, trafft) = (world.sandbox.ghl.clone(), world.sandbox.trafft.clone());
    let location = ghl.location_id();
    let good = json!({
        "ghl_access_token": ghl.token(), "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
        "trafft_client_secret": trafft.client_secret(),
    });
    let path = format!("/api/v1/connections/{location}");
    for (key, value, mistake) in [
        ("trafft_client_secret", "not-the-secret".to_owned(), "a client secret of Trafft that is wrong"),
        ("ghl_access_token", "pit-not-it".to_owned(), "a token of HighLevel that is wrong"),
        ("trafft_api_url", closed(), "a URL of Trafft that leads nowhere"),
        ("trafft_api_url", ghl.url(), "a URL of Trafft that leads elsewhere"),
        ("trafft_api_url", "http://yourname.admin.trafft.com".to_owned(), "`http://` instead of `https://`"),
    ] {
        let mut entered = good.clone();
        entered[key] = json!(value);
        let answer = world.admin(reqwest::Method::PUT, &path, Some(entered.clone())).await;
        let does = row(mistake).does;
        assert!(answer.is_problem() && answer.code == 400 && answer.detail().ends_with(&does), "{}", answer.json);
        assert_eq!(world.get(&path).await.code, 404, "nothing was kept: {mistake}");
        let file = |name: &str, text: &Value| {
            std::fs::write(world.path(name), text.as_str().unwrap()).unwrap();
            world.path(name)
        };
        let token = file("token", &entered["ghl_access_token"]);
        let secret = file("secret", &entered["trafft_client_secret"]);
        let add = ["connections", "add", &location, "--ghl-token-file", &token, "--trafft-client-secret-file", &secret];
        let (url, id) = (entered["trafft_api_url"].as_str().unwrap(), trafft.client_id());
        let said =
            run(&world.settings(), &[&add[..], &["--trafft-url", url, "--trafft-client-id", &id]].concat()).await;
        assert!(said.code == 1 && said.err.trim_end().ends_with(&does), "{said:?}");
        for secret in [&entered["ghl_access_token"], &entered["trafft_client_secret"]] {
            assert!(!said.err.contains(secret.as_str().unwrap()), "{said:?}");
        }
    }
    ghl.set_scopes(&ghl.token(), &["locations.readonly"]);
    let answer = world.admin(reqwest::Method::PUT, &path, Some(good.clone())).await;
    assert!(answer.detail().ends_with(&row("the scope `contacts.readonly` is missing").does), "{}", answer.json);
    ghl.set_scopes(&ghl.token(), &["contacts.readonly"]);
    let blanks = |key: &str| json!(format!(" {}\n", good[key].as_str().unwrap()));
    let copied: serde_json::Map<_, _> =
        good.as_object().unwrap().keys().map(|key| (key.clone(), blanks(key))).collect();
    let answer = world.admin(reqwest::Method::PUT, &path, Some(json!(copied))).await;
    assert_eq!(answer.code, 200, "blanks that came along with a copy are no mistake: {}", answer.json);
    let removed = world.admin(reqwest::Method::DELETE, &path, None).await;
    assert_eq!(removed.code, 204, "{}", removed.json);
    // The page, for a location where the app is installed.
    let code = ghl.install_location(&location, &["contacts.readonly"]);
    let mut browser = Browser::signed_in(&world).await;
    assert_eq!(browser.submit("/oauth/callback", &[("code", &code)]).await.code, 303);
    let (url, id) = (trafft.url(), trafft.client_id());
    for (url, secret, mistake) in [
        (url.as_str(), "not-the-secret", "a client secret of Trafft that is wrong"),
        ("http://yourname.admin.trafft.com", "any", "`http://` instead of `https://`"),
        (&ghl.url(), "any", "a URL of Trafft that leads elsewhere"),
    ] {
        let fields = [("url", url), ("client_id", id.as_str()), ("client_secret", secret)];
        let page = browser.submit(&format!("/connections/{location}"), &fields).await;
        let shown = [("<code>", "`"), ("</code>", "`"), ("&#x2f;", "/"), ("&#x27;", "'"), ("&amp;", "&")];
        let text = shown.iter().fold(page.text, |text, (html, plain)| text.replace(html, plain));
        assert!(page.code == 400 && text.contains(&row(mistake).does), "{text}");
    }
}

#[tokio::test]
async fn without_a_key_nothing_can_be_entered() {
    let mut world = World::new().await;
    world.forgiving = true;
    let token = world.sandbox.ghl.add_location("anotherLocation00001", "Studio", "UTC", "US");
    let trafft = world.sandbox.add_trafft().await.unwrap();
    let entered = json!({
        "ghl_access_token": token, "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
        "trafft_client_secret": trafft.client_secret(),
    });
    let answer = world.admin(reqwest::Method::PUT, "/api/v1/connections/anotherLocation00001", Some(entered)).await;
    assert_eq!((answer.code.as_u16(), answer.detail()), (409, row("the key that seals secrets is gone").does.as_str()));
}

#[test]
fn the_table_has_no_row_that_nobody_has_tried() {
    let tried = [
        include_str!("certificates.rs"),
        include_str!("doctor.rs"),
        include_str!("mistakes.rs"),
        include_str!("side_channels.rs"),
    ]
    .concat();
    let rows = rows();
    assert_eq!(rows.iter().map(|row| &row.mistake).collect::<BTreeSet<_>>().len(), rows.len(), "told twice");
    for Row { mistake, .. } in rows {
        assert!(tried.contains(&format!("\"{mistake}\"")), "nobody tries {mistake}");
    }
}
