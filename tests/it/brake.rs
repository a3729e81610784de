//! The brake: so many contacts gone at once are a fault of some system, and nothing is deleted for
//! it.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::harm::SETTLE;
use crate::support::World;

/// More than anybody will ask.
const ALL: usize = 10_000;

/// So many contacts, each with its customer, none of them with a phone.
pub async fn known(world: &World, contacts: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..contacts {
        let email = format!("n{number}@example.com");
        ids.push(world.synced(json!({ "firstName": "Ada", "email": email })).await);
    }
    ids
}

/// From now on HighLevel says of everybody that there is no such contact.
pub fn deny(world: &World) {
    let lie = r#"{"statusCode":400,"message":"Contact not found"}"#.to_owned();
    world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(ALL), Fault::StatusWithBody(400, lie));
}

/// HighLevel says of everybody, in its own words, that there is no such contact. Contacts are
/// edited one after the other, each twice.
#[tokio::test]
async fn the_brake_counts_customers_that_were_deleted_though_their_contacts_have_further_events() {
    let mut world = World::in_memory(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    let contacts = known(&world, 20).await;
    deny(&world);
    for contact in &contacts {
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
        world.deliver_all().await;
        world.rest(SETTLE + Duration::from_secs(5)).await;
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd & Co" }));
        world.deliver_all().await;
        world.rest(Duration::from_secs(5)).await;
    }
    world.rest(10 * SETTLE).await;
    assert!(world.sandbox.trafft.customers().len() >= 14, "the brake");
}

/// The same, while events of several contacts come in turns.
#[tokio::test]
async fn the_brake_holds_in_a_stream_of_events() {
    // The second event is one that HighLevel sends anyway: a note, a task, a tag.
    let mut world = World::in_memory(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    let contacts = known(&world, 40).await;
    deny(&world);
    // Ten minutes; four contacts a minute, each with two events 70 s apart.
    for (at, contact) in contacts.iter().enumerate() {
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
        if at >= 4 {
            world.sandbox.ghl.edit_contact(&contacts[at - 4], json!({ "companyName": "Example Ltd & Co" }));
        }
        world.deliver_all().await;
        world.rest(Duration::from_secs(15)).await;
    }
    world.rest(10 * SETTLE).await;
    assert!(world.sandbox.trafft.customers().len() >= 34);
}

/// Trafft refuses to delete some customers, one a day: those that were given up on say nothing
/// about what vanishes today.
#[tokio::test]
async fn customers_that_trafft_refuses_to_delete_do_not_hold_what_is_deleted_later() {
    let mut world = World::in_memory(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    let contacts = known(&world, 7).await;
    let (last, refused) = contacts.split_last().unwrap();
    let refusal = r#"{"message":"The customer has appointments.","errors":{"id":["has appointments"]}}"#.to_owned();
    let delete = Matcher::new("DELETE", "/api/v2/customers/").times(ALL);
    world.sandbox.trafft.faults().push(delete, Fault::StatusWithBody(422, refusal));
    for contact in refused {
        world.sandbox.ghl.delete_contact(contact);
        world.deliver_all().await;
        world.rest(Duration::from_hours(24)).await;
        assert_eq!(world.contact(contact).await["status"], "failed");
    }
    world.sandbox.trafft.faults().clear();
    let customer = world.customer_of(last).await.id;
    world.sandbox.ghl.delete_contact(last);
    world.deliver_all().await;
    world.rest(Duration::from_mins(10)).await;
    assert!(world.sandbox.trafft.customer(customer).is_none(), "{}", world.contact(last).await);
}

/// Customers of contacts that went long ago are kept, and say nothing about those that are there.
#[tokio::test]
async fn contacts_that_went_long_ago_do_not_loosen_the_brake() {
    let world = World::in_memory(&[("DELETE_POLICY", "delete-created")]).await;
    let contacts = known(&world, 20).await;
    world
        .sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, lane, status, marked_at, customer_id, gone_at)
            SELECT 've9EPM428h8vShlRW1KT', 'gone' || CAST(i AS TEXT), 1, 0, 0, 0, 0, 0, 'unchanged', 0, 90000 + i, 1 FROM n",
        )
        .await;
    for contact in &contacts[..6] {
        world.sandbox.ghl.delete_contact(contact);
    }
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 20, "six of twenty, not six of three hundred and twenty");
}

/// HighLevel's search cannot say the ids of those that its other answers deny: an id sweep that has
/// not read everything confirms nothing.
#[tokio::test]
async fn an_id_sweep_that_met_records_without_an_id_confirms_nothing() {
    let settings = [("DELETE_POLICY", "delete-created"), ("SWEEP_IDS_HOURS", "24")];
    let mut world = World::in_memory(&settings).await;
    world.forgiving = true;
    let contacts = known(&world, 20).await;
    let lie = r#"{"statusCode":400,"message":"Contact not found"}"#.to_owned();
    for contact in &contacts[..8] {
        let record = Matcher::new("GET", &format!("/contacts/{contact}")).times(ALL);
        world.sandbox.ghl.faults().push(record, Fault::StatusWithBody(400, lie.clone()));
        world.sandbox.ghl.raw().record("/contacts/search", contact, "null");
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
    }
    world.deliver_all().await;
    world.rest(Duration::from_hours(60)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 20);
    let connection = format!("/api/v1/connections/{}", world.sandbox.ghl.location_id());
    let states = world.get(&connection).await.json["states"].clone();
    assert_eq!(states[0]["state"], "deletions_held", "{states}");
}

/// What a person has confirmed does not count any more: the next contact that is deleted is one.
#[tokio::test]
async fn what_was_confirmed_holds_nothing_afterwards() {
    for policy in ["delete-created", "keep"] {
        let mut world = World::in_memory(&[("DELETE_POLICY", policy)]).await;
        world.forgiving = true;
        let contacts = known(&world, 20).await;
        for contact in &contacts[..8] {
            world.sandbox.ghl.delete_contact(contact);
        }
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        let connection = format!("/api/v1/connections/{}", world.sandbox.ghl.location_id());
        let path = format!("{connection}/confirm-deletions");
        // So that they are deleted later than that was confirmed.
        let busy = Fault::TooManyRequests { retry_after: Some(2) };
        world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(8), busy);
        assert_eq!(world.admin(Method::POST, &path, None).await.code, 200);
        world.rest(SETTLE).await;
        assert_eq!(world.sandbox.ghl.faults().unspent(), 0);
        world.sandbox.ghl.delete_contact(&contacts[19]);
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        assert!(world.contact(&contacts[19]).await["gone_at"].is_string(), "{policy}");
        let states = world.get(&connection).await.json["states"].to_string();
        assert!(!states.contains("deletions_held"), "{policy}: {states}");
    }
}
