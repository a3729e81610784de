//! What a reconcile asks must not take longer the more contacts and customers there are.

use sqlx::Row;

use super::{Store, activities, contacts, customers};

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
