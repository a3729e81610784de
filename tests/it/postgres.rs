//! What PostgreSQL, and what stands before it, can be like: it works, or says at the start what to
//! do; and webhooks are answered 429 within seconds for as long as nothing can be stored.

#![expect(clippy::disallowed_methods, reason = "tests wait for processes and databases")]

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AnyConnection, Connection, Executor, Row};

use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::relay::Relay;
use crate::support::{Answer, World};
use crate::upgrade::migrated;

/// How long HighLevel waits for an answer is not published (G §8.6); this would be too long.
const SOON: Duration = Duration::from_secs(8);

async fn deliver(world: &World) -> Answer {
    world.tell(world.event(json!({ "id": uuid::Uuid::new_v4().simple().to_string() }))).await
}

async fn is_put_off(world: &World, why: &str) {
    let began = Instant::now();
    let answer = deliver(world).await;
    assert_eq!(answer.code, 429, "{why}: {}", answer.json);
    assert!(began.elapsed() < SOON, "{why}: {:?}", began.elapsed());
    let began = Instant::now();
    let ready = world.get("/readyz").await;
    assert_eq!(ready.code, 503, "{why}: {}", ready.json);
    assert!(began.elapsed() < SOON, "{why}: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_noticed_and_so_is_the_primary_after_it() {
    let Some(database) = Database::postgres() else { return };
    let world = World::with(&[("DATABASE_URL", database.url())]).await;
    world.is_well().await;
    // What leads there now stays read-only for as long as it is connected.
    database.set("default_transaction_read_only = on");
    database.end_sessions();
    is_put_off(&world, "a standby").await;
    let ready = world.get("/readyz").await;
    assert!(ready.detail().contains("primary"), "{}", ready.json);
    database.set("default_transaction_read_only = off");
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_goes_away_is_not_waited_for_and_found_again() {
    let Some(database) = Database::postgres() else { return };
    let relay = Relay::to(database.server()).await;
    let world = World::with(&[("DATABASE_URL", &database.through(&relay.address.to_string()))]).await;
    world.is_well().await;
    relay.carry(false);
    let knock = async |wait| {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let began = Instant::now();
        let answer = world.signed(world.event(json!({}))).await;
        assert_eq!(answer.code, 429, "{}", answer.json);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    };
    // The first, one behind it in the queue, and one that comes when the first is given up.
    tokio::join!(knock(0), knock(1500), knock(5200));
    is_put_off(&world, "no network").await;
    relay.carry(true);
    // What was in the middle of something gives up as well, and then waits a moment by this clock.
    let moving = async {
        loop {
            world.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = world.is_well() => {}
        () = moving => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_kept_is_not_acknowledged() {
    let Some(database) = Database::postgres() else { return };
    // Row security is not for superusers, and this role is none.
    database.set("role = pg_database_owner");
    database.set("default_transaction_isolation = serializable");
    let world = World::with(&[("DATABASE_URL", database.url()), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.is_well().await;
    let swallow = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";
    database.execute(swallow).await;
    for (why, harm, mend) in [
        (
            "a trigger on events",
            "CREATE TRIGGER harm BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION swallow()",
            "DROP TRIGGER harm ON events",
        ),
        (
            "a trigger on contacts",
            "CREATE TRIGGER harm BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION swallow()",
            "DROP TRIGGER harm ON contacts",
        ),
        (
            "row security",
            "ALTER TABLE events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "ALTER TABLE events DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
        ),
    ] {
        if why == "row security" {
            database.execute("CREATE POLICY write_only ON events FOR INSERT WITH CHECK (true)").await;
        }
        database.execute(harm).await;
        is_put_off(&world, why).await;
        database.execute(mend).await;
        world.is_well().await;
    }
    let mut other = AnyConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN; LOCK TABLE events").await.unwrap();
    is_put_off(&world, "a lock").await;
    other.execute("ROLLBACK").await.unwrap();
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_create_works_on_a_schema_that_is_up_to_date() {
    let Some(database) = Database::postgres() else { return };
    let mut world = World::with(&[("DATABASE_URL", database.url())]).await;
    world.stop().await;
    // A role that every server has: what it is granted here goes with the database.
    database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    database.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO pg_monitor").await;
    database.set("role = pg_monitor");
    world.start().await;
    world.is_well().await;
    world.stop().await;
    database.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)").await;
    let why = world.refusal().await;
    assert!(why.contains("the role that owns the tables") && why.contains("DATABASE_URL"), "{why}");
}

#[tokio::test]
async fn a_database_that_lacks_letters_is_refused_at_the_start() {
    let Some(database) = Database::postgres_with("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0") else { return };
    let world = World::stopped(&[("DATABASE_URL", database.url())]).await;
    let why = world.refusal().await;
    for part in ["LATIN1", "UTF8", "template0", "DATABASE_URL"] {
        assert!(why.contains(part), "no `{part}` in: {why}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_with_how_to_make_it() {
    let Some(database) = Database::postgres() else { return };
    let world = World::stopped(&[("DATABASE_URL", &format!("{}_not_there", database.url()))]).await;
    let why = world.refusal().await;
    for part in ["has no such database", "CREATE DATABASE", "DATABASE_URL"] {
        assert!(why.contains(part), "no `{part}` in: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_that_start_in_the_same_second_all_run_and_one_that_waits_for_the_schema_stops_at_once() {
    let Some(database) = Database::postgres() else { return };
    let world = World::stopped(&[("DATABASE_URL", database.url())]).await;
    let mut settings = world.settings();
    let pair = |number: usize| {
        format!(
            "[[connection]]\nghl_location_id = \"location{number:012}\"\nghl_access_token = \"pit-{number}\"\n\
             trafft_api_url = \"http://127.1.{}.{}:9\"\ntrafft_client_id = \"id\"\ntrafft_client_secret = \"secret\"\n",
            number / 250,
            number % 250 + 1
        )
    };
    let path = world.path("connections.toml");
    std::fs::write(&path, (0..1_000).map(pair).collect::<String>()).unwrap();
    for name in ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"] {
        settings.remove(name);
    }
    settings.insert("CONNECTIONS_FILE".to_owned(), path);
    let mut processes: Vec<_> = (0..3).map(|_| Process::start(settings.clone())).collect();
    for process in &processes {
        process.ready(&world.http).await;
    }
    processes.iter_mut().for_each(|process| assert_eq!(process.stop(), Some(0)));

    sqlx::any::install_default_drivers();
    let mut other = AnyConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN; LOCK TABLE _sqlx_migrations").await.unwrap();
    let mut process = Process::start(settings);
    // Not in the transaction: there the statistics stand still.
    let mut watch = AnyConnection::connect(database.url()).await.unwrap();
    let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
    while watch.fetch_one(waiting).await.unwrap().get::<i64, _>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    assert_eq!(process.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_every_session_is_serializable_forty_at_once_are_each_written_once() {
    let Some(database) = Database::postgres() else { return };
    database.set("default_transaction_isolation = serializable");
    let world = World::with(&[("DATABASE_URL", database.url()), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let people = (0..40).map(|number| json!({ "firstName": "Ada", "email": format!("ada{number}@example.com") }));
    people.for_each(|person| drop(world.sandbox.ghl.create_contact(person)));
    let events = world.sandbox.ghl.take_events();
    // Twice each, as HighLevel repeats what was answered late.
    let answers =
        futures_util::future::join_all(events.iter().chain(&events).map(|event| world.deliver_now(event))).await;
    assert!(answers.iter().all(|answer| answer.code == 200), "{answers:?}");
    world.drain().await;
    assert_eq!((world.sandbox.trafft.customers().len(), world.sandbox.trafft.journal().writes()), (40, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_take_longer_than_a_statement_and_wait_longer_than_for_a_lock() {
    let Some(database) = Database::postgres() else { return };
    let last = sqlx::migrate!().migrations.last().unwrap().version;
    let mut other = migrated(database.url(), last - 1).await;
    // What the migration's own session may.
    other
        .execute(
            "CREATE TABLE limits (statement TEXT, waiting TEXT);
            CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO limits VALUES (current_setting('statement_timeout'), current_setting('lock_timeout'));
            END $$;
            CREATE EVENT TRIGGER told ON ddl_command_start EXECUTE FUNCTION told()",
        )
        .await
        .unwrap();
    // Longer than the role's sessions may, and than ours wait for a lock.
    database.set("statement_timeout = '1s'");
    other.execute("BEGIN; LOCK TABLE _sqlx_migrations IN SHARE MODE").await.unwrap();
    let mut world = World::stopped(&[("DATABASE_URL", database.url())]).await;
    let held = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        other.execute("ROLLBACK").await.unwrap();
    };
    tokio::join!(world.start(), held);
    world.is_well().await;
    let limits: Vec<(String, String)> =
        sqlx::query_as("SELECT DISTINCT statement, waiting FROM limits").fetch_all(&mut other).await.unwrap();
    assert_eq!(limits, [("0".to_owned(), "0".to_owned())], "of the migration, and of nothing after it");
}
