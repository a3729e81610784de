//! Copies that may be stale: our index of Trafft's customers, and what Trafft makes of a value.

use std::time::Duration;

use reqwest::Method;
use sandbox::trafft::{Duplicates, Forms};
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

const HOUR: Duration = Duration::from_hours(1);

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

fn bob() -> Value {
    json!({ "firstName": "Bob", "lastName": "Example", "email": "bob@example.com", "phone": "+14155550143" })
}

fn same_at_trafft() -> Value {
    json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

/// More customers than the newest page shows: what lies behind it is known from the index alone.
const BEHIND: usize = 60;

#[tokio::test]
async fn a_link_is_made_after_one_look_at_the_customer_itself() {
    let mut world = World::stopped(&[]).await;
    let first = world.sandbox.trafft.staff_create(same_at_trafft());
    world.sandbox.trafft.seed(BEHIND);
    world.start().await;
    // Staff turn it into somebody else.
    let stranger = json!({
        "first_name": "Zoe", "last_name": "Stranger", "email": "zoe@example.com", "phone_number": "+14155550199",
        "description": "typed by staff",
    });
    world.sandbox.trafft.staff_edit(first, stranger);
    let contact = world.synced(ada()).await;
    assert_ne!(world.customer_of(&contact).await.id, first);
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    let stranger = world.sandbox.trafft.customer(first).unwrap();
    assert_eq!((stranger.first_name.as_str(), stranger.description.as_deref()), ("Zoe", Some("typed by staff")));
}

#[tokio::test]
async fn a_link_costs_one_look_more_once() {
    let mut world = World::stopped(&[]).await;
    world.sandbox.trafft.staff_create(same_at_trafft());
    world.start().await;
    world.forget_calls();
    let contact = world.sandbox.ghl.create_contact(ada());
    let answer = world.deliver_all().await;
    assert_eq!((answer.status(), answer.calls()), ("unchanged", (4, 2)), "the newest page, and the customer");
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.calls(), (1, 1), "a steady edit is one read and one write");
}

#[tokio::test]
async fn a_customer_that_is_in_the_index_only_is_nobody() {
    let mut world = World::stopped(&[]).await;
    let gone = world.sandbox.trafft.staff_create(same_at_trafft());
    world.sandbox.trafft.seed(BEHIND);
    world.start().await;
    world.sandbox.trafft.staff_delete(gone);
    let contact = world.sandbox.ghl.create_contact(ada());
    assert_eq!(world.deliver_all().await.status(), "queued", "Trafft is asked twice before that is believed");
    world.drain().await;
    assert_eq!(world.contact(&contact).await["status"], "synced");
    assert_ne!(world.customer_of(&contact).await.id, gone);
}

#[tokio::test]
async fn a_deletion_while_the_index_is_built_hides_nobody() {
    let mut world = World::stopped(&[]).await;
    world.sandbox.trafft.seed(170);
    let before = world.sandbox.trafft.customers();
    // After the second page a customer of the first is deleted: the third page then begins one
    // customer later than it would have.
    let (nobody, hidden) = (0, before[100].clone());
    world.sandbox.trafft.delete_between_pages(nobody);
    world.sandbox.trafft.delete_between_pages(before[0].id);
    world.start().await;
    let email = hidden.email.clone().unwrap();
    let contact = world
        .sandbox
        .ghl
        .create_contact(json!({ "firstName": hidden.first_name, "lastName": hidden.last_name, "email": email }));
    world.deliver_all().await;
    assert_eq!(world.customer_of(&contact).await.id, hidden.id, "found, not created twice");
}

#[tokio::test]
async fn a_customer_that_may_be_somebody_elses_is_linked_and_its_note_left_alone() {
    // An appointment, or a field that we never send, says that it may be somebody else's.
    for (field, booked) in
        [(None, true), (Some(("birthday", "1990-01-01")), false), (Some(("gender", "female")), false), (None, false)]
    {
        let ours = field.is_none() && !booked;
        let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
        let contact = world.sandbox.ghl.create_contact(ada());
        world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Refuse);
        assert_eq!(world.deliver_all().await.status(), "queued");
        // The POST never arrived; somebody with the same name, e-mail and phone is there all the
        // same.
        let mut there = same_at_trafft();
        there["description"] = json!("typed by staff");
        if let Some((name, value)) = field {
            there[name] = json!(value);
        }
        let customer = world.sandbox.trafft.staff_create(there);
        if booked {
            world.sandbox.trafft.staff_book(Some(customer), "2026-09-02T10:00:00Z", "2026-09-02T11:00:00Z");
        }
        world.drain().await;
        let now = world.customer_of(&contact).await;
        assert_eq!(now.id, customer, "linked");
        assert_eq!(now.description.as_deref() == Some("typed by staff"), !ours, "{field:?}, booked: {booked}");
        world.sandbox.ghl.delete_contact(&contact);
        world.deliver_all().await;
        world.drain().await;
        assert_eq!(world.sandbox.trafft.customer(customer).is_none(), ours, "{field:?}, booked: {booked}");
    }
}

#[tokio::test]
async fn a_customer_that_we_made_is_known_by_traffts_form_of_its_name() {
    for (forms, name) in [
        (Forms { longest_name: Some(6), escaped: true, ..Forms::default() }, "O'Byron-Lovelace"),
        (Forms { escaped: true, ..Forms::default() }, "Byron & Sons"),
        (Forms { upper_name: true, ..Forms::default() }, "Byron"),
        (Forms { stored: true, ..Forms::default() }, "Zoe\u{308} \u{1f389}"),
    ] {
        let world = World::in_memory(&[]).await;
        world.sandbox.trafft.set_forms(forms);
        world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
        let mut named = ada();
        named["lastName"] = json!(name);
        let contact = world.sandbox.ghl.create_contact(named);
        assert_eq!(world.deliver_all().await.status(), "queued", "nobody knows whether it was made");
        world.drain().await;
        assert_eq!(world.contact(&contact).await["status"], "synced", "{name}");
        assert_eq!(world.customer_of(&contact).await.last_name, name);
        assert_eq!(world.sandbox.trafft.customers().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn trafft_may_show_values_in_its_own_form() {
    let forms = Forms {
        lower_email: true,
        longest_name: Some(20),
        national_phone: true,
        escaped: true,
        upper_name: true,
        stored: true,
    };
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    world.sandbox.trafft.set_forms(forms);
    let mut contacts = Vec::new();
    for number in 0..12 {
        contacts.push(
            world
                .synced(json!({
                    "firstName": format!("Zoe\u{308} O'Brien {number} \u{1f389}"), "lastName": "Wolfeschlegelsteinhausenbergerdorff",
                    "email": format!("Ada{number}@Example.com"), "phone": format!("+1415555{:04}", 100 + number),
                }))
                .await,
        );
    }
    // Each difference is written once more, and then known to be Trafft's own form.
    world.rest(49 * HOUR).await;
    world.forget_calls();
    world.rest(73 * HOUR).await;
    world.synced(json!({ "firstName": "New", "email": "new@example.com" })).await;
    assert_eq!(world.sandbox.trafft.journal().writes(), 1, "only the new one is written");
    let findings = world.get("/api/v1/findings?sweep=customers&limit=200").await;
    let told = findings.json.to_string().matches("edited in Trafft").count();
    assert!(told <= contacts.len(), "told once each at most: {told}");
    // Staff still lose against GoHighLevel.
    let edited = world.customer_of(&contacts[3]).await.id;
    world.sandbox.trafft.staff_edit(edited, json!({ "first_name": "Staff" }));
    world.rest(25 * HOUR).await;
    assert_eq!(world.customer_of(&contacts[3]).await.first_name, "Zoe\u{308} O'Brien 3 \u{1f389}");
}

#[tokio::test]
async fn a_number_that_trafft_shows_without_its_country_code_is_read_in_the_country_beside_it() {
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    world.sandbox.trafft.set_forms(Forms { national_phone: true, ..Forms::default() });
    let phone = "+4915123456789";
    let there =
        world.sandbox.trafft.staff_create(json!({ "first_name": "Ada", "last_name": "Example", "phone": phone }));
    world.start().await;
    assert_eq!(world.sandbox.trafft.shown(there).unwrap()["phone_number"], "015123456789");
    let ada = json!({ "firstName": "Ada", "lastName": "Example", "phone": phone });
    let contact = world.sandbox.ghl.create_contact(ada);
    assert_eq!(world.deliver_all().await.status(), "unchanged", "found by its phone, not created twice");
    assert_eq!(world.customer_of(&contact).await.id, there);
    // What GoHighLevel no longer has is sent back as Trafft holds it.
    world.sandbox.ghl.edit_contact(&contact, json!({ "phone": null, "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.customer_of(&contact).await.phone_number.as_deref(), Some(phone));
    world.forget_calls();
    world.rest(49 * HOUR).await;
    assert_eq!(world.sandbox.trafft.journal().writes(), 0);
}

#[tokio::test]
async fn nobody_is_in_conflict_with_a_customer_that_is_in_the_index_only() {
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    let [ada, bob] = [world.synced(ada()).await, world.synced(bob()).await];
    let [first, second] = [world.customer_of(&ada).await.id, world.customer_of(&bob).await.id];
    // Staff swap the e-mails. Whose they are is a matter for a person, as long as both are there.
    world.sandbox.trafft.staff_edit(first, json!({ "email": "bob@example.com" }));
    world.sandbox.trafft.staff_edit(second, json!({ "email": "ada@example.com" }));
    world.rest(25 * HOUR).await;
    assert_eq!(world.contact(&ada).await["status"], "conflict");
    world.sandbox.trafft.staff_delete(second);
    world.sandbox.ghl.edit_contact(&bob, json!({ "lastName": "Sample" }));
    world.deliver_all().await;
    world.rest(73 * HOUR).await;
    assert_eq!(world.contact(&ada).await["status"], "synced");
    assert_eq!(world.customer_of(&ada).await.email.as_deref(), Some("ada@example.com"));
    assert_eq!(world.contact(&bob).await["trafft_customer_id"], Value::Null, "that staff deleted it was found out");
}

#[tokio::test]
async fn an_email_that_only_a_deleted_customer_of_nobody_has_is_free() {
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    let ada = world.synced(ada()).await;
    let staffs = world.sandbox.trafft.staff_create(json!({ "first_name": "Nobody", "email": "new@example.com" }));
    world.rest(25 * HOUR).await;
    world.sandbox.trafft.staff_delete(staffs);
    world.sandbox.ghl.edit_contact(&ada, json!({ "email": "new@example.com" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.customer_of(&ada).await.email.as_deref(), Some("new@example.com"));
}

#[tokio::test]
async fn two_customers_with_one_email_are_told() {
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    world.synced(ada()).await;
    let booked = world.sandbox.trafft.staff_create(json!({ "first_name": "Ada", "email": "ADA@example.com" }));
    world.rest(25 * HOUR).await;
    let findings = world.get("/api/v1/findings?sweep=customers").await.json.to_string();
    assert!(findings.contains(&format!("customers 1 and {booked} have the same e-mail")), "{findings}");
    world.forget_calls();
    world.rest(49 * HOUR).await;
    assert_eq!(world.get("/api/v1/findings?sweep=customers").await.json.to_string(), findings, "told once");
}

#[tokio::test]
async fn a_create_that_is_answered_with_a_customer_that_was_there_overwrites_nobody() {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created")]).await;
    world.sandbox.trafft.set_duplicates(Duplicates::ReturnExisting);
    let behind = world.sandbox.trafft.staff_create(json!({ "first_name": "Zoe", "last_name": "Stranger" }));
    world.sandbox.trafft.seed(BEHIND);
    let family = json!({ "first_name": "Eve", "last_name": "Example", "email": "bob@example.com", "phone": "" });
    let family = world.sandbox.trafft.staff_create(family);
    world.start().await;
    // The index does not know yet that it has this e-mail.
    world.sandbox.trafft.staff_edit(behind, json!({ "email": "ada@example.com", "description": "typed by staff" }));
    let before = world.sandbox.trafft.customers();
    let ada = world.sandbox.ghl.create_contact(ada());
    assert_eq!(world.deliver_all().await.status(), "conflict", "it has another name");
    let bob = world.sandbox.ghl.create_contact(bob());
    assert_eq!(world.deliver_all().await.status(), "conflict", "a family's e-mail");
    for contact in [&ada, &bob] {
        let path = format!("/api/v1/contacts/{contact}/create");
        assert_eq!(world.admin(Method::POST, &path, None).await.code, 202);
        world.drain().await;
        let told = world.contact(contact).await;
        assert!(
            told["status"] == "conflict" && told["reason"].as_str().unwrap().contains("no other customer"),
            "{told}"
        );
        world.sandbox.ghl.delete_contact(contact);
        world.deliver_all().await;
    }
    world.drain().await;
    assert_eq!(world.sandbox.trafft.customers(), before);
    assert!(world.sandbox.trafft.customer(family).is_some());
}

#[tokio::test]
async fn what_a_look_for_another_contact_finds_changed_is_put_right() {
    let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let (ada, bob) = (world.synced(ada()).await, world.synced(bob()).await);
    let customer = world.customer_of(&bob).await.id;
    let staff = json!({ "first_name": "Zoe", "email": "zoe@example.com" });
    world.sandbox.trafft.staff_edit(customer, staff);
    // For a while Ada has the e-mail that the index knows as that customer's.
    for email in ["bob@example.com", "ada@example.com"] {
        world.sandbox.ghl.edit_contact(&ada, json!({ "email": email }));
        assert_eq!(world.deliver_all().await.status(), "synced");
    }
    world.rest(75 * HOUR).await;
    let shown = world.sandbox.trafft.customer(customer).unwrap();
    assert_eq!((shown.first_name.as_str(), shown.email.as_deref()), ("Bob", Some("bob@example.com")));
}
