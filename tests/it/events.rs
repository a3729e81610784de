//! Every event that is known acts on the right contact, or is named as ignored (G §8.5).

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::Class;
use serde_json::{Value, json};

use crate::support::World;

/// The events with an official page that say nothing of a contact's record, tasks, notes or
/// appointments.
const NOT_ACTED_ON: &[&str] = &[
    "INSTALL",
    "UNINSTALL",
    "PLAN_CHANGE",
    "AppUpdate",
    "AssociationCreate",
    "AssociationUpdate",
    "AssociationDelete",
    "CampaignStatusUpdate",
    "ConversationUnreadWebhook",
    "InboundMessage",
    "OutboundMessage",
    "ProviderOutboundMessage",
    "InvoiceCreate",
    "InvoiceUpdate",
    "InvoiceDelete",
    "InvoiceSent",
    "InvoicePaid",
    "InvoicePartiallyPaid",
    "InvoiceVoid",
    "LCEmailStats",
    "LocationCreate",
    "LocationUpdate",
    "ObjectSchemaCreate",
    "ObjectSchemaUpdate",
    "OpportunityCreate",
    "OpportunityUpdate",
    "OpportunityDelete",
    "OpportunityAssignedToUpdate",
    "OpportunityMonetaryValueUpdate",
    "OpportunityStageUpdate",
    "OpportunityStatusUpdate",
    "OrderCreate",
    "OrderStatusUpdate",
    "PriceCreate",
    "PriceUpdate",
    "PriceDelete",
    "ProductCreate",
    "ProductUpdate",
    "ProductDelete",
    "RecordCreate",
    "RecordUpdate",
    "RecordDelete",
    "RelationCreate",
    "RelationDelete",
    "UserCreate",
    // There is no such event; should there be one some day, it is not guessed at.
    "TaskUpdate",
    "SomethingNew",
    "contactupdate",
];

/// What an event makes us read.
fn facet(kind: &str) -> Option<Class> {
    match kind {
        _ if kind.starts_with("Contact") => Some(Class::Contact),
        _ if kind.starts_with("Task") => Some(Class::Tasks),
        _ if kind.starts_with("Note") => Some(Class::Notes),
        _ if kind.starts_with("Appointment") => Some(Class::Appointments),
        _ => None,
    }
}

/// The book's examples, as the sandbox and the client keep them.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (folder, prefix) in [("sandbox/fixtures/ghl", "event-"), ("src/clients/ghl/examples", "hook_")] {
        for file in std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(prefix) {
                found.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() >= 16, "eight examples in two places at least");
    found
}

fn contact_named_in(event: &Value) -> Option<String> {
    let id = match facet(event["type"].as_str()?)? {
        Class::Contact => &event["id"],
        Class::Appointments => &event["appointment"]["contactId"],
        _ => &event["contactId"],
    };
    id.as_str().map(str::to_owned)
}

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

/// The classes and paths that GHL was asked for since the last look.
fn reads(world: &World) -> Vec<(Class, String)> {
    let entries = world.sandbox.ghl.journal().entries();
    world.forget_calls();
    entries.into_iter().filter(|entry| entry.class != Class::Metadata).map(|entry| (entry.class, entry.path)).collect()
}

#[tokio::test]
async fn every_example_of_the_book_is_taken_byte_for_byte() {
    let world = World::new().await;
    world.advance(Duration::from_hours(48));
    let mut once = BTreeSet::new();
    for (name, body) in examples() {
        let event: Value = serde_json::from_str(&body).unwrap();
        let answer = world.tell(body).await;
        assert_eq!(answer.code, 200, "{name}: {}", answer.json);
        if !once.insert(event["webhookId"].as_str().unwrap_or_default().to_owned()) && event["webhookId"].is_string() {
            assert_eq!(answer.status(), "duplicate", "{name}: the second copy has the same webhookId");
            continue;
        }
        let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
        assert_eq!((&stored["type"], &stored["source"]), (&event["type"], &json!("marketplace")), "{name}");
        assert_eq!(stored["contact_id"].as_str().map(str::to_owned), contact_named_in(&event), "{name}");
        assert_eq!(stored["location_id"], "ve9EPM428h8vShlRW1KT", "{name}");
        if contact_named_in(&event).is_none() {
            assert_eq!(answer.status(), "ignored", "{name}");
            assert!(answer.reason().contains(event["type"].as_str().unwrap()), "{name}: {}", answer.reason());
        }
    }
}

#[tokio::test]
async fn every_example_about_a_contact_reads_what_it_is_about() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.advance(Duration::from_hours(48));
    world.forget_calls();
    for (name, body) in examples() {
        let event: Value = serde_json::from_str(&body).unwrap();
        let Some(named) = contact_named_in(&event) else { continue };
        let mut body = body.replace(&named, &contact);
        // The two copies of an example are two events here.
        body = body.replace("\"webhookId\": \"", &format!("\"webhookId\": \"{name}"));
        let answer = world.tell(body).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{name}: {}", answer.json);
        assert_eq!(answer.json["contact_id"], contact.as_str(), "{name}");
        let read = reads(&world);
        assert_eq!(read.len(), 1, "{name}: {read:?}");
        assert_eq!(Some(read[0].0), facet(event["type"].as_str().unwrap()), "{name}: {read:?}");
        assert!(read[0].1.contains(&contact), "{name}: {read:?}");
    }
}

#[tokio::test]
async fn every_event_that_we_act_on_reads_its_part_of_its_contact() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.forget_calls();
    for kind in [
        "ContactCreate",
        "ContactUpdate",
        "ContactDelete",
        "ContactDndUpdate",
        "ContactTagUpdate",
        "TaskCreate",
        "TaskComplete",
        "TaskDelete",
        "NoteCreate",
        "NoteUpdate",
        "NoteDelete",
        "AppointmentCreate",
        "AppointmentUpdate",
        "AppointmentDelete",
    ] {
        let fields = match facet(kind) {
            Some(Class::Contact) => json!({ "id": contact }),
            Some(Class::Appointments) => {
                json!({ "id": null, "appointment": { "id": "0007BWpSzSwfiuSl0tR2", "contactId": contact } })
            }
            _ => json!({ "id": "UlRWGLSXh0ji5qbiGu4i", "contactId": contact }),
        };
        let flat: Value = serde_json::from_slice(&world.event(fields)).unwrap();
        let mut flat = flat;
        flat["type"] = json!(kind);
        // G §8.4: the guide wraps the fields in `data`; all of them, or all but the type.
        let mut wrapped = json!({ "type": kind, "data": flat.clone() });
        wrapped["data"]["webhookId"] = json!(format!("{kind}-wrapped"));
        let mut inside = json!({ "data": flat.clone() });
        inside["data"]["webhookId"] = json!(format!("{kind}-inside"));
        for body in [flat, wrapped, inside] {
            let answer = world.tell(body.to_string()).await;
            // A deletion that GHL knows nothing of is no deletion: what counts is what is read.
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{kind}: {}", answer.json);
            assert_eq!(answer.json["contact_id"], contact.as_str(), "{kind}");
            let read = reads(&world);
            assert_eq!(read.iter().map(|(class, _)| Some(*class)).collect::<Vec<_>>(), [facet(kind)], "{body}");
        }
        // After a deletion that GHL does not know of yet, it is asked once more.
        world.drain().await;
        world.forget_calls();
    }
    assert_eq!(world.sandbox.trafft.journal().writes(), 0);
    assert_eq!(world.contact(&contact).await["gone_at"], Value::Null);
}

#[tokio::test]
async fn events_that_we_do_not_act_on_are_named_and_cost_nothing() {
    let world = World::new().await;
    world.forget_calls();
    for kind in NOT_ACTED_ON {
        for fields in [json!({ "type": kind }), json!({ "type": kind, "contactId": "nmFmQEsNgz6AVpgLVUJ0" })] {
            let answer = world.tell(world.event(fields)).await;
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{kind}: {}", answer.json);
            assert!(answer.reason().contains(&format!("`{kind}`")), "{kind}: {}", answer.reason());
            let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
            assert_eq!((&stored["type"], &stored["status"]), (&json!(kind), &json!("ignored")));
        }
    }
    world.idle().await;
    assert_eq!(world.sandbox.ghl.journal().entries().len() + world.sandbox.trafft.journal().entries().len(), 0);
    assert_eq!(world.get("/api/v1/contacts").await.json["contacts"], json!([]));
}

#[tokio::test]
async fn events_without_a_location_are_kept_and_ignored() {
    let world = World::new().await;
    for (fields, location) in [
        (json!({ "type": "LocationUpdate", "locationId": null, "id": "ve9EPM428h8vShlRW1KT" }), "ve9EPM428h8vShlRW1KT"),
        (
            json!({ "type": "INSTALL", "locationId": null, "id": null, "companyId": "tDtDnQdgm2LXpyiqYvZ6" }),
            "tDtDnQdgm2LXpyiqYvZ6",
        ),
        (json!({ "type": "INSTALL", "locationId": null, "id": null }), "-"),
        (json!({ "type": "ContactUpdate", "locationId": null }), "-"),
    ] {
        let answer = world.tell(world.event(fields.clone())).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{fields}: {}", answer.json);
        let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
        assert_eq!(stored["location_id"], location, "{fields}");
    }
}
