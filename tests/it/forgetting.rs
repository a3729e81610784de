//! What goes when its time is over, and what goes because a person must be forgotten.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};

use crate::support::World;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Every table, written out.
async fn everything(world: &World) -> String {
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", world.path("sync.db"))).await.unwrap();
    let mut all = String::new();
    let tables =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlx%' AND name NOT LIKE 'sqlite%'";
    for table in sqlx::query(tables).fetch_all(&mut database).await.unwrap() {
        let name: String = table.get(0);
        let columns = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{name}')")));
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
    // Nobody is connected at that location yet: its event waits, however long.
    let parked = world.tell(world.event(json!({ "locationId": "otherLocation0000001" }))).await;
    assert_eq!(parked.status(), "parked", "{}", parked.json);
    world.rest(9 * DAY).await;
    assert_eq!(world.stored().await.len(), 2);
    world.rest(2 * DAY).await;
    until_pruned(&world, 1).await;
    assert_eq!(world.stored().await[0]["status"], "parked");
    let shown = world.get(&format!("/api/v1/contacts/{contact}")).await.json;
    assert_eq!(shown["writes"].as_array().map(Vec::len), Some(1), "writes are kept longer");
    world.rest(10 * DAY).await;
    while world.get(&format!("/api/v1/contacts/{contact}")).await.json["writes"] != json!([]) {
        world.advance(HOUR);
    }
    assert_eq!(world.contact(&contact).await["status"], "synced", "the contact itself stays");
}

/// Pruning goes on beside the work, once an hour: hours pass until it has been done.
async fn until_pruned(world: &World, left: usize) {
    while world.stored().await.len() > left {
        world.advance(HOUR);
    }
}
