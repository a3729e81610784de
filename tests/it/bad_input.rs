//! Bad input never ends in a panic or a 5xx, and the next good event is synced as if nothing had been.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn malformed_bodies_have_a_defined_end() {
    let world = World::new().await;
    let location = world.sandbox.ghl.location_id();
    let with = |field: &str, value: Value| {
        let mut event = json!({ "type": "ContactUpdate", "locationId": location, "id": "someone", "webhookId": "w", "timestamp": "2026-09-01T10:00:00Z" });
        event[field] = value;
        event.to_string().into_bytes()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let mut bodies = vec![
        (text(""), 400),
        (text("{"), 400),
        (text("null"), 400),
        (text("[]"), 400),
        (text("\"ContactUpdate\""), 400),
        (text("42"), 400),
        (text("{}"), 400),
        (text("{\"type\":null}"), 400),
        (text("{\"type\":{}}"), 400),
        (text("{\"type\":\"ContactUpdate\"} {}"), 400),
        (text("{\"type\":\"ContactUpdate\",\"x\":\"\\ud800\"}"), 400),
        (vec![0xff, 0xfe, b'{', b'}'], 400),
        (b"{\"type\":\"Contact\x00Update\"}".to_vec(), 400),
        (format!("{{\"type\":\"X\",\"x\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(), 400),
        (text("{\"type\":\"ContactUpdate\"}"), 200),
        (text("{\"type\":\"\\u0000\\u0007<script>\"}"), 200),
        (format!("{{\"type\":\"{}\"}}", "x".repeat(100_000)).into_bytes(), 200),
        (text("{\"type\":\"ContactUpdate\",\"type\":\"NoteCreate\",\"id\":\"a\",\"id\":\"b\"}"), 200),
        (text("{\"type\":\"ContactUpdate\",\"n\":1e99999}"), 400),
    ];
    for value in [
        json!(null),
        json!(42),
        json!(-1.5e300),
        json!(true),
        json!([]),
        json!({ "id": 1 }),
        json!(""),
        json!("../../admin"),
        json!("a b"),
        json!("\u{0}"),
        json!("x".repeat(10_000)),
        json!("\u{202e}\u{1f600}"),
        json!("+999999-99-99T99:99:99Z"),
        json!("-009999-01-01T00:00:00Z"),
        json!("-009999-01-03T00:00:00Z"),
        json!("9999-12-30T21:59:59Z"),
        json!("99999-12-30T21:59:59Z"),
    ] {
        for field in ["id", "locationId", "contactId", "timestamp", "webhookId", "appId", "data", "appointment"] {
            bodies.push((with(field, value.clone()), 200));
        }
    }
    for (body, code) in bodies {
        world.advance(Duration::from_secs(1));
        let answer = world.signed(body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let another_app = shown.contains("appId") && answer.code == 401;
        assert!(answer.code == code || another_app, "{shown} was answered {} {}", answer.code, answer.json);
        if code == 400 {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
    }
    let huge = format!("{{\"type\":\"X\"{}}}", " ".repeat(4 << 20));
    assert_eq!(world.signed(huge).await.code, 413);
    world.drain().await;
    assert_eq!(world.get("/readyz").await.code, 200);
    world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
}

#[tokio::test]
async fn what_people_typed_into_ghl_is_taken_as_it_is() {
    for (contact, status, first_name) in [
        (json!({ "firstName": "\u{0}\u{7}\u{202e}Ada\r\n", "email": "ada@example.com" }), "synced", "Ada"),
        (json!({ "firstName": "x".repeat(1_000_000), "email": "ada@example.com" }), "synced", ""),
        (json!({ "firstName": "{{ 7 * 7 }}", "email": "ada@example.com" }), "synced", "{{ 7 * 7 }}"),
        (json!({ "firstName": "<b>Ada</b>", "email": "ada@example.com" }), "synced", "<b>Ada</b>"),
        (json!({ "firstName": "Ada", "email": "no address", "phone": "+14155550142" }), "synced", "Ada"),
        (json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "call me" }), "synced", "Ada"),
        (json!({ "firstName": "Ada", "phone": "123" }), "skipped", ""),
        (json!({ "firstName": "Ada" }), "skipped", ""),
        (
            json!({ "email": "ada@example.com", "dateOfBirth": "99/99/9999", "tags": ["\u{0}", "x".repeat(10_000)] }),
            "synced",
            "ada",
        ),
    ] {
        let world = World::new().await;
        let shown = contact.to_string();
        let id = world.sandbox.ghl.create_contact(contact);
        let task = json!({ "title": "t\u{0}".repeat(100_000), "dueDate": "not a date", "completed": false });
        world.sandbox.ghl.add_task(&id, task);
        world.sandbox.ghl.add_note(&id, json!({ "body": "<div>".repeat(50_000) }));
        world.sandbox.ghl.add_appointment(&id, json!({ "title": "\u{1}", "startTime": "tomorrow", "endTime": "" }));
        let created = world.sandbox.ghl.take_events().remove(0);
        let answer = world.deliver(&created).await;
        assert_eq!(answer.status(), status, "{shown:.100}: {}", answer.json);
        if status == "synced" {
            let customer = world.customer_of(&id).await;
            assert!(first_name.is_empty() || customer.first_name == first_name, "{:?}", customer.first_name);
            assert!(customer.first_name.chars().count() <= 255);
            assert!(customer.description.unwrap_or_default().chars().count() <= 2000);
        } else {
            assert!(answer.reason().contains("neither e-mail nor phone"), "{}", answer.json);
        }
        world.sandbox.ghl.forgive();
    }
}

#[tokio::test]
async fn the_admin_api_refuses_what_it_cannot_read() {
    let world = World::new().await;
    for (method, path, body) in [
        (Method::GET, "/api/v1/events?limit=0".to_owned(), None),
        (Method::GET, "/api/v1/events?limit=x".to_owned(), None),
        (Method::GET, "/api/v1/events?status=nonsense".to_owned(), None),
        (Method::GET, "/api/v1/events?nonsense=1".to_owned(), None),
        (Method::GET, "/api/v1/events/none".to_owned(), None),
        (Method::POST, "/api/v1/events/none/replay".to_owned(), None),
        (Method::GET, "/api/v1/contacts/none".to_owned(), None),
        (Method::GET, format!("/api/v1/contacts/{}", "x".repeat(5_000)), None),
        (Method::GET, "/api/v1/contacts/none/timeline".to_owned(), None),
        (Method::POST, "/api/v1/contacts/a%20b/sync".to_owned(), None),
        (Method::POST, "/api/v1/contacts/none/link".to_owned(), Some(json!({ "customer_id": "x" }))),
        (Method::POST, "/api/v1/contacts/none/link".to_owned(), Some(json!({ "customer_id": 1 }))),
        (Method::POST, "/api/v1/contacts/none/create".to_owned(), None),
        (Method::GET, "/nowhere".to_owned(), None),
    ] {
        let answer = world.admin(method, &path, body).await;
        assert!(answer.code.is_client_error(), "{path:.80}: {} {}", answer.code, answer.json);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path:.80}");
    }
}
