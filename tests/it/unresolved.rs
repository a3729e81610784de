//! Events that do not say whose task it is (G §8.5, #332).

use std::time::Duration;

use sandbox::{Class, Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn a_task_event_without_its_contact_finds_it() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let mut switches = world.sandbox.ghl.switches();
    switches.thin_task_create = true;
    world.sandbox.ghl.set_switches(switches);
    let task = world.sandbox.ghl.add_task(&contact, json!({ "title": "Call back", "completed": false }));
    world.forget_calls();
    let answer = world.deliver_all().await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "synced"), "{}", answer.json);
    assert_eq!(answer.json["contact_id"], contact.as_str());
    assert_eq!(world.sandbox.ghl.journal().count(Class::TaskSearch), 1);
    assert!(world.customer_of(&contact).await.description.unwrap().contains("[ ] Call back"));
    // Now the mirror knows whose task it is.
    world.forget_calls();
    world.sandbox.ghl.complete_task(&contact, &task);
    let _ = world.sandbox.ghl.take_events();
    let thin = world.event(json!({ "type": "TaskComplete", "id": task }));
    assert_eq!(world.tell(thin).await.status(), "synced");
    assert_eq!(world.sandbox.ghl.journal().count(Class::TaskSearch), 0);
    assert!(world.customer_of(&contact).await.description.unwrap().contains("[x] Call back"));
}

#[tokio::test]
async fn a_task_that_the_search_does_not_know_yet_is_looked_for_again() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.sandbox.ghl.add_task(&contact, json!({ "title": "Call back", "completed": false }));
    let event = world.sandbox.ghl.take_events().remove(0);
    let thin = world.event(json!({ "type": "TaskCreate", "id": event.json()["id"] }));
    world.sandbox.ghl.faults().push(Matcher::new("POST", "/locations/"), Fault::Status(500));
    let answer = world.tell(thin).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "unresolved"), "{}", answer.json);
    world.drain().await;
    let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
    assert_eq!((&stored["status"], &stored["contact_id"]), (&json!("synced"), &json!(contact)), "{stored}");
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Call back"));
}

/// A contact that only this event tells of, while HighLevel is away for longer than the search may
/// lag.
#[tokio::test]
async fn an_outage_is_no_answer_that_nobody_has_the_task() {
    let mut world = World::new().await;
    world.forgiving = true;
    let contact = world.sandbox.ghl.create_contact(ada());
    let task = world.sandbox.ghl.add_task(&contact, json!({ "title": "Call back", "completed": false }));
    world.sandbox.ghl.take_events();
    world.sandbox.ghl.faults().push(Matcher::any().times(10_000), Fault::Status(503));
    let answer = world.tell(world.event(json!({ "type": "TaskCreate", "id": task }))).await;
    assert_eq!(answer.status(), "unresolved", "{}", answer.json);
    world.rest(Duration::from_hours(3)).await;
    world.sandbox.ghl.faults().clear();
    world.rest(Duration::from_hours(1)).await;
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Call back"));
}

#[tokio::test]
async fn a_task_that_nobody_knows_stays_unresolved_with_its_reason() {
    let world = World::new().await;
    world.forget_calls();
    let task = world.tell(world.event(json!({ "type": "TaskCreate", "id": "UlRWGLSXh0ji5qbiGu4i" }))).await;
    let note = world.tell(world.event(json!({ "type": "NoteCreate", "id": "otg8dTQqGLh3Q6iQI55w" }))).await;
    for answer in [&task, &note] {
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unresolved"), "{}", answer.json);
    }
    world.drain().await;
    for answer in [&task, &note] {
        let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
        assert_eq!(stored["status"], "unresolved");
        assert!(stored["reason"].as_str().unwrap().contains("no contact was found"), "{stored}");
    }
    assert_eq!(world.sandbox.ghl.journal().count(Class::TaskSearch), 4, "at once, and three times later");
    assert_eq!(world.idle().await, None, "nothing is left to be done");
}

#[tokio::test]
async fn one_search_serves_all_that_wait_for_it() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.drain().await;
    for number in 0..300 {
        world.sandbox.ghl.add_task(&contact, json!({ "title": format!("Task {number}") }));
    }
    let thin = world
        .sandbox
        .ghl
        .take_events()
        .into_iter()
        .map(|event| world.event(json!({ "type": "TaskCreate", "id": event.json()["id"] })));
    let thin: Vec<_> = thin.collect();
    world.advance(Duration::from_secs(5));
    world.forget_calls();
    let answers = futures_util::future::join_all(thin.into_iter().map(|body| world.signed(body))).await;
    assert!(answers.iter().all(|answer| answer.code == 200));
    world.drain().await;
    for answer in &answers {
        let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
        assert_eq!(stored["contact_id"], contact.as_str(), "{stored}");
    }
    let searches = world.sandbox.ghl.journal().count(Class::TaskSearch);
    // Three pages hold them; a few events may have come while one search was under way.
    assert!(searches <= 20, "{searches} searches for 300 events");
}

#[tokio::test]
async fn the_search_leaves_the_last_calls_of_a_window_to_contacts_that_somebody_waits_for() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let ghl = &world.sandbox.ghl;
    let come = async |number: usize| {
        let contact = ghl.create_contact(json!({ "firstName": "Ada", "email": format!("ada{number}@example.com") }));
        // The clock stands still.
        world.deliver_now(&ghl.take_events().remove(0)).await;
        world.idle().await;
        contact
    };
    let spent = || ghl.journal().entries().len();
    let first = come(0).await;
    // More than a search may use, less than a contact may.
    while spent() < 90 {
        come(spent()).await;
    }
    let task = ghl.add_task(&first, json!({ "title": "Call" }));
    ghl.take_events();
    let thin = world.event(json!({ "type": "TaskCreate", "id": task }));
    assert_eq!(world.signed(thin).await.status(), "unresolved");
    let waited_for = format!("/contacts/{}", come(100).await);
    assert!(ghl.journal().entries().iter().any(|entry| entry.path == waited_for));
    assert_eq!(ghl.journal().count(Class::TaskSearch), 0);
    world.drain().await;
    assert_eq!(ghl.journal().count(Class::TaskSearch), 1);
}
