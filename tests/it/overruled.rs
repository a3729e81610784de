//! What a person decides holds at once, also against work that is in flight.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

/// As long as the service waits before it asks again (`SETTLE_SECONDS`).
const SETTLE: Duration = Duration::from_secs(61);

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

/// Takes the contact's customer away from it while HighLevel is being read, then lets the read go
/// on.
async fn unlinked_meanwhile(world: &World, contact: &str) {
    let faults = world.sandbox.ghl.faults();
    while faults.unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let path = format!("/api/v1/contacts/{contact}/unlink");
    assert_eq!(world.admin(Method::POST, &path, None).await.code, 202);
    world.advance(Duration::from_secs(5));
}

#[tokio::test]
async fn a_customer_that_a_person_took_away_is_neither_deleted_nor_written() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    let slow = || {
        let read = Matcher::new("GET", &format!("/contacts/{contact}"));
        world.sandbox.ghl.faults().push(read, Fault::Slow { ms: 5_000 });
    };

    // An edit.
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    let event = world.sandbox.ghl.take_events().pop().unwrap();
    world.pass().await;
    world.forget_calls();
    slow();
    tokio::join!(world.deliver_now(&event), unlinked_meanwhile(&world, &contact));
    world.drain().await;
    assert_eq!(world.sandbox.trafft.journal().writes(), 0);
    assert_eq!(world.sandbox.trafft.customer(customer).unwrap().last_name, "Example");
    assert_eq!(world.contact(&contact).await["status"], "conflict");

    // A deletion.
    let link = json!({ "trafft_customer_id": customer });
    let path = format!("/api/v1/contacts/{contact}/link");
    assert_eq!(world.admin(Method::POST, &path, Some(link)).await.code, 202);
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    slow();
    world.advance(SETTLE);
    unlinked_meanwhile(&world, &contact).await;
    world.drain().await;
    assert!(world.sandbox.trafft.customer(customer).is_some(), "a person has just saved it");
}

/// A PATCH is on its way while a person gives the customer to another contact, whose own PATCH
/// comes first. The pass over the customers tells what the late one did.
#[tokio::test]
async fn a_late_write_of_the_former_holder_is_mended_by_the_next_pass() {
    let mut world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "1"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let ada = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.drain().await;
    let customer = world.customer_of(&ada).await.id;
    let mut other = self::ada();
    other["lastName"] = json!("Lovelace");
    let lovelace = world.sandbox.ghl.create_contact(other);
    world.deliver_all().await;
    world.drain().await;
    assert_eq!(world.contact(&lovelace).await["status"], "conflict");

    let mut moment = tokio::time::interval(Duration::from_millis(5));
    let faults = world.sandbox.trafft.faults();
    faults.push(Matcher::new("PATCH", "/api/v2/customers"), Fault::Slow { ms: 3_600_000 });
    world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
    let event = world.sandbox.ghl.take_events().pop().unwrap();
    world.deliver_now(&event).await;
    while faults.unspent() > 0 {
        moment.tick().await;
    }
    for (contact, deed) in [(&ada, "unlink"), (&lovelace, "link")] {
        let decided = json!({ "trafft_customer_id": customer });
        let path = format!("/api/v1/contacts/{contact}/{deed}");
        assert_eq!(world.admin(Method::POST, &path, (deed == "link").then_some(decided)).await.code, 202);
    }
    while world.sandbox.trafft.customer(customer).unwrap().last_name != "Lovelace" {
        world.advance(Duration::from_millis(50));
        moment.tick().await;
    }
    world.advance(Duration::from_hours(1));
    while world.sandbox.trafft.customer(customer).unwrap().last_name != "Byron" {
        moment.tick().await;
    }
    world.rest(Duration::from_hours(2)).await;
    assert_eq!(world.sandbox.trafft.customer(customer).unwrap().last_name, "Lovelace");
}

#[tokio::test]
async fn that_one_customer_vanished_says_nothing_about_the_next_one() {
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    let contact = world.synced(json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })).await;
    world.sandbox.trafft.staff_delete(world.customer_of(&contact).await.id);
    world.rest(Duration::from_hours(50)).await;
    assert_eq!(world.contact(&contact).await["status"], "conflict");
    let other = json!({ "first_name": "Ada", "last_name": "Byron", "email": "byron@example.com", "phone": "" });
    let other = world.sandbox.trafft.staff_create(other);
    world.rest(Duration::from_hours(25)).await;
    let page = Fault::Html(404);
    world.sandbox.trafft.faults().push(Matcher::new("GET", &format!("/api/v2/customers/{other}")), page);
    let path = format!("/api/v1/contacts/{contact}/link");
    let linked = world.admin(Method::POST, &path, Some(json!({ "trafft_customer_id": other }))).await;
    assert_eq!(linked.code, 202, "{}", linked.json);
    world.rest(Duration::from_hours(1)).await;
    assert_eq!(world.sandbox.trafft.faults().unspent(), 0);
    assert_eq!(world.customer_of(&contact).await.id, other);
}

#[tokio::test]
async fn who_waits_for_credentials_goes_on_with_the_next_good_answer() {
    let world = World::new().await;
    let ada = world.synced(ada()).await;
    let bob = world.synced(json!({ "firstName": "Bob", "email": "bob@example.com", "phone": "+14155550143" })).await;
    // Once, and once more with a new token.
    world.sandbox.trafft.faults().push(Matcher::new("PATCH", "/api/v2/customers").times(2), Fault::Status(401));
    world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "queued");
    world.sandbox.ghl.edit_contact(&bob, json!({ "lastName": "Sample" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    world.rest(Duration::from_secs(5)).await;
    assert_eq!(world.customer_of(&ada).await.last_name, "Byron");
}
