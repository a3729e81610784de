//! One odd record stops no other: it is read as far as it can be, or left as it was, named and
//! counted; the others go on.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// What JavaScript's `substring` leaves of an emoji.
pub const HALF: &str = r#""half \ud83d""#;
const HALF_READ: &str = "half \u{fffd}";

pub fn person(name: &str) -> Value {
    json!({ "firstName": name, "lastName": "Example", "email": format!("{}@example.com", name.to_lowercase()) })
}

impl World {
    /// How many records could not be read, by the metrics.
    pub async fn odd(&self, vendor: &str, operation: &str) -> u64 {
        let text = self.http.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let name = format!("ghl_trafft_sync_odd_records_total{{vendor=\"{vendor}\",operation=\"{operation}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    }

    pub async fn ask_for(&self, sweep: &str) {
        let asked = self.admin(Method::POST, &format!("/api/v1/sweeps/{sweep}"), None).await;
        assert_eq!(asked.code, 202, "{sweep}: {}", asked.json);
        self.drain().await;
    }
}

#[tokio::test]
async fn odd_texts_in_a_contact_and_in_its_lists_are_read_and_the_others_kept() {
    let world = World::new().await;
    let ghl = &world.sandbox.ghl;
    let id = ghl.create_contact(person("Ada"));
    ghl.add_note(&id, json!({ "body": "allergic to lavender" }));
    let odd = ghl.add_note(&id, json!({ "body": "cut" }));
    ghl.raw().field("/contacts/", &id, "lastName", HALF);
    ghl.raw().field("/contacts/", &id, "city", r#""Paris","companyName":1e999,"source":"a","source":"b""#);
    ghl.raw().field("/contacts/", &id, "customFields", &format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)));
    ghl.raw().field("/contacts/", &odd, "body", HALF);
    assert_eq!(world.deliver_all().await.status(), "unchanged");
    let reason = world.contact(&id).await["reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("a character of the name is broken")), "{reason}");
    let made = world.customer_of(&id).await;
    assert_eq!((made.first_name.as_str(), made.last_name.as_str()), ("Ada", HALF_READ));
    let description = made.description.unwrap();
    assert!(description.contains("allergic to lavender") && description.contains(HALF_READ), "{description}");
}

#[tokio::test]
async fn a_member_of_a_list_that_cannot_be_read_is_left_as_it_was() {
    let world = World::new().await;
    let ghl = &world.sandbox.ghl;
    let id = world.synced(person("Ada")).await;
    let notes: Vec<_> = ["first", "second"].map(|body| ghl.add_note(&id, json!({ "body": body }))).into();
    let task = ghl.add_task(&id, json!({ "title": "call back" }));
    world.deliver_all().await;
    for (number, (text, named)) in [
        ("null", "without an id"),
        (r#"{"body":"x"}"#, "without an id"),
        ("7", "without an id"),
        (r#"{"id":"a b"}"#, "a b"),
    ]
    .into_iter()
    .enumerate()
    {
        ghl.raw().clear();
        ghl.raw().record(&format!("/contacts/{id}/notes"), &notes[1], text);
        ghl.raw().record(&format!("/contacts/{id}/tasks"), &task, "null");
        ghl.edit_note(&id, &notes[0], json!({ "body": format!("first {number}") }));
        ghl.add_task(&id, json!({ "title": format!("task {number}") }));
        let answer = world.deliver_all().await;
        let shown = world.contact(&id).await;
        let reason = shown["reason"].as_str().unwrap_or_default();
        assert_eq!(answer.status(), "synced", "{text}: {shown}");
        assert!(
            reason.contains("cannot be read and is left as it was") && reason.contains("without an id"),
            "{reason}"
        );
        let description = world.customer_of(&id).await.description.unwrap();
        for there in [&format!("first {number}"), "call back", &format!("task {number}")] {
            assert!(description.contains(there), "{text}: `{there}` is gone: {description}");
        }
        // What has another id than ours is another note, so ours is gone; what has none may be
        // ours.
        assert_eq!(description.contains("second"), named != "a b", "{text}: {description}");
    }
    assert!(world.odd("ghl", "notes").await >= 4 && world.odd("ghl", "tasks").await >= 4);
    // Read well again, the list is the truth again.
    ghl.raw().clear();
    ghl.delete_note(&id, &notes[0]);
    world.deliver_all().await;
    let description = world.customer_of(&id).await.description.unwrap();
    assert!(!description.contains("first") && description.contains("second"), "{description}");
    assert_eq!(world.contact(&id).await["reason"], Value::Null);
}

#[tokio::test]
async fn an_email_that_cannot_be_read_is_not_an_email_that_is_not_there() {
    let world = World::new().await;
    // Somebody else has that e-mail in Trafft already.
    let staffs = json!({ "first_name": "Zoe", "email": "ada@example.com" });
    world.sandbox.trafft.staff_create(staffs);
    let ghl = &world.sandbox.ghl;
    let id = ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+14155550142" }));
    for odd in ["{}", "[[]]"] {
        ghl.raw().field("/contacts/", &id, "email", odd);
        world.tell(world.event(json!({ "id": id }))).await;
        world.rest(HOUR).await;
        assert_eq!(world.sandbox.trafft.customers().len(), 1, "nobody is made of half a contact");
        ghl.raw().clear();
    }
    world.admin(Method::POST, "/api/v1/retry", None).await;
    world.rest(HOUR).await;
    assert_eq!(world.contact(&id).await["status"], "conflict");
    // Tags decide who is synced at all, and are told.
    let vip = ghl.create_contact(json!({ "firstName": "Eve", "email": "eve@example.com", "tags": ["vip"] }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    ghl.raw().field("/contacts/", &vip, "tags", "{}");
    ghl.edit_contact(&vip, json!({ "lastName": "Sample" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    assert!(world.customer_of(&vip).await.description.unwrap().contains("vip"));
    ghl.raw().clear();
    // The same for a customer: it is not forgotten by whom it is known.
    let customer = world.sandbox.trafft.staff_create(json!({ "first_name": "Bob", "email": "bob@example.com" }));
    world.ask_for("customers").await;
    world.sandbox.trafft.raw().field("/api/v2/customers", customer, "email", "{}");
    world.ask_for("customers").await;
    ghl.create_contact(json!({ "firstName": "Bob", "email": "bob@example.com" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 3, "not created twice");
    world.sandbox.ghl.take_events();
}

#[tokio::test]
async fn ids_of_every_safe_form_are_ids() {
    let world = World::new().await;
    let ghl = &world.sandbox.ghl;
    let id = world.synced(person("Ada")).await;
    for (number, shown) in [r#""YQ==""#, r#""n@1:2""#, "12345", "7.0", r#""a.b""#].into_iter().enumerate() {
        let note = ghl.add_note(&id, json!({ "body": format!("note {number}") }));
        ghl.raw().field("/contacts/", note, "id", shown);
    }
    let answer = world.deliver_all().await;
    assert!(["synced", "unchanged"].contains(&answer.status()) && answer.reason().is_empty(), "{}", answer.json);
    let timeline = world.get(&format!("/api/v1/contacts/{id}/timeline")).await;
    let mut ids: Vec<_> =
        timeline.json["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["12345", "7", "YQ==", "a.b", "n@1:2"], "{}", timeline.json);
    assert_eq!(world.odd("ghl", "notes").await, 0);
    // A contact with such an id is asked for, linked, shown and acted on like any other.
    for contact in ["YQ==", "c@1:2", "12345", "a.b"] {
        let told = world.tell(world.event(json!({ "id": contact }))).await;
        assert_eq!(told.status(), "queued", "{}", told.json);
        world.drain().await;
        let asked =
            world.sandbox.ghl.journal().entries().into_iter().filter(|entry| entry.path.ends_with(contact)).count();
        assert!(asked > 0, "{contact} was asked for under its own path");
        assert_eq!(world.contact(contact).await["contact_id"], *contact);
    }
}

#[tokio::test]
async fn an_unreadable_answer_or_a_504_over_one_contact_is_that_contacts_trouble() {
    let mut world = World::new().await;
    world.forgiving = true;
    let ghl = &world.sandbox.ghl;
    let mut odd = Vec::new();
    for (number, text) in ["null", "{}", "[]", r#"{"id":null}"#, r#""cut"#].into_iter().enumerate() {
        let id = ghl.create_contact(person(&format!("Odd{number}")));
        ghl.raw().record(&format!("/contacts/{id}"), &id, text);
        odd.push(id);
    }
    world.deliver_all().await;
    let healthy = ghl.create_contact(person("Ada"));
    assert_eq!(world.deliver_all().await.status(), "synced", "the vendor is not down");
    assert_eq!(world.customer_of(&healthy).await.first_name, "Ada");
    for id in &odd {
        let shown = world.contact(id).await;
        assert_eq!(shown["status"], "queued", "{shown}");
        assert!(!shown["reason"].as_str().unwrap().contains("is down"), "{shown}");
    }
    ghl.raw().clear();
    world.drain().await;
    for id in &odd {
        assert_eq!(world.contact(id).await["status"], "synced", "read well, it is synced by itself");
    }

    let slow = world.synced(person("Slow")).await;
    ghl.faults()
        .push(Matcher::path(&format!("/contacts/{slow}")).times(1_000), Fault::StatusWithBody(504, "<html>".into()));
    ghl.edit_contact(&slow, json!({ "city": "Paris" }));
    world.deliver_all().await;
    // Behind the third try in a row, and before any pause of the vendor's could be over.
    world.rest(Duration::from_secs(45)).await;
    ghl.edit_contact(&healthy, json!({ "lastName": "Lovelace" }));
    assert_eq!(world.deliver_all().await.status(), "synced", "three failures over one record are no outage");
    world.rest(20 * MINUTE).await;
    assert!(world.contact(&slow).await["attempt"].as_i64().unwrap() >= 3);
    ghl.edit_contact(&healthy, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced", "one slow record is not the vendor's trouble");
}

#[tokio::test]
async fn a_stored_row_that_means_nothing_is_an_error_of_that_row_alone() {
    let mut world = World::new().await;
    world.forgiving = true;
    let ghl = &world.sandbox.ghl;
    let ids =
        [world.synced(person("Ada")).await, world.synced(person("Blaise")).await, world.synced(person("Emmy")).await];
    for id in &ids {
        ghl.add_note(id, json!({ "body": "first" }));
        ghl.add_note(id, json!({ "body": "second" }));
    }
    world.deliver_all().await;
    // Somebody edits the database: Ada's row, one note of Blaise's, a sweep, an event whose contact
    // has to be found.
    let first = format!("'{}'", ids[0]);
    for statement in [
        format!("UPDATE contacts SET gone_at = 9223372036854775807 WHERE contact_id = {first}"),
        format!("UPDATE activities SET object_id = 'a/b' WHERE contact_id = '{}' AND object LIKE '%first%'", ids[1]),
        "INSERT INTO sweeps (location_id, kind, due_at) SELECT location_id, 'moon', 1 FROM connections".to_owned(),
        "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
            appointments_wanted, lane, due_at, status, marked_at, known_since)
         SELECT location_id, '../x', 1, 1, 1, 1, 1, 0, 1, 'queued', 1, 1 FROM connections"
            .to_owned(),
        "INSERT INTO events (id, location_id, source, type, facets, received_at, body, status, due_at, object_id)
         SELECT 'odd', location_id, 'marketplace', 'TaskCreate', 64, 1, '{}', 'unresolved', 1, 't1' FROM connections"
            .to_owned(),
    ] {
        world.sql(statement.leak()).await;
    }
    for id in &ids {
        ghl.edit_contact(id, json!({ "city": "Paris", "lastName": "Edited" }));
    }
    let mut answers = Vec::new();
    world.advance(MINUTE);
    for event in ghl.take_events() {
        // Nobody told the service of what was edited: its next look at the location finds all of
        // it.
        answers.push(world.deliver_now(&event).await);
    }
    for (answer, status, column) in [
        (&answers[0], "failed", "contacts.gone_at"),
        (&answers[1], "failed", "activities.object_id"),
        (&answers[2], "synced", ""),
    ] {
        assert_eq!((answer.code.as_u16(), answer.status()), (200, status), "{column}: {}", answer.json);
        assert!(answer.reason().contains(column), "{column}: {}", answer.json);
    }
    assert_eq!(world.customer_of(&ids[2]).await.last_name, "Edited");
    world.drain().await;
    // An event whose status is no word of ours is left out of the list of events; the others are
    // shown.
    let shown = async || world.get("/api/v1/events?limit=200").await.json["events"].as_array().unwrap().len();
    let all = shown().await;
    world
        .sql("UPDATE events SET status = 'moon' WHERE id = (SELECT MIN(id) FROM events WHERE contact_id IS NOT NULL)")
        .await;
    assert_eq!(shown().await, all - 1);
    let listed = world.get("/api/v1/contacts?limit=50").await;
    let reasons = listed.json["contacts"].as_array().unwrap();
    assert_eq!(reasons.len(), 4, "{}", listed.json);
    let odd = reasons.iter().find(|contact| contact["contact_id"] == "../x").unwrap();
    assert!(odd["status"] == "failed" && odd["reason"].as_str().unwrap().contains("contacts.contact_id"), "{odd}");
    let event = world.get("/api/v1/events/odd").await.json;
    assert!(event.to_string().contains("events.facets"), "{event}");
    let sweeps = world.get("/api/v1/sweeps").await.json;
    assert!(sweeps.to_string().contains("sweeps.kind"), "{sweeps}");
    let timeline = world.get(&format!("/api/v1/contacts/{}/timeline", ids[1])).await;
    assert_eq!(timeline.json["entries"].as_array().unwrap().len(), 1, "{}", timeline.json);
    // Put right, it goes on with the next event.
    world.sql(format!("UPDATE contacts SET gone_at = NULL WHERE contact_id = {first}").leak()).await;
    ghl.edit_contact(&ids[0], json!({ "lastName": "Again" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.customer_of(&ids[0]).await.last_name, "Again");
    world.is_well().await;
}
