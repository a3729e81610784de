//! A process that has lost its locations writes nothing any more, however long its calls have
//! waited.

use std::time::Duration;

use sandbox::{Fault, Matcher};
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use crate::stopping::{Stage, done};
use crate::support::database::Database;
use crate::support::relay::Relay;

/// A create waits behind two slow calls while its process loses the database; another process takes
/// over, and creates the customer; then the first has the database again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_waits_for_its_turn_while_another_process_takes_over_is_not_sent() {
    let Some(database) = Database::postgres() else { return };
    let relay = Relay::to(database.server()).await;
    let through = database.through(&relay.address.to_string());
    let settings = [
        ("DATABASE_URL", through.as_str()),
        ("LEASE_SECONDS", "3"),
        ("SETTLE_SECONDS", "6"),
        ("SYNC_INLINE_DEADLINE_MS", "0"),
    ];
    let mut stage = Stage::set(&settings).await;
    let first = stage.process().await;
    let trafft = stage.sandbox.trafft.clone();
    for name in ["Blaise", "Emmy"] {
        assert_eq!(stage.contact(&first, name).await, done("queued"));
        stage.customer(name).await;
    }
    let edited = stage.sandbox.ghl.contact_ids();
    stage.settings.insert("DATABASE_URL".to_owned(), database.url().to_owned());
    let _second = stage.process().await;

    // Ada's look at Trafft's newest customers has one of the two places; the next two calls are
    // before her create.
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    trafft.faults().push(Matcher::new("GET", "/api/v2/customers"), Fault::Slow { ms: 1_500 });
    trafft.faults().push(Matcher::new("PATCH", "/api/v2/customers").times(2), Fault::Slow { ms: 25_000 });
    assert_eq!(stage.contact(&first, "Ada").await, done("queued"));
    while trafft.faults().unspent() == 3 {
        moment.tick().await;
    }
    for contact in &edited {
        stage.sandbox.ghl.edit_contact(contact, json!({ "lastName": "Edited" }));
    }
    for event in stage.sandbox.ghl.take_events() {
        assert_eq!(stage.deliver(&first, &event.body).await.map(|(code, _)| code), Some(200));
    }
    sqlx::any::install_default_drivers();
    let mut watch = AnyConnection::connect(database.url()).await.unwrap();
    let intends = "SELECT COUNT(*) FROM contacts WHERE intent_id IS NOT NULL";
    while sqlx::query_scalar::<_, i64>(intends).fetch_one(&mut watch).await.unwrap() == 0 {
        moment.tick().await;
    }
    relay.carry(false);
    stage.customer("Ada").await;
    // The first process has the database again, and its heartbeats succeed, before its turn comes.
    relay.carry(true);
    assert!(!is_over(&stage), "the first process still waits for its turn");
    while !is_over(&stage) {
        moment.tick().await;
    }
    // What would leave now, leaves at once.
    for _ in 0..100 {
        moment.tick().await;
    }
    let created = |entry: &&sandbox::Entry| entry.method == "POST" && entry.path == "/api/v2/customers";
    let created = trafft.journal().entries().iter().filter(created).count();
    assert_eq!((created, trafft.customers().len()), (3, 3), "{:?}", trafft.customers());
}

/// Have both slow calls of the first process been answered?
fn is_over(stage: &Stage) -> bool {
    let entries = stage.sandbox.trafft.journal().entries();
    entries.iter().filter(|entry| entry.method == "PATCH").all(|entry| entry.status != 0)
}
