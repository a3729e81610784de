//! Who is who: linked only when the match is single and uncontradicted, otherwise a person decides.

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

fn staff(first: &str, last: &str, email: &str, phone: &str) -> Value {
    json!({ "first_name": first, "last_name": last, "email": email, "phone": phone, "description": "typed by staff" })
}

fn person(first: &str, last: &str, email: &str, phone: &str) -> Value {
    let mut person = json!({ "firstName": first, "lastName": last });
    for (name, value) in [("email", email), ("phone", phone)] {
        if !value.is_empty() {
            person[name] = json!(value);
        }
    }
    person
}

const PHONE: &str = "+14155550142";

#[tokio::test]
async fn a_customer_that_was_there_is_linked_if_nothing_speaks_against_it() {
    let ada = || person("Ada", "Example", "ada@example.com", PHONE);
    for (was_there, contact, end) in [
        (vec![staff("Ada", "Example", "ada@example.com", PHONE)], ada(), "unchanged"),
        (vec![staff("Ada", "Example", "ADA@Example.com", PHONE)], ada(), "unchanged"),
        (vec![staff("Ada", "-", "ada@example.com", "")], ada(), "synced"),
        (
            vec![staff("Ada", "Example", "ada@example.com", PHONE)],
            person("Ada", "Example", "ada@example.com", ""),
            "unchanged",
        ),
        (vec![staff("Ada", "Example", "", PHONE)], ada(), "synced"),
        (vec![staff("Ada", "Example", "", PHONE)], person("Ada", "Example", "", "(415) 555-0142"), "unchanged"),
        (vec![staff("Bob", "Example", "ada@example.com", "")], ada(), "conflict"),
        (vec![staff("Ada", "Example", "ada@example.com", "+14155550177")], ada(), "conflict"),
        (vec![staff("Ada", "Example", "other@example.com", PHONE)], ada(), "conflict"),
        (
            vec![staff("Ada", "Example", "ada@example.com", ""), staff("Ada", "Example", "ada@example.com", "")],
            ada(),
            "conflict",
        ),
    ] {
        // Before the service starts it is in the index; afterwards only on the newest page.
        for booked_meanwhile in [false, true] {
            let mut world = World::stopped(&[]).await;
            if booked_meanwhile {
                world.start().await;
            }
            let before: Vec<_> =
                was_there.iter().map(|customer| world.sandbox.trafft.staff_create(customer.clone())).collect();
            if !booked_meanwhile {
                world.start().await;
            }
            let id = world.sandbox.ghl.create_contact(contact.clone());
            let answer = world.deliver_all().await;
            assert_eq!(answer.status(), end, "{contact} against {was_there:?}: {}", answer.json);
            assert_eq!(world.sandbox.trafft.customers().len(), before.len(), "nobody is created");
            if end == "conflict" {
                assert_eq!(world.sandbox.trafft.journal().writes(), 0, "nothing is written before a person decides");
                assert!(answer.reason().contains("contacts link"), "{}", answer.reason());
            } else {
                let customer = world.customer_of(&id).await;
                assert_eq!(customer.id, before[0]);
                assert_eq!(customer.description.as_deref(), Some("typed by staff"));
                let phone = was_there[0]["phone"].as_str().filter(|phone| !phone.is_empty()).unwrap_or(PHONE);
                assert_eq!(customer.phone_number.as_deref(), Some(phone));
            }
        }
    }
}

/// An account that was empty when it was connected, and then staff import more customers than a
/// page holds.
#[tokio::test]
async fn customers_imported_into_an_empty_account_are_all_met() {
    let mut world = World::new().await;
    let theirs = world.sandbox.trafft.staff_create(staff("Ada", "Example", "ada@example.com", PHONE));
    world.sandbox.trafft.seed(120);
    let ada = world.sandbox.ghl.create_contact(person("Ada", "Example", "ada@example.com", PHONE));
    world.deliver_all().await;
    assert_eq!(world.customer_of(&ada).await.id, theirs);

    // The same for what a create without an answer may have made.
    world = World::new().await;
    world.forgiving = true;
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
    let ada = world.sandbox.ghl.create_contact(person("Ada", "Example", "ada@example.com", PHONE));
    world.deliver_all().await;
    world.sandbox.trafft.seed(120);
    world.drain().await;
    assert_eq!((world.customer_of(&ada).await.id, world.sandbox.trafft.customers().len()), (1, 121));
}

#[tokio::test]
async fn a_contact_without_email_is_made_if_trafft_takes_it() {
    let world = World::new().await;
    let contact = world.synced(person("Ada", "Example", "", PHONE)).await;
    assert_eq!(world.customer_of(&contact).await.email.unwrap_or_default(), "");
    world.sandbox.trafft.set_email_required(true);
    world.sandbox.ghl.create_contact(person("Bob", "Sample", "", "+14155550177"));
    let answer = world.deliver_all().await;
    assert_eq!(answer.status(), "skipped", "{}", answer.json);
    assert!(answer.reason().contains("without e-mail"), "{}", answer.reason());
}

#[tokio::test]
async fn two_contacts_with_one_email_are_decided_once_by_a_person() {
    let world = World::new().await;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let ada = world.synced(person("Ada", "Example", "family@example.com", "")).await;
    let bob = world.sandbox.ghl.create_contact(person("Bob", "Example", "family@example.com", ""));
    let answer = world.deliver_all().await;
    let first = world.customer_of(&ada).await.id;
    assert_eq!(answer.status(), "conflict", "{}", answer.json);
    assert!(answer.reason().contains(&format!("customer {first}")), "{}", answer.reason());
    let taken = world
        .admin(Method::POST, &format!("/api/v1/contacts/{bob}/link"), Some(json!({ "trafft_customer_id": first })))
        .await;
    assert_eq!(taken.code, 409, "{}", taken.json);
    let decided = world.admin(Method::POST, &format!("/api/v1/contacts/{bob}/create"), None).await;
    assert_eq!(decided.code, 202, "{}", decided.json);
    world.drain().await;
    let second = world.customer_of(&bob).await;
    assert_ne!(second.id, first);
    // Remembered: later edits of either are no conflict.
    for contact in [&ada, &bob] {
        world.sandbox.ghl.edit_contact(contact, json!({ "lastName": "Byron" }));
        assert_eq!(world.deliver_all().await.status(), "synced");
    }
    let again = world.admin(Method::POST, &format!("/api/v1/contacts/{bob}/create"), None).await;
    assert_eq!(again.code, 409, "it has a customer: {}", again.json);
    // Taken apart it stays apart, whatever is edited, until it is linked again.
    world.pass().await;
    assert_eq!(world.admin(Method::POST, &format!("/api/v1/contacts/{bob}/unlink"), None).await.code, 202);
    world.drain().await;
    world.sandbox.ghl.edit_contact(&bob, json!({ "lastName": "Apart" }));
    assert_eq!(world.deliver_all().await.status(), "conflict");
    assert_eq!(world.sandbox.trafft.customer(second.id).unwrap().last_name, "Byron");
    let link = Some(json!({ "trafft_customer_id": second.id }));
    assert_eq!(world.admin(Method::POST, &format!("/api/v1/contacts/{bob}/link"), link).await.code, 202);
    world.drain().await;
    assert_eq!(world.customer_of(&bob).await.last_name, "Apart");
    let unknown = world
        .admin(Method::POST, &format!("/api/v1/contacts/{bob}/link"), Some(json!({ "trafft_customer_id": 999 })))
        .await;
    assert_eq!(unknown.code, 404);
}

#[tokio::test]
async fn an_email_that_moves_onto_another_customer_is_a_conflict() {
    let world = World::new().await;
    let ada = world.synced(person("Ada", "Example", "ada@example.com", "")).await;
    let other = world.sandbox.trafft.staff_create(staff("Bob", "Sample", "bob@example.com", ""));
    world.synced(person("Eve", "Third", "eve@example.com", "")).await;
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&ada, json!({ "email": "bob@example.com" }));
    let answer = world.deliver_all().await;
    assert_eq!(answer.status(), "conflict", "{}", answer.json);
    assert!(answer.reason().contains(&format!("customer {other}")), "{}", answer.reason());
    assert_eq!(world.sandbox.trafft.journal().writes(), 0);
    world.sandbox.ghl.edit_contact(&ada, json!({ "email": "ada@example.org" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.customer_of(&ada).await.email.as_deref(), Some("ada@example.org"));
}

#[tokio::test]
async fn a_conflict_ends_by_itself_when_the_other_moves_on() {
    let world = World::new().await;
    let ada = world.synced(person("Ada", "Example", "ada@example.com", "")).await;
    let bob = world.synced(person("Bob", "Sample", "bob@example.com", "")).await;
    world.sandbox.ghl.edit_contact(&ada, json!({ "email": "ada@example.org" }));
    world.sandbox.ghl.edit_contact(&bob, json!({ "email": "ada@example.com" }));
    let mut events = world.sandbox.ghl.take_events();
    events.reverse();
    let mut ends = Vec::new();
    for event in &events {
        ends.push(world.deliver(event).await.status().to_owned());
    }
    assert_eq!(ends, ["conflict", "synced"], "what happened first was told last");
    world.drain().await;
    assert_eq!(world.customer_of(&bob).await.email.as_deref(), Some("ada@example.com"));
}
