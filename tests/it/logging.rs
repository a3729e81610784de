//! What the log says: one line a cause, however many meet it; and every line names what it belongs
//! to.

use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::stopping::{Stage, done};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::process::Process;

const HOUR: Duration = Duration::from_secs(3600);

/// More than anybody will ask.
const ALL: usize = 1_000_000;

/// What is logged by this thread, on which the world of a test lives, down to `debug`.
struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn here() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let log = tracing_subscriber::fmt().json().with_span_list(false).with_env_filter("ghl_trafft_sync=debug");
        let _guard = tracing::subscriber::set_default(log.with_writer(move || writer.clone()).finish());
        Self { text, _guard }
    }

    fn lines(&self) -> Vec<Value> {
        json_lines(&String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap())
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

/// What somebody is to look at.
fn loud(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
}

fn saying<'l>(lines: &'l [Value], part: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| message(line).contains(part)).collect()
}

/// The browser shows it to one person; the operator finds it in the log.
#[tokio::test]
async fn an_install_that_highlevel_refuses_is_one_line() {
    let log = Log::here();
    let (world, code) = World::with_another_secret().await;
    let mut browser = Browser::signed_in(&world).await;
    assert_eq!(browser.submit("/oauth/callback", &[("code", &code)]).await.code, 400);
    let lines = log.lines();
    let told = saying(&lines, "an install could not be finished");
    assert!(
        told.len() == 1 && message(told[0]).contains("compare `GHL_CLIENT_ID` and `GHL_CLIENT_SECRET`"),
        "{told:?}"
    );
}

/// The first line that a person sees names the fault, and no other one sends them elsewhere.
#[tokio::test]
async fn a_wrong_token_is_one_line() {
    let log = Log::here();
    let mut world = World::with(&[("GHL_ACCESS_TOKEN", "pit-wrong"), ("SWEEP_CONTACTS_MINUTES", "10")]).await;
    world.forgiving = true;
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    let lines = log.lines();
    let loud = loud(&lines);
    assert!(loud.len() == 1 && message(loud[0]).contains("the credentials are refused"), "{loud:#?}");
}

/// The doctor knocks with nothing signed: that is no line, and hides no later one of its address.
#[tokio::test]
async fn the_doctors_knock_is_no_refusal_to_look_at() {
    let log = Log::here();
    let world = World::new().await;
    for (agent, told) in [("ghl-trafft-sync/0.1.0", 0), ("curl/8", 1)] {
        let knock = world.http.post(world.url("/webhooks/ghl")).header("user-agent", agent);
        assert_eq!(knock.send().await.unwrap().status(), 401);
        let lines = log.lines();
        assert_eq!(loud(&lines).len(), told, "{agent}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_line_about_a_request_names_it_and_nothing_of_its_query() {
    let log = Log::here();
    let world = World::new().await;
    let ask = world.http.get(world.url("/api/v1/events?type=Nonsense")).bearer_auth("wrong");
    let answer = ask.header("x-request-id", "from-the-proxy").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-request-id"]),
        (401, &"from-the-proxy".parse().unwrap())
    );
    let lines = log.lines();
    let told = saying(&lines, "a wrong admin token");
    assert_eq!(told[0]["span"]["request.id"], "from-the-proxy", "{told:#?}");
    assert_eq!(told[0]["span"]["path"], "/api/v1/events", "{told:#?}");
    assert!(!lines.iter().any(|line| line.to_string().contains("Nonsense")), "{lines:#?}");
    let answer = world.http.get(world.url("/healthz")).send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"].len(), 36, "one of our own");
}

#[tokio::test]
async fn an_hour_without_a_vendor_is_a_few_lines() {
    for (vendor, name) in [("trafft", "Trafft"), ("ghl", "GoHighLevel")] {
        let log = Log::here();
        let mut world = World::new().await;
        world.forgiving = true;
        let faults = if vendor == "ghl" { world.sandbox.ghl.faults() } else { world.sandbox.trafft.faults() };
        faults.push(Matcher::path("/").times(ALL), Fault::Status(503));
        let mut contacts = Vec::new();
        for minute in 0..12 {
            for number in 0..5 {
                let email = format!("m{minute}n{number}@example.com");
                contacts.push(world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email })));
            }
            for event in world.sandbox.ghl.take_events() {
                assert_eq!(world.deliver_now(&event).await.code, 200);
            }
            world.rest(HOUR / 12).await;
        }
        let lines = log.lines();
        // One for the location, and the contacts by which it was found out.
        assert_eq!(saying(&lines, &format!("trouble with {name}")).len(), 1, "{:#?}", loud(&lines));
        let told: Vec<_> = lines.iter().filter(|line| line["level"] != "DEBUG").collect();
        let of_contacts = told.iter().filter(|line| message(line).starts_with("contact ")).count();
        assert!(of_contacts <= 3 && loud(&lines).len() <= 4, "{:#?}", loud(&lines));
        faults.clear();
        world.rest(HOUR).await;
        let lines = log.lines();
        assert_eq!(saying(&lines, &format!("{name} works again")).len(), 1);
        for contact in &contacts {
            let synced = saying(&lines, &format!("{contact}: synced"));
            assert_eq!(synced.len(), 1, "{contact}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_the_budget_is_nothing_to_look_at() {
    let log = Log::here();
    let world = World::new().await;
    for number in 0..60 {
        let email = format!("contact{number}@example.com");
        world.sandbox.ghl.create_contact(json!({ "firstName": "N", "lastName": "N", "email": email }));
    }
    for event in world.sandbox.ghl.take_events() {
        assert_eq!(world.deliver_now(&event).await.code, 200);
    }
    world.rest(Duration::from_secs(120)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 60);
    let lines = log.lines();
    assert!(loud(&lines).is_empty(), "{:#?}", loud(&lines));
    assert_eq!(saying(&lines, ": synced").len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_once_and_so_is_its_return() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (log, database, elsewhere) = (path("log"), path("own.db"), path("elsewhere"));
    let url = format!("sqlite://{database}");
    let settings = [("LOG_TO", log.as_str()), ("LOG_FORMAT", "json"), ("LEASE_SECONDS", "3"), ("DATABASE_URL", &url)];
    let stage = Stage::set(&settings).await;
    let process = stage.process().await;
    assert_eq!(stage.contact(&process, "before").await, done("synced"));
    let lines = || json_lines(&fs::read_to_string(&log).unwrap());
    let before = lines().len();
    fs::rename(&database, &elsewhere).unwrap();
    let mut moment = tokio::time::interval(Duration::from_millis(100));
    for number in 0..20 {
        let (code, _) = stage.deliver(&process, &stage.event(&format!("n{number}"))).await.unwrap();
        assert_eq!(code, 429);
        let ready = stage.http.get(format!("{}/readyz", process.url)).send().await.unwrap();
        assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
        moment.tick().await;
    }
    fs::rename(&elsewhere, &database).unwrap();
    assert_eq!(stage.contact(&process, "after").await.map(|(code, _)| code), Some(200));
    let again = || saying(&lines(), "the database works again").len();
    for _ in 0..300 {
        if again() > 0 {
            break;
        }
        moment.tick().await;
    }
    let lines = lines();
    let (told, again) = (loud(&lines[before..]), saying(&lines, "the database works again"));
    assert_eq!((told.len(), again.len()), (1, 1), "{told:#?}");
    assert!(message(told[0]).contains("own.db") && again[0]["fields"]["errors"].as_u64() >= Some(40), "{again:?}");
}

#[tokio::test]
async fn who_was_refused_is_named_by_address() {
    let log = Log::here();
    let world = World::new().await;
    let from = |address: &str| ("X-Forwarded-For".to_owned(), address.to_owned());
    world.post("/webhooks/ghl", &[from("192.0.2.7")], "{}").await;
    let wrong = ("authorization".to_owned(), "Bearer not-the-token".to_owned());
    let request = world.http.get(world.url("/api/v1/events")).header(wrong.0, wrong.1);
    let (name, address) = from("2001:db8:1:2:3::4");
    assert_eq!(request.header(name, address).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let lines = log.lines();
    let told: Vec<_> = loud(&lines).iter().map(|line| line["fields"]["source"].clone()).collect();
    // Of an IPv6 address the network: that is what one customer is given, and what limits count by.
    assert_eq!(told, ["192.0.2.7", "2001:db8:1:2::/64"], "{lines:#?}");
}

#[tokio::test]
async fn each_line_names_the_event_and_the_contact_that_it_belongs_to() {
    let log = Log::here();
    let mut world = World::new().await;
    world.forgiving = true;
    world.sandbox.trafft.faults().push(Matcher::path("/api/v2/customers"), Fault::Status(500));
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().remove(0);
    let sent: Value = serde_json::from_slice(&event.body).unwrap();
    let answer = world.deliver_now(&event).await;
    world.drain().await;
    let lines = log.lines();
    let (location, event) = (world.sandbox.ghl.location_id(), answer.event());
    let at_the_door = saying(&lines, "a webhook was answered");
    let span = &at_the_door[0]["span"];
    assert_eq!(span["webhook.id"], sent["webhookId"], "{lines:#?}");
    let named = |span: &Value| (span["location.id"].clone(), span["contact.id"].clone());
    assert_eq!((span["event.id"].as_str(), named(span)), (Some(&*event), (json!(location), json!(contact))));
    let looks: Vec<_> = lines.iter().filter(|line| message(line).starts_with("contact ")).collect();
    assert!(looks.iter().any(|line| line["level"] == "WARN") && looks.len() >= 2, "{looks:#?}");
    for line in &looks {
        assert_eq!(named(&line["span"]), (json!(location), json!(contact)), "{line}");
        assert_eq!(line["fields"]["event.ids"], json!(event), "{line}");
    }
}

/// On a terminal, as `script` makes one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_are_for_a_terminal_and_for_who_wants_them() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let serve = format!("exec {} serve", env!("CARGO_BIN_EXE_ghl-trafft-sync"));
    for (name, no_color, is_coloured) in [("coloured", "", true), ("plain", "1", false)] {
        let (log, settings) = (path(name), [("RUST_LOG", "info"), ("NO_COLOR", no_color)]);
        let stage = Stage::set(&settings).await;
        let program = ["script", "-qefc", &serve, &log].map(Into::into).to_vec();
        let process = Process::of(program, stage.settings.clone());
        process.ready(&stage.http).await;
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("listening"), "{text:?}");
        assert_eq!(text.contains('\x1b'), is_coloured, "{name}: {text:?}");
    }
    let log = path("file");
    let stage = Stage::set(&[("LOG_TO", &log)]).await;
    drop(stage.process().await);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("listening") && !text.contains('\x1b'), "{text:?}");
}

#[tokio::test]
async fn a_secret_that_is_read_as_base64_without_saying_so_gets_a_word_at_the_start() {
    for (secret, words) in [("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1), ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0)] {
        let log = Log::here();
        World::with(&[("GHL_WORKFLOW_SECRET", secret)]).await;
        assert_eq!(saying(&log.lines(), "`GHL_WORKFLOW_SECRET` is decoded as base64").len(), words, "{secret}");
    }
}

#[tokio::test]
async fn other_rules_are_told_once_with_how_many_contacts_they_concern() {
    let log = Log::here();
    let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
    world.know_620_filtered().await;
    world.stop().await;
    world.set_mapping("");
    // Half-way through, and once more when it is done.
    for time in [Duration::from_secs(10), HOUR, HOUR] {
        world.start().await;
        world.rest(time).await;
        world.stop().await;
    }
    assert_eq!(world.sandbox.trafft.customers().len(), 620);
    let lines = log.lines();
    let told = saying(&lines, "are looked at anew");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["fields"]["contacts"], 620, "{told:#?}");
}
