//! The back door over HTTP, and how both start and stop.

use sandbox::{Clock, Options, Sandbox};
use serde_json::{Value, json};

use crate::world::{Reply, START, World, read, until};

async fn control(world: &World, url: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = world.http.request(method, format!("{url}/_control/{path}"));
    read(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn people_at_the_ghl_screens() {
    let world = World::new().await;
    let url = world.ghl.url();
    let call = |method: &'static str, path: String, body: Option<Value>| {
        let (world, url) = (&world, url.clone());
        async move { control(world, &url, method, &path, body).await }
    };
    let made = call("POST", "contacts".into(), Some(json!({ "firstName": "Ada", "email": "ada@example.com" }))).await;
    assert_eq!(made.status, 201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let edited = call("PATCH", format!("contacts/{id}"), Some(json!({ "lastName": "King" }))).await;
    assert_eq!(edited.body["name"], "Ada King");
    for (kind, fields, change) in [
        ("tasks", json!({ "title": "t" }), json!({ "title": "u" })),
        ("notes", json!({ "body": "t" }), json!({ "body": "u" })),
        ("appointments", json!({ "title": "t", "startTime": "2026-09-16 11:00:00" }), json!({ "title": "u" })),
    ] {
        let child = call("POST", format!("contacts/{id}/{kind}"), Some(fields)).await;
        let path = format!("contacts/{id}/{kind}/{}", child.body["id"].as_str().unwrap());
        assert_eq!(call("PATCH", path.clone(), Some(change)).await.status, 204);
        if kind == "tasks" {
            assert_eq!(call("POST", format!("{path}/complete"), None).await.status, 204);
        }
        assert_eq!(call("GET", format!("contacts/{id}/{kind}"), None).await.body.as_array().unwrap().len(), 1);
        assert_eq!(call("DELETE", path, None).await.status, 204);
    }
    let other = call("POST", "contacts".into(), Some(json!({ "email": "b@example.com" }))).await.body["id"].clone();
    assert_eq!(call("GET", "contacts".into(), None).await.body.as_array().unwrap().len(), 2);
    assert_eq!(call("POST", "merge".into(), Some(json!({ "keep": id, "gone": other }))).await.status, 204);
    assert_eq!(call("GET", format!("contacts/{}", other.as_str().unwrap()), None).await.status, 404);
    assert_eq!(call("GET", format!("contacts/{id}/workflow-document"), None).await.body["full_name"], "Ada King");
    assert_eq!(call("PUT", "switches".into(), Some(json!({ "duplicate": true }))).await.status, 204);
    assert!(world.ghl.switches().duplicate);
    assert_eq!(call("PUT", "switches".into(), Some(json!({ "nonsense": true }))).await.status, 400);
    let signed = read(world.http.post(format!("{url}/_control/sign")).body("abc")).await;
    assert_eq!(signed.body["x-ghl-signature"], world.ghl.sign(b"abc").as_str());
    assert_eq!(call("PUT", "webhook".into(), Some(json!({ "url": "http://127.0.0.1:1/" }))).await.status, 204);
    // Nobody answers there, so they are repeated for hours.
    until("told", || world.ghl.events().is_empty() && !world.ghl.deliveries().is_empty()).await;
    assert!(!call("GET", "deliveries".into(), None).await.body.as_array().unwrap().is_empty());
    let webhook = world.ghl.deliveries()[0].webhook_id.clone();
    assert_eq!(call("POST", "resend".into(), Some(json!({ "webhook_id": webhook }))).await.status, 202);
    let tries = || world.ghl.deliveries().into_iter().filter(|one| one.webhook_id == webhook).count();
    // Every event is delivered twice here.
    until("sent again", || tries() == 3).await;
    assert_eq!(call("POST", "resend".into(), Some(json!({ "webhook_id": "unknown" }))).await.status, 404);
    assert_eq!(call("PUT", "breaker".into(), Some(json!({ "busy": 7 }))).await.status, 204);
    assert_eq!(call("DELETE", "breaker".into(), None).await.status, 204);
    let breaker = call("GET", "breaker".into(), None).await.body;
    assert_eq!((&breaker["busy"], &breaker["paused_at_ms"]), (&json!(7), &Value::Null));
    assert_eq!(call("DELETE", format!("contacts/{id}"), None).await.status, 204);
    assert!(world.ghl.journal().entries().is_empty(), "control calls are not journaled");
    world.no_complaints();
}

#[tokio::test]
async fn the_app_from_outside() {
    let world = World::new().await;
    let (url, home) = (world.ghl.url(), world.ghl.location_id());
    let call = |method: &'static str, path: &str, body: Option<Value>| {
        let (world, url, path) = (&world, url.clone(), path.to_owned());
        async move { control(world, &url, method, &path, body).await }
    };
    let switches = json!({
        "redirect_uris": ["http://127.0.0.1:9/"], "echo_state": false, "reconnect": false, "same_pair": false, "location_refresh_tokens": true,
        "bulk_install_events": true,
    });
    assert_eq!(call("PUT", "app", Some(switches)).await.status, 204);
    assert_eq!(call("PUT", "app", Some(json!({ "colour": true }))).await.status, 400);
    world.ghl.install_company(&[&home], true, &["contacts.readonly", "oauth.write"]);
    assert_eq!(call("POST", "locations", Some(json!({ "id": "south" }))).await.status, 201);
    assert_eq!(call("POST", "locations", None).await.status, 400);
    let app = call("GET", "app", None).await.body;
    assert_eq!((&app["client_id"], &app["company"]), (&json!(world.ghl.client_id()), &json!(true)));
    assert_eq!((&app["locations"], &app["redirect_uris"][0]), (&json!(["south", home]), &json!("http://127.0.0.1:9/")));
    assert_eq!(world.kinds(), ["INSTALL"; 3]);
    assert_eq!(call("PUT", "locations/south", Some(json!({ "active": false }))).await.status, 204);
    assert_eq!(call("PUT", "locations/nowhere", Some(json!({ "active": false }))).await.status, 404);
    assert_eq!(call("DELETE", "locations/south/install", None).await.status, 204);
    assert_eq!(call("DELETE", "locations/south/install", None).await.status, 404);
    assert_eq!(call("POST", "locations/south/install", None).await.status, 204);
    assert_eq!(call("POST", "lose-tokens", Some(json!({ "id": "south" }))).await.status, 204);
    assert_eq!(call("POST", "lose-tokens", Some(json!({ "id": "nowhere" }))).await.status, 404);
    assert_eq!(call("POST", "expire-tokens", None).await.status, 204);
    assert_eq!(call("DELETE", "company/install", None).await.status, 204);
    assert_eq!(call("POST", "locations/south/install", None).await.status, 404);
    assert_eq!(world.kinds(), ["UNINSTALL", "INSTALL", "UNINSTALL"]);
    world.no_complaints();
}

#[tokio::test]
async fn staff_at_the_trafft_dashboard() {
    let world = World::new().await;
    let url = world.trafft.url();
    let made = control(
        &world,
        &url,
        "POST",
        "customers",
        Some(json!({ "first_name": "A", "last_name": "B", "description": "hidden" })),
    )
    .await;
    assert_eq!((made.status, &made.body["description"]), (201, &json!("hidden")));
    let path = format!("customers/{}", made.body["id"]);
    assert_eq!(
        control(&world, &url, "PATCH", &path, Some(json!({ "phone_number": "+14155550142" }))).await.body["phone_country_code"],
        "us"
    );
    assert_eq!(control(&world, &url, "POST", "seed", Some(json!({ "count": 3 }))).await.status, 204);
    assert_eq!(control(&world, &url, "GET", "customers", None).await.body.as_array().unwrap().len(), 4);
    assert_eq!(control(&world, &url, "DELETE", &path, None).await.status, 204);
    assert_eq!(control(&world, &url, "GET", &path, None).await.status, 404);
    assert_eq!(
        control(&world, &url, "PUT", "switches", Some(json!({ "max_limit": 2, "duplicates": "refuse" }))).await.status,
        204
    );
    assert_eq!(world.trafft("GET", "/customers", None).await.body["pagination"]["limit"], 2);
    assert_eq!(control(&world, &url, "PUT", "switches", Some(json!({ "colour": 2 }))).await.status, 400);
    let fault = json!({ "method": "GET", "path": "/api/v2/customers", "count": 2, "fault": { "kind": "too_many_requests", "retry_after": 3 } });
    assert_eq!(control(&world, &url, "POST", "faults", Some(fault)).await.body, json!({ "unspent": 2 }));
    assert_eq!(world.trafft("GET", "/customers", None).await.header("retry-after"), "3");
    assert_eq!(control(&world, &url, "DELETE", "faults", None).await.status, 204);
    let journal = control(&world, &url, "GET", "journal", None).await.body;
    assert_eq!(journal["entries"][1]["class"], "customers_page");
    assert_eq!(control(&world, &url, "DELETE", "journal", None).await.status, 204);
    world.trafft("GET", "/odd", None).await;
    assert_eq!(control(&world, &url, "GET", "complaints", None).await.body.as_array().unwrap().len(), 1);
    assert_eq!(control(&world, &url, "DELETE", "complaints", None).await.status, 204);
    world.no_complaints();
}

#[tokio::test]
async fn both_say_what_they_are() {
    let world = World::new().await;
    for (url, name) in [(world.ghl.url(), "GoHighLevel"), (world.trafft.url(), "Trafft")] {
        let text = world.http.get(url).send().await.unwrap().text().await.unwrap();
        assert!(text.contains(name) && text.contains("/_control/faults"), "{text}");
    }
}

#[tokio::test]
async fn loopback_only_and_gone_when_dropped() {
    let open = Options { ghl: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    assert!(Sandbox::start(open).await.is_err());
    let sandbox = Sandbox::start(Options { clock: Clock::system(), ..Options::default() }).await.unwrap();
    let settings = sandbox.settings();
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    assert_eq!(names[..2], ["GHL_API_URL", "GHL_LOCATION_ID"]);
    assert!(settings.iter().all(|(_, value)| !value.is_empty()));
    let settings = sandbox.oauth_settings();
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["GHL_API_URL", "GHL_CLIENT_ID", "GHL_CLIENT_SECRET", "GHL_CHOOSER_URL", "GHL_WEBHOOK_PUBLIC_KEYS"]
    );
    assert!(settings[1].1.starts_with(&format!("{}-", sandbox.ghl.app_id())), "{}", settings[1].1);
    let address = sandbox.ghl.url().trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(sandbox);
    until("closed", || std::net::TcpStream::connect(&address).is_err()).await;
}

#[tokio::test]
async fn chances_over_http() {
    let world = World::new().await;
    let url = world.trafft.url();
    let token = world.token().await;
    let rates = json!({ "rates": { "cut_short": 1.0 }, "seed": 1, "method": "GET", "path": "/api/v2/customers" });
    assert_eq!(control(&world, &url, "POST", "faults", Some(rates)).await.status, 200);
    let cut = world.trafft_call(&token, "GET", "/customers", None).send().await.unwrap();
    assert!(cut.bytes().await.is_err());
    assert_eq!(read(world.trafft_call(&token, "GET", "/appointments", None)).await.status, 200);
    let rates = json!({ "rates": { "dropped_then_done": 1.0, "late_max_ms": 10 } });
    assert_eq!(control(&world, &url, "POST", "faults", Some(rates)).await.status, 200);
    let body = json!({ "first_name": "a", "last_name": "b" });
    assert!(world.trafft_call(&token, "POST", "/customers", Some(body)).send().await.is_err());
    world.clock.advance_ms(10);
    until("done after all", || world.trafft.customers().len() == 1).await;
    assert_eq!(control(&world, &url, "GET", "journal", None).await.body["calls"], 4);
}

#[tokio::test]
async fn another_trafft() {
    let clock = Clock::manual(START);
    let mut sandbox = Sandbox::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    let world = World::new().await;
    let second = sandbox.add_trafft().await.unwrap();
    let third = sandbox.add_trafft().await.unwrap();
    assert_ne!(second.url(), third.url());
    assert_ne!(second.client_id(), sandbox.trafft.client_id());
    let sign_in = || async {
        let (id, secret) = (second.client_id(), second.client_secret());
        let form = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &secret)];
        let reply = read(world.http.post(format!("{}/api/v2/token", second.url())).form(&form)).await;
        reply.body["access_token"].as_str().unwrap().to_owned()
    };
    let token = sign_in().await;
    let list = || read(world.http.get(format!("{}/api/v2/customers", second.url())).bearer_auth(&token));
    second.seed(2);
    assert_eq!(list().await.body["pagination"]["total"], 2);
    assert!(sandbox.trafft.customers().is_empty() && third.customers().is_empty());
    assert_eq!((second.journal().calls(), third.journal().calls()), (2, 0));
    clock.advance_ms(3_600_000);
    assert_eq!(list().await.status, 401, "it lives by the clock of the others");
    drop(sandbox);
    let address = second.url().trim_start_matches("http://").to_owned();
    until("closed", || std::net::TcpStream::connect(&address).is_err()).await;
}
