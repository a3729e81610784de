//! PgBouncer between the service and PostgreSQL: in session mode it works, and in the others the
//! service says at the start what to change.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::World;
use crate::support::database::Database;
use crate::support::pooler::Pooler;

/// What sqlx names when it connects, and PgBouncer does not know.
const KNOWN: &str = "ignore_startup_parameters = extra_float_digits";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_cannot_work_is_refused_at_the_start_with_what_to_change() {
    let Some(database) = Database::postgres() else { return };
    let settings = [
        ("pool_mode = session", &["DATABASE_URL", KNOWN, "unsupported startup parameter"][..]),
        (&format!("pool_mode = transaction\n{KNOWN}"), &["DATABASE_URL", "pool_mode = session"]),
        (&format!("pool_mode = transaction\ndefault_pool_size = 1\n{KNOWN}"), &["DATABASE_URL", "pool_mode = session"]),
        (&format!("pool_mode = statement\n{KNOWN}"), &["DATABASE_URL", "pool_mode = session"]),
        (&format!("pool_mode = session\ndefault_pool_size = 1\n{KNOWN}"), &["needs up to 12", "default_pool_size"]),
    ];
    for (settings, words) in settings {
        let pooler = Pooler::before(&database, settings).await;
        // Several at once, as a fleet starts: none waits for another one's lock. With a single
        // connection they wait for that.
        let several = if settings.contains("default_pool_size = 1") { 1 } else { 4 };
        let address = database.through(pooler.address());
        let began = Instant::now();
        let refused = join_all((0..several).map(|_| async {
            let world = World::stopped(&[("DATABASE_URL", &address)]).await;
            world.refusal().await
        }));
        for why in refused.await {
            for word in words {
                assert!(why.contains(word), "{settings}: no `{word}` in: {why}");
            }
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{settings}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_works_and_is_found_again_after_it_was_away() {
    let Some(database) = Database::postgres() else { return };
    let mut pooler = Pooler::before(&database, &format!("pool_mode = session\n{KNOWN}")).await;
    let world = World::with(&[("DATABASE_URL", &database.through(pooler.address()))]).await;
    world.is_well().await;
    pooler.kill();
    let began = Instant::now();
    assert_eq!(world.tell(world.event(json!({}))).await.code, 429);
    assert_eq!(world.get("/readyz").await.code, 503);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    pooler.start().await;
    world.is_well().await;
}
