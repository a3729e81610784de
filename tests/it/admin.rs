//! What an operator and a monitor see.

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn the_admin_api_wants_its_token() {
    let mut world = World::new().await;
    for header in ["", "Bearer wrong", "Bearer ", "Basic YWRtaW46"] {
        let answer = world.http.get(world.url("/api/v1/events")).header("authorization", header).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{header}");
    }
    assert_eq!(world.get("/api/v1/events").await.code, 200);
    world.set("ADMIN_TOKEN", "");
    world.restart().await;
    let off = world.get("/api/v1/events").await;
    assert_eq!(off.code, 403);
    assert!(off.detail().contains("ADMIN_TOKEN"), "{}", off.json);
}

#[tokio::test]
async fn lists_are_paged_to_their_end_without_gap_or_double() {
    let world = World::new().await;
    for number in 0..7 {
        world.synced(json!({ "firstName": "Ada", "email": format!("ada{number}@example.com") })).await;
    }
    for (path, list, id) in [("/api/v1/events", "events", "id"), ("/api/v1/contacts", "contacts", "contact_id")] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("{path}?limit=2&status=synced{cursor}")).await;
            seen.extend(page.json[list].as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned()));
            match page.json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let all = world.get(path).await;
        let all: Vec<_> =
            all.json[list].as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned()).collect();
        assert_eq!((seen.len(), &seen), (7, &all), "{path}");
    }
    let none = world.get("/api/v1/events?status=failed").await;
    assert_eq!(none.json["events"], json!([]));
}

#[tokio::test]
async fn a_replay_and_a_sync_read_the_truth_again() {
    let world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.deliver_all().await.event();
    world.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "Grace" }));
    world.sandbox.ghl.take_events();
    world.pass().await;
    let answer = world.admin(Method::POST, &format!("/api/v1/events/{event}/replay"), None).await;
    assert_eq!((answer.status(), answer.event()), ("synced", event), "{}", answer.json);
    assert_eq!(world.customer_of(&contact).await.first_name, "Grace");
    let unseen = world.sandbox.ghl.create_contact(json!({ "firstName": "Bob", "email": "bob@example.com" }));
    world.sandbox.ghl.take_events();
    let answer = world.admin(Method::POST, &format!("/api/v1/contacts/{unseen}/sync"), None).await;
    assert_eq!(answer.status(), "synced", "{}", answer.json);
    let shown = world.get(&format!("/api/v1/contacts/{unseen}")).await;
    assert_eq!(shown.json["writes"][0]["action"], "create", "{}", shown.json);
    assert_eq!(shown.json["writes"][0]["result"], "ok");
}

#[tokio::test]
async fn the_timeline_is_in_order_of_time_and_keeps_what_is_gone() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let ghl = &world.sandbox.ghl;
    ghl.add_task(&contact, json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false }));
    let note = ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    ghl.add_appointment(
        &contact,
        json!({ "title": "Massage", "startTime": "2026-09-16 11:00:00", "endTime": "2026-09-16 11:30:00" }),
    );
    world.deliver_all().await;
    ghl.delete_note(&contact, &note);
    world.deliver_all().await;
    let timeline = world.get(&format!("/api/v1/contacts/{contact}/timeline")).await;
    let entries = timeline.json["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["appointment", "task", "note"], "{}", timeline.json);
    assert_eq!(entries[0]["at"], "2026-09-16T15:00:00Z", "eleven o'clock in New York");
    assert!(entries[2]["gone_at"].is_string() && entries[0]["gone_at"].is_null(), "{}", timeline.json);
}

#[tokio::test]
async fn health_tells_of_us_and_not_of_the_vendors() {
    let world = World::new().await;
    world.sandbox.trafft.faults().push(Matcher::any(), Fault::Status(503));
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    assert_eq!(world.deliver_all().await.status(), "queued");
    assert_eq!(world.get("/healthz").await.code, 200);
    assert_eq!(world.get("/readyz").await.code, 200);
    let text = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "ghl_trafft_sync_webhook_events_total{source=\"marketplace\",type=\"ContactCreate\",status=\"queued\"} 1",
        "ghl_trafft_sync_contacts{status=\"queued\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("ada@"), "{text}");
    world.drain().await;
}
