//! The service with panics injected into one in fifty contact tasks, as a program of its own: this test binary, asked for the test
//! below. Nothing of it is in the service's own binary.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use ghl_trafft_sync::lifecycle;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Panics where a contact task tells how it went.
struct Panics(AtomicU64);

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let in_contact_task = event.metadata().target().contains("sync::reconcile");
        assert!(!in_contact_task || self.0.fetch_add(1, Ordering::Relaxed) % 50 != 17, "injected");
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
