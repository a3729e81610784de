//! Every webhook of the contract book acts on the right contact, or is named as ignored.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;

/// The examples of G §8.5, as the sandbox's fixtures have them.
fn examples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sandbox/fixtures");
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(json) = serde_json::from_slice::<Value>(&fs::read(&path).unwrap())
                && json["type"].is_string()
                && json["webhookId"].is_string()
                    | json["type"].as_str().is_some_and(|kind| kind.starts_with("Location"))
            {
                found.push((path.file_name().unwrap().to_string_lossy().into_owned(), json));
            }
        }
    }
    assert!(found.len() >= 8, "the fixtures are gone: {found:?}");
    found
}

#[tokio::test]
async fn every_example_is_taken_in() {
    for (name, example) in examples() {
        let world = World::new().await;
        let kind = example["type"].as_str().unwrap();
        let answer = world.signed(example.to_string()).await;
        assert_eq!(answer.code, 200, "{name}: {}", answer.json);
        let acted = ["Contact", "Task", "Note", "Appointment"].iter().any(|kinds| kind.starts_with(kinds));
        if !acted {
            assert_eq!(answer.status(), "ignored", "{name}: {}", answer.json);
            assert!(answer.reason().contains(kind), "{name} is not named: {}", answer.reason());
            continue;
        }
        let owner = if kind.starts_with("Contact") { &example["id"] } else { &example["contactId"] };
        let owner = if kind.starts_with("Appointment") { &example["appointment"]["contactId"] } else { owner };
        assert_eq!(answer.json["contact_id"], *owner, "{name}: {}", answer.json);
    }
}

#[tokio::test]
async fn every_kind_that_we_act_on_reads_its_facet_and_no_other() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let location = world.sandbox.ghl.location_id();
    for (kind, read) in [
        ("ContactCreate", ""),
        ("ContactUpdate", ""),
        ("ContactTagUpdate", ""),
        ("ContactDndUpdate", ""),
        ("ContactDelete", ""),
        ("TaskCreate", "/tasks"),
        ("TaskComplete", "/tasks"),
        ("TaskDelete", "/tasks"),
        ("NoteCreate", "/notes"),
        ("NoteUpdate", "/notes"),
        ("NoteDelete", "/notes"),
        ("AppointmentCreate", "/appointments"),
        ("AppointmentUpdate", "/appointments"),
        ("AppointmentDelete", "/appointments"),
    ] {
        let event = match kind {
            kind if kind.starts_with("Contact") => json!({ "type": kind, "locationId": location, "id": contact }),
            kind if kind.starts_with("Appointment") => {
                json!({ "type": kind, "locationId": location, "appointment": { "id": "o1", "contactId": contact } })
            }
            kind => json!({ "type": kind, "locationId": location, "id": "o1", "contactId": contact }),
        };
        for event in [event.clone(), json!({ "type": kind, "locationId": location, "data": event })] {
            world.advance(std::time::Duration::from_secs(20));
            world.forget_calls();
            let answer = world.signed(event.to_string()).await;
            assert_eq!(answer.status(), "unchanged", "{kind}: {}", answer.json);
            let asked: Vec<_> = world.sandbox.ghl.journal().entries().into_iter().map(|call| call.path).collect();
            assert_eq!(asked, [format!("/contacts/{contact}{read}")], "{kind}");
        }
    }
}

#[tokio::test]
async fn a_task_event_without_its_contact_finds_it() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let switches = sandbox::ghl::WebhookSwitches { thin_task_create: true, ..Default::default() };
    world.sandbox.ghl.set_switches(switches);
    let task = json!({ "title": "Call back", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    let id = world.sandbox.ghl.add_task(&contact, task);
    let created = world.sandbox.ghl.take_events().remove(0);
    assert!(created.json().get("contactId").is_none(), "the sandbox sends what was observed");
    let answer = world.deliver(&created).await;
    world.drain().await;
    let event = world.get(&format!("/api/v1/events/{}", answer.event())).await;
    assert_eq!(
        (event.json["status"].as_str(), event.json["contact_id"].as_str()),
        (Some("synced"), Some(contact.as_str()))
    );
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Call back"));
    // Now the mirror knows whose it is: no search.
    world.forget_calls();
    let location = world.sandbox.ghl.location_id();
    world.pass().await;
    let again = world.signed(json!({ "type": "TaskComplete", "locationId": location, "id": id }).to_string()).await;
    assert_eq!(again.json["contact_id"], contact.as_str(), "{}", again.json);
    assert_eq!(world.sandbox.ghl.journal().count(sandbox::Class::TaskSearch), 0);
    let lost = world.signed(json!({ "type": "TaskCreate", "locationId": location, "id": "nobodys" }).to_string()).await;
    world.drain().await;
    let lost = world.get(&format!("/api/v1/events/{}", lost.event())).await;
    assert_eq!(lost.json["status"], "unresolved");
    assert!(lost.json["reason"].as_str().unwrap().contains("no contact was found"), "{}", lost.json);
}

#[tokio::test]
async fn age_and_repetition_and_strange_locations() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let location = world.sandbox.ghl.location_id();
    let event = |at: &str, id: Option<&str>| {
        json!({
            "type": "ContactUpdate", "locationId": location, "id": contact, "timestamp": at, "webhookId": id
        })
    };
    let now = world.clock.now();
    let ago = |minutes: u64| (now - std::time::Duration::from_mins(minutes)).to_string();
    for (at, status) in [
        (ago(1), "unchanged"),
        (ago(70), "unchanged"),
        (ago(180), "stale"),
        ((now + std::time::Duration::from_hours(1)).to_string(), "stale"),
        ("yesterday".to_owned(), "unchanged"),
        (String::new(), "unchanged"),
    ] {
        world.pass().await;
        assert_eq!(world.signed(event(&at, None).to_string()).await.status(), status, "{at}");
    }
    // A stale event is no reason to act, but the truth is read all the same.
    world.idle().await;
    world.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "Grace" }));
    world.sandbox.ghl.take_events();
    world.pass().await;
    assert_eq!(world.signed(event(&ago(180), Some("old")).to_string()).await.status(), "stale");
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.first_name, "Grace");

    world.pass().await;
    let first = world.signed(event(&ago(1), Some("w1")).to_string()).await;
    let again = world.signed(event(&ago(1), Some("w1")).to_string()).await;
    assert_eq!((again.status(), again.event()), ("duplicate", first.event()));
    for id in [Some(""), Some(" "), None] {
        world.pass().await;
        world.signed(event(&ago(1), id).to_string()).await;
        world.pass().await;
        assert_eq!(world.signed(event(&ago(1), id).to_string()).await.status(), "unchanged", "{id:?} is no id");
    }
    let elsewhere = json!({ "type": "ContactUpdate", "locationId": "elsewhere", "id": contact }).to_string();
    let parked = world.signed(elsewhere).await;
    assert_eq!((parked.code.as_u16(), parked.status()), (200, "parked"));
    assert!(parked.reason().contains("GHL_LOCATION_ID"));
}
