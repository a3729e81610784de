//! Databases as earlier versions left them: they open, converge, and only what was wrong is
//! written.

use std::borrow::Cow;

use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Connection};

use crate::support::World;

/// The last migration of the first version that was published.
const PUBLISHED: i64 = 6;

/// A new database brought to the state of one migration.
pub async fn migrated(url: &str, step: i64) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let all = sqlx::migrate!();
    let earlier = all.migrations.iter().filter(|migration| migration.version <= step).cloned().collect::<Vec<_>>();
    let earlier = Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT };
    let mut database = AnyConnection::connect(&url.replace(".db", ".db?mode=rwc")).await.unwrap();
    earlier.run(&mut database).await.unwrap();
    database
}

/// The same, filled as that version would have left it.
async fn filled(world: &World, step: i64, contacts: &[(String, i64)], gone: &str) {
    let mut database = migrated(&world.settings()["DATABASE_URL"], step).await;
    let (location, now) = (world.sandbox.ghl.location_id(), world.clock.now().as_millisecond());
    let account = world.sandbox.trafft.url();
    let rows =
        "INSERT INTO connections (location_id, trafft_account, customers_seen, created_at) VALUES ($1, $2, 1000, $3)";
    sqlx::query(rows).bind(&location).bind(&account).bind(now).execute(&mut database).await.unwrap();
    for (contact, customer) in contacts {
        let row = "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, status, marked_at,
                settled_at, customer_id, created_by_us, fields)
            VALUES ($1, $2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 'synced', $3, $3, $4, 1, $5)";
        let read = world.sandbox.ghl.contact(contact).unwrap();
        let query = sqlx::query(row).bind(&location).bind(contact).bind(now).bind(customer).bind(read.to_string());
        query.execute(&mut database).await.unwrap();
        let row =
            "INSERT INTO customers (location_id, customer_id, first_name, last_name, email, phone_number, email_key,
                phone_key, seen_at)
            VALUES ($1, $2, $3, $4, $5, $6, $5, $6, $7)";
        let text = |key: &str| read[key].as_str().unwrap_or_default().to_owned();
        let query = sqlx::query(row).bind(&location).bind(customer).bind(text("firstName")).bind(text("lastName"));
        let query = query.bind(text("email")).bind(text("phone")).bind(now);
        query.execute(&mut database).await.unwrap();
    }
    let row = "INSERT INTO activities (location_id, facet, object_id, contact_id, object, first_seen, changed_at)
        VALUES ($1, 'tasks', 'task1', $2, $3, $4, $4)";
    let task = json!({ "id": "task1", "title": "Call", "completed": false }).to_string();
    sqlx::query(row).bind(&location).bind(&contacts[0].0).bind(task).bind(now).execute(&mut database).await.unwrap();
    let row = "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
            appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, status, marked_at, settled_at,
            due_at, missing_since)
        VALUES ($1, $2, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 'queued', $3, $3, $3, $3)";
    sqlx::query(row).bind(&location).bind(gone).bind(now).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_in_these_words() {
    let mut world = World::new().await;
    world.stop().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    world.sql(newer).await;
    let why = world.refusal().await;
    for part in ["made by a newer version", "9999", "start that version again", "backup"] {
        assert!(why.contains(part), "no `{part}` in: {why}");
    }
}

fn person(number: usize) -> Value {
    json!({
        "firstName": format!("Ada {number}"), "lastName": "Example", "email": format!("ada{number}@example.com"),
        "phone": format!("+1415555{:04}", 100 + number),
    })
}

#[tokio::test]
async fn a_database_of_each_earlier_state_opens_and_converges() {
    for step in 1..=PUBLISHED {
        let mut world = World::stopped(&[("SWEEP_IDS_HOURS", "24"), ("SWEEP_CUSTOMERS_HOURS", "24")]).await;
        let mut contacts = Vec::new();
        for number in 0..4 {
            let contact = world.sandbox.ghl.create_contact(person(number));
            let person = person(number);
            let customer = world.sandbox.trafft.staff_create(json!({
                "first_name": person["firstName"], "last_name": person["lastName"], "email": person["email"],
                "phone": person["phone"],
            }));
            contacts.push((contact, customer));
        }
        let gone = world.sandbox.ghl.create_contact(json!({ "firstName": "Gone", "email": "gone@example.com" }));
        world.sandbox.ghl.delete_contact(&gone);
        world.sandbox.ghl.take_events();
        filled(&world, step, &contacts, &gone).await;
        world.start().await;
        world.drain().await;
        let shown = |what: &str| format!("step {step}: {what}");
        assert_ne!(
            world.contact(&gone).await["gone_at"],
            Value::Null,
            "{}",
            shown("a deletion that was half believed")
        );
        for (number, (contact, customer)) in contacts.iter().enumerate() {
            let now = world.customer_of(contact).await;
            assert_eq!(
                (now.id, now.first_name.as_str()),
                (*customer, &*format!("Ada {number}")),
                "{}",
                shown("linked")
            );
        }
        assert_eq!(world.sandbox.trafft.customers().len(), 4, "{}", shown("nobody is created or deleted"));
        world.forget_calls();
        world.sandbox.ghl.edit_contact(&contacts[0].0, json!({ "lastName": "Byron" }));
        assert_eq!(world.deliver_all().await.status(), "synced", "{}", shown("it goes on as ever"));
        let edited = world.customer_of(&contacts[0].0).await;
        assert_eq!(edited.last_name, "Byron", "{}", shown("edited"));
        assert!(edited.description.unwrap_or_default().contains("Call"), "{}", shown("what the mirror held is there"));
        assert_eq!(world.sandbox.trafft.journal().writes(), 1, "{}", shown("one edit, one write"));
        world.restart().await;
        world.drain().await;
        assert_eq!(world.sandbox.trafft.journal().writes(), 1, "{}", shown("a second start writes nothing"));
    }
}
