//! After a time away, everything that changed is found, at little more than one call a change, and
//! reported exactly.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::ticker::{Ticker, until};
use crate::support::{World, number};

const MINUTE: Duration = Duration::from_secs(60);

/// A location whose contacts were all synced long ago: written into the store directly, since a
/// true import of so many would take the test an hour.
async fn settled(count: usize) -> (World, Vec<String>) {
    let mut world = World::on_sqlite(&[("SWEEP_CONTACTS_MINUTES", "15"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let mut contacts = Vec::new();
    for number in 0..count {
        let contact =
            json!({ "firstName": "N", "lastName": format!("{number}"), "email": format!("n{number}@example.com") });
        contacts.push(world.sandbox.ghl.create_contact(contact));
        let customer =
            json!({ "first_name": "N", "last_name": format!("{number}"), "email": format!("n{number}@example.com") });
        world.sandbox.trafft.staff_create(customer);
    }
    world.sandbox.ghl.take_events();
    world.stop().await;
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", world.path("sync.db"))).await.unwrap();
    let (location, now) = (world.sandbox.ghl.location_id(), world.clock.now().as_millisecond());
    sqlx::query("BEGIN").execute(&mut database).await.unwrap();
    for (contact, customer) in contacts.iter().zip(1_i64..) {
        let row = "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, status, marked_at,
                settled_at, customer_id, fields, updated_at, rotated_at)
            VALUES (?, ?, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 'synced', ?, ?, ?, ?, ?, ?)";
        let read = world.sandbox.ghl.contact(contact).unwrap();
        let query = sqlx::query(row).bind(&location).bind(contact).bind(now).bind(now).bind(customer);
        query.bind(read.to_string()).bind(now).bind(now).execute(&mut database).await.unwrap();
        let row = "INSERT INTO customers VALUES (?, ?, 'N', ?, ?, '', ?, NULL, ?)";
        let email = format!("n{}@example.com", customer - 1);
        let query = sqlx::query(row).bind(&location).bind(customer).bind((customer - 1).to_string()).bind(&email);
        query.bind(&email).bind(now).execute(&mut database).await.unwrap();
    }
    let seen = i64::try_from(count).unwrap();
    sqlx::query("UPDATE connections SET customers_seen = ?").bind(seen).execute(&mut database).await.unwrap();
    // They have long been searched: what the service does first is about the time away alone.
    let searched = (world.clock.now() + 10 * MINUTE).as_millisecond();
    sqlx::query("UPDATE sweeps SET since = ?, cursor = NULL").bind(searched).execute(&mut database).await.unwrap();
    sqlx::query("COMMIT").execute(&mut database).await.unwrap();
    world.advance(10 * MINUTE);
    world.start().await;
    (world, contacts)
}

async fn away(time: Duration) {
    // One in twenty changes. `SCALE=200000` in the long run of docs/reliability.md.
    let count = usize::try_from(number("SCALE", 2000)).unwrap();
    let (mut world, contacts) = settled(count).await;
    let changed: Vec<_> = contacts.iter().step_by(20).collect();
    world.stop().await;
    world.forget_calls();
    let step = time / (u32::try_from(changed.len()).unwrap() + 1);
    for contact in &changed {
        world.advance(step);
        world.sandbox.ghl.edit_contact(contact, json!({ "firstName": "Changed" }));
    }
    // GoHighLevel was refused, and tells nobody again.
    world.sandbox.ghl.take_events();
    world.advance(MINUTE);
    world.start_idle().await;
    let ticker = Ticker::start(&world, &[], Duration::from_millis(100), Duration::from_millis(2));
    let written = || world.sandbox.trafft.journal().writes();
    until(|| written() >= changed.len()).await;
    world.idle().await;
    ticker.stop().await;

    assert_eq!(written(), changed.len(), "nothing is written without cause");
    for (number, contact) in contacts.iter().enumerate() {
        let name = if number % 20 == 0 { "Changed" } else { "N" };
        let customer = i64::try_from(number).unwrap() + 1;
        assert_eq!(world.sandbox.trafft.customer(customer).unwrap().first_name, name, "{contact}");
    }
    // Nothing else was on: searches for contacts, and reads of them.
    let (calls, needed) = (world.sandbox.ghl.journal().reads(), changed.len().div_ceil(100) + changed.len());
    assert!(calls * 10 <= needed * 11, "{calls} searches and reads where {needed} are needed");
    assert_eq!(reported(&world).await, changed.into_iter().cloned().collect(), "the report is exact");
}

/// All that the sweep says was missed, each once.
async fn reported(world: &World) -> BTreeSet<String> {
    let (mut missed, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = world.get(&format!("/api/v1/findings?sweep=contacts&limit=200{cursor}")).await.json;
        for finding in page["findings"].as_array().unwrap() {
            assert_eq!(finding["what"], "changed");
            assert!(missed.insert(finding["contact_id"].as_str().unwrap().to_owned()), "told twice: {finding}");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return missed,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_minutes_away() {
    away(10 * MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seventy_minutes_away() {
    away(70 * MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_away() {
    away(24 * 60 * MINUTE).await;
}
