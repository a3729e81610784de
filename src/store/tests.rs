//! What cannot be seen from outside, or only by luck.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, Executor, Row, SqliteConnection};
use uuid::Uuid;

use super::inbox::{IncomingEvent, Subject};
use super::overview::Listing;
use super::{Error, Store, accept, activities, contacts, customers, deletions, overview};
use crate::model::{Facets, LocationId, Status};

/// It must not take longer the more contacts and customers there are.
#[tokio::test]
async fn what_is_asked_for_every_event_and_reconcile_is_found_by_an_index() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    let known = accept::KNOWN.about(64, store.db.dialect());
    let gone = activities::GONE.about(64, store.db.dialect());
    let elsewhere = activities::ELSEWHERE.about(64, store.db.dialect());
    for question in [
        known.as_str(),
        gone.as_str(),
        elsewhere.as_str(),
        activities::HOLDERS,
        activities::OF_CONTACT,
        overview::CONTACTS_OF_ID,
        Listing::All.page(false).as_str(),
        Listing::All.page(true).as_str(),
        Listing::Rare.page(false).as_str(),
        Listing::Rare.page(true).as_str(),
        Listing::Frequent.page(false).as_str(),
        Listing::Frequent.page(true).as_str(),
        Listing::end(false).as_str(),
        Listing::end(true).as_str(),
        overview::EVENTS,
        overview::EVENTS_END,
        contacts::DUE,
        contacts::LOAD,
        contacts::NEXT_DUE,
        contacts::REVIVE_CONFLICTS,
        customers::BY_EMAIL,
        customers::BY_ID,
        customers::BY_PHONE,
        customers::NEWER,
    ] {
        let plan = format!("EXPLAIN QUERY PLAN {question}");
        let steps = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(&store.db.read).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        assert!(steps.iter().any(|step| step.starts_with("SEARCH")), "{question}: {steps:?}");
        for step in steps {
            let table = ["activities", "contacts", "customers", "events"].iter().any(|table| step.contains(table));
            let whole = step.starts_with("SCAN") || step.ends_with("(location_id=?)");
            assert!(!(table && whole), "{question} reads a location whole: {step}");
        }
    }
}

/// What every look at the metrics counts.
#[tokio::test]
async fn contacts_are_counted_by_indexes_that_hold_no_others() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    for (question, index) in [(overview::QUEUED, "contacts_queued"), (overview::LOAD, "contacts_by_status")] {
        let plan = format!("EXPLAIN QUERY PLAN {question}");
        let steps = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(&store.db.read).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        assert!(steps.iter().any(|step| step.contains(&format!("COVERING INDEX {index}"))), "{question}: {steps:?}");
    }
}

/// A list by status is read from the index exactly if the index holds that status.
#[test]
fn a_list_uses_the_index_of_rare_statuses_where_it_can() {
    for status in Status::ALL {
        let held = !contacts::rare!().contains(&format!("'{}'", status.name()));
        assert_eq!(Listing::of(Some(status)) == Listing::Rare, held, "{status:?}");
    }
}

/// Each page goes through the log of the database, so it costs time with every event. An index that
/// holds ids of contacts changes at a random place: one more page for each event.
#[tokio::test]
async fn an_event_changes_few_pages() {
    const BATCH: usize = 64;
    const COUNTED: usize = 20;
    // A page and the head of its frame.
    const FRAME: u64 = 4096 + 24;
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    let location = "locationOfManyContacts".parse::<LocationId>().unwrap();
    store.connect(&location, "https://one.admin.trafft.com", Timestamp::UNIX_EPOCH).await.unwrap();
    let size = || folder.path().join("sync.db-wal").metadata().unwrap().len();
    let mut before = 0;
    // The first batches fill the indexes, so that neighbours no longer share a page.
    for batch in 0..100 {
        if batch == 100 - COUNTED {
            before = size();
        }
        let events: Vec<_> = (0..BATCH).map(|_| of_anybody(location.clone())).collect();
        store.accept_all(&events).await.unwrap().1.arrived().await.unwrap();
    }
    let pages = (size() - before) / FRAME;
    let events = (BATCH * COUNTED) as u64;
    assert!(pages > 0 && pages * 4 < events * 11, "{pages} pages for {events} events");
}

fn of_anybody(location: LocationId) -> IncomingEvent {
    let id = Uuid::new_v4().simple().to_string().parse().unwrap();
    let subject = Subject::Contact { id, facets: Facets::ALL, deleted: false, object: None };
    IncomingEvent { subject, ..IncomingEvent::rehearsal(location).unwrap() }
}

/// Among the writes of a year the DELETEs of an hour are found by their own index.
#[tokio::test]
async fn the_brake_reads_no_other_writes_than_deletes() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    let plan = format!("EXPLAIN QUERY PLAN {}", deletions::VANISHING);
    let steps = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(&store.db.read).await.unwrap();
    let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
    assert!(steps.iter().any(|step| step.contains("writes_of_deletes (location_id=? AND at>?)")), "{steps:?}");
}

#[tokio::test]
async fn a_write_that_was_given_up_keeps_no_lock_and_leaves_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}/sync.db", folder.path().display());
    let store = Store::open(&url, Default::default()).await.unwrap();
    let begin = async || {
        let mut tx = store.db.begin().await.unwrap();
        let insert = "INSERT INTO processes (id, heartbeat_at) VALUES ('given up', 0)";
        tx.execute(insert).await.unwrap();
        tx
    };
    // Nobody of ours writes after it.
    drop(begin().await);
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("PRAGMA busy_timeout = 1000; BEGIN IMMEDIATE; ROLLBACK").await.unwrap();
    // Somebody does, before anything else could happen.
    drop(begin().await);
    store.db.begin_first().await.unwrap().commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM processes").fetch_one(&store.db.read).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn who_works_a_removed_location_is_fenced_off_for_good() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    let location = "locationThatComesBack".parse::<LocationId>().unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let lease = Duration::from_mins(1);
    let candidates = [location.clone()];
    let mut epochs = Vec::new();
    for second in 0..3 {
        let now = now + Duration::from_secs(second);
        store.connect(&location, "https://one.admin.trafft.com", now).await.unwrap();
        let beat = store.beat("one", lease, &candidates, |_| true).await.unwrap();
        assert_eq!((beat.owned.len(), beat.share), (0, 1), "left alone");
        epochs.push(store.beat("one", lease, &candidates, |_| false).await.unwrap().owned[0].epoch);
        for former in &epochs[..epochs.len() - 1] {
            let late = store.customers_seen(&location, *former, 1).await;
            assert!(matches!(late, Err(Error::NotOwner)), "{former} of {epochs:?}: {late:?}");
        }
        store.customers_seen(&location, epochs[epochs.len() - 1], 1).await.unwrap();
        assert!(store.disconnect(&location).await.unwrap());
    }
}

#[tokio::test]
async fn who_is_silent_for_long_is_shown_as_working_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    let location: LocationId = "locationOfTheSilent".parse().unwrap();
    store.connect(&location, "https://one.admin.trafft.com", Timestamp::UNIX_EPOCH).await.unwrap();
    store.beat("silent", Duration::from_mins(1), std::slice::from_ref(&location), |_| false).await.unwrap();
    store.beat("other", Duration::from_mins(1), &[], |_| false).await.unwrap();
    let owner = async || store.connection(&location).await.unwrap().unwrap().owner;
    assert_eq!(owner().await.as_deref(), Some("silent"));
    let mut tx = store.db.begin().await.unwrap();
    tx.execute("UPDATE processes SET heartbeat_at = heartbeat_at - 301000 WHERE id = 'silent'").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(owner().await, None);
}
