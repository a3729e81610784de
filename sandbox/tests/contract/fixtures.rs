//! Answers and events have the keys of the books' examples (G §6, §7, §8.5, §9, T §5, §6).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::oauth::{location_token, redeem};
use crate::world::{World, keys, read};

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../fixtures/", $name, ".json"))).unwrap()
    };
}

fn with(fixture: &Value, live: &[&str]) -> BTreeSet<String> {
    keys(fixture).into_iter().chain(live.iter().map(|key| (*key).to_owned())).collect()
}

async fn ada(world: &World) -> String {
    world.ghl.define_custom_field("MgobCB14YMVKuE4Ka8p1", "Favourite colour", "colour");
    let mut fields = fixture!("ghl/contact-read")["contact"].clone();
    fields.as_object_mut().unwrap().remove("locationId");
    world.ghl.create_contact(fields)
}

#[tokio::test]
async fn a_contact_read() {
    let world = World::new().await;
    let id = ada(&world).await;
    let expected = fixture!("ghl/contact-read")["contact"].clone();
    let read = world.get(&format!("/contacts/{id}")).await.body["contact"].clone();
    // `additionalEmails` is on live answers (G §6.1).
    assert_eq!(keys(&read), with(&expected, &["additionalEmails"]));
    for key in [
        "firstName",
        "email",
        "phone",
        "tags",
        "dateOfBirth",
        "customFields",
        "dndSettings",
        "name",
        "fullNameLowerCase",
    ] {
        assert_eq!(read[key], expected[key], "{key}");
    }
    let updated = world.send("PUT", &format!("/contacts/{id}"), json!({ "lastName": "Example-Byron" })).await.body;
    assert_eq!(keys(&updated), keys(&fixture!("ghl/contact-updated")));
    assert_eq!(keys(&updated["contact"]), keys(&read));
    world.no_complaints();
}

#[tokio::test]
async fn a_contact_created_and_upserted() {
    let world = World::new().await;
    let mut body = fixture!("ghl/contact-create-body");
    for (key, value) in [
        ("companyName", "Example Ltd"),
        ("address1", "12 Example St"),
        ("city", "Springfield"),
        ("state", "NY"),
        ("country", "US"),
    ] {
        body[key] = json!(value);
    }
    for (key, value) in [
        ("postalCode", "10001"),
        ("website", "https://example.com"),
        ("dateOfBirth", "09/25/1990"),
        ("assignedTo", "y0BeYjuRIlDwsDcOHOJo"),
    ] {
        body[key] = json!(value);
    }
    let made = world.send("POST", "/contacts/", body.clone()).await.body["contact"].clone();
    let expected = fixture!("ghl/contact-created")["contact"].clone();
    let mut wanted = keys(&expected);
    wanted.remove("businessId");
    assert_eq!(keys(&made), wanted);
    assert_eq!((&made["birthMonth"], &made["birthDay"]), (&json!(8), &json!(25)));
    assert_eq!(made["dateOfBirth"], expected["dateOfBirth"]);
    assert_eq!(made["customFields"], json!([{ "id": "MgobCB14YMVKuE4Ka8p1", "value": "gold" }]));
    let upserted = world.send("POST", "/contacts/upsert", body).await.body;
    assert_eq!(keys(&upserted), keys(&fixture!("ghl/contact-upserted")));
    assert_eq!((&upserted["new"], &upserted["contact"]["id"]), (&json!(false), &made["id"]));
    let gone = world.delete(&format!("/contacts/{}", made["id"].as_str().unwrap())).await.body;
    assert_eq!(gone, fixture!("ghl/contact-deleted"));
    world.no_complaints();
}

#[tokio::test]
async fn contacts_found_and_listed() {
    let world = World::new().await;
    // Past the moment that the book's poll asks for.
    world.clock.advance_ms(14 * 3_600_000);
    let id = ada(&world).await;
    world.clock.advance_ms(2000);
    let found = world.search(json!({})).await.body;
    let expected = fixture!("ghl/contacts-found");
    assert_eq!(keys(&found), keys(&expected));
    assert_eq!(keys(&found["contacts"][0]), keys(&expected["contacts"][0]));
    // The incremental poll of the book, past its own cursor.
    let mut poll = fixture!("ghl/contacts-search-body");
    assert_eq!(world.send("POST", "/contacts/search", poll.clone()).await.body["contacts"], json!([]));
    poll.as_object_mut().unwrap().remove("searchAfter");
    assert_eq!(world.send("POST", "/contacts/search", poll).await.body["total"], 1);
    let location = world.ghl.location_id();
    let listed = world.get(&format!("/contacts/?locationId={location}")).await.body;
    let expected = fixture!("ghl/contacts-listed");
    assert_eq!((keys(&listed), keys(&listed["meta"])), (keys(&expected), keys(&expected["meta"])));
    // What real list records hold besides (G §6.7).
    let live = ["contactName", "firstName", "lastName", "firstNameRaw", "lastNameRaw", "phone"];
    assert_eq!(keys(&listed["contacts"][0]), with(&expected["contacts"][0], &live));
    let business = world.get(&format!("/contacts/business/641c094001436dbc2081e642?locationId={location}")).await.body;
    assert_eq!(keys(&business), keys(&fixture!("ghl/contacts-of-business")));
    let twin =
        world.get(&format!("/contacts/search/duplicate?locationId={location}&email=ADA%40example.com")).await.body;
    assert_eq!(keys(&twin), keys(&fixture!("ghl/duplicate-found")));
    assert_eq!(twin["contact"]["id"], id.as_str());
    world.no_complaints();
}

#[tokio::test]
async fn activities() {
    let world = World::new().await;
    let id = ada(&world).await;
    let made = world.send("POST", &format!("/contacts/{id}/tasks"), fixture!("ghl/task-create-body")).await.body;
    assert_eq!(keys(&made["task"]), keys(&fixture!("ghl/task-created")["task"]));
    assert_eq!(made["task"]["dueDate"], fixture!("ghl/task-created")["task"]["dueDate"]);
    let listed = world.get(&format!("/contacts/{id}/tasks")).await.body;
    assert_eq!(keys(&listed["tasks"][0]), keys(&fixture!("ghl/tasks-listed")["tasks"][0]));
    let mut note = fixture!("ghl/note-create-body");
    note["userId"] = json!("y0BeYjuRIlDwsDcOHOJo");
    note["color"] = json!("#FFAA00");
    let made = world.send("POST", &format!("/contacts/{id}/notes"), note).await.body;
    assert_eq!(keys(&made["note"]), keys(&fixture!("ghl/note-created")["note"]));
    let listed = world.get(&format!("/contacts/{id}/notes")).await.body;
    assert_eq!(keys(&listed["notes"][0]), keys(&fixture!("ghl/notes-listed")["notes"][0]));
    world.ghl.add_appointment(&id, fixture!("ghl/appointments-listed")["events"][0].clone());
    let listed = world.get(&format!("/contacts/{id}/appointments")).await.body;
    let expected = fixture!("ghl/appointments-listed");
    assert_eq!(keys(&listed["events"][0]), keys(&expected["events"][0]));
    // Read in the location's zone and shown on its wall again: no zone in either (G §6.19).
    assert_eq!(listed["events"][0]["startTime"], expected["events"][0]["startTime"]);
    let mut body = fixture!("ghl/tasks-search-body");
    body["contactId"] = json!([id]);
    let found = world.send("POST", &format!("/locations/{}/tasks/search", world.ghl.location_id()), body).await.body;
    assert_eq!(found["tasks"][0]["title"], "Call back");
    assert!(found["tasks"][0]["_id"].is_string() && found["tasks"][0].get("id").is_none());
    world.no_complaints();
}

#[tokio::test]
async fn metadata() {
    let world = World::new().await;
    world.ghl.define_custom_field("MgobCB14YMVKuE4Ka8p1", "Level", "level");
    let location = world.ghl.location_id();
    let fields = world.get(&format!("/locations/{location}/customFields?model=contact")).await.body;
    assert_eq!(fields, fixture!("ghl/custom-fields"));
    let record = world.get(&format!("/locations/{location}")).await.body;
    assert_eq!(
        (&record["location"]["timezone"], &record["location"]["country"]),
        (&json!("America/New_York"), &json!("US"))
    );
    assert_eq!(record["location"]["settings"]["allowDuplicateContact"], json!(false));
    assert_eq!(world.ghl.journal().reads(), 0);
    world.no_complaints();
}

#[tokio::test]
async fn refusals() {
    let world = World::new().await;
    ada(&world).await;
    let url = format!("{}/contacts/x", world.ghl.url());
    let bad = read(world.http.get(url).bearer_auth("wrong").header("version", "2021-07-28")).await;
    assert_eq!(bad.status, 401);
    assert_eq!(keys(&bad.body), keys(&fixture!("ghl/error-401")));
    let missing = world.get("/contacts/nobody").await;
    assert_eq!(keys(&missing.body), keys(&fixture!("ghl/error-400")));
    let mut body = fixture!("ghl/contact-create-body");
    let twice = world.send("POST", "/contacts/", body.clone()).await;
    let expected = fixture!("ghl/error-duplicate");
    assert_eq!((keys(&twice.body), keys(&twice.body["meta"])), (keys(&expected), keys(&expected["meta"])));
    assert_eq!(twice.body["message"], expected["message"]);
    body["email"] = json!("nonsense");
    let invalid = world.send("POST", "/contacts/", body).await;
    assert_eq!((invalid.status, invalid.body), (422, fixture!("ghl/error-422")));
}

#[tokio::test]
async fn events() {
    let world = World::new().await;
    let id = ada(&world).await;
    let task = world.ghl.add_task(&id, fixture!("ghl/task-create-body"));
    world.ghl.complete_task(&id, &task);
    world.ghl.delete_task(&id, &task);
    let note = world.ghl.add_note(
        &id,
        json!({ "body": "Prefers mornings", "userId": "u", "title": "t", "color": "#fff", "pinned": true }),
    );
    world.ghl.edit_note(&id, &note, json!({ "body": "Prefers evenings" }));
    world.ghl.delete_note(&id, &note);
    let mut appointment = fixture!("ghl/event-appointment-update")["appointment"].clone();
    appointment["notes"] = json!("");
    let appointment = world.ghl.add_appointment(&id, appointment);
    world.ghl.edit_appointment(&id, &appointment, json!({ "appointmentStatus": "cancelled" }));
    world.ghl.delete_appointment(&id, &appointment);
    world.ghl.edit_contact(&id, json!({ "firstName": "Augusta" }));
    world.ghl.edit_contact(&id, json!({ "dndSettings": { "SMS": { "status": "active" } } }));
    world.ghl.install_location(&world.ghl.location_id(), &["contacts.readonly"]);
    world.ghl.uninstall_location(&world.ghl.location_id());
    // Examples of the book leave the app's ids out of all but the first.
    let envelope = ["appId", "versionId"];
    let mut seen = BTreeSet::new();
    for event in world.ghl.take_events() {
        let (body, kind) = (event.json(), event.kind.as_str());
        assert_eq!(body["type"], kind);
        assert_eq!(body["timestamp"], "2026-09-01T10:00:00.000Z");
        assert_eq!(body["webhookId"], event.webhook_id.as_str());
        seen.insert(kind.to_owned());
        let expected = match kind {
            "ContactCreate" | "ContactUpdate" => keys(&fixture!("ghl/event-contact-update")),
            "ContactDndUpdate" => with(&fixture!("ghl/event-contact-update"), &["dndSettings"]),
            "TaskCreate" | "TaskComplete" | "TaskDelete" => with(&fixture!("ghl/event-task-create"), &envelope),
            "NoteCreate" | "NoteUpdate" | "NoteDelete" => with(&fixture!("ghl/event-note-create"), &envelope),
            "INSTALL" => keys(&fixture!("ghl/event-install")).into_iter().filter(|key| key != "trial").collect(),
            "UNINSTALL" => with(&fixture!("ghl/event-uninstall"), &["versionId"]),
            _ => {
                let expected = fixture!("ghl/event-appointment-update");
                assert_eq!(keys(&body["appointment"]), keys(&expected["appointment"]), "{kind}");
                with(&expected, &envelope)
            }
        };
        assert_eq!(keys(&body), expected, "{kind}");
    }
    assert_eq!(seen.len(), 14);
    assert!(keys(&fixture!("ghl/event-contact-dnd-update")).contains("dndSettings"));
}

#[tokio::test]
async fn a_workflow_document() {
    let world = World::new().await;
    let id = ada(&world).await;
    let document = world.ghl.workflow_document(&id);
    let expected = fixture!("ghl/workflow-document");
    assert_eq!(keys(&document), keys(&expected));
    assert_eq!((&document["tags"], &document["Favourite colour"]), (&json!("vip,trafft"), &json!("gold")));
    assert_eq!(document["full_address"], expected["full_address"]);
    assert_eq!(keys(&document["location"]), keys(&expected["location"]));
}

#[tokio::test]
async fn tokens_of_an_installed_app() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let scopes = ["contacts.readonly", "oauth.readonly", "oauth.write"];
    let pair = redeem(&world, &world.ghl.install_location(&home, &scopes)).await;
    assert_eq!(keys(&pair.body), keys(&fixture!("ghl/oauth-token")));
    let company = redeem(&world, &world.ghl.install_company(&[&home], true, &scopes)).await;
    let more = ["approvedLocations", "installToFutureLocations", "refreshTokenId"];
    let mut expected = with(&fixture!("ghl/oauth-token"), &more);
    expected.remove("locationId");
    assert_eq!(keys(&company.body), expected);
    let token = company.body["access_token"].as_str().unwrap();
    let local = location_token(&world, token, &home).await;
    assert_eq!(keys(&local.body), keys(&fixture!("ghl/oauth-location-token")));
    let query = format!("companyId={}&appId={}&isInstalled=true", world.ghl.company_id(), world.ghl.app_id());
    let call = world.http.get(format!("{}/oauth/installedLocations?{query}", world.ghl.url())).bearer_auth(token);
    let mut listed = read(call.header("version", "2021-07-28")).await.body;
    let expected = fixture!("ghl/oauth-installed-locations");
    listed["locations"][0]["installedAt"] = expected["locations"][0]["installedAt"].clone();
    assert_eq!(listed, expected);
    world.no_complaints();
}

#[tokio::test]
async fn trafft_answers() {
    let world = World::new().await;
    let made = world.trafft("POST", "/customers", Some(fixture!("trafft/customer-create-body"))).await;
    assert_eq!((made.status, keys(&made.body)), (201, keys(&fixture!("trafft/customer-created"))));
    let id = made.body["id"].as_i64().unwrap();
    let customer = world.trafft("GET", &format!("/customers/{id}"), None).await.body;
    let mut expected = fixture!("trafft/customer");
    expected["id"] = json!(id);
    assert_eq!(customer, expected);
    let patched =
        world.trafft("PATCH", &format!("/customers/{id}"), Some(fixture!("trafft/customer-update-body"))).await;
    assert_eq!((patched.status, patched.body), (200, json!({ "id": id })));
    let page = world.trafft("GET", "/customers", None).await.body;
    let expected = fixture!("trafft/page");
    assert_eq!((keys(&page), keys(&page["pagination"])), (keys(&expected), keys(&expected["pagination"])));
    let mut booking = fixture!("trafft/booking-create-body");
    booking["customer"] = json!(id);
    assert_eq!(world.trafft("POST", "/bookings", Some(booking)).await.status, 201);
    let listed = world.trafft("GET", "/appointments", None).await.body;
    let expected = fixture!("trafft/appointment");
    assert_eq!(keys(&listed["data"][0]), keys(&expected));
    assert_eq!(keys(&listed["data"][0]["bookings"][0]["customer"]), keys(&expected["bookings"][0]["customer"]));
    world.no_complaints();
}
