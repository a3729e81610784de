//! How many calls each kind of event costs, counted by the sandbox.

use std::time::Duration;

use sandbox::Class;
use serde_json::json;

use crate::support::World;

fn ada() -> serde_json::Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142", "tags": ["vip"] })
}

/// Reads at GHL, writes at Trafft, other customer calls at Trafft; since the last look.
fn spent(world: &World) -> (usize, usize, usize) {
    let (ghl, trafft) = (world.sandbox.ghl.journal(), world.sandbox.trafft.journal());
    let spent = (ghl.reads(), trafft.writes(), trafft.count(Class::CustomersPage) + trafft.count(Class::Customer));
    world.forget_calls();
    spent
}

#[tokio::test]
async fn first_sight_is_four_reads_a_page_a_write_and_a_look() {
    let world = World::new().await;
    world.forget_calls();
    let contact = world.sandbox.ghl.create_contact(ada());
    let answer = world.deliver_all().await;
    assert_eq!((answer.status(), answer.calls()), ("synced", (4, 3)), "{}", answer.json);
    assert_eq!(spent(&world), (4, 1, 2));
    let customer = world.customer_of(&contact).await;
    assert_eq!(
        (customer.id, customer.first_name.as_str(), customer.last_name.as_str()),
        (answer.customer(), "Ada", "Example")
    );
    assert_eq!(customer.email.as_deref(), Some("ada@example.com"));
    assert_eq!(customer.phone_number.as_deref(), Some("+14155550142"));
    assert_eq!(customer.description.as_deref(), Some("Tags: vip"));
}

#[tokio::test]
async fn an_edit_is_one_read_and_one_write() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    let answer = world.deliver_all().await;
    assert_eq!((answer.status(), answer.calls()), ("synced", (1, 1)));
    assert_eq!(spent(&world), (1, 1, 0));
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
}

#[tokio::test]
async fn what_is_not_projected_is_one_read_and_no_write() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&contact, json!({ "website": "https://example.com" }));
    let answer = world.deliver_all().await;
    assert_eq!(answer.status(), "unchanged");
    assert_eq!(spent(&world), (1, 0, 0));
}

#[tokio::test]
async fn an_edit_of_a_contact_that_lacks_a_field_asks_trafft_for_its_own() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.trafft.staff_edit(customer, json!({ "phone_number": "+14155550177" }));
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(spent(&world), (1, 1, 1));
    let customer = world.customer_of(&contact).await;
    assert_eq!((customer.last_name.as_str(), customer.phone_number.as_deref()), ("Byron", Some("+14155550177")));
}

#[tokio::test]
async fn a_task_note_or_appointment_is_one_read_and_at_most_one_write() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.forget_calls();
    let ghl = &world.sandbox.ghl;
    ghl.add_task(&contact, json!({ "title": "Call back", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(spent(&world), (1, 1, 0));
    ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(spent(&world), (1, 1, 0));
    ghl.add_appointment(&contact, json!({ "title": "Massage", "startTime": "2026-09-16 11:00:00", "endTime": "2026-09-16 11:30:00", "appointmentStatus": "confirmed" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(spent(&world), (1, 1, 0));
}

#[tokio::test]
async fn a_duplicate_costs_nothing() {
    let world = World::new().await;
    world.sandbox.ghl.create_contact(ada());
    let event = world.sandbox.ghl.take_events().remove(0);
    let first = world.deliver(&event).await;
    world.forget_calls();
    let again = world.deliver(&event).await;
    assert_eq!((again.code.as_u16(), again.status(), again.event()), (200, "duplicate", first.event()));
    world.idle().await;
    assert_eq!(spent(&world), (0, 0, 0));
}

#[tokio::test]
async fn fifty_edits_at_once_are_read_together() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.drain().await;
    world.advance(Duration::from_mins(1));
    world.forget_calls();
    for edit in 1..=50 {
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": format!("Edit {edit}") }));
    }
    let events = world.sandbox.ghl.take_events();
    let answers = events.iter().map(|event| world.deliver_now(event));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.code, 200);
    }
    world.drain().await;
    let reads = world.sandbox.ghl.journal().reads();
    assert!((1..=3).contains(&reads), "{reads} reads");
    assert_eq!(world.customer_of(&contact).await.last_name, "Edit 50");
}

#[tokio::test]
async fn the_index_is_paged_once_and_kept() {
    let mut world = World::stopped(&[]).await;
    world.sandbox.trafft.seed(20_000);
    world.start().await;
    assert_eq!(world.sandbox.trafft.journal().count(Class::CustomersPage), 400);
    let contact = world.synced(ada()).await;
    world.forget_calls();
    world.restart().await;
    assert_eq!(world.sandbox.trafft.journal().entries().len(), 0, "a restart reads nothing");
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    let answer = world.deliver_all().await;
    assert_eq!((answer.status(), answer.calls()), ("synced", (1, 1)));
}
