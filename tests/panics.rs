//! A panic in any piece of work gives back what it held, and the work is done in the end.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "tests")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use sandbox::Sandbox;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// How many more lines panic, and of which work.
static LEFT: AtomicI64 = AtomicI64::new(0);
static OF_SWEEPS: AtomicBool = AtomicBool::new(false);

/// A log that panics in whatever piece of work writes to it, and in the owner that tells of that
/// panic.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        let work: &[_] = match OF_SWEEPS.load(Ordering::Relaxed) {
            true => &["sync::sweeps"],
            false => &["sync::reconcile", "sync::sweeps", "sync::unresolved", "sync::owner"],
        };
        if work.iter().any(|part| target.contains(part)) && LEFT.fetch_sub(1, Ordering::Relaxed) > 0 {
            panic!("injected");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_panics_gives_back_its_place_and_is_tried_again() {
    Registry::default().with(Panics).init();
    let folder = TempDir::new().unwrap();
    let start = "2026-09-01T10:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let options = sandbox::Options { clock: sandbox::Clock::manual(start.as_millisecond()), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut environment: HashMap<String, String> =
        sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, value) in [
        ("DATABASE_URL", format!("sqlite://{}/sync.db", folder.path().display()).as_str()),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("TRAFFT_PAGE_PAUSE_MS", "0"),
        ("SYNC_INLINE_DEADLINE_MS", "0"),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let (stop, clock) = (CancellationToken::new(), Clock::manual(start));
    let config = load(&Sources { environment, ..Default::default() }).unwrap();
    let app = App::build(config, clock.clone(), stop.clone()).await.unwrap();
    let (url, mut handle) = (format!("http://{}/webhooks/ghl", app.address()), app.handle());
    let running = tokio::spawn(app.run());
    handle.idle().await.unwrap();

    // More than there are workers: with their places lost, the last ones would never begin.
    LEFT.store(40, Ordering::Relaxed);
    let contacts = 30;
    for number in 0..contacts {
        sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": format!("ada{number}@example.com") }));
    }
    for event in sandbox.ghl.take_events() {
        assert_eq!(sandbox.ghl.deliver(&event, &url).await.unwrap().status, 200);
    }
    made(&sandbox, &clock, contacts).await;

    // A sweep that panics runs again: it finds the contact whose event is lost.
    OF_SWEEPS.store(true, Ordering::Relaxed);
    LEFT.store(2, Ordering::Relaxed);
    sandbox.ghl.create_contact(json!({ "firstName": "Bob", "email": "bob@example.com" }));
    sandbox.ghl.take_events();
    made(&sandbox, &clock, contacts + 1).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Lets time pass until there are so many customers, and all panics were met.
async fn made(sandbox: &Sandbox, clock: &Clock, customers: usize) {
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1500 {
        moment.tick().await;
        clock.advance(Duration::from_secs(20));
        sandbox.clock.advance_ms(20_000);
        if sandbox.trafft.customers().len() == customers && LEFT.load(Ordering::Relaxed) <= 0 {
            break;
        }
    }
    assert!(LEFT.load(Ordering::Relaxed) <= 0, "the panics were not met");
    assert_eq!(sandbox.trafft.customers().len(), customers);
}
