//! Whatever GoHighLevel shows of a contact has a defined end: no panic, no service that works no
//! more.

use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn whatever_ghl_shows_of_a_contact_ends_well() {
    let world = World::new().await;
    let huge = "n".repeat(1 << 20);
    for (what, contact, status) in [
        ("a megabyte of name", json!({ "firstName": huge }), "synced"),
        (
            "control characters",
            json!({ "firstName": "A\u{0}d\u{1f}a\u{7f}", "lastName": "\u{202e}\u{0}", "tags": ["\u{0}", "a\u{0}b"] }),
            "synced",
        ),
        (
            "markup",
            json!({ "firstName": "<script>alert(1)</script>", "lastName": "{{ 7 * 7 }}{% for x in y %}" }),
            "synced",
        ),
        ("no text", json!({ "firstName": 7, "companyName": [1], "source": { "a": 1 }, "dnd": "perhaps" }), "synced"),
        (
            "lists and objects",
            json!({ "tags": "vip", "customFields": "x", "additionalEmails": 7, "dateOfBirth": [] }),
            "synced",
        ),
        (
            "odd dates",
            json!({ "dateOfBirth": "999999-99-99", "dateAdded": "yesterday", "timezone": "Moon/Base" }),
            "synced",
        ),
        ("a bad phone", json!({ "phone": "call me" }), "synced"),
        ("a phone of a thousand digits", json!({ "phone": format!("+{}", "4".repeat(1000)) }), "synced"),
        ("a phone of one digit", json!({ "phone": "1" }), "synced"),
        ("a bad e-mail and no phone", json!({ "email": "not an address" }), "skipped"),
        ("an e-mail of control characters", json!({ "email": "a\u{0}@example.com\r\nBcc: x" }), "skipped"),
        ("a number for an e-mail", json!({ "email": 7 }), "skipped"),
        ("nothing at all", json!({ "email": null }), "skipped"),
    ] {
        let mut fields = json!({ "firstName": "Odd", "email": format!("{}@example.com", uuid::Uuid::new_v4()) });
        for (key, value) in contact.as_object().unwrap() {
            fields[key] = value.clone();
        }
        let id = world.sandbox.ghl.create_contact(fields);
        let answer = world.deliver_all().await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, status), "{what}: {}", answer.json);
        if status == "skipped" {
            assert!(!answer.reason().is_empty(), "{what}: {}", answer.json);
        } else {
            let made = world.customer_of(&id).await;
            for text in [&made.first_name, &made.last_name] {
                assert!((1..=255).contains(&text.chars().count()), "{what}: {} characters", text.chars().count());
                assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{what}: {text:?}");
            }
        }
    }
    world.is_well().await;
}

#[tokio::test]
async fn whatever_ghl_shows_of_tasks_notes_and_appointments_ends_well() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let huge = "t".repeat(1 << 20);
    let odd = [
        "yesterday",
        "",
        "0",
        "2026-02-30T00:00:00Z",
        "999999-01-01T00:00:00Z",
        "9999-12-30T21:59:59Z",
        "-009999-01-02T02:00:00Z",
        "\u{0}",
    ];
    for time in odd {
        ghl.add_task(&contact, json!({ "title": "Odd", "dueDate": time }));
        ghl.add_appointment(
            &contact,
            json!({ "title": "Odd", "startTime": time, "endTime": time, "appointmentStatus": time }),
        );
    }
    end_well(&world).await;
    // The heaviest last: each event reads all of them.
    ghl.add_task(&contact, json!({ "title": huge, "body": huge, "dueDate": "2026-09-08T14:30:00.000Z" }));
    ghl.add_task(&contact, json!({ "title": "\u{0}\u{202e}", "body": 7, "completed": "perhaps" }));
    ghl.add_note(&contact, json!({ "body": huge, "title": huge }));
    ghl.add_note(&contact, json!({ "body": format!("{}deep{}", "<div>".repeat(50_000), "</div>".repeat(50_000)) }));
    ghl.add_note(&contact, json!({ "body": "a\u{0}b\u{1f}" }));
    end_well(&world).await;
    let description = world.customer_of(&contact).await.description.unwrap();
    assert!(description.chars().count() <= 2000, "{} characters", description.chars().count());
    assert!(!description.chars().any(|c| c.is_control() && c != '\n'), "{description:?}");
    let timeline = world.get(&format!("/api/v1/contacts/{contact}/timeline")).await;
    assert_eq!(timeline.code, 200);
    assert_eq!(timeline.json["entries"].as_array().unwrap().len(), 5 + 2 * odd.len());
    world.is_well().await;
}

/// All events that wait, one after the other.
async fn end_well(world: &World) {
    for event in world.sandbox.ghl.take_events() {
        let answer = world.deliver(&event).await;
        assert_eq!(answer.code, 200, "{}", answer.json);
        assert!(["synced", "unchanged"].contains(&answer.status()), "{}", answer.json);
    }
}
