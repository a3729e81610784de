//! Tokens end, get lost, and come back: one refresh whoever asks, and no person needed.

use std::time::Duration;

use ghl_trafft_sync::clients::ghl::{AppSettings, Ghl, GhlSettings, OAuth};
use ghl_trafft_sync::clients::{CallCounts, Http, Timeouts};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::connect::Grants;
use ghl_trafft_sync::model::{Installer, LocationId};
use ghl_trafft_sync::store::{Keys, Pair, Store};
use sandbox::{Class, Fault, Matcher};
use serde_json::json;

use crate::support::database::Database;
use crate::support::installed::SCOPES;
use crate::support::process::Process;
use crate::support::{ADMIN, SEALING, World};

const DAY: Duration = Duration::from_hours(24);

/// Calls to the token endpoints and to reconnect.
fn token_calls(world: &World) -> usize {
    world.sandbox.ghl.journal().entries().iter().filter(|entry| entry.class == Class::Token).count()
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_when_it_is_refused() {
    let world = World::installed(&[]).await;
    let location = world.sandbox.ghl.location_id();
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    world.forget_calls();
    world.advance(DAY - Duration::from_mins(3));
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    assert_eq!((world.sandbox.ghl.refreshes(), token_calls(&world)), (1, 1), "in time: nothing was refused");
    world.sandbox.ghl.expire_access_tokens();
    world.advance(Duration::from_mins(10));
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    assert_eq!((world.sandbox.ghl.refreshes(), world.sandbox.ghl.refresh_reuses()), (2, 0));
}

#[tokio::test]
async fn a_missing_scope_is_no_reason_to_refresh() {
    let world = World::app(&[]).await;
    let location = world.sandbox.ghl.location_id();
    let code = world.sandbox.ghl.install_location(&location, &["locations.readonly"]);
    let mut browser = crate::support::browser::Browser::signed_in(&world).await;
    browser.submit("/oauth/callback", &[("code", &code)]).await;
    world.enter(&location, &world.sandbox.trafft, json!({})).await;
    world.idle().await;
    let answer = world.contact_in(&location).await;
    assert_eq!(answer.status(), "queued");
    assert!(answer.reason().contains("`contacts.readonly`"), "{}", answer.reason());
    assert_eq!(world.sandbox.ghl.refreshes(), 0);
    let page = browser.open(&format!("/connections/{location}")).await;
    assert!(page.text.contains("Not granted") && page.text.contains("contacts.readonly"), "{}", page.text);
    world.sandbox.ghl.forgive();
}

/// The pair is rotated at GHL, and the answer does not come, or only in part: the same is asked
/// once more, and is enough.
#[tokio::test]
async fn a_pair_whose_answer_was_lost_is_asked_for_once_more() {
    let mut world = World::installed(&[]).await;
    let (ghl, location) = (world.sandbox.ghl.clone(), world.sandbox.ghl.location_id());
    for (round, fault) in [Fault::DoneThenDropped, Fault::CutShort, Fault::DoneThenStatus(502)].into_iter().enumerate()
    {
        world.advance(DAY);
        world.forget_calls();
        ghl.faults().push(Matcher::new("POST", "/oauth/token"), fault.clone());
        assert_eq!(world.contact_in(&location).await.status(), "synced", "{fault:?}");
        assert_eq!((token_calls(&world), ghl.refresh_repeats()), (2, round + 1), "{fault:?}");
    }
    world.restart().await;
    world.advance(DAY);
    assert_eq!(world.contact_in(&location).await.status(), "synced", "the new pair was kept");
    assert_eq!(ghl.refresh_reuses(), 0);
    // Lost for longer than that, it is lost: a person is told what to do.
    world.advance(DAY);
    ghl.faults().push(Matcher::new("POST", "/oauth/token").times(2), Fault::DoneThenDropped);
    assert_eq!(world.contact_in(&location).await.status(), "queued");
    world.advance(Duration::from_secs(31));
    world.rest(Duration::from_mins(1)).await;
    let shown = world.get(&format!("/api/v1/connections/{location}")).await.json;
    assert_eq!(shown["install"], "lost");
    assert_eq!(shown["states"][0]["state"], "tokens_lost", "{shown}");
    assert!(shown["states"][0]["fix"].to_string().contains("/oauth/install"), "{shown}");
}

/// The account takes a new version of the app: the scopes that it brought are known at once.
#[tokio::test]
async fn an_update_of_the_app_makes_its_scopes_be_looked_at_anew() {
    let world = World::app(&[]).await;
    let (ghl, location) = (world.sandbox.ghl.clone(), world.sandbox.ghl.location_id());
    let code = ghl.install_location(&location, &["contacts.readonly"]);
    crate::support::browser::Browser::signed_in(&world).await.submit("/oauth/callback", &[("code", &code)]).await;
    world.enter(&location, &world.sandbox.trafft, json!({})).await;
    world.idle().await;
    ghl.take_events();
    let lacks = async |scope: &str| {
        let shown = world.get(&format!("/api/v1/connections/{location}")).await.json;
        assert!(shown["scopes"].to_string().contains("contacts.readonly"), "{shown}");
        !shown["scopes"].to_string().contains(scope)
    };
    assert!(lacks("locations/tasks.readonly").await);
    ghl.take_update(&location, &["contacts.readonly", "locations.readonly", "locations/tasks.readonly"]);
    assert_eq!(world.deliver_all().await.status(), "applied");
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    assert!(!lacks("locations/tasks.readonly").await && lacks("locations/customFields.readonly").await);
    assert_eq!(ghl.refreshes(), 1);
}

/// A graceful stop while a token is renewed, nothing else being worked: the pair is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_in_flight_is_awaited_at_a_stop() {
    let mut world = World::installed(&[]).await;
    let (ghl, location) = (world.sandbox.ghl.clone(), world.sandbox.ghl.location_id());
    ghl.set_same_pair(false);
    world.stop().await;
    world.advance(DAY);
    // Its customers are not indexed when the stop comes, so no owner waits for anything.
    world.sandbox.trafft.faults().push(Matcher::any().times(1000), Fault::Status(503));
    world.start_idle().await;
    world.forget_calls();
    ghl.faults().push(Matcher::new("POST", "/oauth/token"), Fault::Slow { ms: 1000 });
    let test = format!("/api/v1/connections/{location}/test");
    let asking = tokio::spawn(world.http.post(world.url(&test)).bearer_auth(ADMIN).send());
    let mut moment = tokio::time::interval(Duration::from_millis(5));
    while token_calls(&world) == 0 {
        moment.tick().await;
    }
    // Whoever asked loses interest, and the stop begins; only then the answer comes.
    asking.abort();
    let clock = world.sandbox.clock.clone();
    {
        let mut stopping = std::pin::pin!(world.stop());
        for _ in 0..20 {
            assert!(futures_util::poll!(stopping.as_mut()).is_pending(), "it did not wait");
            moment.tick().await;
        }
        clock.advance_ms(1000);
        stopping.await;
    }
    world.sandbox.trafft.faults().clear();
    world.start().await;
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    world.advance(DAY);
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    assert_eq!((ghl.refreshes(), ghl.refresh_reuses()), (2, 0));
}

#[tokio::test]
async fn lost_tokens_come_back_by_reconnect_and_else_by_a_person() {
    let world = World::installed(&[]).await;
    let location = world.sandbox.ghl.location_id();
    // Where that has not been removed.
    world.sandbox.ghl.set_reconnect(true);
    world.sandbox.ghl.lose_tokens(&location);
    world.advance(Duration::from_mins(10));
    assert_eq!(world.contact_in(&location).await.status(), "synced");
    assert_eq!(world.sandbox.ghl.reconnects(), 1);
    world.sandbox.ghl.set_reconnect(false);
    world.sandbox.ghl.lose_tokens(&location);
    world.advance(Duration::from_mins(10));
    let answer = world.contact_in(&location).await;
    assert_eq!(answer.status(), "queued");
    assert!(answer.reason().contains("/oauth/install"), "{}", answer.reason());
    assert_eq!(world.install_of(&location).await, "lost");
    let calls = token_calls(&world);
    for _ in 0..20 {
        world.contact_in(&location).await;
    }
    assert_eq!(token_calls(&world), calls, "nobody asks what was refused again and again");
    world.install().await;
    world.drain().await;
    assert_eq!(world.install_of(&location).await, "active");
    assert_eq!(world.sandbox.trafft.customers().len(), 22, "nothing was lost meanwhile");
}

#[tokio::test]
async fn an_inactive_location_keeps_its_tokens() {
    let world = World::installed(&[]).await;
    let location = world.sandbox.ghl.location_id();
    world.sandbox.ghl.set_active(&location, false);
    world.advance(DAY);
    world.forget_calls();
    let answer = world.contact_in(&location).await;
    assert!(answer.status() == "queued" && answer.reason().contains("not active"), "{}", answer.json);
    assert_eq!((token_calls(&world), world.install_of(&location).await), (1, json!("active")));
    world.sandbox.ghl.set_active(&location, true);
    world.drain().await;
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
    assert_eq!((world.sandbox.ghl.reconnects(), world.sandbox.ghl.refresh_reuses()), (0, 0));
}

/// Three processes, a thousand callers, a token that has just ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_over_three_replicas_are_one_refresh() {
    let world = World::installed(&[]).await;
    let ghl = &world.sandbox.ghl;
    ghl.set_limits(100_000, 1_000_000);
    let folder = tempfile::TempDir::new().unwrap();
    let database = Database::from_environment(folder.path());
    let location: LocationId = ghl.location_id().parse().unwrap();
    let stores = match std::env::var(crate::support::database::SERVER) {
        Ok(_) => vec![open(&database).await, open(&database).await, open(&database).await],
        // One process holds a SQLite file: three parts of it then, that know nothing of each other.
        Err(_) => vec![open(&database).await; 3],
    };
    let oauth = oauth(&world);
    let grant = oauth.exchange(&ghl.install_location(location.as_str(), SCOPES)).await.unwrap();
    let pair = Pair { tokens: grant.tokens, expires_at: Some(world.clock.now()), scopes: None };
    let installer = Installer::Location(location.clone());
    stores[0].granted(&installer, None, &pair, world.clock.now()).await.unwrap();
    let (before, lease) = (ghl.refreshes(), Duration::from_secs(60));
    let (mut calls, http) = (tokio::task::JoinSet::new(), http());
    for (number, store) in stores.iter().enumerate() {
        let process = format!("process {number}");
        store.beat(&process, lease, &[], |_| false).await.unwrap();
        let grants = Grants::new(store.clone(), Some(oauth.clone()), process, lease, world.clock.clone());
        let credential = grants.credential(location.clone());
        for _ in 0..334 {
            let base = ghl.url().parse().unwrap();
            let settings =
                GhlSettings { base, location: location.clone(), credential: credential.clone(), scopes: None };
            let client = Ghl::new(http.clone(), settings, world.clock.clone());
            calls.spawn(async move { client.location().await.map(drop) });
        }
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    assert_eq!((ghl.refreshes() - before, ghl.refresh_reuses()), (1, 0));
}

async fn open(database: &Database) -> Store {
    Store::open(database.url(), Keys::parse(SEALING).unwrap()).await.unwrap()
}

fn http() -> Http {
    Http::new(Timeouts::default(), CallCounts::default()).unwrap()
}

fn oauth(world: &World) -> OAuth {
    let settings = world.settings();
    let app = AppSettings {
        base: world.sandbox.ghl.url().parse().unwrap(),
        client_id: settings["GHL_CLIENT_ID"].clone(),
        client_secret: settings["GHL_CLIENT_SECRET"].as_str().into(),
        redirect: format!("{}/oauth/callback", settings["PUBLIC_URL"]).parse().unwrap(),
        scopes: SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    OAuth::new(http(), app, Clock::system())
}

async fn is_synced(world: &World, process: &Process, contact: &str) -> bool {
    let request = world.http.get(format!("{}/api/v1/contacts/{contact}", process.url)).bearer_auth(ADMIN);
    let shown: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    shown["contact"]["status"] == "synced"
}

/// The true program, killed at any moment of a rotation, and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_rotation_it_is_connected_again_without_a_person() {
    // Where others could take over, a dead process's claim and its locations wait for its lease.
    let mut world = World::app(&[("LEASE_SECONDS", "3")]).await;
    world.come_to_the_present();
    world.connect().await;
    let (ghl, location) = (world.sandbox.ghl.clone(), world.sandbox.ghl.location_id());
    let settings = world.settings();
    world.stop().await;
    let mut process = Process::start(settings);
    process.ready(&world.http).await;
    let mut moment = tokio::time::interval(Duration::from_millis(1));
    for (round, late) in [0_u32, 0, 1, 2, 5].into_iter().enumerate() {
        // One that remembers nothing: a token that replaced a refused one is not itself replaced
        // within minutes.
        process.kill_and_start();
        process.ready(&world.http).await;
        ghl.expire_access_tokens();
        ghl.take_events();
        let contact = ghl.seed_contacts(&location, 1, true).remove(0);
        let event = ghl.take_events().remove(0);
        let (refreshes, calls) = (ghl.refreshes(), token_calls(&world));
        let mut request = world.http.post(format!("{}/webhooks/ghl", process.url)).body(event.body.clone());
        for (name, value) in ghl.headers_for(&event.body) {
            request = request.header(name, value);
        }
        let asking = tokio::spawn(request.send());
        for _ in 0..30_000 {
            if ghl.refreshes() > refreshes {
                break;
            }
            moment.tick().await;
        }
        assert!(ghl.refreshes() > refreshes, "round {round}: nothing was refreshed");
        // GHL has rotated the pair; what of it has reached the disk is anybody's guess.
        for _ in 0..late {
            moment.tick().await;
        }
        process.kill_and_start();
        let _ = asking.await;
        process.ready(&world.http).await;
        // A dead process's lease, and a retry or two: seconds, and more where many tests share the
        // machine.
        for _ in 0..20_000 {
            if is_synced(&world, &process, &contact).await {
                break;
            }
            moment.tick().await;
        }
        assert!(is_synced(&world, &process, &contact).await, "round {round}: it was not connected again");
        assert!(token_calls(&world) - calls <= 1 + 3, "round {round}: {} calls", token_calls(&world) - calls);
    }
    process.kill();
    world.start().await;
    assert_eq!(world.install_of(&location).await, "active");
    assert_eq!((ghl.reconnects(), ghl.refresh_reuses()), (0, 0));
}
