//! The sandbox against the official descriptions of the contacts and OAuth APIs, where copies lie
//! beside the checkout.

use std::collections::BTreeSet;
use std::path::Path;

use sandbox::ghl::catalogue::OPERATIONS;
use serde_json::{Value, json};

use crate::oauth::{location_token, redeem};
use crate::world::{World, keys, read};

fn spec(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts/openapi").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: no official description at {}", path.display());
        }
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn named<'a>(spec: &'a Value, reference: &Value) -> Option<(&'a str, &'a Value)> {
    let name = reference["$ref"].as_str()?.strip_prefix("#/components/schemas/")?;
    let (name, schema) = spec["components"]["schemas"].as_object()?.get_key_value(name)?;
    Some((name, schema))
}

#[test]
fn every_operation_is_described_and_no_described_one_is_missing() {
    let Some(spec) = spec("contacts.json") else { return };
    let mut described: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, methods) in spec["paths"].as_object().unwrap() {
        described.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let served = OPERATIONS
        .iter()
        .filter(|row| row.path.starts_with("/contacts"))
        .map(|row| (row.method.to_owned(), row.path.to_owned()));
    assert_eq!(served.collect::<BTreeSet<_>>(), described);
}

#[test]
fn versions_scopes_statuses_and_bodies_agree() {
    let Some(spec) = spec("contacts.json") else { return };
    for row in OPERATIONS.iter().filter(|row| row.path.starts_with("/contacts")) {
        let name = format!("{} {}", row.method, row.path);
        let operation = &spec["paths"][row.path][row.method.to_lowercase()];
        let version = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|parameter| parameter["name"] == "Version")
            .unwrap();
        assert_eq!(
            (&version["required"], &version["schema"]["enum"]),
            (&json!(true), &json!(["2021-07-28"])),
            "{name}"
        );
        if let Some(security) = operation["security"].as_array() {
            assert!(security[0]["bearer"].as_array().unwrap().contains(&json!(row.scope)), "{name}");
        }
        assert!(operation["responses"].get(row.ok.to_string()).is_some(), "{name} should answer {}", row.ok);
        let body = named(&spec, &operation["requestBody"]["content"]["application/json"]["schema"]);
        assert_eq!(body.map(|(name, _)| name), row.shape.map(|shape| shape.name), "{name}");
        // The search body's schema is empty (G §6.6).
        let (Some((schema_name, schema)), Some(shape)) = (body, row.shape) else { continue };
        if schema_name == "SearchBodyV2DTO" {
            continue;
        }
        let properties = schema.get("properties").map(keys).unwrap_or_default();
        let ours: BTreeSet<String> = shape.keys.iter().map(|(key, ..)| (*key).to_owned()).collect();
        assert_eq!(ours, properties, "{schema_name}");
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let ours: BTreeSet<&str> = shape.keys.iter().filter(|(.., required)| *required).map(|(key, ..)| *key).collect();
        assert_eq!(ours, required, "{schema_name}");
    }
}

/// What live answers hold beyond the files (G §3.2, §6.1, §6.7, §6.20).
const LIVE: [&str; 10] = [
    "refreshTokenId",
    "additionalEmails",
    "contactName",
    "firstName",
    "lastName",
    "firstNameRaw",
    "lastNameRaw",
    "phone",
    "meta",
    "tagsAdded",
];

fn within(spec: &Value, schema: &Value, answer: &Value, at: &str) {
    let schema = named(spec, schema).map_or(schema, |(_, schema)| schema);
    match answer {
        Value::Object(object) => {
            let Some(properties) = schema.get("properties") else { return };
            for (key, value) in object {
                match properties.get(key) {
                    Some(inner) => within(spec, inner, value, &format!("{at}.{key}")),
                    None => assert!(LIVE.contains(&key.as_str()), "{at}.{key} is not in the description"),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| within(spec, &schema["items"], item, &format!("{at}[]"))),
        _ => {}
    }
}

#[tokio::test]
async fn answers_stay_within_their_schemas() {
    let Some(spec) = spec("contacts.json") else { return };
    let world = World::new().await;
    let location = world.ghl.location_id();
    let create = json!({
        "locationId": location, "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+1 212 555 0142",
        "gender": "female", "tags": ["VIP"], "dateOfBirth": "1990-09-25", "companyName": "Example Ltd", "address1": "12 Example St",
        "dndSettings": { "SMS": { "status": "active", "message": "m", "code": "1" } }, "inboundDndSettings": { "all": { "status": "active" } },
        "customFields": [{ "id": "MgobCB14YMVKuE4Ka8p1", "field_value": "gold" }], "timezone": "Europe/Paris", "website": "https://example.com",
    });
    let id = world.send("POST", "/contacts/", create.clone()).await.body["contact"]["id"].as_str().unwrap().to_owned();
    let task =
        json!({ "title": "t", "body": "b", "dueDate": "2026-09-08T02:30:00Z", "completed": false, "assignedTo": "u" });
    let task_id = world.ghl.add_task(&id, task.clone());
    let note = json!({ "body": "b", "userId": "u", "title": "t", "color": "#fff", "pinned": true });
    let note_id = world.ghl.add_note(&id, note.clone());
    world.ghl.add_appointment(
        &id,
        json!({ "title": "a", "startTime": "2026-09-16 11:00:00", "endTime": "2026-09-16 11:30:00" }),
    );
    world.ghl.edit_contact(&id, json!({ "businessId": "b1" }));
    for row in OPERATIONS.iter().filter(|row| row.path.starts_with("/contacts") && !row.path.ends_with("search")) {
        let mut path = row.path.replace("{contactId}", &id).replace("{taskId}", &task_id).replace("{id}", &note_id);
        path = path
            .replace("{businessId}", "b1")
            .replace("{type}", "add")
            .replace("{campaignId}", "c")
            .replace("{workflowId}", "w");
        if row.method == "GET" {
            path += &format!("?locationId={location}&email=ada%40example.com");
        }
        let body = match row.shape.map(|shape| shape.name) {
            None => None,
            Some("CreateContactDto") => {
                Some(json!({ "locationId": location, "email": "other@example.com", "tags": ["x"] }))
            }
            Some("UpsertContactDto") => Some(create.clone()),
            Some("UpdateContactDto") => Some(json!({ "city": "Springfield" })),
            Some("CreateTaskParams" | "UpdateTaskBody") => Some(task.clone()),
            Some("UpdateTaskStatusParams") => Some(json!({ "completed": true })),
            Some("NotesDTO" | "UpdateNoteDTO") => Some(note.clone()),
            Some("TagsDTO") => Some(json!({ "tags": ["new"] })),
            Some("FollowersDTO") => Some(json!({ "followers": ["u"] })),
            Some("UpdateTagsDTO") => Some(json!({ "contacts": [id], "tags": ["bulk"], "locationId": location })),
            Some("ContactsBusinessUpdate") => Some(json!({ "locationId": location, "ids": [id], "businessId": "b1" })),
            Some(_) => Some(json!({})),
        };
        // The one contact must outlive the rows after its deletion.
        if row.method == "DELETE" && row.path == "/contacts/{contactId}" {
            continue;
        }
        let reply = match body {
            Some(body) => world.send(row.method, &path, body).await,
            None => read(world.ghl(row.method, &path)).await,
        };
        assert_eq!(reply.status, row.ok, "{} {path}: {}", row.method, reply.body);
        let content = &spec["paths"][row.path][row.method.to_lowercase()]["responses"][row.ok.to_string()]["content"]["application/json"];
        within(&spec, &content["schema"], &reply.body, &format!("{} {}", row.method, row.path));
    }
    world.no_complaints();
}

#[tokio::test]
async fn the_apps_own_calls_are_as_described() {
    let Some(spec) = spec("oauth.json") else { return };
    let world = World::new().await;
    let home = world.ghl.location_id();
    let schema = |path: &str, method: &str| {
        spec["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"].clone()
    };
    let scopes = ["contacts.readonly", "oauth.readonly", "oauth.write"];
    let own = redeem(&world, &world.ghl.install_location(&home, &scopes)).await;
    let company = redeem(&world, &world.ghl.install_company(&[&home], true, &scopes)).await;
    for pair in [&own, &company] {
        within(&spec, &schema("/oauth/token", "post"), &pair.body, "token");
    }
    let token = company.body["access_token"].as_str().unwrap();
    let local = location_token(&world, token, &home).await;
    within(&spec, &schema("/oauth/locationToken", "post"), &local.body, "locationToken");
    let described = spec["paths"]["/oauth/installedLocations"]["get"]["parameters"].as_array().unwrap();
    let query: Vec<(&str, String)> = described
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| match parameter["name"].as_str().unwrap() {
            "companyId" => ("companyId", world.ghl.company_id()),
            "appId" => ("appId", world.ghl.app_id()),
            "locationId" => ("locationId", home.clone()),
            "versionId" => ("versionId", local.body["versionId"].as_str().unwrap().to_owned()),
            "planId" => ("planId", local.body["planId"].as_str().unwrap().to_owned()),
            "query" => ("query", "studio".to_owned()),
            "skip" => ("skip", "0".to_owned()),
            "limit" => ("limit", "10".to_owned()),
            "isInstalled" => ("isInstalled", "true".to_owned()),
            other => (other, "false".to_owned()),
        })
        .collect();
    let url = reqwest::Url::parse_with_params(&format!("{}/oauth/installedLocations", world.ghl.url()), query).unwrap();
    let listed = read(world.http.get(url).bearer_auth(token).header("version", "2021-07-28")).await;
    assert_eq!((listed.status, listed.body["locations"].as_array().map(Vec::len)), (200, Some(1)), "{}", listed.body);
    within(&spec, &schema("/oauth/installedLocations", "get"), &listed.body, "installedLocations");
    world.no_complaints();
}
