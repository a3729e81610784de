//! Contacts that were not found in GoHighLevel, and are there again.

use std::time::Duration;

use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::harm::{HOUR, SETTLE, ada};
use crate::support::World;

const NOT_FOUND: &str = r#"{"statusCode":400,"message":"Contact not found"}"#;

/// It is deleted, and believed gone.
async fn goes(world: &World, contact: &str) {
    world.sandbox.ghl.delete_contact(contact);
    world.deliver_all().await;
    world.rest(SETTLE).await;
    assert_ne!(world.contact(contact).await["gone_at"], Value::Null);
}

/// Staff edit or delete a customer while its contact is gone. Nobody is told of that: no contact
/// holds the customer then.
#[tokio::test]
async fn what_staff_did_to_the_customer_meanwhile_is_looked_at() {
    for is_deleted in [false, true] {
        let world = World::with(&[("SWEEP_CUSTOMERS_HOURS", "1"), ("MISSING_CUSTOMER_POLICY", "recreate")]).await;
        let trafft = &world.sandbox.trafft;
        let theirs = trafft.staff_create(
            json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "+14155550142" }),
        );
        let contact = world.sandbox.ghl.create_contact(ada());
        world.deliver_all().await;
        world.drain().await;
        assert_eq!(world.customer_of(&contact).await.id, theirs);
        goes(&world, &contact).await;
        if is_deleted {
            trafft.staff_delete(theirs);
        } else {
            trafft.staff_edit(theirs, json!({ "last_name": "Byron" }));
        }
        world.rest(3 * HOUR).await;

        world.sandbox.ghl.restore_contact(&contact);
        world.sandbox.ghl.take_events();
        world.sandbox.ghl.add_note(&contact, json!({ "body": "is back" }));
        // The first look finds Trafft away: it is still to be looked at.
        trafft.faults().push(Matcher::new("GET", &format!("/api/v2/customers/{theirs}")), Fault::Html(502));
        world.deliver_all().await;
        world.rest(HOUR).await;
        let customer = world.customer_of(&contact).await;
        assert_eq!((customer.last_name.as_str(), customer.id == theirs), ("Example", !is_deleted));
        world.forget_calls();
        world.rest(2 * HOUR).await;
        assert_eq!(trafft.journal().writes(), 0);
    }
}

/// A contact that is back as it was costs one look, and no write.
#[tokio::test]
async fn a_contact_that_is_back_as_it_was_is_looked_at_and_not_written() {
    let world = World::with(&[("DELETE_POLICY", "ignore")]).await;
    let contact = world.synced(ada()).await;
    goes(&world, &contact).await;
    world.sandbox.ghl.restore_contact(&contact);
    world.forget_calls();
    world.tell(world.event(json!({ "type": "ContactUpdate", "id": contact }))).await;
    world.rest(HOUR).await;
    assert_eq!(world.contact(&contact).await["gone_at"], Value::Null);
    let calls = world.sandbox.trafft.journal();
    assert_eq!((calls.entries().len(), calls.writes()), (1, 0), "{:?}", calls.entries());
}

#[tokio::test]
async fn a_contact_that_was_restored_without_any_event_is_revived_by_the_id_sweep() {
    let world = World::with(&[("SWEEP_IDS_HOURS", "24")]).await;
    let contact = world.synced(ada()).await;
    let lie = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
    world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(2), lie);
    world.tell(world.event(json!({ "type": "ContactDelete", "id": contact }))).await;
    world.rest(SETTLE).await;
    assert_ne!(world.contact(&contact).await["gone_at"], Value::Null, "HighLevel said so twice");
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_hours(25)).await;
    assert_eq!(world.contact(&contact).await["gone_at"], Value::Null);
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
}

/// A note of a restored contact tells of it before any sweep does.
#[tokio::test]
async fn a_contact_that_was_restored_is_there_again_with_its_next_note() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    goes(&world, &contact).await;
    world.sandbox.ghl.restore_contact(&contact);
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.sandbox.ghl.take_events();
    world.sandbox.ghl.add_note(&contact, json!({ "body": "is back" }));
    world.deliver_all().await;
    world.drain().await;
    assert_eq!(world.contact(&contact).await["gone_at"], Value::Null);
    let customer = world.customer_of(&contact).await;
    let told = customer.description.unwrap_or_default();
    assert!(customer.last_name == "Byron" && told.contains("is back") && !told.contains("Deleted"), "{told}");
}

/// An edit and what followed, without any event: its time of change lies before what the search for
/// changes looks back to.
#[tokio::test]
async fn what_was_edited_before_a_contact_went_and_came_back_is_found() {
    let world = World::with(&[("SWEEP_CONTACTS_MINUTES", "15"), ("SWEEP_IDS_HOURS", "24")]).await;
    let contact = world.synced(ada()).await;
    world.rest(2 * HOUR).await;
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.sandbox.ghl.delete_contact(&contact);
    world.rest(HOUR).await;
    world.sandbox.ghl.restore_contact(&contact);
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_hours(25)).await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
}

/// A note of a contact that HighLevel does not find, once; its next answer shows the note. What was
/// said once does not count for days.
#[tokio::test]
async fn one_not_found_of_last_week_and_one_of_today_are_not_two() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let lost = |path: String, times: usize| {
        let fault = Fault::StatusWithBody(400, NOT_FOUND.to_owned());
        world.sandbox.ghl.faults().push(Matcher::new("GET", &path).times(times), fault);
    };
    // The notes' list, and then the contact itself.
    lost(format!("/contacts/{contact}"), 2);
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Prefers mornings"));

    world.rest(Duration::from_hours(24 * 6)).await;
    lost(format!("/contacts/{contact}"), 1);
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
}
