//! Refusals: what they are about decides whether a contact is given up at once, or goes on by
//! itself.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

const PAGE: &str = "<html><body>Down for maintenance</body></html>";
const SECOND: Duration = Duration::from_secs(1);

fn person(name: &str) -> Value {
    json!({ "firstName": name, "lastName": "Example", "email": format!("{name}@example.com") })
}

fn answers(status: u16, body: &str) -> Fault {
    Fault::StatusWithBody(status, body.to_owned())
}

#[tokio::test]
async fn what_is_not_about_the_contact_is_waited_for() {
    let mut world = World::new().await;
    let timeout = r#"{"message":"Request Timeout after 30000ms","error":"Bad Request","statusCode":400}"#;
    let elsewhere = r#"{"message":"Not Found"}"#;
    let expired = r#"{"message":"subscription has expired"}"#;
    let mut number = 0;
    for (status, body) in [
        (302, PAGE),
        (400, timeout),
        (400, PAGE),
        (400, r#"{"message":"Session not found"}"#),
        (402, expired),
        (403, PAGE),
        (404, PAGE),
        (404, elsewhere),
        (404, "default backend - 404"),
        (425, PAGE),
        (451, PAGE),
        (500, elsewhere),
    ] {
        for vendor in ["GoHighLevel", "Trafft"] {
            number += 1;
            let faults = if vendor == "Trafft" { world.sandbox.trafft.faults() } else { world.sandbox.ghl.faults() };
            let calls = if vendor == "Trafft" { "/api/v2/customers" } else { "/contacts/" };
            let contact = world.sandbox.ghl.create_contact(person(&format!("n{number}")));
            faults.push(Matcher::path(calls), answers(status, body));
            let answer = world.deliver_all().await;
            let shown = format!("{vendor} {status} {body}: {}", answer.json);
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{shown}");
            assert!(answer.reason().starts_with(vendor), "{shown}");
            world.drain().await;
            assert_eq!(world.contact(&contact).await["status"], "synced", "{shown}");
        }
    }
    assert_eq!(world.sandbox.trafft.customers().len(), number, "each once");
    // The vendors saw calls that a gateway kept from them, and have nothing to complain of.
    world.forgiving = false;
}

#[tokio::test]
async fn a_create_that_is_refused_is_judged_by_what_the_refusal_names() {
    let phone = json!({ "firstName": "Ada", "lastName": "Example", "phone": "+14155550142" });
    let both =
        json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" });
    let no_email = r#"{"message":"The email field is required."}"#;
    let bad_phone =
        r#"{"message":"The given data was invalid.","errors":{"phone_number":["The number is too short."]}}"#;
    for (contact, status, body, at_once, in_the_end) in [
        (&phone, 302, PAGE, "queued", "synced"),
        (&phone, 402, PAGE, "queued", "synced"),
        (&phone, 409, r#"{"error":"try again"}"#, "queued", "synced"),
        (&phone, 413, PAGE, "queued", "synced"),
        (&phone, 422, no_email, "skipped", "skipped"),
        (&phone, 422, bad_phone, "failed", "failed"),
        (&both, 422, bad_phone, "synced", "synced"),
    ] {
        let world = World::in_memory(&[]).await;
        world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), answers(status, body));
        let id = world.sandbox.ghl.create_contact(contact.clone());
        let answer = world.deliver_all().await;
        let shown = format!("{contact} {status} {body}: {}", answer.json);
        assert_eq!(answer.status(), at_once, "{shown}");
        if status == 422 && body == bad_phone {
            let told = if at_once == "failed" { "phone_number: The number is too short." } else { "refused the phone" };
            assert!(answer.reason().contains(told), "{shown}");
        }
        world.drain().await;
        assert_eq!(world.contact(&id).await["status"], in_the_end, "{shown}");
        assert_eq!(world.sandbox.trafft.customers().len(), usize::from(in_the_end == "synced"), "{shown}");
    }
}

#[tokio::test]
async fn a_refusal_that_names_no_field_counts_once_it_is_repeated() {
    let nameless = r#"{"error":"no route"}"#;
    for (times, shown, status) in [(1, "+14155550143", "synced"), (3, "+14155550142", "queued")] {
        let world = World::in_memory(&[]).await;
        let mut ada = person("Ada");
        ada["phone"] = json!("+14155550142");
        let ada = world.synced(ada).await;
        let faults = world.sandbox.trafft.faults();
        faults.push(Matcher::new("PATCH", "/api/v2/customers").times(times), answers(400, nameless));
        world.sandbox.ghl.edit_contact(&ada, json!({ "phone": "+14155550143" }));
        assert_eq!(world.deliver_all().await.status(), status, "{times}");
        assert_eq!(world.customer_of(&ada).await.phone_number.as_deref(), Some(shown), "{times}");
        world.drain().await;
        assert_eq!(world.customer_of(&ada).await.phone_number.as_deref(), Some("+14155550143"), "{times}");
    }
}

/// An edit between two tries of a refusal that names no field: it is not the repetition after which
/// the refusal is believed.
#[tokio::test]
async fn an_edit_before_the_last_try_is_due_does_not_end_them() {
    let mut world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let ada = world.sandbox.ghl.create_contact(person("Ada"));
    world.deliver_all().await;
    world.idle().await;
    let faults = world.sandbox.trafft.faults();
    faults.push(Matcher::new("PATCH", "/api/v2/customers").times(1_000), answers(400, r#"{"error":"no route"}"#));
    let edit = async |world: &World, name: &str| {
        world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": name }));
        world.deliver_all().await;
        world.idle().await;
        world.contact(&ada).await
    };
    edit(&world, "Byron").await;
    for _ in 0..120 {
        world.rest(SECOND).await;
        if world.contact(&ada).await["attempt"] == 3 {
            break;
        }
    }
    let shown = edit(&world, "King").await;
    assert_eq!((&shown["status"], &shown["attempt"]), (&json!("queued"), &json!(3)), "{shown}");
    world.sandbox.trafft.faults().clear();
    world.drain().await;
    assert_eq!(world.customer_of(&ada).await.last_name, "King");
}

#[tokio::test]
async fn what_was_given_up_on_is_tried_once_in_each_rotation() {
    let world = World::with(&[("SWEEP_ROTATION_DAYS", "2")]).await;
    let taken = r#"{"message":"The email has already been taken."}"#;
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers").times(2), answers(422, taken));
    let ada = world.sandbox.ghl.create_contact(person("Ada"));
    assert_eq!(world.deliver_all().await.status(), "failed");
    for (hours, creates, status) in [(47, 1, "failed"), (3, 2, "failed"), (44, 2, "failed"), (6, 3, "synced")] {
        world.rest(Duration::from_hours(hours)).await;
        assert_eq!(world.sandbox.trafft.journal().writes(), creates, "{hours}");
        assert_eq!(world.contact(&ada).await["status"], status, "{hours}");
    }
}

#[tokio::test]
async fn an_answer_about_another_record_is_not_used() {
    let world = World::new().await;
    let ada = world.synced(person("Ada")).await;
    let stranger = json!({ "contact": { "id": "another", "firstName": "Bob", "email": "bob@example.com" } });
    let elsewhere = json!({ "contact": { "id": ada, "locationId": "another", "firstName": "Bob" } });
    for (answer, company) in [(stranger, "Example Ltd"), (elsewhere, "Example Inc")] {
        world.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/"), answers(200, &answer.to_string()));
        world.sandbox.ghl.edit_contact(&ada, json!({ "companyName": company }));
        let told = world.deliver_all().await;
        assert_eq!(told.status(), "queued", "{}", told.json);
        assert!(told.reason().contains("another record"), "{}", told.json);
        world.drain().await;
        assert_eq!(world.customer_of(&ada).await.first_name, "Ada");
    }
}

#[tokio::test]
async fn a_success_without_a_body_is_a_success() {
    let world = World::new().await;
    let ada = world.synced(person("Ada")).await;
    world.sandbox.trafft.faults().push(Matcher::new("PATCH", "/api/v2/customers"), Fault::DoneThenStatus(204));
    world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
    world.forget_calls();
    assert_eq!(world.deliver_all().await.status(), "synced");
    world.drain().await;
    assert_eq!(
        (world.customer_of(&ada).await.last_name.as_str(), world.sandbox.trafft.journal().writes()),
        ("Byron", 1)
    );
}

#[tokio::test]
async fn an_edit_before_the_next_try_is_due_spends_no_attempt() {
    let mut world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let ada = world.sandbox.ghl.create_contact(person("Ada"));
    world.deliver_all().await;
    world.idle().await;
    world.sandbox.trafft.faults().push(Matcher::path("/api/v2").times(1_000), Fault::Status(503));
    for second in 0..12 {
        world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": format!("Byron {second}") }));
        for event in world.sandbox.ghl.take_events() {
            assert_eq!(world.deliver_now(&event).await.code, 200);
        }
        world.rest(SECOND).await;
        // At each of them: one that was given up begins anew with the next edit.
        let shown = world.contact(&ada).await;
        assert_eq!(shown["status"], "queued", "{second}: {shown}");
        // Tries of its own: at once and after 5 s; the next one is due after 35 s.
        assert!(shown["attempt"].as_i64().unwrap() <= 2, "{second}: {shown}");
    }
    world.sandbox.trafft.faults().clear();
    world.drain().await;
    assert_eq!(world.customer_of(&ada).await.last_name, "Byron 11");
}

#[tokio::test]
async fn what_waits_for_credentials_goes_on_as_soon_as_they_are_mended() {
    let mut world = World::new().await;
    world.forgiving = true;
    let token = world.sandbox.ghl.token();
    world.sandbox.ghl.set_scopes(&token, &[]);
    let mut contacts = Vec::new();
    for number in 0..8 {
        contacts.push(world.sandbox.ghl.create_contact(person(&format!("n{number}"))));
        for event in world.sandbox.ghl.take_events() {
            assert_eq!(world.deliver_now(&event).await.status(), "queued");
        }
    }
    world.rest(Duration::from_secs(30)).await;
    world.sandbox.ghl.set_scopes(&token, &["contacts.readonly", "locations.readonly", "locations/tasks.readonly"]);
    // One finds out, within five minutes; the others go on with it and do not wait for times of
    // their own.
    world.rest(Duration::from_mins(5) + SECOND).await;
    for contact in &contacts {
        assert_eq!(world.contact(contact).await["status"], "synced");
    }
    world.sandbox.ghl.set_scopes(&token, &[]);
    let late = world.sandbox.ghl.create_contact(person("late"));
    for event in world.sandbox.ghl.take_events() {
        assert_eq!(world.deliver_now(&event).await.status(), "queued");
    }
    world.sandbox.ghl.set_scopes(&token, &["contacts.readonly", "locations.readonly", "locations/tasks.readonly"]);
    // Whoever mends settings starts the service anew: then nothing waits.
    world.restart().await;
    assert_eq!(world.contact(&late).await["status"], "synced");
    assert_eq!(world.admin(Method::GET, "/readyz", None).await.code, 200);
}
