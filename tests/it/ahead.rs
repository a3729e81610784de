//! A clock that ran ahead, and was set right: what was written meanwhile lies in the future, and
//! nothing may hang on it.

use std::time::Duration;

use ghl_trafft_sync::clock::Clock;
use reqwest::Method;
use serde_json::json;

use crate::brake::{deny, known};
use crate::harm::{HOUR, SETTLE, ada};
use crate::support::World;
use crate::support::database::Database;

/// The clock is set right, after so much time.
async fn set_right(world: &mut World, right: Clock, passed: Duration) {
    world.stop().await;
    right.advance(passed);
    world.clock = right;
    world.start().await;
}

/// A clock that was a few hours ahead during a pass over Trafft's customers.
#[tokio::test]
async fn a_pass_over_the_customers_of_the_future_forgets_none() {
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "1")]).await;
    let there = world.sandbox.trafft.staff_create(
        json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "+14155550142" }),
    );
    world.sandbox.trafft.seed(60);
    let right = Clock::manual(world.clock.now());
    world.clock.advance(12 * HOUR);
    world.start().await;
    world.rest(2 * HOUR + Duration::from_mins(5)).await;
    set_right(&mut world, right, 2 * HOUR + Duration::from_mins(5)).await;
    world.rest(HOUR + Duration::from_mins(5)).await;
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.id, there);
}

/// A clock that was ahead during an id sweep: a contact that is deleted afterwards.
#[tokio::test]
async fn an_id_sweep_of_the_future_keeps_no_deleted_contact() {
    let mut world = World::stopped(&[("SWEEP_IDS_HOURS", "1"), ("DELETE_POLICY", "delete-created")]).await;
    let right = Clock::manual(world.clock.now());
    world.clock.advance(Duration::from_hours(24 * 365));
    world.start().await;
    let contact = world.synced(ada()).await;
    world.rest(2 * HOUR + Duration::from_mins(5)).await;
    set_right(&mut world, right, 2 * HOUR + Duration::from_mins(5)).await;
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.forget_calls();
    world.rest(Duration::from_hours(30)).await;
    assert!(world.sandbox.trafft.customers().is_empty());
}

/// A clock a year ahead while a contact was synced; then its deletion, whose event is lost.
#[tokio::test]
async fn a_contact_that_was_marked_in_the_future_is_missed_when_it_is_gone() {
    let mut world = World::stopped(&[("SWEEP_IDS_HOURS", "1"), ("DELETE_POLICY", "delete-created")]).await;
    let right = Clock::manual(world.clock.now());
    world.clock.advance(Duration::from_hours(24 * 365));
    world.start().await;
    let contact = world.synced(ada()).await;
    set_right(&mut world, right, Duration::from_mins(5)).await;
    world.sandbox.ghl.delete_contact(&contact);
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_hours(30)).await;
    assert!(world.sandbox.trafft.customers().is_empty(), "{}", world.contact(&contact).await);
}

/// A clock a year ahead while a contact was read; then a note whose event is lost.
#[tokio::test]
async fn a_contact_that_was_read_in_the_future_has_its_turn() {
    let mut world = World::stopped(&[("SWEEP_ROTATION_DAYS", "3")]).await;
    let right = Clock::manual(world.clock.now());
    world.clock.advance(Duration::from_hours(24 * 365));
    world.start().await;
    let contact = world.synced(ada()).await;
    set_right(&mut world, right, Duration::from_mins(5)).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Allergic to lavender oil" }));
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_hours(24 * 10)).await;
    let customer = world.customer_of(&contact).await;
    assert!(customer.description.unwrap_or_default().contains("lavender"));
}

/// PostgreSQL: a process was killed while the database's clock ran a day ahead.
#[tokio::test]
async fn a_dead_process_of_the_future_keeps_no_location() {
    if Database::postgres().is_none() {
        return;
    }
    let mut world = World::stopped(&[("LEASE_SECONDS", "3"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.start().await;
    world.stop().await;
    world.sql("INSERT INTO processes (id, heartbeat_at) SELECT 'killed', CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT) + 86400000").await;
    world.sql("UPDATE connections SET owner = 'killed'").await;
    world.start_idle().await;
    world.sandbox.ghl.create_contact(ada());
    let event = world.sandbox.ghl.take_events().remove(0);
    assert_eq!(world.deliver_now(&event).await.code, 200);
    let mut moment = tokio::time::interval(Duration::from_millis(100));
    // The leases of processes are by the true clock.
    for _ in 0..150 {
        moment.tick().await;
        if !world.sandbox.trafft.customers().is_empty() {
            break;
        }
    }
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
}

/// A person confirmed deletions while the clock ran a day ahead.
#[tokio::test]
async fn what_was_confirmed_in_the_future_is_not_confirmed() {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    let right = Clock::manual(world.clock.now());
    world.clock.advance(24 * HOUR);
    world.start().await;
    let contacts = known(&world, 20).await;
    let location = world.sandbox.ghl.location_id();
    let path = format!("/api/v1/connections/{location}/confirm-deletions");
    assert_eq!(world.admin(Method::POST, &path, None).await.code, 200);
    set_right(&mut world, right, Duration::from_mins(5)).await;
    deny(&world);
    for contact in &contacts {
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
    }
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 20);
}
