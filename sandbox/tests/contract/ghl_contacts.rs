//! Contacts, tags, tasks and notes behave as G §4, §6, §8.5 and §8.6 say.

use sandbox::Class;
use sandbox::ghl::{MatchOrder, NotFound};
use serde_json::{Value, json};

use crate::world::World;

async fn two(world: &World) -> (String, String) {
    let by_mail =
        world.ghl.create_contact(json!({ "firstName": "Ada", "lastName": "Mail", "email": "ada@example.com" }));
    let by_phone = world.ghl.create_contact(json!({ "firstName": "Bob", "phone": "(212) 555-0142" }));
    world.ghl.take_events();
    (by_mail, by_phone)
}

#[tokio::test]
async fn duplicates_are_refused_and_named() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    let (by_mail, by_phone) = two(&world).await;
    let both = json!({ "locationId": location, "email": "ADA@example.com", "phone": "+12125550142" });
    let refused = world.send("POST", "/contacts/", both.clone()).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body["meta"],
        json!({ "contactId": by_mail, "contactName": "Ada Mail", "matchingField": "email" })
    );
    world.ghl.set_match_order(&location, MatchOrder::PhoneFirst);
    let refused = world.send("POST", "/contacts/", both.clone()).await;
    assert_eq!(refused.body["meta"], json!({ "contactId": by_phone, "contactName": "Bob", "matchingField": "phone" }));
    let refused = world.send("PUT", &format!("/contacts/{by_phone}"), json!({ "email": "ada@example.com" })).await;
    assert_eq!((refused.status, &refused.body["meta"]["contactId"]), (400, &json!(by_mail)));
    world.ghl.set_allow_duplicates(&location, true);
    assert_eq!(world.send("POST", "/contacts/", both).await.status, 201);
    world.no_complaints();
}

#[tokio::test]
async fn a_missing_contact_has_two_disguises() {
    let world = World::new().await;
    for (disguise, status) in [(NotFound::BadRequest, 400), (NotFound::NotFound, 404)] {
        world.ghl.set_not_found(disguise);
        let reply = world.get("/contacts/nobody").await;
        assert_eq!((reply.status, &reply.body["message"]), (status, &json!("Contact with id nobody not found")));
        let reply = world.send("PUT", "/contacts/nobody", json!({ "firstName": "x" })).await;
        assert_eq!((reply.status, &reply.body["message"]), (status, &json!("Contact not found")));
        assert_eq!(world.delete("/contacts/nobody").await.status, status);
        assert_eq!(world.get("/contacts/nobody/tasks").await.status, status);
        let id = world.ghl.create_contact(json!({}));
        assert_eq!(world.get(&format!("/contacts/{id}/notes/none")).await.status, status);
    }
    world.no_complaints();
}

#[tokio::test]
async fn put_and_upsert_replace_tags_and_the_tag_calls_merge() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    let id = world.ghl.create_contact(json!({ "email": "ada@example.com", "tags": ["VIP", "old"] }));
    let path = format!("/contacts/{id}");
    let reply = world.send("PUT", &path, json!({ "tags": ["Trafft"] })).await;
    assert_eq!(reply.body["contact"]["tags"], json!(["trafft"]));
    let reply = world.send("POST", &format!("{path}/tags"), json!({ "tags": ["New", "trafft"] })).await;
    assert_eq!(
        (reply.status, &reply.body["tags"], &reply.body["tagsAdded"]),
        (201, &json!(["trafft", "new"]), &json!(["new"]))
    );
    let reply = world.send("DELETE", &format!("{path}/tags"), json!({ "tags": ["TRAFFT"] })).await;
    assert_eq!((reply.status, reply.body), (200, json!({ "tags": ["new"] })));
    let reply = world
        .send("POST", "/contacts/upsert", json!({ "locationId": location, "email": "ada@example.com", "tags": ["b"] }))
        .await;
    assert_eq!(reply.body["contact"]["tags"], json!(["b"]));
    let reply = world
        .send(
            "POST",
            "/contacts/bulk/tags/update/add",
            json!({ "locationId": location, "contacts": [id, "nobody"], "tags": ["c"] }),
        )
        .await;
    assert_eq!((reply.status, &reply.body["errorCount"]), (201, &json!(1)));
    assert_eq!(world.ghl.contact(&id).unwrap()["tags"], json!(["b", "c"]));
    world.no_complaints();
}

#[tokio::test]
async fn upsert_picks_one_of_two_and_says_nothing() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    let (by_mail, by_phone) = two(&world).await;
    let body =
        json!({ "locationId": location, "email": "ada@example.com", "phone": "+12125550142", "firstName": "New" });
    let reply = world.send("POST", "/contacts/upsert", body.clone()).await;
    assert_eq!((&reply.body["new"], &reply.body["contact"]["id"]), (&json!(false), &json!(by_mail)));
    assert_eq!(reply.body["contact"].get("phone"), None, "the other contact's phone is ignored");
    assert_eq!(world.ghl.contact(&by_phone).unwrap()["firstName"], "Bob");
    let mut forced = body.clone();
    forced["createNewIfDuplicateAllowed"] = json!(true);
    assert_eq!(world.send("POST", "/contacts/upsert", forced.clone()).await.body["new"], json!(false));
    world.ghl.set_allow_duplicates(&location, true);
    assert_eq!(world.send("POST", "/contacts/upsert", forced).await.body["new"], json!(true));
    // A secondary e-mail matches too, and the primary one is lost (G §6.5, #337).
    world.ghl.edit_contact(
        &by_mail,
        json!({ "email": "first@example.com", "additionalEmails": [{ "email": "second@example.com" }] }),
    );
    let reply =
        world.send("POST", "/contacts/upsert", json!({ "locationId": location, "email": "second@example.com" })).await;
    assert_eq!(
        (&reply.body["contact"]["id"], &reply.body["contact"]["email"]),
        (&json!(by_mail), &json!("second@example.com"))
    );
}

#[tokio::test]
async fn updates_are_partial() {
    let world = World::new().await;
    let id = world.ghl.create_contact(json!({
        "email": "ada@example.com", "name": "Ada King Lovelace", "city": "London", "customFields": [{ "id": "a", "value": "1" }, { "id": "b", "value": "2" }],
    }));
    world.clock.advance_ms(5000);
    let body = json!({ "city": null, "customFields": [{ "id": "b", "field_value": "3" }] });
    let contact = world.send("PUT", &format!("/contacts/{id}"), body).await.body["contact"].clone();
    assert_eq!((&contact["firstName"], &contact["lastName"]), (&json!("Ada"), &json!("King Lovelace")));
    assert_eq!(contact.get("city"), None);
    assert_eq!(contact["customFields"], json!([{ "id": "a", "value": "1" }, { "id": "b", "value": "3" }]));
    assert_eq!(
        (&contact["dateAdded"], &contact["dateUpdated"]),
        (&json!("2026-09-01T10:00:00.000Z"), &json!("2026-09-01T10:00:05.000Z"))
    );
}

#[tokio::test]
async fn writes_over_the_api_echo() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    let made = world.send("POST", "/contacts/", json!({ "locationId": location, "email": "ada@example.com" })).await;
    assert_eq!(made.status, 201);
    let id = made.body["contact"]["id"].as_str().unwrap().to_owned();
    let path = format!("/contacts/{id}");
    assert_eq!(world.kinds(), ["ContactCreate"]);
    assert_eq!(world.send("PUT", &path, json!({ "firstName": "Ada" })).await.body["succeded"], json!(true));
    assert_eq!(world.kinds(), ["ContactUpdate"]);
    world.send("PUT", &path, json!({ "firstName": "Ada" })).await;
    assert_eq!(world.kinds(), [""; 0], "nothing changed");
    world.send("POST", &format!("{path}/tags"), json!({ "tags": ["a"] })).await;
    assert_eq!(world.kinds(), ["ContactTagUpdate", "ContactUpdate"]);
    world.send("PUT", &path, json!({ "dnd": true })).await;
    assert_eq!(world.kinds(), ["ContactDndUpdate"]);
    world.send("PUT", &path, json!({ "inboundDndSettings": { "all": { "status": "active" } } })).await;
    assert_eq!(world.kinds(), [""; 0], "inbound DND fires nothing (G §8.5, #264)");
    let task = json!({ "title": "Call", "dueDate": "2026-09-08T02:30:00Z", "completed": false });
    let made = world.send("POST", &format!("{path}/tasks"), task).await;
    assert_eq!(made.status, 201);
    let task = format!("{path}/tasks/{}", made.body["task"]["id"].as_str().unwrap());
    assert_eq!(world.kinds(), ["TaskCreate"]);
    assert_eq!(world.send("PUT", &task, json!({ "title": "Call back" })).await.body["task"]["title"], "Call back");
    assert_eq!(world.kinds(), [""; 0], "there is no event for an edited task");
    for (completed, kinds) in [(true, vec!["TaskComplete"]), (true, vec![]), (false, vec![])] {
        world.send("PUT", &format!("{task}/completed"), json!({ "completed": completed })).await;
        assert_eq!(world.kinds(), kinds);
    }
    assert_eq!(world.delete(&task).await.body, json!({ "succeded": true }));
    let made = world.send("POST", &format!("{path}/notes"), json!({ "body": "<p>Hi</p>" })).await;
    assert_eq!(made.status, 201);
    let note = format!("{path}/notes/{}", made.body["note"]["id"].as_str().unwrap());
    world.send("PUT", &note, json!({ "body": "Bye" })).await;
    assert_eq!(world.delete(&note).await.body, json!({ "succeded": true }));
    assert_eq!(world.kinds(), ["TaskDelete", "NoteCreate", "NoteUpdate", "NoteDelete"]);
    assert_eq!(world.delete(&path).await.body, json!({ "succeded": true }));
    assert_eq!(world.kinds(), ["ContactDelete"]);
    let journal = world.ghl.journal();
    assert_eq!(
        (journal.count(Class::Tasks), journal.count(Class::Notes), journal.reads(), journal.writes()),
        (6, 3, 0, 16)
    );
    world.no_complaints();
}

#[tokio::test]
async fn people_cause_events_too() {
    let world = World::new().await;
    let (keep, gone) = two(&world).await;
    world.ghl.edit_contact(&keep, json!({ "visitorId": "v" }));
    assert_eq!(world.kinds(), [""; 0], "not one of the chosen fields (G §8.5, #77)");
    let before = world.ghl.contact(&keep).unwrap()["dateUpdated"].clone();
    world.clock.advance_ms(1000);
    world.ghl.add_note(&gone, json!({ "body": "moves along" }));
    let task = world.ghl.add_task(&gone, json!({ "title": "t" }));
    world.ghl.edit_task(&gone, &task, json!({ "title": "u" }));
    world.ghl.reopen_task(&gone, &task);
    assert_eq!(world.kinds(), ["NoteCreate", "TaskCreate"]);
    assert_eq!(world.ghl.contact(&keep).unwrap()["dateUpdated"], before, "notes and tasks do not move it");
    world.ghl.merge_contacts(&keep, &gone);
    assert_eq!(world.kinds(), ["ContactDelete", "ContactUpdate"]);
    assert_eq!(world.ghl.contact(&gone), None);
    assert_eq!(world.ghl.contact(&keep).unwrap()["phone"], "+12125550142");
    let notes = world.get(&format!("/contacts/{keep}/notes")).await.body;
    assert_eq!(notes["notes"].as_array().map(Vec::len), Some(1));
    world.ghl.delete_contact(&keep);
    assert_eq!(world.kinds(), ["ContactDelete"]);
}

#[tokio::test]
async fn lists_lower_the_names() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    for number in 0..3 {
        world
            .ghl
            .create_contact(json!({ "firstName": format!("Ada{number}"), "email": format!("a{number}@example.com") }));
        world.clock.advance_ms(1);
    }
    let mut names = Vec::new();
    let mut path = format!("/contacts/?locationId={location}&limit=2");
    loop {
        let page = world.get(&path).await.body;
        for contact in page["contacts"].as_array().unwrap() {
            names.push((
                contact["firstName"].as_str().unwrap().to_owned(),
                contact["firstNameRaw"].as_str().unwrap().to_owned(),
            ));
        }
        let Value::String(next) = &page["meta"]["nextPageUrl"] else { break };
        path = next.strip_prefix(&world.ghl.url()).unwrap().to_owned();
    }
    let wanted = ["2", "1", "0"].map(|number| (format!("ada{number}"), format!("Ada{number}")));
    assert_eq!(names, wanted);
    let none = world.get(&format!("/contacts/search/duplicate?locationId={location}&number=%2B19999999999")).await;
    assert_eq!(none.body, json!({ "contact": null }));
    world.no_complaints();
}
