//! How a location stands whatever its vendors answer: one message with the fix, the same by API,
//! page, metric and `doctor`; and it is gone by itself once it is well.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::command::run;
use crate::support::standing::{come, counted, erase, metrics, rows, stands, states, works, world};

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// How often it says that.
    fn tells(&self, what: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(what).count()
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tokens_that_are_lost() {
    let world = world(&[]).await;
    world.sandbox.ghl.lose_tokens(&world.sandbox.ghl.location_id());
    world.advance(Duration::from_mins(10));
    come(&world, 1).await;
    stands(&world, "tokens_lost").await;
    world.rest(Duration::from_hours(2)).await;
    stands(&world, "tokens_lost").await;
    world.install().await;
    world.drain().await;
    works(&world).await;
}

#[tokio::test]
async fn tokens_that_are_lost_with_nothing_left_to_do() {
    let world = world(&[]).await;
    world.sandbox.ghl.lose_tokens(&world.sandbox.ghl.location_id());
    world.advance(Duration::from_mins(10));
    let waits = come(&world, 1).await.remove(0);
    stands(&world, "tokens_lost").await;
    erase(&world, &waits).await;
    world.install().await;
    world.drain().await;
    assert_ne!(states(&world).await[0]["state"], "tokens_lost");
}

/// The secret was renewed at HighLevel, and not here: not the token is what has to be mended.
#[tokio::test]
async fn a_wrong_client_secret() {
    let mut world = world(&[]).await;
    world.stop().await;
    world.set("GHL_CLIENT_SECRET", "another-secret");
    world.advance(Duration::from_hours(25));
    world.start().await;
    come(&world, 1).await;
    stands(&world, "ghl_refused").await;
    let told = &states(&world).await[0];
    assert!(told["fix"].as_str().unwrap().contains("`GHL_CLIENT_SECRET`"), "{told}");
    world.stop().await;
    world.set("GHL_CLIENT_SECRET", &world.sandbox.ghl.client_secret());
    world.start().await;
    world.drain().await;
    works(&world).await;
}

#[tokio::test]
async fn a_wrong_app_id() {
    let mut world = world(&[]).await;
    world.stop().await;
    // The app's own events have come; they would prove the id.
    world.sql("DELETE FROM apps").await;
    world.set("GHL_APP_ID", "anotherApp0000000001");
    world.start().await;
    works(&world).await;
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    assert_eq!(world.deliver_all().await.code, 429);
    stands(&world, "other_app_refused").await;
    let refusals = metrics(&world).await;
    assert!(refusals.contains(r#"webhook_refusals_total{source="marketplace",reason="another_app"} 1"#), "{refusals}");
    world.set("GHL_APP_ID", "");
    world.restart().await;
    works(&world).await;
}

#[tokio::test]
async fn other_apps_events_that_stopped_say_nothing_any_more() {
    let world = world(&[("GHL_APP_ID", "anotherApp0000000001")]).await;
    let tell = async || {
        world
            .sandbox
            .ghl
            .create_contact(json!({ "firstName": "Ada", "email": format!("{}@example.com", uuid::Uuid::new_v4()) }));
        world.deliver_all().await.code
    };
    assert_eq!(tell().await, 429);
    let since = states(&world).await[0]["since"].clone();
    for _ in 0..3 {
        world.rest(Duration::from_hours(20)).await;
        assert_eq!(tell().await, 429);
        stands(&world, "other_app_refused").await;
        assert_eq!(states(&world).await[0]["since"], since);
    }
    world.rest(Duration::from_hours(25)).await;
    works(&world).await;
    assert_eq!(tell().await, 429);
    stands(&world, "other_app_refused").await;
    assert_ne!(states(&world).await[0]["since"], since);
    // The setting is right after all: an event of that app comes.
    let own = world.event(json!({ "type": "ContactUpdate", "appId": "anotherApp0000000001" }));
    assert_eq!(world.tell(own).await.code, 200);
    world.drain().await;
    works(&world).await;
}

#[tokio::test]
async fn events_that_do_not_come_any_more() {
    let log = Log::default();
    let writer = log.clone();
    let logging = tracing::Dispatch::new(
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || writer.clone()).finish(),
    );
    // While there is only one, tracing asks whoever comes first to a line whether it is wanted, and
    // other tests do not want it.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&logging);
    let world = world(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    let ghl = &world.sandbox.ghl;
    let contact = come(&world, 1).await.remove(0);
    world.rest(Duration::from_hours(5)).await;
    let change = |name: &str| ghl.edit_contact(&contact, json!({ "firstName": name }));
    for name in ["a", "b", "c", "d"] {
        works(&world).await;
        change(name);
        // HighLevel has switched the events off: nobody is told.
        ghl.take_events();
        world.rest(Duration::from_hours(1)).await;
    }
    stands(&world, "events_paused").await;
    world.rest(Duration::from_hours(20)).await;
    stands(&world, "events_paused").await;
    assert_eq!((log.tells("no event has come since"), log.tells("events come again")), (1, 0));
    // Somebody has switched them on again.
    change("f");
    world.deliver_all().await;
    world.rest(Duration::from_mins(20)).await;
    works(&world).await;
    assert_eq!((log.tells("no event has come since"), log.tells("events come again")), (1, 1));
}

#[tokio::test]
async fn deletions_that_are_held() {
    let world = world(&[]).await;
    let contacts = come(&world, 20).await;
    world.drain().await;
    contacts[..8].iter().for_each(|contact| world.sandbox.ghl.delete_contact(contact));
    world.deliver_all().await;
    world.rest(Duration::from_mins(10)).await;
    stands(&world, "deletions_held").await;
    let path = format!("/connections/{}/confirm-deletions", world.sandbox.ghl.location_id());
    assert_eq!(Browser::signed_in(&world).await.submit(&path, &[]).await.code, 303);
    world.drain().await;
    works(&world).await;
}

#[tokio::test]
async fn a_location_that_rests_waits_or_is_gone_is_told_and_nothing_fails() {
    let world = World::app(&[]).await;
    let location = world.sandbox.ghl.location_id();
    world.install().await;
    let first = async || states(&world).await[0].clone();
    assert_eq!(
        (counted(&world).await, &first().await["state"]),
        (vec!["no_trafft_account".to_owned()], &json!("no_trafft_account"))
    );
    world.enter(&location, &world.sandbox.trafft, json!({})).await;
    world.idle().await;
    works(&world).await;
    let verb = async |verb: &str| {
        world.admin(Method::POST, &format!("/api/v1/connections/{location}/{verb}"), None).await.json
    };
    let paused = verb("pause").await;
    assert_eq!((&paused["states"][0]["state"], paused["states"][0]["since"].is_string()), (&json!("paused"), true));
    let said = run(&world.settings(), &["doctor"]).await;
    assert!(said.code == 0 && said.out.contains("note  ") && said.out.contains("state `paused`"), "{said:?}");
    world.advance(Duration::from_hours(1));
    assert_eq!(verb("pause").await["states"][0]["since"], paused["states"][0]["since"], "it was paused before");
    verb("resume").await;
    world.idle().await;
    works(&world).await;
    world.sandbox.ghl.uninstall_location(&location);
    world.deliver_all().await;
    assert_eq!(first().await["state"], "uninstalled");
    let said = run(&world.settings(), &["doctor"]).await;
    assert!(said.code == 0 && said.out.contains("state `uninstalled`"), "{said:?}");
}

#[tokio::test]
async fn the_table_has_every_state() {
    let text = metrics(&World::new().await).await;
    let counted = text.lines().filter_map(|line| line.strip_prefix("ghl_trafft_sync_connections{state=\""));
    let mut counted: Vec<_> = counted.map(|line| line.split('"').next().unwrap().to_owned()).collect();
    let mut told: Vec<_> = rows().into_iter().map(|[state, ..]| state).collect();
    counted.sort();
    told.sort();
    assert_eq!(told, counted);
}
