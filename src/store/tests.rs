//! What cannot be seen from outside, or only by luck.

use sqlx::{Connection, Executor, Row, SqliteConnection};

use super::{Store, activities, contacts, customers};

/// It must not take longer the more contacts and customers there are.
#[tokio::test]
async fn what_every_reconcile_asks_is_found_by_an_index() {
    let folder = tempfile::TempDir::new().unwrap();
    let store =
        Store::open(&format!("sqlite://{}/sync.db", folder.path().display()), Default::default()).await.unwrap();
    for question in [
        activities::OF_CONTACT,
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
