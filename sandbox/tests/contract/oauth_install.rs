//! Where an app is installed, who is told, and how lost tokens come back (G §3.1, §3.5, §3.6,
//! G §8.5).

use serde_json::{Value, json};

use crate::oauth::{BAD_REFRESH, grant, location_token, redeem, refused, text};
use crate::world::{Reply, World, keys, read};

const SCOPES: [&str; 2] = ["contacts.readonly", "locations.readonly"];
const COMPANY_SCOPES: [&str; 4] = ["contacts.readonly", "locations.readonly", "oauth.readonly", "oauth.write"];
const SOUTH: &str = "otherLocation0000000";

async fn company(world: &World, locations: &[&str], future: bool) -> String {
    let pair = redeem(world, &world.ghl.install_company(locations, future, &COMPANY_SCOPES)).await;
    text(&pair, "access_token").to_owned()
}

async fn installed(world: &World, token: &str, query: &str) -> Reply {
    let (company, app) = (world.ghl.company_id(), world.ghl.app_id());
    let url = format!("{}/oauth/installedLocations?companyId={company}&appId={app}{query}", world.ghl.url());
    read(world.http.get(url).bearer_auth(token).header("version", "2021-07-28")).await
}

async fn reconnect(world: &World, whose: (&str, &str)) -> Reply {
    let body =
        json!({ "clientKey": world.ghl.client_id(), "clientSecret": world.ghl.client_secret(), whose.0: whose.1 });
    read(world.http.post(format!("{}/oauth/reconnect", world.ghl.url())).json(&body)).await
}

fn told(world: &World) -> Vec<Value> {
    world.ghl.take_events().iter().map(sandbox::Event::json).collect()
}

fn names(event: &Value) -> (&str, Vec<&str>) {
    let named = ["locationId", "companyId", "userId"].into_iter().filter(|key| event.get(*key).is_some());
    (event["type"].as_str().unwrap(), named.collect())
}

#[tokio::test]
async fn installs_and_uninstalls_are_told() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    world.ghl.add_company_location(SOUTH, "Studio South", "Europe/Paris", "FR");
    assert!(told(&world).is_empty(), "nothing is installed that would cover it");
    world.ghl.install_location(&home, &SCOPES);
    world.ghl.install_company(&[&home], true, &COMPANY_SCOPES);
    world.ghl.install_more(SOUTH);
    world.ghl.add_company_location("newLocation000000000", "Studio East", "Europe/Paris", "FR");
    world.ghl.uninstall_location(SOUTH);
    world.ghl.uninstall_company();
    let events = told(&world);
    let seen: Vec<(&str, Vec<&str>)> = events.iter().map(names).collect();
    assert_eq!(
        seen,
        [
            ("INSTALL", vec!["locationId", "companyId", "userId"]),
            ("INSTALL", vec!["companyId"]),
            ("INSTALL", vec!["locationId", "companyId", "userId"]),
            ("INSTALL", vec!["locationId", "companyId"]),
            ("UNINSTALL", vec!["locationId"]),
            ("UNINSTALL", vec!["companyId"]),
        ]
    );
    assert_eq!((&events[0]["installType"], &events[1]["installType"]), (&json!("Location"), &json!("Company")));
    assert_eq!(events[0]["whitelabelDetails"], json!({}), "empty, and there all the same");
    world.ghl.set_bulk_install_events(true);
    world.ghl.install_company(&[&home, SOUTH], false, &COMPANY_SCOPES);
    assert_eq!(told(&world).len(), 3, "the company's, and one for each location");
    world.no_complaints();
}

#[tokio::test]
async fn installed_locations_in_pages() {
    let world = World::new().await;
    for number in 0..24 {
        world.ghl.add_company_location(
            &format!("location{number:02}0000000000"),
            &format!("Studio {number}"),
            "UTC",
            "US",
        );
    }
    let home = world.ghl.location_id();
    let token = company(&world, &[&home, "location000000000000", "location010000000000"], true).await;
    let first = installed(&world, &token, "").await;
    let ids = |reply: &Reply| -> Vec<String> {
        let locations = reply.body["locations"].as_array().unwrap();
        locations.iter().map(|location| location["_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&first).len(), &first.body["count"]), (20, &json!(25)), "twenty a page unless asked");
    let second = installed(&world, &token, "&skip=20&limit=20").await;
    assert_eq!(ids(&second).len(), 5);
    assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)));
    let there = installed(&world, &token, "&isInstalled=true").await;
    assert_eq!(ids(&there), ["location000000000000", "location010000000000", home.as_str()]);
    assert_eq!((&there.body["count"], &there.body["installToFutureLocations"]), (&json!(3), &json!(true)));
    assert_eq!(there.body["locations"][0]["installedAt"], "2026-09-01T10:00:00.000Z");
    assert_eq!(installed(&world, &token, "&isInstalled=false").await.body["count"], 22);
    assert_eq!(ids(&installed(&world, &token, "&query=studio%20north").await), [home.as_str()]);
    assert_eq!(ids(&installed(&world, &token, &format!("&locationId={home}&isInstalled=true")).await), [home.as_str()]);
    assert_eq!(installed(&world, &token, "&onTrial=true").await.body["count"], 0);
    world.no_complaints();
    for (query, status) in [("&skip=x", 422), ("&isInstalled=perhaps", 422), ("&colour=red", 422)] {
        assert_eq!(installed(&world, &token, query).await.status, status, "{query}");
    }
    let url = format!("{}/oauth/installedLocations", world.ghl.url());
    let ask = |query: &str| {
        read(world.http.get(format!("{url}?{query}")).bearer_auth(&token).header("version", "2021-07-28"))
    };
    assert_eq!(ask("appId=x").await.body["message"], json!(["companyId must be a string"]));
    assert_eq!(ask("companyId=x&appId=x").await.status, 403);
    assert_eq!(installed(&world, &world.ghl.token(), "").await.status, 401, "no private integration token (G §3.7)");
    assert_eq!(world.ghl.complaints().len(), 6);
}

#[tokio::test]
async fn uninstalled_tokens_are_dead_at_once() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    world.ghl.add_company_location(SOUTH, "Studio South", "Europe/Paris", "FR");
    let own = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    let unused = world.ghl.install_location(&home, &SCOPES);
    let company = company(&world, &[SOUTH], false).await;
    let south = location_token(&world, &company, SOUTH).await;
    let ask = |token: &str, location: &str| {
        let call = world.http.get(format!("{}/locations/{location}", world.ghl.url())).bearer_auth(token);
        read(call.header("version", "2021-07-28"))
    };
    world.ghl.uninstall_company();
    assert_eq!(refused(&ask(text(&south, "access_token"), SOUTH).await), (401, "Invalid JWT"));
    assert_eq!(refused(&location_token(&world, &company, SOUTH).await), (401, "Invalid JWT"));
    assert_eq!(ask(text(&own, "access_token"), &home).await.status, 200, "that one has its own install");
    world.ghl.uninstall_location(&home);
    assert_eq!(refused(&ask(text(&own, "access_token"), &home).await), (401, "Invalid JWT"));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&own, "refresh_token"))];
    assert_eq!(refused(&grant(&world, &refresh).await), BAD_REFRESH);
    assert_eq!(redeem(&world, &unused).await.status, 400);
    world.ghl.set_reconnect(true);
    assert_eq!(reconnect(&world, ("locationId", &home)).await.status, 400);
    assert_eq!(reconnect(&world, ("companyId", &world.ghl.company_id())).await.status, 400);
    let again = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    assert_eq!(ask(text(&again, "access_token"), &home).await.status, 200);
    world.no_complaints();
}

#[tokio::test]
async fn lost_tokens_come_back_by_reconnecting() {
    let world = World::new().await;
    world.ghl.set_reconnect(true);
    let home = world.ghl.location_id();
    world.ghl.add_company_location(SOUTH, "Studio South", "Europe/Paris", "FR");
    let own = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    let token = company(&world, &[SOUTH], false).await;
    let agency = world.ghl.company_id();
    world.ghl.lose_tokens(&home);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&own, "refresh_token"))];
    assert_eq!(refused(&grant(&world, &refresh).await), BAD_REFRESH);
    assert_eq!(location_token(&world, &token, SOUTH).await.status, 200, "the company's are another matter");
    let back = reconnect(&world, ("locationId", &home)).await;
    assert_eq!(keys(&back.body), ["authorizationCode", "expiresAt", "traceId"].map(str::to_owned).into());
    assert_eq!(text(&back, "expiresAt"), "2026-09-01T10:15:00.000Z");
    let pair = redeem(&world, text(&back, "authorizationCode")).await;
    assert_eq!(
        (text(&pair, "locationId"), text(&pair, "scope")),
        (home.as_str(), "contacts.readonly locations.readonly")
    );
    world.ghl.lose_tokens(&agency);
    assert_eq!(refused(&location_token(&world, &token, SOUTH).await), (401, "Invalid JWT"));
    let back = reconnect(&world, ("companyId", &agency)).await;
    let pair = redeem(&world, text(&back, "authorizationCode")).await;
    assert_eq!((text(&pair, "userType"), &pair.body["approvedLocations"]), ("Company", &json!([SOUTH])));
    let south = reconnect(&world, ("locationId", SOUTH)).await;
    let pair = redeem(&world, text(&south, "authorizationCode")).await;
    assert_eq!((text(&pair, "userType"), text(&pair, "locationId")), ("Location", SOUTH));
    assert_eq!((world.ghl.reconnects(), world.ghl.refresh_reuses()), (3, 0));
    world.ghl.set_reconnect(false);
    let gone = reconnect(&world, ("locationId", &home)).await;
    assert_eq!(refused(&gone), (400, "This endpoint has been removed"));
    world.ghl.set_reconnect(true);
    world.no_complaints();
    let url = format!("{}/oauth/reconnect", world.ghl.url());
    for (body, status) in [
        (json!({ "clientKey": "x", "clientSecret": "y", "locationId": home }), 401),
        (json!({ "clientKey": "x", "locationId": home }), 400),
        (json!({ "clientKey": world.ghl.client_id(), "clientSecret": world.ghl.client_secret() }), 422),
    ] {
        assert_eq!(read(world.http.post(&url).json(&body)).await.status, status, "{body}");
    }
    assert_eq!(world.ghl.complaints().len(), 3);
}

#[tokio::test]
async fn an_account_that_takes_a_new_version_gets_its_scopes_with_the_next_refresh() {
    let world = World::new().await;
    let (home, agency) = (world.ghl.location_id(), world.ghl.company_id());
    for (account, code) in [
        (home.as_str(), world.ghl.install_location(&home, &SCOPES)),
        (agency.as_str(), world.ghl.install_company(&[], false, &SCOPES)),
    ] {
        let pair = redeem(&world, &code).await;
        world.ghl.take_events();
        world.ghl.take_update(account, &["contacts.readonly", "locations/tasks.readonly"]);
        let event: serde_json::Value = serde_json::from_slice(&world.ghl.take_events()[0].body).unwrap();
        assert_eq!((&event["type"], &event["companyId"]), (&json!("UPDATE"), &json!(agency)));
        assert_eq!(event["locationId"].as_str(), (account == home).then_some(account));
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&pair, "refresh_token"))];
        assert_eq!(text(&grant(&world, &refresh).await, "scope"), "contacts.readonly locations/tasks.readonly");
    }
    world.no_complaints();
}

#[tokio::test]
async fn all_that_was_ever_issued_is_known() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let code = world.ghl.install_location(&home, &SCOPES);
    let pair = redeem(&world, &code).await;
    let company = company(&world, &[&home], false).await;
    let local = location_token(&world, &company, &home).await;
    world.ghl.set_reconnect(true);
    let back = reconnect(&world, ("locationId", &home)).await;
    let seen = world.ghl.oauth_tokens_seen();
    for secret in [
        &world.ghl.client_secret(),
        &code,
        text(&pair, "access_token"),
        text(&pair, "refresh_token"),
        &company,
        text(&local, "access_token"),
        text(&back, "authorizationCode"),
    ] {
        assert!(seen.iter().any(|known| known == secret), "{secret}");
    }
    // Two codes and pairs, a location token, a code of a reconnect, the secret.
    assert_eq!(seen.len(), 2 + 4 + 1 + 1 + 1);
    let token = world.token().await;
    let seen = world.trafft.tokens_seen();
    assert!(seen.contains(&token) && seen.contains(&world.trafft.client_secret()));
    world.no_complaints();
}

#[tokio::test]
async fn a_thousand_locations() {
    let world = World::new().await;
    let ids: Vec<String> = (0..1000).map(|number| format!("location{number:04}00000000")).collect();
    for id in &ids {
        world.ghl.add_company_location(id, "Studio", "UTC", "US");
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let company = company(&world, &ids, false).await;
    world.ghl.set_limits(2000, 200_000);
    for id in &ids {
        let token = location_token(&world, &company, id).await;
        assert_eq!((token.status, text(&token, "locationId")), (200, *id));
    }
    assert_eq!(world.ghl.location_token_calls(), 1000);
    world.no_complaints();
}
