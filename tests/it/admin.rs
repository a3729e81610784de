//! What an operator sees and does: events, contacts, the timeline.

use std::collections::BTreeSet;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::{ADMIN, Answer, World};

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

fn ids(answer: &Answer, list: &str, id: &str) -> Vec<String> {
    let rows = answer.json[list].as_array().unwrap_or_else(|| panic!("no {list}: {}", answer.json));
    rows.iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
}

/// Every row, page by page, by the cursor.
async fn rows(world: &World, path: &str, list: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            world.get(&format!("{path}{}limit={limit}{cursor}", if path.contains('?') { '&' } else { '?' })).await;
        assert_eq!(page.code, 200, "{}", page.json);
        let rows = page.json[list].as_array().unwrap();
        assert!(rows.len() <= limit, "{} rows", rows.len());
        all.extend(rows.iter().cloned());
        match page.json["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn pages(world: &World, path: &str, list: &str, id: &str, limit: usize) -> Vec<String> {
    let rows = rows(world, path, list, limit).await;
    rows.iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_admin_api_asks_for_its_token() {
    let mut world = World::new().await;
    let contact = world.synced(ada()).await;
    let paths = [
        (Method::GET, "/api/v1/events".to_owned()),
        (Method::GET, "/api/v1/contacts".to_owned()),
        (Method::GET, format!("/api/v1/contacts/{contact}")),
        (Method::GET, format!("/api/v1/contacts/{contact}/timeline")),
        (Method::POST, format!("/api/v1/contacts/{contact}/sync")),
        (Method::POST, format!("/api/v1/contacts/{contact}/unlink")),
        (Method::POST, "/api/v1/events/x/replay".to_owned()),
    ];
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer wrong".to_owned()),
        Some(format!("Bearer {ADMIN}x")),
        Some(format!("Bearer {}", &ADMIN[1..])),
        Some(ADMIN.to_owned()),
        Some(format!("Basic {ADMIN}")),
    ];
    // Each from another address: who is wrong too often from one is told to wait.
    let mut asked = 0;
    let mut ask = async |world: &World, method: &Method, path: &str, credential: &Option<String>| {
        asked += 1;
        let from = format!("192.0.2.{asked}");
        let mut request = world.http.request(method.clone(), world.url(path)).header("x-forwarded-for", from);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for (method, path) in &paths {
        for credential in &wrong {
            let (code, said) = ask(&world, method, path, credential).await;
            assert_eq!(code, 401, "{method} {path} {credential:?}: {said}");
            assert!(said.contains("ADMIN_TOKEN") && !said.contains(ADMIN) && !said.contains("ada@"), "{said}");
        }
    }
    assert_eq!(world.get("/api/v1/events").await.code, 200);
    // The scheme has no case (RFC 9110 §11.1).
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let credential = Some(format!("{scheme} {ADMIN}"));
        assert_eq!(ask(&world, &Method::GET, "/api/v1/events", &credential).await.0, 200, "{scheme}");
    }
    world.stop().await;
    world.set("ADMIN_TOKEN", "");
    world.start().await;
    for (method, path) in &paths {
        let (code, said) = ask(&world, method, path, &Some(format!("Bearer {ADMIN}"))).await;
        assert_eq!(code, 403, "{method} {path}: {said}");
        assert!(said.contains("set `ADMIN_TOKEN`"), "{said}");
    }
}

#[tokio::test]
async fn events_are_listed_newest_first_and_filtered() {
    let world = World::new().await;
    let (ada, bob) =
        (world.synced(ada()).await, world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await);
    world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
    world.deliver_all().await;
    world.tell(world.event(json!({ "type": "INSTALL" }))).await;
    world.tell(world.event(json!({ "locationId": "anotherLocation00001" }))).await;
    let all = ids(&world.get("/api/v1/events").await, "events", "id");
    assert_eq!(all.len(), 5);
    for (filter, rows) in [
        ("", vec![0, 1, 2, 3, 4]),
        (&format!("contact_id={ada}"), vec![2, 4]),
        (&format!("contact_id={bob}"), vec![3]),
        (&format!("contact_id={ada}&type=ContactUpdate"), vec![2]),
        ("type=ContactCreate", vec![3, 4]),
        ("type=Nonsense", vec![]),
        ("status=synced", vec![2, 3, 4]),
        ("status=ignored", vec![1]),
        ("status=parked", vec![0]),
        ("status=failed", vec![]),
        ("location_id=anotherLocation00001", vec![0]),
        ("location_id=ve9EPM428h8vShlRW1KT", vec![1, 2, 3, 4]),
        ("contact_id=%27%20OR%201=1%20--", vec![]),
    ] {
        let want: Vec<_> = rows.into_iter().map(|row: usize| all[row].clone()).collect();
        assert_eq!(ids(&world.get(&format!("/api/v1/events?{filter}")).await, "events", "id"), want, "{filter}");
    }
    assert!(!world.get("/api/v1/events").await.json.to_string().contains("ada@example.com"), "bodies are not listed");
}

#[tokio::test]
async fn paging_by_cursor_meets_everything_once() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let mut made = BTreeSet::new();
    for n in 0..23 {
        made.insert(
            world.sandbox.ghl.create_contact(json!({ "firstName": "N", "email": format!("n{n}@example.com") })),
        );
    }
    world.deliver_all().await;
    world.drain().await;
    for limit in [1, 5, 23, 24, 200] {
        let events = pages(&world, "/api/v1/events", "events", "id", limit).await;
        assert_eq!(events.len(), 23, "by {limit}");
        assert!(events.is_sorted_by(|newer, older| newer > older), "by {limit}: newest first");
        let contacts = pages(&world, "/api/v1/contacts", "contacts", "contact_id", limit).await;
        assert!(contacts.is_sorted_by(|one, next| one < next), "by {limit}");
        assert_eq!(contacts.into_iter().collect::<BTreeSet<_>>(), made, "by {limit}");
        assert_eq!(pages(&world, "/api/v1/contacts?status=synced", "contacts", "contact_id", limit).await.len(), 23);
        assert_eq!(pages(&world, "/api/v1/contacts?status=failed", "contacts", "contact_id", limit).await.len(), 0);
    }
    // What arrives between two pages is newer than both, and moves nothing.
    let first = world.get("/api/v1/events?limit=10").await;
    world.tell(world.event(json!({ "type": "INSTALL" }))).await;
    let second = world.get(&format!("/api/v1/events?limit=200&cursor={}", first.json["next"].as_str().unwrap())).await;
    assert_eq!(ids(&second, "events", "id").len(), 13);
}

#[tokio::test]
async fn paging_meets_a_contact_id_of_two_locations_twice() {
    let mut world = World::app(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let locations = ["locationEast00000001", "locationWest00000001"];
    world.install_agency(&locations).await;
    for location in locations {
        let trafft = world.sandbox.add_trafft().await.unwrap();
        assert_eq!(world.enter(location, &trafft, json!({})).await.code, 200);
    }
    world.idle().await;
    world.sandbox.ghl.seed_contacts(locations[0], 3, true);
    let mut told = BTreeSet::new();
    for event in world.sandbox.ghl.take_events() {
        for location in locations {
            let mut body = event.json();
            (body["locationId"], body["webhookId"]) = (json!(location), json!(uuid::Uuid::new_v4().to_string()));
            assert_eq!(world.tell(body.to_string()).await.code, 200);
            told.insert((location.to_owned(), body["id"].as_str().unwrap().to_owned()));
        }
    }
    world.drain().await;
    let ids = |row: &Value| ["location_id", "contact_id"].map(|key| row[key].as_str().unwrap().to_owned());
    for limit in [1, 2, 5, 6, 200] {
        let met = rows(&world, "/api/v1/contacts", "contacts", limit).await;
        assert_eq!(met.len(), told.len(), "by {limit}");
        assert_eq!(met.iter().map(ids).map(|[one, two]| (one, two)).collect::<BTreeSet<_>>(), told, "by {limit}");
        for (location, contact) in &told {
            let of = rows(&world, &format!("/api/v1/contacts?contact_id={contact}"), "contacts", limit).await;
            assert_eq!(of.len(), 2, "{of:?}");
            let of = format!("/api/v1/contacts?contact_id={contact}&location_id={location}");
            assert_eq!(rows(&world, &of, "contacts", limit).await.len(), 1);
            let of = format!("/api/v1/contacts?location_id={location}");
            assert_eq!(rows(&world, &of, "contacts", limit).await.len(), 3);
        }
    }
    let (_, contact) = told.first().unwrap();
    let which = world.get(&format!("/api/v1/contacts/{contact}")).await;
    assert!(which.code == 409 && which.json["parameter"] == "location_id", "{}", which.json);
}

/// So many events and contacts, beside the service; the oldest event and the last contact are the
/// only ones of their kind.
const MANY: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
    INSERT INTO events (id, location_id, source, type, facets, received_at, body, status)
    SELECT '00000000-' || CAST(100000 + i AS TEXT), 've9EPM428h8vShlRW1KT', 'operator',
        CASE WHEN i = 1 THEN 'Oldest' ELSE 'Rehearsal' END, 0, 0, '', 'ignored' FROM n";
const MANY_CONTACTS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
    INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
        appointments_wanted, lane, status, marked_at)
    SELECT 've9EPM428h8vShlRW1KT', 'c' || CAST(100000 + i AS TEXT), 1, 0, 0, 0, 0, 0,
        CASE i WHEN 10500 THEN 'failed' WHEN 10499 THEN 'unchanged' ELSE 'skipped' END, 0 FROM n";

#[tokio::test]
async fn a_filter_looks_at_a_bounded_number_of_rows_a_page_and_goes_on() {
    let world = World::new().await;
    let ada = world.synced(ada()).await;
    for statement in [MANY, MANY_CONTACTS] {
        world.sql(statement).await;
    }
    for (path, list, all) in [
        ("/api/v1/events?type=Oldest", "events", 10_501),
        ("/api/v1/contacts?status=failed", "contacts", 10_501),
        ("/api/v1/contacts?status=failed&location_id=ve9EPM428h8vShlRW1KT", "contacts", 10_501),
        ("/api/v1/contacts?status=unchanged", "contacts", 10_501),
        ("/api/v1/contacts?status=unchanged&location_id=ve9EPM428h8vShlRW1KT", "contacts", 10_501),
    ] {
        let first = world.get(path).await.json;
        // Contacts have an index for rare statuses. Others are looked through, so many a page, and
        // these are further away.
        let is_near = path.contains("status=failed");
        assert_eq!((first[list] != json!([]), first["next"].is_null()), (is_near, is_near), "{path}: {first}");
        assert_eq!(rows(&world, path, list, 50).await.len(), 1, "{path}");
        let path = path.split(['?']).next().unwrap();
        assert_eq!(rows(&world, path, list, 200).await.len(), all, "{path}");
    }
    assert_eq!(rows(&world, "/api/v1/events?type=Nonsense", "events", 50).await.len(), 0);
    // On the command line the first page that holds anything is shown.
    let mut settings = world.settings();
    settings.insert("SERVICE_URL".to_owned(), world.url(""));
    let said = run(&settings, &["events", "list", "--type", "Oldest"]).await;
    assert_eq!((said.code, said.json()["events"].as_array().map(Vec::len)), (0, Some(1)), "{said:?}");
    // One contact is found wherever it stands.
    let of = world.get("/api/v1/contacts?contact_id=c110499").await;
    assert_eq!(of.json["contacts"].as_array().unwrap().len(), 1, "{}", of.json);
    assert_eq!(world.contact(&ada).await["status"], "synced");
}

#[tokio::test]
async fn a_replay_reads_and_writes_again_what_is_needed() {
    let world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    let first = world.deliver_all().await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    let _lost = world.sandbox.ghl.take_events();
    world.advance(std::time::Duration::from_secs(1));
    let replay = format!("/api/v1/events/{}/replay", first.event());
    let answer = world.admin(Method::POST, &replay, None).await;
    assert_eq!(
        (answer.code.as_u16(), answer.status(), answer.event()),
        (200, "synced", first.event()),
        "{}",
        answer.json
    );
    assert_eq!(
        (world.customer_of(&contact).await.id, world.customer_of(&contact).await.last_name.as_str()),
        (customer, "Byron")
    );
    world.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.admin(Method::POST, &replay, None).await.status(), "unchanged", "as often as one likes");
    // What has no contact stays what it was.
    let ignored = world.tell(world.event(json!({ "type": "INSTALL" }))).await;
    let answer = world.admin(Method::POST, &format!("/api/v1/events/{}/replay", ignored.event()), None).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{}", answer.json);
    assert_eq!(world.stored().await.len(), 2, "a replay is no new event");
}

#[tokio::test]
async fn a_failed_event_can_be_replayed_when_its_cause_is_mended() {
    let world = World::new().await;
    let no = r#"{"message":"The first name sounds odd."}"#.to_owned();
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::StatusWithBody(422, no));
    let contact = world.sandbox.ghl.create_contact(ada());
    let answer = world.deliver_all().await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "failed"), "{}", answer.json);
    assert!(answer.reason().contains("sounds odd") && answer.reason().contains("replay"), "{}", answer.reason());
    assert_eq!(ids(&world.get("/api/v1/contacts?status=failed").await, "contacts", "contact_id"), [contact.as_str()]);
    world.advance(std::time::Duration::from_secs(1));
    let answer = world.admin(Method::POST, &format!("/api/v1/events/{}/replay", answer.event()), None).await;
    assert_eq!(answer.status(), "synced", "{}", answer.json);
    assert_eq!(ids(&world.get("/api/v1/contacts?status=failed").await, "contacts", "contact_id"), Vec::<String>::new());
}

#[tokio::test]
async fn a_contact_that_no_event_has_named_can_be_synced() {
    let world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    let _lost = world.sandbox.ghl.take_events();
    assert_eq!(world.get(&format!("/api/v1/contacts/{contact}")).await.code, 404);
    let answer = world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "synced"), "{}", answer.json);
    assert_eq!(world.customer_of(&contact).await.first_name, "Ada");
    let event = &world.stored().await[0];
    assert_eq!(
        (&event["source"], &event["type"], &event["contact_id"]),
        (&json!("operator"), &json!("Sync"), &json!(contact))
    );
    let shown = world.get(&format!("/api/v1/contacts/{contact}")).await.json;
    assert_eq!((&shown["contact"]["status"], &shown["writes"][0]["action"]), (&json!("synced"), &json!("create")));
    let nobody = world.admin(Method::POST, "/api/v1/contacts/nmFmQEsNgz6AVpgLVUJ0/sync", None).await;
    assert_eq!((nobody.code.as_u16(), nobody.status()), (200, "queued"), "{}", nobody.json);
    world.drain().await;
    assert_eq!(world.contact("nmFmQEsNgz6AVpgLVUJ0").await["status"], "skipped");
}

#[tokio::test]
async fn the_timeline_has_everything_latest_first_and_keeps_what_is_gone() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let call = ghl.add_task(&contact, json!({ "title": "Call back", "body": "about <b>it</b>", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false }));
    world.deliver_all().await;
    let note = ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    let done = ghl.add_task(
        &contact,
        json!({ "title": "Send offer", "dueDate": "2026-08-01T09:00:00.000Z", "completed": false }),
    );
    world.deliver_all().await;
    let visit = ghl.add_appointment(&contact, json!({ "title": "Massage", "startTime": "2026-09-16 11:00:00", "endTime": "2026-09-16 11:30:00", "appointmentStatus": "confirmed" }));
    world.deliver_all().await;
    ghl.complete_task(&contact, &done);
    ghl.delete_note(&contact, &note);
    world.deliver_all().await;
    let timeline = world.get(&format!("/api/v1/contacts/{contact}/timeline")).await;
    assert_eq!((timeline.code.as_u16(), &timeline.json["contact_id"]), (200, &json!(contact)));
    assert_eq!(timeline.json["trafft_customer_id"], world.customer_of(&contact).await.id);
    let entries = timeline.json["entries"].as_array().unwrap();
    let entry = |id: &str| entries.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("no {id}"));
    assert_eq!(entries.len(), 4);
    let show = |id: &str| {
        let entry = entry(id);
        (entry["kind"].clone(), entry["title"].clone(), entry["text"].clone(), entry["status"].clone())
    };
    assert_eq!(show(&call), (json!("task"), json!("Call back"), json!("about <b>it</b>"), json!("open")));
    assert_eq!(show(&done), (json!("task"), json!("Send offer"), Value::Null, json!("completed")));
    assert_eq!(show(&note), (json!("note"), Value::Null, json!("Prefers mornings"), Value::Null));
    let (kind, title, _, status) = show(&visit);
    assert_eq!((kind, title, status), (json!("appointment"), json!("Massage"), json!("confirmed")));
    assert_eq!(entry(&call)["at"], "2026-09-08T14:30:00Z");
    assert!(entry(&note)["gone_at"].is_string() && entry(&call)["gone_at"].is_null());
    let at = |id: &str| entries.iter().position(|entry| entry["id"] == id).unwrap();
    assert!(at(&call) < at(&note) && at(&note) < at(&done), "the latest first: {entries:#?}");
    let times: Vec<jiff::Timestamp> =
        entries.iter().map(|entry| entry["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
}
