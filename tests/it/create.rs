//! Many events at once on new contacts of one household, answers lost, some creates carried out only later: nobody is made twice.
//!
//! `SEEDS=n` plays so many, `SEED=x` the one that failed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use sandbox::{Event, Matcher, Rates};
use serde_json::json;

use crate::support::{World, number};

/// So late a create that lost its answer may be carried out. The promise holds for the settle time, a minute; the rest of it is for
/// the sandbox, whose late calls wake up when the clock has moved, and not before somebody looks.
const LATE_MS: u32 = 30_000;

async fn create(seed: u64) {
    let mut world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let ghl = world.sandbox.ghl.clone();
    ghl.set_allow_duplicates(&ghl.location_id(), true);
    let household = [
        json!({ "firstName": "Ada", "lastName": "Example", "email": "home@example.com", "phone": "+12125550142" }),
        json!({ "firstName": "Blaise", "lastName": "Example", "email": "home@example.com" }),
        json!({ "firstName": "Chien", "lastName": "Example", "email": "chien@example.com", "phone": "+12125550142" }),
    ];
    let contacts: Vec<_> = household.into_iter().map(|contact| ghl.create_contact(contact)).collect();
    for number in 0..61 {
        ghl.edit_contact(&contacts[number % 3], json!({ "city": format!("Town {number}") }));
    }
    let events = ghl.take_events();
    assert_eq!(events.len(), 64);

    let faults = world.sandbox.trafft.faults();
    // Of the creates three in ten lose their answer, and as many again are carried out only later.
    let lost =
        Rates { done_then_dropped: 0.3, dropped_then_done: 0.3, dropped_then_done_max_ms: LATE_MS, ..Rates::default() };
    faults.set_rates_for(Matcher::new("POST", "/api/v2/customers"), lost, seed);
    let answers = join_all(events.iter().map(|event: &Event| world.deliver_now(event))).await;
    assert!(answers.iter().all(|answer| answer.code == 200));
    for _ in 0..600 {
        world.rest(Duration::from_secs(1)).await;
    }
    faults.clear();
    world.rest(Duration::from_secs(24 * 3600)).await;

    let mut linked = BTreeSet::new();
    for contact in &contacts {
        let shown = world.contact(contact).await;
        match (shown["status"].as_str(), shown["customer_id"].as_i64()) {
            (Some("synced" | "unchanged"), Some(customer)) => {
                assert!(linked.insert(customer), "SEED={seed}: shared: {shown}")
            }
            (Some("conflict"), None) => {}
            _ => panic!("SEED={seed}: neither linked nor a conflict: {shown}"),
        }
    }
    let there: BTreeSet<_> = world.sandbox.trafft.customers().iter().map(|customer| customer.id).collect();
    assert_eq!(
        there,
        linked,
        "SEED={seed}: a customer that belongs to nobody was made: {:?}",
        world.sandbox.trafft.customers()
    );
    assert!(!linked.is_empty(), "SEED={seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_events_on_three_contacts_that_share_an_address_make_no_double() {
    match std::env::var("SEED") {
        Ok(seed) => create(seed.parse().expect("SEED is a number")).await,
        Err(_) => {
            for seed in 0..number("SEEDS", 10) {
                create(seed).await;
            }
        }
    }
}
