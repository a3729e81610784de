//! The service with panics injected into its contact tasks: into all of them here, and into one in
//! fifty in a program of its own, which is this test binary, asked for the test at the end. Nothing
//! of it is in the service's own binary.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use ghl_trafft_sync::lifecycle;
use sandbox::{Fault, Matcher};
use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::support::World;

/// Panics where a contact task tells how it went.
struct Panics(AtomicU64);

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let in_contact_task = event.metadata().target().contains("sync::reconcile");
        assert!(!in_contact_task || self.0.fetch_add(1, Ordering::Relaxed) % 50 != 17, "injected");
    }
}

/// Panics wherever a contact's task tells something.
struct Always {
    /// Also where it is told that it panicked.
    twice: bool,
}

impl<S: Subscriber> Layer<S> for Always {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        let is_end = self.twice && target.ends_with("sync::owner") && level == Level::ERROR;
        assert!(!target.contains("sync::reconcile") && !is_end, "injected");
    }
}

/// More panics than there are places in flight: each place is given back, and what was not settled
/// is tried again.
#[tokio::test]
async fn a_task_that_panics_gives_its_place_back_and_is_tried_again() {
    for twice in [false, true] {
        let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
        let guard = tracing::subscriber::set_default(Registry::default().with(Always { twice }));
        let mut moment = tokio::time::interval(Duration::from_millis(5));
        let mut made = async |customers: usize| {
            for _ in 0..2000 {
                moment.tick().await;
                world.advance(Duration::from_secs(1));
                if world.sandbox.trafft.customers().len() == customers {
                    return;
                }
            }
            panic!("{} of {customers}, twice: {twice}", world.sandbox.trafft.customers().len());
        };
        for number in 0..40 {
            let email = format!("ada{number}@example.com");
            world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email }));
        }
        for event in world.sandbox.ghl.take_events() {
            assert_eq!(world.deliver_now(&event).await.code, 200);
        }
        made(40).await;
        // This is told before anything is settled.
        let slower = Fault::TooManyRequests { retry_after: Some(1) };
        world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/"), slower);
        world.sandbox.ghl.create_contact(json!({ "firstName": "Last", "email": "last@example.com" }));
        let event = world.sandbox.ghl.take_events().remove(0);
        assert_eq!(world.deliver_now(&event).await.code, 200);
        made(41).await;
        drop(guard);
    }
}

/// How it is started.
pub(crate) fn program() -> Vec<OsString> {
    let asked = ["panicking::a_service_that_panics", "--exact", "--ignored", "--nocapture"];
    std::iter::once(std::env::current_exe().unwrap().into()).chain(asked.map(Into::into)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is a program that the kill test starts"]
async fn a_service_that_panics() {
    let environment: std::collections::HashMap<_, _> = std::env::vars().collect();
    if !environment.contains_key("BIND_ADDR") {
        return;
    }
    Registry::default().with(Panics(AtomicU64::new(std::process::id().into()))).init();
    let config = load(&Sources { environment, ..Default::default() }).unwrap();
    let stop = lifecycle::stop_on_signal().unwrap();
    App::build(config, Clock::system(), stop).await.unwrap().run().await.unwrap();
}
