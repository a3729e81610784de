//! What is much is written in parts: a webhook waits behind one of them at most, and none of them
//! takes long.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::World;

/// The world's database, from outside.
async fn database(world: &World) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", world.path("sync.db"))).await.unwrap()
}

async fn number(database: &mut SqliteConnection, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(database).await.unwrap()
}

#[tokio::test]
async fn a_contact_with_many_notes_is_mirrored_in_parts() {
    let world = World::on_sqlite(&[]).await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let notes: Vec<_> =
        (0..700).map(|n| world.sandbox.ghl.add_note(&contact, json!({ "body": format!("note {n}") }))).collect();
    let mut database = database(&world).await;
    // Each transaction that changes a contact or its mirror first holds the location's epoch.
    let triggers = "CREATE TABLE parts (part INTEGER PRIMARY KEY, rows INTEGER NOT NULL DEFAULT 0);
        CREATE TRIGGER begins AFTER UPDATE ON connections BEGIN INSERT INTO parts (rows) VALUES (0); END;
        CREATE TRIGGER comes AFTER INSERT ON activities BEGIN
            UPDATE parts SET rows = rows + 1 WHERE part = (SELECT MAX(part) FROM parts); END;
        CREATE TRIGGER goes AFTER UPDATE ON activities BEGIN
            UPDATE parts SET rows = rows + 1 WHERE part = (SELECT MAX(part) FROM parts); END;";
    database.execute(triggers).await.unwrap();
    world.sandbox.ghl.take_events();
    let event = json!({ "type": "NoteCreate", "id": notes[0], "contactId": contact });
    assert_eq!(world.tell(world.event(event.clone())).await.status(), "synced");
    let (most, all) = ("SELECT MAX(rows) FROM parts", "SELECT SUM(rows) FROM parts");
    assert_eq!(number(&mut database, "SELECT COUNT(*) FROM activities WHERE gone_at IS NULL").await, 700);
    assert_eq!((number(&mut database, most).await, number(&mut database, all).await), (256, 700));
    for note in &notes {
        world.sandbox.ghl.delete_note(&contact, note);
    }
    world.sandbox.ghl.take_events();
    assert_eq!(world.tell(world.event(event)).await.status(), "synced");
    assert_eq!(number(&mut database, "SELECT COUNT(*) FROM activities WHERE gone_at IS NULL").await, 0);
    assert_eq!((number(&mut database, most).await, number(&mut database, all).await), (256, 1400));
}

#[tokio::test]
async fn a_search_page_that_is_empty_by_mistake_marks_everybody_in_parts() {
    let world = World::on_sqlite(&[("SWEEP_IDS_HOURS", "1")]).await;
    let mut database = database(&world).await;
    let location = world.sandbox.ghl.location_id();
    let contacts = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
        INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
            appointments_wanted, contact_read, lane, status, marked_at)
        SELECT '{location}', 'contact' || n, 1, 1, 0, 0, 0, 1, 1, 'unchanged', 0 FROM n;
        CREATE TABLE parts (rows INTEGER);
        CREATE TRIGGER ends AFTER UPDATE ON sweeps WHEN NEW.kind = 'ids' AND NEW.found > OLD.found BEGIN
            INSERT INTO parts VALUES (NEW.found - OLD.found); END;"
    );
    database.execute(sqlx::AssertSqlSafe(contacts)).await.unwrap();
    world.advance(Duration::from_mins(61));
    let told = "SELECT COALESCE(SUM(rows), 0) FROM parts";
    let mut moment = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..3000 {
        if number(&mut database, told).await >= 1000 {
            break;
        }
        moment.tick().await;
    }
    assert_eq!(number(&mut database, told).await, 1000);
    assert_eq!(number(&mut database, "SELECT MAX(rows) FROM parts").await, 200);
    assert_eq!(number(&mut database, "SELECT COUNT(DISTINCT contact_id) FROM findings").await, 1000);
}
