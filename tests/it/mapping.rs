//! The mapping file at work: who is synced, and how.

use std::fs;

use sandbox::Class;
use serde_json::json;

use crate::support::World;

async fn with_mapping(text: &str, settings: &[(&str, &str)]) -> World {
    let mut world = World::stopped(settings).await;
    let path = world.path("mapping.toml");
    fs::write(&path, text).unwrap();
    world.set("MAPPING_FILE", &path);
    world.start().await;
    world
}

#[tokio::test]
async fn only_contacts_with_the_tag() {
    let world = with_mapping("only = \"'trafft' in tags\"", &[]).await;
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    let created = world.sandbox.ghl.take_events().remove(0);
    let answer = world.deliver(&created).await;
    assert_eq!((answer.status(), answer.calls()), ("filtered", (1, 0)), "{}", answer.json);
    world.sandbox.ghl.edit_contact(&contact, json!({ "tags": ["Trafft"] }));
    world.deliver_all().await;
    let told = world.customer_of(&contact).await.description.unwrap();
    assert!(told.contains("Prefers mornings"), "what was not read then is read now: {told}");
}

#[tokio::test]
async fn custom_fields_by_id_key_and_name() {
    let mapping = r#"
        [customer]
        last_name = "{{ last_name }} {{ custom.level }}/{{ custom['Favourite colour'] }}/{{ custom.f3 }}"
    "#;
    let world = with_mapping(mapping, &[]).await;
    for (id, name, key) in [("f1", "Level", "level"), ("f2", "Favourite colour", "colour"), ("f3", "X", "x")] {
        world.sandbox.ghl.define_custom_field(id, name, key);
    }
    let contact = json!({
        "firstName": "Ada", "lastName": "Example", "email": "ada@example.com",
        "customFields": [{ "id": "f1", "value": "gold" }, { "id": "f2", "value": ["green", "blue"] }, { "id": "f3", "value": 3 }]
    });
    let contact = world.synced(contact).await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Example gold/green, blue/3");
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "Grace" }));
    assert_eq!(world.deliver_all().await.calls().0, 1);
    assert_eq!(world.sandbox.ghl.journal().count(Class::Metadata), 0, "definitions are read once");
}

#[tokio::test]
async fn the_locations_own_zone_and_country_where_none_are_set() {
    let world = World::with(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]).await;
    world.sandbox.ghl.set_timezone(&world.sandbox.ghl.location_id(), "Asia/Kolkata");
    let contact =
        world.synced(json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+14155550142" })).await;
    world
        .sandbox
        .ghl
        .add_task(&contact, json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false }));
    world.deliver_all().await;
    let told = world.customer_of(&contact).await.description.unwrap();
    let zones = ["2026-09-08 20:00", "2026-09-08 10:30"];
    assert!(zones.iter().any(|due| told.contains(due)), "a zone, not UTC: {told}");
}
