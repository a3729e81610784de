//! What goes when its time is over, and what goes because a person must be forgotten.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::json;
use sqlx::{AnyConnection, Connection, Row};

use crate::support::World;
use crate::support::standing::erase;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Every table, written out.
async fn everything(world: &World) -> String {
    let url = world.settings()["DATABASE_URL"].clone();
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(&url).await.unwrap();
    let mut all = String::new();
    let (tables, columns) = if url.starts_with("postgres") {
        (
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'
                AND table_name NOT LIKE '%sqlx%'",
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_name = '{}'",
        )
    } else {
        (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlx%' AND name NOT LIKE 'sqlite%'",
            "SELECT name FROM pragma_table_info('{}')",
        )
    };
    for table in sqlx::query(tables).fetch_all(&mut database).await.unwrap() {
        let name: String = table.get(0);
        let columns = sqlx::query(sqlx::AssertSqlSafe(columns.replace("{}", &name)));
        for column in columns.fetch_all(&mut database).await.unwrap() {
            let column: String = column.get(0);
            let values = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT CAST({column} AS TEXT) FROM {name}")));
            let values: Vec<Option<String>> = values.fetch_all(&mut database).await.unwrap();
            all.extend(values.into_iter().flatten().map(|value| format!("{name}.{column}: {value}\n")));
        }
    }
    all
}

#[tokio::test]
async fn nothing_is_left_of_a_person_that_was_forgotten() {
    let world = World::on_sqlite(&[("SWEEP_CUSTOMERS_HOURS", "1"), ("DELETE_POLICY", "delete-created")]).await;
    let person =
        json!({ "firstName": "Zebulon", "lastName": "Quux", "email": "zeb@example.com", "phone": "+12125550142" });
    let contact = world.synced(person).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "likes xylophones" }));
    world.sandbox.ghl.add_task(&contact, json!({ "title": "Call Zebulon" }));
    world.deliver_all().await;
    let words = ["Zebulon", "Quux", "zeb@example.com", "+12125550142", "xylophones", contact.as_str()];
    let before = everything(&world).await;
    assert!(words.iter().all(|word| before.contains(word)), "the search finds what is there");

    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.drain().await;
    let path = format!("/api/v1/contacts/{contact}");
    assert_eq!(world.admin(Method::DELETE, &path, None).await.code, 204);
    assert_eq!(world.admin(Method::DELETE, &path, None).await.code, 404, "it is gone");
    let left = everything(&world).await;
    for word in words {
        let lines: Vec<_> = left.lines().filter(|line| line.contains(word)).collect();
        assert!(lines.is_empty(), "{word}: {lines:?}");
    }
    world.is_well().await;
}

/// A task's event that does not name its contact (G §8.5, #332), and events of a location that is
/// not connected.
#[tokio::test]
async fn events_that_name_a_person_only_in_their_text_keep_nothing_either() {
    let mut world = World::on_sqlite(&[]).await;
    world.forgiving = true;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let searches = Matcher::new("POST", "/locations/").times(10_000);
    world.sandbox.ghl.faults().push(searches, Fault::Status(500));
    for rests in [true, false] {
        let task = world.sandbox.ghl.add_task(&contact, json!({ "title": "Call" }));
        world.sandbox.ghl.take_events();
        let thin = json!({ "type": "TaskCreate", "id": task, "title": "Call Zebulon" });
        assert_eq!(world.tell(world.event(thin)).await.status(), "unresolved");
        if rests {
            world.rest(DAY).await;
            // As a version before this one kept what it had given up on.
            world.sql("UPDATE events SET body = 'Call Zebulon' WHERE status = 'unresolved'").await;
        }
        // Another event of the contact brings the task.
        world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
        world.idle().await;
    }
    let stranger =
        json!({ "locationId": "otherLocation0000001", "id": "contactOfNobody00001", "firstName": "Zebulon" });
    assert_eq!(world.tell(world.event(stranger)).await.status(), "parked");
    erase(&world, &contact).await;
    let path = "/api/v1/contacts/contactOfNobody00001?location_id=otherLocation0000001";
    assert_eq!(world.admin(Method::DELETE, path, None).await.code, 204);
    assert_eq!(world.admin(Method::DELETE, path, None).await.code, 404);
    let left = everything(&world).await;
    let lines: Vec<_> = left.lines().filter(|line| line.contains("Zebulon")).collect();
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn what_is_in_flight_brings_nothing_of_an_erased_contact_back() {
    let world = World::new().await;
    let (ghl, trafft) = (&world.sandbox.ghl, &world.sandbox.trafft);
    for (number, (vendor, method, path, notes)) in [
        ("GoHighLevel", "GET", "/contacts/{}", 0),
        ("GoHighLevel", "GET", "/contacts/{}/notes", 1),
        // Its mirror is written in parts.
        ("GoHighLevel", "GET", "/contacts/{}/notes", 300),
        ("Trafft", "PATCH", "/api/v2/customers", 1),
        ("Trafft", "POST", "/api/v2/customers", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{vendor}, {method} {path}, {notes} notes");
        let (before, name, email) =
            (trafft.customers().len(), format!("Zebulon{number}"), format!("zeb{number}@example.com"));
        let person = json!({ "firstName": name, "lastName": "Quux", "email": email });
        let contact = match method {
            "POST" => ghl.create_contact(person),
            _ => world.synced(person).await,
        };
        let note = format!("likes xylophones {number}");
        (0..notes).for_each(|_| drop(ghl.add_note(&contact, json!({ "body": note }))));
        if notes == 0 && method == "GET" {
            ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
        }
        world.pass().await;
        let event = ghl.take_events().pop().unwrap();
        let faults = if vendor == "Trafft" { trafft.faults() } else { ghl.faults() };
        faults.push(Matcher::new(method, &path.replace("{}", &contact)), Fault::Slow { ms: 5_000 });
        let writes = trafft.journal().writes();
        let erased = async {
            while faults.unspent() > 0 {
                tokio::task::yield_now().await;
            }
            let gone = world.admin(Method::DELETE, &format!("/api/v1/contacts/{contact}"), None).await;
            world.advance(Duration::from_secs(5));
            gone.code
        };
        let (answer, code) = tokio::join!(world.deliver_now(&event), erased);
        assert_eq!((answer.code.as_u16(), code.as_u16()), (200, 204), "{case}: {}", answer.json);
        world.drain().await;
        let left = everything(&world).await;
        // What Trafft shows stays in the index.
        let left: Vec<_> = left.lines().filter(|line| !line.starts_with("customers.")).collect();
        for word in [name.as_str(), "Byron", email.as_str(), note.as_str(), contact.as_str()] {
            let with: Vec<_> = left.iter().filter(|line| line.contains(word)).collect();
            assert!(with.is_empty(), "{case}: {word} in {with:#?}");
        }
        let sent = trafft.journal().writes() - writes;
        assert_eq!(sent, usize::from(vendor == "Trafft"), "{case}: what was not on its way does not leave any more");
        // It may come back by itself, and is nobody's double.
        ghl.edit_contact(&contact, json!({ "lastName": "Quux", "phone": format!("+1212555014{number}") }));
        assert_eq!(world.deliver_all().await.status(), "synced", "{case}");
        assert_eq!(trafft.customers().len(), before + 1, "{case}");
    }
}

/// A person who is erased while a page of a backfill that holds them is on its way.
#[tokio::test]
async fn a_page_of_a_backfill_brings_no_erased_contact_back() {
    let world = World::new().await;
    let ghl = &world.sandbox.ghl;
    let contact = ghl.create_contact(json!({ "firstName": "Zebulon", "email": "zeb@example.com" }));
    ghl.seed_contacts(&ghl.location_id(), 3, false);
    let faults = ghl.faults();
    faults.push(Matcher::new("POST", "/contacts/search"), Fault::DoneThenSlow { ms: 5_000 });
    world.admin(Method::POST, "/api/v1/sweeps/backfill", None).await;
    while faults.unspent() > 0 {
        tokio::task::yield_now().await;
    }
    ghl.delete_contact(&contact);
    ghl.take_events();
    assert_eq!(world.admin(Method::DELETE, &format!("/api/v1/contacts/{contact}"), None).await.code, 404);
    world.advance(Duration::from_secs(5));
    world.rest(Duration::from_hours(1)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 3, "the others are taken over");
    let left = everything(&world).await;
    assert!(!left.contains("Zebulon") && !left.contains("zeb@"), "{left}");
}

#[tokio::test]
async fn a_forgotten_contact_that_comes_back_finds_its_customer() {
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })).await;
    world.admin(Method::DELETE, &format!("/api/v1/contacts/{contact}"), None).await;
    world.sandbox.ghl.edit_contact(&contact, json!({ "phone": "+12125550142" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.sandbox.trafft.customers().len(), 1, "nobody is doubled by being forgotten");
    assert_eq!(world.customer_of(&contact).await.phone_number.as_deref(), Some("+12125550142"));
}

#[tokio::test]
async fn what_was_kept_long_enough_goes_and_what_is_still_needed_stays() {
    let world = World::with(&[("KEEP_EVENTS_DAYS", "10"), ("KEEP_WRITES_DAYS", "20")]).await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    // Nobody is connected at that location yet: its event waits.
    let parked = world.tell(world.event(json!({ "locationId": "otherLocation0000001" }))).await;
    assert_eq!(parked.status(), "parked", "{}", parked.json);
    world.rest(9 * DAY).await;
    assert_eq!(world.stored().await.len(), 2);
    world.rest(2 * DAY).await;
    until_pruned(&world, 0).await;
    let shown = world.get(&format!("/api/v1/contacts/{contact}")).await.json;
    assert_eq!(shown["writes"].as_array().map(Vec::len), Some(1), "writes are kept longer");
    world.rest(10 * DAY).await;
    while world.get(&format!("/api/v1/contacts/{contact}")).await.json["writes"] != json!([]) {
        world.advance(HOUR);
    }
    assert_eq!(world.contact(&contact).await["status"], "synced", "the contact itself stays");
}

#[tokio::test]
async fn an_event_that_waits_for_too_long_goes_and_its_contact_is_synced_all_the_same() {
    let world = World::with(&[("KEEP_EVENTS_DAYS", "1")]).await;
    let slower = Fault::TooManyRequests { retry_after: Some(86_400) };
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers").times(2), slower);
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    assert_eq!(world.deliver_all().await.status(), "queued");
    world.rest(23 * HOUR).await;
    assert_eq!(world.stored().await.len(), 1);
    world.rest(2 * HOUR).await;
    assert_eq!(world.contact(&contact).await["status"], "queued");
    until_pruned(&world, 0).await;
    world.rest(2 * DAY).await;
    assert_eq!(world.customer_of(&contact).await.first_name, "Ada");
}

#[tokio::test]
async fn ignored_events_keep_no_body_and_strangers_are_not_parked() {
    let mut world = World::with(&[]).await;
    let stranger = json!({ "locationId": "otherLocation0000001", "email": "zeb@example.com" });
    assert_eq!(world.tell(world.event(stranger.clone())).await.status(), "parked", "our own app is installed there");
    world.set("GHL_APP_ID", "");
    world.restart().await;
    // HighLevel signs for every app: this may be anybody's.
    let answer = world.tell(world.event(stranger.clone())).await;
    assert_eq!(answer.status(), "ignored");
    assert!(answer.reason().contains("GHL_APP_ID"), "{}", answer.reason());
    let odd = json!({ "type": "ContactTalkedAbout", "email": "zeb@example.com" });
    assert_eq!(world.tell(world.event(odd)).await.status(), "ignored");
    let kept = everything(&world).await.lines().filter(|line| line.contains("zeb@example.com")).count();
    assert_eq!(kept, 1, "that of the parked event alone");
    // An install there says that it is awaited.
    world
        .sql(
            "INSERT INTO installs (kind, id, status, installed_at) VALUES ('location', 'otherLocation0000001', 'active', 0)",
        )
        .await;
    assert_eq!(world.tell(world.event(stranger)).await.status(), "parked");
}

#[tokio::test]
async fn of_one_location_only_so_many_events_are_parked() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO events (id, location_id, source, type, contact_id, facets, received_at, body, status)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 50002)
            SELECT '0' || (100000 + n), 'otherLocation0000001', 'marketplace', 'ContactUpdate', 'c' || n, 1,
                1788256800000, '', 'parked' FROM numbers",
        )
        .await;
    world.rest(HOUR).await;
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(&world.settings()["DATABASE_URL"]).await.unwrap();
    let mut oldest = String::new();
    while oldest != "0100003" {
        world.advance(HOUR);
        oldest = sqlx::query_scalar("SELECT MIN(id) FROM events").fetch_one(&mut database).await.unwrap();
    }
}

/// Pruning goes on beside the work, once an hour: hours pass until it has been done.
async fn until_pruned(world: &World, left: usize) {
    for _ in 0..10_000 {
        if world.stored().await.len() <= left {
            return;
        }
        world.advance(HOUR);
    }
    panic!("{} are still there", world.stored().await.len());
}
