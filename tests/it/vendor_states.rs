//! A vendor that is down or refuses us: one message with the fix, the same by API, page, metric and
//! `doctor`; and it is gone by itself once it is well.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::command::run;
use crate::support::database::Database;
use crate::support::installed::SCOPES;
use crate::support::process::Process;
use crate::support::standing::{ALL, come, counted, erase, stands, states, works, world};
use crate::support::{ADMIN, World};

#[tokio::test]
async fn a_vendor_that_is_down() {
    for (state, trafft) in [("trafft_down", true), ("ghl_down", false)] {
        let mut world = world(&[]).await;
        let faults = if trafft { world.sandbox.trafft.faults() } else { world.sandbox.ghl.faults() };
        faults.push(Matcher::any().times(ALL), Fault::Html(503));
        come(&world, 4).await;
        stands(&world, state).await;
        let since = states(&world).await[0]["since"].clone();
        world.rest(Duration::from_mins(20)).await;
        stands(&world, state).await;
        let now = states(&world).await;
        assert_eq!(now[0]["since"], since, "it has been down ever since");
        assert_eq!(
            (&now[1]["state"], &now[1]["found"]),
            (&json!("behind"), &json!("4 contacts wait for longer than five minutes"))
        );
        world.restart().await;
        stands(&world, state).await;
        assert_eq!(states(&world).await[0]["since"], since, "a restart changes nothing of that");
        faults.clear();
        world.rest(Duration::from_mins(6)).await;
        works(&world).await;
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_before_anything_is_indexed_and_one_that_only_sweeps_ask() {
    let mut world = World::app(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.forgiving = true;
    world.install().await;
    let entered = world.enter(&world.sandbox.ghl.location_id(), &world.sandbox.trafft, json!({})).await;
    assert_eq!(entered.code, 200);
    world.stop().await;
    world.sql("UPDATE connections SET customers_seen = NULL").await;
    world.sandbox.trafft.faults().push(Matcher::path("/api/v2/customers").times(ALL), Fault::Status(503));
    world.start_idle().await;
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    while states(&world).await[0]["state"] != "trafft_down" {
        moment.tick().await;
    }
    stands(&world, "trafft_down").await;
    world.sandbox.trafft.faults().clear();
    world.advance(Duration::from_secs(30));
    world.idle().await;
    works(&world).await;
    // Nobody changes anything, so that only the search for changes asks HighLevel.
    world.sandbox.ghl.faults().push(Matcher::any().times(ALL), Fault::Html(502));
    world.rest(Duration::from_mins(30)).await;
    stands(&world, "ghl_down").await;
    world.sandbox.ghl.faults().clear();
    world.rest(Duration::from_mins(30)).await;
    works(&world).await;
}

/// What a vendor answers about one record, it answers because it is back.
#[tokio::test]
async fn a_refusal_of_one_record_ends_an_outage() {
    let world = world(&[]).await;
    let trafft = world.sandbox.trafft.clone();
    trafft.faults().push(Matcher::any().times(ALL), Fault::Html(503));
    come(&world, 4).await;
    stands(&world, "trafft_down").await;
    trafft.faults().clear();
    let refusal = r#"{"message":"The given data was invalid.","errors":{"email":["The email is invalid."]}}"#;
    let creates = Matcher::new("POST", "/api/v2/customers").times(ALL);
    trafft.faults().push(creates, Fault::StatusWithBody(422, refusal.to_owned()));
    world.rest(Duration::from_mins(6)).await;
    works(&world).await;
}

/// A token that reads another location's record is perhaps that location's.
#[tokio::test]
async fn a_contact_of_another_location_ends_no_refusal() {
    let mut world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0"), ("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.forgiving = true;
    let ghl = world.sandbox.ghl.clone();
    let refusal = r#"{"statusCode":403,"message":"The token does not have access to this location."}"#;
    let searches = Matcher::new("POST", "/contacts/search").times(ALL);
    ghl.faults().push(searches, Fault::StatusWithBody(403, refusal.to_owned()));
    world.rest(Duration::from_mins(16)).await;
    assert_eq!(states(&world).await[0]["state"], "ghl_refused");
    let contact = ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    ghl.raw().field("/contacts/", &contact, "locationId", r#""otherLocation0000001""#);
    world.deliver_all().await;
    world.idle().await;
    assert_eq!(states(&world).await[0]["state"], "ghl_refused");
    assert_eq!(world.contact(&contact).await["status"], "queued");
}

#[tokio::test]
async fn credentials_that_are_refused() {
    let world = world(&[]).await;
    let refusal = r#"{"error":"invalid_client","error_description":"The client credentials are invalid"}"#;
    world.sandbox.trafft.revoke_tokens();
    let token = Matcher::new("POST", "/api/v2/token").times(ALL);
    world.sandbox.trafft.faults().push(token, Fault::StatusWithBody(401, refusal.to_owned()));
    come(&world, 1).await;
    stands(&world, "trafft_refused").await;
    world.sandbox.trafft.faults().clear();
    world.rest(Duration::from_mins(20)).await;
    works(&world).await;
    // What the vendor has just taken is not refused, though nothing waits that could find that out.
    let refused = come(&world, 1).await.remove(0);
    works(&world).await;
    world.sandbox.trafft.revoke_tokens();
    let token = Matcher::new("POST", "/api/v2/token").times(ALL);
    world.sandbox.trafft.faults().push(token, Fault::StatusWithBody(401, refusal.to_owned()));
    world.sandbox.ghl.edit_contact(&refused, json!({ "lastName": "Byron" }));
    world.deliver_all().await;
    world.idle().await;
    stands(&world, "trafft_refused").await;
    erase(&world, &refused).await;
    world.sandbox.trafft.faults().clear();
    world.rest(Duration::from_hours(1)).await;
    assert_eq!(states(&world).await[0]["state"], "trafft_refused", "nobody has asked since");
    let entered = world.enter(&world.sandbox.ghl.location_id(), &world.sandbox.trafft, json!({})).await;
    assert_eq!(entered.code, 200);
    world.idle().await;
    works(&world).await;
}

/// Whatever way new credentials come, what waits for them goes on at once, while the clock stands
/// still.
#[tokio::test]
async fn new_credentials_take_effect_at_once() {
    // Trafft's, by the API and by the page.
    let world = world(&[]).await;
    let location = world.sandbox.ghl.location_id();
    let trafft = world.sandbox.trafft.clone();
    for by_page in [false, true] {
        trafft.revoke_tokens();
        let refusal = Fault::StatusWithBody(401, r#"{"error":"invalid_client"}"#.to_owned());
        trafft.faults().push(Matcher::new("POST", "/api/v2/token").times(ALL), refusal);
        let waiting = come(&world, 3).await;
        stands(&world, "trafft_refused").await;
        trafft.faults().clear();
        if by_page {
            let fields =
                [("url", trafft.url()), ("client_id", trafft.client_id()), ("client_secret", trafft.client_secret())];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            let page = Browser::signed_in(&world).await.submit(&format!("/connections/{location}"), &fields).await;
            assert_eq!(page.code, 303, "{page:?}");
        } else {
            assert_eq!(world.enter(&location, &trafft, json!({})).await.code, 200);
        }
        all_synced(&world, &waiting).await;
    }
    // HighLevel's, by a new install.
    world.sandbox.ghl.lose_tokens(&location);
    world.advance(Duration::from_mins(10));
    let waiting = come(&world, 3).await;
    stands(&world, "tokens_lost").await;
    world.install().await;
    all_synced(&world, &waiting).await;
}

/// A private token of HighLevel's that is put in the place of one that is refused.
#[tokio::test]
async fn a_new_private_token_takes_effect_at_once() {
    let mut world = World::app(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let (ghl, trafft) = (world.sandbox.ghl.clone(), world.sandbox.trafft.clone());
    let path = format!("/api/v1/connections/{}", ghl.location_id());
    let enter = async |token: &str| {
        let entered = json!({
            "ghl_access_token": token, "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
            "trafft_client_secret": trafft.client_secret(),
        });
        assert_eq!(world.admin(Method::PUT, &path, Some(entered)).await.code, 200);
        world.idle().await;
    };
    enter(&ghl.token()).await;
    works(&world).await;
    ghl.revoke_token(&ghl.token());
    let waiting = come(&world, 1).await;
    stands(&world, "ghl_refused").await;
    let new = ghl.add_location(&ghl.location_id(), "Studio", "UTC", "US");
    enter(&new).await;
    all_synced(&world, &waiting).await;
}

async fn all_synced(world: &World, contacts: &[String]) {
    world.idle().await;
    for contact in contacts {
        assert_eq!(world.contact(contact).await["status"], "synced", "{contact}");
    }
    works(world).await;
}

/// A scope that something can be done without is no refusal of the location.
#[tokio::test]
async fn a_scope_that_only_the_task_sweep_needs() {
    let mut world = World::app(&[("SWEEP_TASKS_MINUTES", "15")]).await;
    world.forgiving = true;
    let scopes = SCOPES.iter().copied().filter(|scope| !scope.contains("tasks")).collect::<Vec<_>>();
    let location = world.sandbox.ghl.location_id();
    let code = world.sandbox.ghl.install_location(&location, &scopes);
    assert_eq!(Browser::signed_in(&world).await.submit("/oauth/callback", &[("code", &code)]).await.code, 303);
    assert_eq!(world.enter(&location, &world.sandbox.trafft, json!({})).await.code, 200);
    world.rest(Duration::from_hours(1)).await;
    let sweeps = world.get("/api/v1/sweeps").await.json.to_string();
    assert!(sweeps.contains("locations/tasks.readonly"), "it was tried: {sweeps}");
    works(&world).await;
}

/// Two processes on one database: the one that is asked may not be the one that works the location.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_says_the_same() {
    if Database::postgres().is_none() {
        return;
    }
    let mut world = World::installed(&[]).await;
    world.forgiving = true;
    world.come_to_the_present();
    let (settings, location) = (world.settings(), world.sandbox.ghl.location_id());
    world.stop().await;
    let processes = [Process::start(settings.clone()), Process::start(settings)];
    for process in &processes {
        process.ready(&world.http).await;
    }
    let refusal = r#"{"error":"invalid_client"}"#.to_owned();
    world.sandbox.trafft.revoke_tokens();
    let token = Matcher::new("POST", "/api/v2/token").times(ALL);
    world.sandbox.trafft.faults().push(token, Fault::StatusWithBody(401, refusal));
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().remove(0);
    let mut request = world.http.post(format!("{}/webhooks/ghl", processes[0].url)).body(event.body.clone());
    for (name, value) in world.sandbox.ghl.headers_for(&event.body) {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
    let mut moment = tokio::time::interval(Duration::from_millis(100));
    for process in &processes {
        loop {
            moment.tick().await;
            let path = format!("{}/api/v1/connections/{location}", process.url);
            let shown: Value = world.http.get(path).bearer_auth(ADMIN).send().await.unwrap().json().await.unwrap();
            if shown["states"][0]["state"] == "trafft_refused" {
                break;
            }
        }
        let text = world.http.get(format!("{}/metrics", process.url)).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("ghl_trafft_sync_connections{state=\"trafft_refused\"} 1"), "{text}");
    }
}

/// A vendor that says how long it wants to be left alone is not down.
#[tokio::test]
async fn contacts_that_wait() {
    let world = world(&[]).await;
    let slower = Fault::TooManyRequests { retry_after: Some(1200) };
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), slower);
    come(&world, 2).await;
    works(&world).await;
    world.rest(Duration::from_mins(10)).await;
    let now = states(&world).await;
    assert_eq!((now.as_array().unwrap().len(), &now[0]["state"]), (1, &json!("behind")), "{now}");
    assert_eq!(now[0]["found"], "2 contacts wait for longer than five minutes");
    assert_eq!(counted(&world).await, ["behind"]);
    let said = run(&world.settings(), &["doctor"]).await;
    assert!(said.code == 0 && said.out.contains("state `behind`: 2 contacts wait"), "{said:?}");
    world.drain().await;
    works(&world).await;
}
