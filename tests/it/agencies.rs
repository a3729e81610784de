//! The app installed by an agency: its locations' tokens come from the agency's own.

use std::time::Duration;

use sandbox::{Fault, Matcher, Trafft};
use serde_json::json;

use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::{ADMIN, World};

const DAY: Duration = Duration::from_hours(24);
const LOCATION: &str = "agencyLocation00001";

/// An agency with one location, and that location's Trafft.
async fn agency() -> (World, Trafft) {
    let mut world = World::app(&[]).await;
    world.install_agency(&[LOCATION]).await;
    let trafft = world.sandbox.add_trafft().await.unwrap();
    world.enter(LOCATION, &trafft, json!({})).await;
    world.idle().await;
    world.sandbox.ghl.take_events();
    (world, trafft)
}

/// The event of an agency's update names no location: its locations' next tokens are of the new
/// version.
#[tokio::test]
async fn an_update_of_an_agencys_app_reaches_its_locations() {
    let (world, _trafft) = agency().await;
    let ghl = &world.sandbox.ghl;
    let has_tasks = async || {
        let shown = world.get(&format!("/api/v1/connections/{LOCATION}")).await.json;
        shown["scopes"].to_string().contains("locations/tasks.readonly")
    };
    assert_eq!(world.contact_in(LOCATION).await.status(), "synced");
    assert!(has_tasks().await);
    ghl.take_update(&ghl.company_id(), &["contacts.readonly", "locations.readonly", "oauth.readonly", "oauth.write"]);
    assert_eq!(world.deliver_all().await.status(), "applied");
    assert_eq!(world.contact_in(LOCATION).await.status(), "synced");
    assert!(!has_tasks().await);
}

/// Two locations of one agency, worked by two processes: its token is renewed once, and each gets
/// its own from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_an_agency() {
    if Database::postgres().is_none() {
        return;
    }
    let mut world = World::app(&[("LEASE_SECONDS", "3")]).await;
    world.come_to_the_present();
    let ghl = world.sandbox.ghl.clone();
    let locations = [LOCATION, "agencyLocation00002"];
    world.install_agency(&locations).await;
    for location in locations {
        let trafft = world.sandbox.add_trafft().await.unwrap();
        assert_eq!(world.enter(location, &trafft, json!({})).await.code, 200);
    }
    // Two true processes on the same database, with a clock of their own; the first one hands over
    // and goes.
    let settings = world.settings();
    world.stop().await;
    let (one, other) = (Process::start(settings.clone()), Process::start(settings));
    for process in [&one, &other] {
        process.ready(&world.http).await;
    }
    let mut moment = tokio::time::interval(Duration::from_millis(100));
    let owners = loop {
        moment.tick().await;
        let request = world.http.get(format!("{}/api/v1/connections", one.url)).bearer_auth(ADMIN);
        let listed: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        let owners: Vec<_> =
            listed["connections"].as_array().unwrap().iter().map(|one| one["owner"].to_string()).collect();
        if owners.iter().all(|owner| owner != "null") && owners[0] != owners[1] {
            break owners;
        }
    };
    assert_eq!(owners.len(), 2);
    ghl.expire_access_tokens();
    let before = ghl.refreshes();
    for location in locations {
        ghl.take_events();
        ghl.seed_contacts(location, 1, true);
        let event = ghl.take_events().remove(0);
        let mut request = world.http.post(format!("{}/webhooks/ghl", one.url)).body(event.body.clone());
        for (name, value) in ghl.headers_for(&event.body) {
            request = request.header(name, value);
        }
        let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "synced", "{answer}");
    }
    assert_eq!((ghl.refreshes() - before, ghl.refresh_reuses(), ghl.reconnects()), (1, 0, 0));
}

/// What is wrong with an agency's own token, or with the app, is not a loss of its locations'
/// tokens.
#[tokio::test]
async fn what_an_agency_lacks_is_mended_there_and_its_locations_go_on() {
    let (mut world, trafft) = agency().await;
    // The faults that are cleared.
    world.forgiving = true;
    let ghl = world.sandbox.ghl.clone();
    let state = async || world.get(&format!("/api/v1/connections/{LOCATION}")).await.json["states"][0].clone();
    // A location that is paused keeps its place.
    ghl.set_active(LOCATION, false);
    let answer = world.contact_in(LOCATION).await;
    assert!(answer.status() == "queued" && answer.reason().contains("not active"), "{}", answer.json);
    assert_eq!(world.install_of(LOCATION).await, "active");
    world.idle().await;
    let told = state().await;
    assert!(told["state"] == "ghl_refused" && told["fix"].to_string().contains("reactivate"), "{told}");
    ghl.set_active(LOCATION, true);
    world.drain().await;
    assert_eq!(state().await["state"], "working");
    assert_eq!(trafft.customers().len(), 1);
    // A token endpoint that is not there says nothing about a contact.
    world.advance(DAY);
    ghl.faults().push(Matcher::new("POST", "/oauth/token").times(2), Fault::Status(404));
    let answer = world.contact_in(LOCATION).await;
    assert_eq!(answer.status(), "queued", "{}", answer.json);
    world.drain().await;
    assert_eq!((trafft.customers().len(), world.install_of(LOCATION).await), (2, json!("active")));
    // A gateway's page says nothing about the tokens, whatever it says.
    for (made, status) in (3..).zip([302, 400, 403]) {
        world.advance(DAY);
        let page = Fault::StatusWithBody(status, "<html><h1>Invalid grant</h1></html>".to_owned());
        ghl.faults().push(Matcher::new("POST", "/oauth/token").times(2), page);
        let answer = world.contact_in(LOCATION).await;
        assert_eq!(answer.status(), "queued", "{status}: {}", answer.json);
        world.rest(Duration::from_mins(1)).await;
        assert_eq!((trafft.customers().len(), world.install_of(LOCATION).await), (made, json!("active")), "{status}");
    }
    // Nor does another service's JSON about the location's token, whether or not there is another
    // way to get one (G §3.6).
    for (made, status) in (6..).zip([404, 400, 410, 422]) {
        world.advance(DAY);
        for path in ["/oauth/locationToken", "/oauth/reconnect"] {
            let stranger = Fault::StatusWithBody(status, r#"{"message":"Not Found"}"#.to_owned());
            ghl.faults().push(Matcher::new("POST", path).times(2), stranger);
        }
        let answer = world.contact_in(LOCATION).await;
        assert_eq!(answer.status(), "queued", "{status}: {}", answer.json);
        assert_eq!(world.install_of(LOCATION).await, "active", "{status}");
        ghl.faults().clear();
        world.rest(Duration::from_mins(10)).await;
        assert_eq!((trafft.customers().len(), world.install_of(LOCATION).await), (made, json!("active")), "{status}");
    }
    // The agency's tokens are lost: a person authorises the agency again, and nobody has to look
    // after its locations.
    ghl.lose_tokens(&ghl.company_id());
    world.advance(DAY);
    let answer = world.contact_in(LOCATION).await;
    assert!(answer.reason().contains("/oauth/install"), "{}", answer.json);
    assert_eq!(world.install_of(LOCATION).await, "active", "it is the agency's tokens that are lost");
    world.idle().await;
    assert_eq!(state().await["state"], "tokens_lost", "but the location cannot be worked without");
    world.install_agency(&[LOCATION]).await;
    world.drain().await;
    assert_eq!(state().await["state"], "working");
    assert_eq!(trafft.customers().len(), 10);
}
