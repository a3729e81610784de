//! What the description tells, and where it is ours to write.

use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

async fn description(world: &World, contact: &str) -> String {
    world.customer_of(contact).await.description.unwrap_or_default()
}

#[tokio::test]
async fn tasks_notes_appointments_and_tags_in_the_locations_zone() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    ghl.edit_contact(&contact, json!({ "tags": ["VIP", "trafft"] }));
    let call = json!({ "title": "Call back", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    let call = ghl.add_task(&contact, call);
    ghl.add_task(&contact, json!({ "title": "Send offer", "dueDate": "2026-09-02T14:30:00.000Z", "completed": false }));
    ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    for (title, start, status) in [
        ("Massage", "2026-09-16 11:00:00", "confirmed"),
        ("Past", "2026-08-16 11:00:00", "confirmed"),
        ("Off", "2026-09-17 11:00:00", "cancelled"),
    ] {
        ghl.add_appointment(
            &contact,
            json!({ "title": title, "startTime": start, "endTime": start, "appointmentStatus": status }),
        );
    }
    world.deliver_all().await;
    assert_eq!(
        description(&world, &contact).await,
        "Tags: trafft, vip\nTasks:\n- [ ] Send offer (due 2026-09-02 10:30)\n- [ ] Call back (due 2026-09-08 10:30)\n\
         Next appointments:\n- 2026-09-16 11:00 Massage (confirmed)\nNotes:\n- 2026-09-01 Prefers mornings"
    );
    ghl.complete_task(&contact, &call);
    world.deliver_all().await;
    assert!(description(&world, &contact).await.contains("- [x] Call back"));

    // Nothing changed: nothing is written.
    world.forget_calls();
    world.pass().await;
    let answer = world.admin(reqwest::Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
    assert_eq!((answer.status(), answer.calls()), ("unchanged", (4, 0)), "{}", answer.json);

    // The appointment begins, and is no next one any more: no event, no read, one write.
    world.forget_calls();
    for _ in 0..20 {
        world.drain().await;
        world.advance(std::time::Duration::from_hours(24));
    }
    assert!(!description(&world, &contact).await.contains("Massage"));
    assert_eq!((world.sandbox.ghl.journal().reads(), world.sandbox.trafft.journal().writes()), (0, 1));
}

#[tokio::test]
async fn html_and_script_arrive_as_harmless_text() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    for body in [
        "<p>Prefers <b>mornings</b></p><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "&lt;script&gt;alert(3)&lt;/script&gt;",
        "<style>p{}</style><a href=\"javascript:alert(4)\">link</a>",
    ] {
        world.sandbox.ghl.add_note(&contact, json!({ "body": body }));
    }
    world.sandbox.ghl.add_task(
        &contact,
        json!({ "title": "<i>Call</i> & tell", "dueDate": "2026-09-02T14:30:00.000Z", "completed": false }),
    );
    world.deliver_all().await;
    let told = description(&world, &contact).await;
    assert!(!told.contains('<') && !told.contains("alert(1)") && !told.contains("javascript:"), "{told}");
    assert!(told.contains("&lt;i&gt;Call&lt;/i&gt; &amp; tell"), "a title is plain text: {told}");
    let written = world.get(&format!("/api/v1/contacts/{contact}/timeline")).await;
    assert_eq!(written.json["entries"].as_array().unwrap().len(), 5, "{}", written.json);
}

#[tokio::test]
async fn a_flood_stays_within_bounds() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    for number in 0..30 {
        let title = format!("{number} {}", "<&>".repeat(200));
        world
            .sandbox
            .ghl
            .add_task(&contact, json!({ "title": title, "dueDate": "2026-09-02T14:30:00.000Z", "completed": false }));
        world.sandbox.ghl.add_note(&contact, json!({ "body": "&amp;".repeat(2_000) }));
    }
    world.deliver_all().await;
    world.drain().await;
    let told = description(&world, &contact).await;
    assert!((1_000..=2_000).contains(&told.chars().count()), "{}", told.chars().count());
    let last = told.rsplit('&').next().unwrap();
    assert!(last.contains(';'), "an entity is torn: {last}");
}

#[tokio::test]
async fn what_staff_typed_is_never_touched() {
    for (policy, ours) in [("created", false), ("at-creation", false), ("all", true)] {
        let mut world = World::stopped(&[("DESCRIPTION_POLICY", policy)]).await;
        let staff = json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "+14155550142", "description": "allergic to nuts" });
        let customer = world.sandbox.trafft.staff_create(staff);
        world.start().await;
        let contact = world.sandbox.ghl.create_contact(ada());
        let linked = world.deliver_all().await;
        assert_eq!(linked.customer(), customer, "{}", linked.json);
        world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
        let answer = world.deliver_all().await;
        let told = description(&world, &contact).await;
        if ours {
            assert_eq!(answer.status(), "synced");
            assert!(told.contains("Prefers mornings"));
        } else {
            assert_eq!(answer.status(), "unchanged", "{policy}: {}", answer.json);
            assert!(answer.reason().contains("DESCRIPTION_POLICY"), "{}", answer.reason());
            assert_eq!(told, "allergic to nuts");
            let sent = world.sandbox.trafft.journal().entries();
            let sent = sent.iter().filter_map(|call| call.body.as_ref());
            assert!(sent.clone().all(|body| body.get("description").is_none()), "{policy} sent a description");
        }
    }
}
