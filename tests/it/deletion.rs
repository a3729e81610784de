//! Contacts that go, customers that go.

use std::time::Duration;

use reqwest::Method;
use sandbox::ghl::NotFound;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

/// As long as the service waits before it asks again (`SETTLE_SECONDS`).
const SETTLE: Duration = Duration::from_secs(61);

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
            assert_eq!(world.deliver_all().await.status(), "queued", "GHL is asked twice");
            assert_eq!(world.sandbox.trafft.journal().writes(), 0, "before that nothing is written");
            world.rest(SETTLE).await;
            let ended = world.contact(&contact).await;
            let shown = format!("{policy}, ours: {ours}: {ended}");
            assert!(ended["reason"].as_str().unwrap().contains("deleted in GoHighLevel"), "{shown}");
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
    world.deliver_all().await;
    world.rest(SETTLE).await;
    assert_eq!(world.contact(&contact).await["status"], "queued");
    world.drain().await;
    assert!(world.sandbox.trafft.customers().is_empty());
}

/// HighLevel's own words, in JSON, that there is no such contact.
const NOT_FOUND: &str = r#"{"statusCode":400,"message":"Contact not found"}"#;

#[tokio::test]
async fn only_highlevels_own_words_about_the_contact_say_that_it_is_gone() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    for (status, body) in [
        (404, "default backend - 404"),
        (404, "<html><h1>404 Not Found</h1><hr>nginx</html>"),
        (404, r#"{"message":"Not Found"}"#),
        (400, r#"{"message":"Location not found"}"#),
        (400, r#"{"message":"Authentication failed: user not found"}"#),
        (400, r#"{"message":"Session not found"}"#),
        (410, "gone"),
    ] {
        // As long as an outage of a few minutes.
        let fault = Fault::StatusWithBody(status, body.to_owned());
        world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(3), fault);
        world.sandbox.ghl.edit_contact(&contact, json!({ "companyName": format!("Example {status} {}", body.len()) }));
        world.deliver_all().await;
        world.drain().await;
        assert!(world.sandbox.trafft.customer(customer).is_some(), "{status} {body}");
        assert_eq!(world.contact(&contact).await["gone_at"], Value::Null, "{status} {body}");
    }
}

#[tokio::test]
async fn highlevel_is_asked_twice_a_settle_time_apart_whatever_comes_between() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    // A lie of less than a minute: two events see it, and each of them asks.
    let lie = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
    world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(3), lie);
    for number in 0..3 {
        world.sandbox.ghl.edit_contact(&contact, json!({ "companyName": format!("Example {number}") }));
        assert_eq!(world.deliver_all().await.status(), "queued");
    }
    world.rest(SETTLE).await;
    assert!(world.sandbox.trafft.customer(customer).is_some());
    assert_eq!(world.contact(&contact).await["gone_at"], Value::Null);
    // Only the contact itself says that it is gone: its notes do not.
    let lie = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
    let notes = format!("/contacts/{contact}/notes");
    world.sandbox.ghl.faults().push(Matcher::new("GET", &notes).times(2), lie);
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    world.drain().await;
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Prefers mornings"));
}

#[tokio::test]
async fn a_deletion_that_the_first_read_does_not_show_yet_is_asked_for_again() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    let early = world.tell(world.event(json!({ "type": "ContactDelete", "id": contact }))).await;
    assert_eq!(early.status(), "unchanged", "{}", early.json);
    world.sandbox.ghl.delete_contact(&contact);
    world.sandbox.ghl.take_events();
    world.rest(2 * SETTLE).await;
    assert!(world.sandbox.trafft.customer(customer).is_none());
}

#[tokio::test]
async fn when_many_vanish_together_nothing_is_deleted_before_that_is_confirmed() {
    for confirmed in ["nobody", "a search that shows them", "a person", "an id sweep"] {
        let is_lie = ["nobody", "a search that shows them"].contains(&confirmed);
        let mut world = World::in_memory(&[("DELETE_POLICY", "delete-created"), ("SWEEP_IDS_HOURS", "24")]).await;
        world.forgiving = true;
        let location = world.sandbox.ghl.location_id();
        let mut contacts = Vec::new();
        for number in 0..20 {
            let email = format!("n{number}@example.com");
            contacts.push(world.synced(json!({ "firstName": "Ada", "email": email })).await);
        }
        let vanished = &contacts[..8];
        if is_lie {
            // Something that speaks like HighLevel, for ten minutes or for more than a day.
            let lie = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
            world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(10_000), lie);
            for contact in vanished {
                world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
            }
        } else {
            vanished.iter().for_each(|contact| world.sandbox.ghl.delete_contact(contact));
        }
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        let connection = format!("/api/v1/connections/{location}");
        assert_eq!(world.sandbox.trafft.customers().len(), 20, "{confirmed}");
        let states = world.get(&connection).await.json["states"].clone();
        assert!(states[0]["state"] == "deletions_held" && states[0]["since"].is_string(), "{confirmed}: {states}");
        let told = world.contact(&vanished[0]).await;
        assert!(told["reason"].as_str().unwrap().contains("confirm-deletions"), "{told}");
        let stay = match confirmed {
            "nobody" => {
                world.sandbox.ghl.faults().clear();
                20
            }
            "a search that shows them" => 20,
            "a person" => {
                let path = format!("{connection}/confirm-deletions");
                assert_eq!(world.admin(Method::POST, &path, None).await.code, 200);
                12
            }
            _ => 12,
        };
        let sweeps = ["an id sweep", "a search that shows them"].contains(&confirmed);
        let time = if sweeps { Duration::from_hours(25) } else { Duration::from_hours(2) };
        world.rest(time).await;
        assert_eq!(world.sandbox.trafft.customers().len(), stay, "{confirmed}");
        for contact in &contacts[contacts.len() - 12..] {
            assert_eq!(world.contact(contact).await["gone_at"], Value::Null, "{confirmed}");
        }
    }
}

#[tokio::test]
async fn a_customer_is_lost_only_by_traffts_own_words_and_linked_again_when_it_is_there_again() {
    let mut world = World::with(&[("MISSING_CUSTOMER_POLICY", "recreate")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    for (status, body) in [(404, "<html>404</html>"), (404, r#"{"message":"Customer not found"}"#)] {
        let fault = Fault::StatusWithBody(status, body.to_owned());
        world.sandbox.trafft.faults().push(Matcher::path(&format!("/api/v2/customers/{customer}")), fault);
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": format!("Byron {}", body.len()) }));
        world.deliver_all().await;
        world.drain().await;
        assert_eq!(world.customer_of(&contact).await.id, customer, "{body}");
        assert_eq!(world.sandbox.trafft.customers().len(), 1, "{body}");
    }
    // Twice, a minute apart, is believed; seen again, it is linked again.
    world.stop().await;
    world.set("MISSING_CUSTOMER_POLICY", "conflict");
    world.set("SWEEP_CUSTOMERS_HOURS", "24");
    world.start().await;
    let fault = Fault::StatusWithBody(404, r#"{"message":"Customer not found"}"#.to_owned());
    world.sandbox.trafft.faults().push(Matcher::path(&format!("/api/v2/customers/{customer}")).times(2), fault);
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Lovelace" }));
    world.deliver_all().await;
    world.rest(2 * SETTLE).await;
    assert_eq!(world.contact(&contact).await["status"], "conflict");
    world.rest(Duration::from_hours(25)).await;
    assert_eq!(world.customer_of(&contact).await.id, customer);
    assert_eq!(world.customer_of(&contact).await.last_name, "Lovelace");
}

#[tokio::test]
async fn a_contact_that_is_being_linked_is_asked_for_again_as_well() {
    let mut world = World::stopped(&[]).await;
    world
        .sandbox
        .trafft
        .staff_create(json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com" }));
    world.start().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    world.sandbox.ghl.take_events();
    let early = world.tell(world.event(json!({ "type": "ContactDelete", "id": contact }))).await;
    assert!(world.contact(&contact).await["trafft_customer_id"].is_number(), "{}", early.json);
    world.sandbox.ghl.delete_contact(&contact);
    world.sandbox.ghl.take_events();
    world.rest(3 * SETTLE).await;
    let told = world.contact(&contact).await;
    assert!(told["gone_at"].is_string(), "{told}");
}

#[tokio::test]
async fn a_search_that_shows_a_part_of_the_others_confirms_nothing() {
    let settings = [("DELETE_POLICY", "delete-created"), ("SWEEP_IDS_HOURS", "24")];
    let mut world = World::in_memory(&settings).await;
    world.forgiving = true;
    let location = world.sandbox.ghl.location_id();
    let mut contacts = Vec::new();
    for number in 0..20 {
        let email = format!("n{number}@example.com");
        contacts.push(world.synced(json!({ "firstName": "Ada", "email": email })).await);
    }
    for contact in &contacts[..8] {
        let lie = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
        world.sandbox.ghl.faults().push(Matcher::new("GET", &format!("/contacts/{contact}")).times(10_000), lie);
        world.sandbox.ghl.edit_contact(contact, json!({ "companyName": "Example Ltd" }));
    }
    // Its index is being built.
    let found: Vec<_> = contacts[8..11].iter().map(|id| json!({ "id": id, "locationId": location })).collect();
    let page = json!({ "contacts": found, "total": found.len() }).to_string();
    let search = Matcher::new("POST", "/contacts/search").times(10_000);
    world.sandbox.ghl.faults().push(search, Fault::StatusWithBody(200, page));
    world.deliver_all().await;
    world.rest(Duration::from_hours(60)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 20);
    let states = world.get(&format!("/api/v1/connections/{location}")).await.json["states"].clone();
    assert_eq!(states[0]["state"], "deletions_held", "{states}");
}
