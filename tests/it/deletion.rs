//! Contacts that go, customers that go.

use reqwest::Method;
use sandbox::ghl::NotFound;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })
}

#[tokio::test]
async fn a_deleted_contact_does_what_the_policy_says() {
    for (policy, ours, stays) in [
        ("keep", true, true),
        ("keep", false, true),
        ("delete-created", true, false),
        ("delete-created", false, true),
        ("ignore", true, true),
    ] {
        for disguise in [NotFound::BadRequest, NotFound::NotFound] {
            let mut world = World::stopped(&[("DELETE_POLICY", policy)]).await;
            world.sandbox.ghl.set_not_found(disguise);
            if !ours {
                let staff =
                    json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "" });
                world.sandbox.trafft.staff_create(staff);
            }
            world.start().await;
            let contact = world.sandbox.ghl.create_contact(ada());
            let customer = world.deliver_all().await.customer();
            world.forget_calls();
            world.sandbox.ghl.delete_contact(&contact);
            let answer = world.deliver_all().await;
            let shown = format!("{policy}, ours: {ours}: {}", answer.json);
            assert!(answer.reason().contains("deleted in GoHighLevel"), "{shown}");
            let now = world.sandbox.trafft.customer(customer);
            assert_eq!(now.is_some(), stays, "{shown}");
            let told = now.and_then(|now| now.description).unwrap_or_default();
            assert_eq!(told.contains("Deleted in HighLevel"), policy == "keep" && ours, "{shown}: {told}");
            let writes = usize::from(policy != "ignore" && ours);
            assert_eq!(world.sandbox.trafft.journal().writes(), writes, "{shown}");
        }
    }
}

#[tokio::test]
async fn without_an_event_ghl_is_asked_twice_before_it_is_believed() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.ghl.delete_contact(&contact);
    world.sandbox.ghl.take_events();
    world.pass().await;
    let answer = world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
    assert_eq!(answer.status(), "queued", "{}", answer.json);
    assert!(world.sandbox.trafft.customer(customer).is_some(), "once is not enough");
    world.drain().await;
    assert!(world.sandbox.trafft.customer(customer).is_none());
}

#[tokio::test]
async fn a_merged_contact_leaves_its_customer_to_the_one_that_stays() {
    let world = World::new().await;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let gone = world.synced(ada()).await;
    let customer = world.customer_of(&gone).await.id;
    let stays = world.sandbox.ghl.create_contact(ada());
    assert_eq!(world.deliver_all().await.status(), "conflict", "two contacts, one e-mail");
    world.sandbox.ghl.merge_contacts(&stays, &gone);
    world.sandbox.ghl.add_note(&stays, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    world.drain().await;
    let taken = world.customer_of(&stays).await;
    assert_eq!(taken.id, customer, "released and taken over without a person");
    assert!(taken.description.unwrap().contains("Prefers mornings"), "we made it, so its description is still ours");
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
}

#[tokio::test]
async fn a_customer_deleted_by_staff_is_a_conflict_or_made_again() {
    for (policy, status) in [("conflict", "conflict"), ("recreate", "synced")] {
        let world = World::with(&[("MISSING_CUSTOMER_POLICY", policy)]).await;
        let contact = world.synced(ada()).await;
        world.sandbox.trafft.staff_delete(world.customer_of(&contact).await.id);
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
        world.deliver_all().await;
        world.drain().await;
        assert_eq!(world.contact(&contact).await["status"], status, "{policy}");
        if policy == "conflict" {
            assert!(world.sandbox.trafft.customers().is_empty(), "staff meant it");
            let decided = world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/create"), None).await;
            assert_eq!(decided.code, 202, "{}", decided.json);
            world.drain().await;
        }
        assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
    }
}

#[tokio::test]
async fn a_customer_that_could_not_be_deleted_is_deleted_later() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    world.sandbox.trafft.faults().push(Matcher::new("DELETE", "/api/v2/customers"), Fault::Status(503));
    world.sandbox.ghl.delete_contact(&contact);
    assert_eq!(world.deliver_all().await.status(), "queued");
    world.drain().await;
    assert!(world.sandbox.trafft.customers().is_empty());
}
