//! GoHighLevel's limits are kept, whatever comes at once: over many locations, through a restart,
//! and by either way of counting.

use std::time::Duration;

use reqwest::Method;
use sandbox::ghl::Window;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::support::asking::time;
use crate::support::others::Others;
use crate::support::ticker::{Ticker, until};
use crate::support::{World, number};

async fn imported_at_once(window: Window) {
    // `SCALE=20000` in the long run of docs/reliability.md.
    let (locations, contacts) = (20, usize::try_from(number("SCALE", 600)).unwrap());
    // The moved clock runs many times faster than what is in flight at the restart.
    let mut world = World::stopped(&[("SYNC_INLINE_DEADLINE_MS", "0"), ("SHUTDOWN_SECONDS", "600")]).await;
    world.sandbox.ghl.set_window(window);
    let path = world.path("connections.toml");
    let others = Others::beside(&world.sandbox, locations - 1, path.as_ref()).await;
    world.set("CONNECTIONS_FILE", &path);
    world.start().await;
    let home = world.sandbox.ghl.location_id();
    for number in 0..contacts {
        let location = others.locations.get(number % locations).unwrap_or(&home).clone();
        let email = format!("contact{number}@example.com");
        let contact =
            json!({ "locationId": location, "firstName": "N", "lastName": format!("{number}"), "email": email });
        world.sandbox.ghl.create_contact(contact);
    }
    let events = world.sandbox.ghl.take_events();
    assert_eq!(events.len(), contacts);
    for event in &events {
        assert_eq!(world.deliver_now(event).await.code, 200);
    }
    let ticker = Ticker::start(&world, &others.traffts, Duration::from_millis(100), Duration::from_millis(2));
    // In the middle of it, a restart: what was spent before counts after.
    let made = |world: &World| {
        others.traffts.iter().map(|trafft| trafft.customers().len()).sum::<usize>()
            + world.sandbox.trafft.customers().len()
    };
    until(|| made(&world) > contacts / 3).await;
    world.stop().await;
    world.start_idle().await;
    until(|| made(&world) == contacts).await;
    world.idle().await;
    ticker.stop().await;
    assert_eq!(made(&world), contacts, "each once");
    assert_eq!(world.sandbox.ghl.over_limit(), 0, "a limit was run into");
    for window in [Window::Fixed, Window::Sliding] {
        assert!(world.sandbox.ghl.most_in_a_window(&world.sandbox.ghl.token(), window) <= 100);
    }
}

#[tokio::test]
async fn who_comes_when_the_window_is_full_is_told_so_at_once_and_synced_later() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for number in 0..30 {
        let email = format!("contact{number}@example.com");
        world.sandbox.ghl.create_contact(json!({ "firstName": "N", "lastName": "N", "email": email }));
        let event = world.sandbox.ghl.take_events().remove(0);
        // The clock stands still: an answer that waited for its deadline would never come.
        answers.push(world.deliver_now(&event).await);
    }
    assert_eq!(answers[0].status(), "synced");
    for answer in &answers[27..] {
        assert_eq!(answer.status(), "queued");
        assert!(answer.reason().contains("used up until"), "{}", answer.reason());
    }
    world.rest(Duration::from_secs(60)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 30);
    assert_eq!(world.sandbox.ghl.over_limit(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_imported_at_once_over_twenty_locations_run_into_no_sliding_window() {
    imported_at_once(Window::Sliding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_imported_at_once_over_twenty_locations_run_into_no_fixed_window() {
    imported_at_once(Window::Fixed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "beside other tests the machine's slowness counts as waiting; .ci/run runs it alone"]
async fn a_webhook_does_not_wait_for_a_backfill() {
    let mut world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0"), ("SWEEP_ROTATION_DAYS", "7")]).await;
    world.forgiving = true;
    // A Trafft that answers at once would be done before anybody could wait.
    world.sandbox.trafft.faults().push(Matcher::path("/api/v2/customers").times(1_000_000), Fault::Slow { ms: 150 });
    for number in 0..600 {
        let email = format!("old{number}@example.com");
        world
            .sandbox
            .ghl
            .create_contact(json!({ "firstName": "Old", "lastName": format!("{number}"), "email": email }));
    }
    world.sandbox.ghl.take_events();
    world.advance(Duration::from_secs(60));
    world.idle().await;
    world.admin(Method::POST, "/api/v1/sweeps/backfill", None).await;
    let ticker = Ticker::start(&world, &[], Duration::from_millis(10), Duration::from_millis(4));
    let mut events = Vec::new();
    for number in 0..20 {
        let next = world.clock.now() + Duration::from_millis(1500);
        let email = format!("live{number}@example.com");
        world
            .sandbox
            .ghl
            .create_contact(json!({ "firstName": "Live", "lastName": format!("{number}"), "email": email }));
        let event = world.sandbox.ghl.take_events().remove(0);
        events.push(world.deliver_now(&event).await.event());
        until(|| world.clock.now() >= next).await;
    }
    let made = world.sandbox.trafft.customers().len();
    assert!(made < 550, "the backfill was over before the webhooks were: {made}");
    let mut waits = Vec::new();
    until(|| {
        let names = world.sandbox.trafft.customers();
        names.iter().filter(|customer| customer.first_name == "Live").count() == events.len()
    })
    .await;
    for event in events {
        let shown = world.get(&format!("/api/v1/events/{event}")).await.json;
        let settled = time(&shown["settled_at"]).unwrap_or_else(|| world.clock.now().as_millisecond());
        waits.push(settled - time(&shown["received_at"]).unwrap());
    }
    ticker.stop().await;
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(p99 < 5000, "p99 of {} webhooks: {p99} ms of the moved clock; all: {waits:?}", waits.len());
}
