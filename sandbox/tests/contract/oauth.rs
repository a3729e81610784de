//! An installed app's tokens: granted, refreshed, turned into location tokens, lost (G §3.2 to
//! G §3.4, §8.5).

use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::world::{Reply, World, read};

const SCOPES: [&str; 3] = ["contacts.readonly", "contacts.write", "locations.readonly"];
const COMPANY_SCOPES: [&str; 4] = ["contacts.readonly", "locations.readonly", "oauth.readonly", "oauth.write"];
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// A grant with the app's own id and secret.
pub async fn grant(world: &World, fields: Fields<'_>) -> Reply {
    let (id, secret) = (world.ghl.client_id(), world.ghl.client_secret());
    let form: Vec<(&str, &str)> =
        [("client_id", id.as_str()), ("client_secret", secret.as_str())].into_iter().chain(fields.to_vec()).collect();
    read(world.http.post(format!("{}/oauth/token", world.ghl.url())).form(&form)).await
}

pub async fn redeem(world: &World, code: &str) -> Reply {
    grant(world, &[("grant_type", "authorization_code"), ("code", code)]).await
}

async fn refresh(world: &World, token: &str) -> Reply {
    grant(world, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

pub async fn location_token(world: &World, company: &str, location: &str) -> Reply {
    let form = [("companyId", world.ghl.company_id()), ("locationId", location.to_owned())];
    let call = world.http.post(format!("{}/oauth/locationToken", world.ghl.url())).bearer_auth(company);
    read(call.header("version", "2021-07-28").form(&form)).await
}

async fn ask_location(world: &World, token: &str, location: &str) -> Reply {
    let call = world.http.get(format!("{}/locations/{location}", world.ghl.url())).bearer_auth(token);
    read(call.header("version", "2021-07-28")).await
}

pub fn text<'a>(reply: &'a Reply, key: &str) -> &'a str {
    reply.body[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", reply.body))
}

pub fn refused(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.body["message"].as_str().unwrap_or_default())
}

pub const BAD_REFRESH: (u16, &str) = (400, "Invalid grant: refresh token is invalid");
const BAD_CODE: (u16, &str) = (400, "Invalid grant: authorization code is invalid");

#[tokio::test]
async fn a_code_is_good_once_and_for_a_quarter_of_an_hour() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let code = world.ghl.install_location(&home, &SCOPES);
    let pair = redeem(&world, &code).await;
    assert_eq!(pair.status, 200, "{}", pair.body);
    for (key, value) in [
        ("token_type", json!("Bearer")),
        ("expires_in", json!(86_399)),
        ("scope", json!("contacts.readonly contacts.write locations.readonly")),
        ("userType", json!("Location")),
        ("locationId", json!(home)),
        ("companyId", json!(world.ghl.company_id())),
        ("isBulkInstallation", json!(false)),
    ] {
        assert_eq!(pair.body[key], value, "{key}");
    }
    assert_eq!(refused(&redeem(&world, &code).await), BAD_CODE);
    assert_eq!(refused(&redeem(&world, "never").await), BAD_CODE);
    let late = world.ghl.install_location(&home, &SCOPES);
    world.clock.advance_ms(15 * MINUTE);
    assert_eq!(refused(&redeem(&world, &late).await), (400, "Invalid grant: authorization code has expired"));
    world.no_complaints();
}

#[tokio::test]
async fn what_the_token_endpoint_refuses() {
    let world = World::new().await;
    let url = format!("{}/oauth/token", world.ghl.url());
    let (id, secret) = (world.ghl.client_id(), world.ghl.client_secret());
    let (id, secret) = (("client_id", id.as_str()), ("client_secret", secret.as_str()));
    let code = ("grant_type", "authorization_code");
    let cases: [(Fields<'_>, u16, Value); 10] = [
        (&[secret, code], 400, json!("Missing parameter: clientId")),
        (&[id, code], 400, json!("Missing parameter: clientSecret")),
        (&[id, ("client_secret", "no"), code], 401, json!("Invalid client: client is invalid")),
        (&[("client_id", "no"), secret, code], 401, json!("Invalid client: client is invalid")),
        (&[id, secret], 400, json!("Missing parameter: grantType")),
        (&[id, secret, ("grant_type", "password")], 400, json!("Invalid parameter: grantType")),
        (&[id, secret, code], 400, json!("Missing parameter: code")),
        (&[id, secret, ("grant_type", "refresh_token")], 400, json!("Missing parameter: refreshToken")),
        (&[id, secret, code, ("colour", "red")], 422, json!(["property colour should not exist"])),
        (
            &[id, secret, code, ("user_type", "Agency")],
            422,
            json!(["user_type must be one of the following values: Company, Location"]),
        ),
    ];
    for (form, status, message) in &cases {
        let reply = read(world.http.post(&url).form(form)).await;
        assert_eq!((reply.status, &reply.body["message"]), (*status, message));
    }
    assert_eq!(refused(&refresh(&world, "never").await), BAD_REFRESH, "there never was such a token");
    let as_json = read(world.http.post(&url).json(&json!({ "client_id": "x" }))).await;
    assert_eq!(as_json.status, 400);
    assert_eq!(world.ghl.complaints().len(), cases.len() + 2, "a correct client comes to none of these");
}

#[tokio::test]
async fn refresh_tokens_are_good_once() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let first = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    let second = refresh(&world, text(&first, "refresh_token")).await;
    assert_eq!(second.status, 200);
    assert_ne!(text(&first, "refresh_token"), text(&second, "refresh_token"));
    for token in [text(&first, "access_token"), text(&second, "access_token")] {
        assert_eq!(ask_location(&world, token, &home).await.status, 200, "both live until their own end");
    }
    // The same pair again for half a minute, then nothing.
    world.clock.advance_ms(30_000);
    assert_eq!(refresh(&world, text(&first, "refresh_token")).await.body, second.body);
    world.clock.advance_ms(1);
    assert_eq!(refused(&refresh(&world, text(&first, "refresh_token")).await), BAD_REFRESH);
    assert_eq!((world.ghl.refreshes(), world.ghl.refresh_repeats(), world.ghl.refresh_reuses()), (1, 1, 1));
    assert_eq!(refresh(&world, text(&second, "refresh_token")).await.status, 200, "the reuse cost nobody else's token");
    let third = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    world.clock.advance_ms(365 * DAY);
    assert_eq!(refused(&refresh(&world, text(&third, "refresh_token")).await), BAD_REFRESH);
    world.no_complaints();
}

#[tokio::test]
async fn a_rotation_whose_answer_nobody_saw() {
    let world = World::new().await;
    let pair = redeem(&world, &world.ghl.install_location(&world.ghl.location_id(), &SCOPES)).await;
    for fault in [Fault::Status(500), Fault::Html(502)] {
        world.ghl.faults().push(Matcher::new("POST", "/oauth/token"), fault);
        assert!(refresh(&world, text(&pair, "refresh_token")).await.status >= 500);
    }
    world.ghl.faults().push(Matcher::new("POST", "/oauth/token"), Fault::DoneThenDropped);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&pair, "refresh_token")),
        ("client_id", &world.ghl.client_id()),
        ("client_secret", &world.ghl.client_secret()),
    ];
    assert!(world.http.post(format!("{}/oauth/token", world.ghl.url())).form(&form).send().await.is_err());
    assert_eq!(world.ghl.refreshes(), 1, "done all the same");
    world.ghl.set_same_pair(false);
    assert_eq!(
        refused(&refresh(&world, text(&pair, "refresh_token")).await),
        BAD_REFRESH,
        "if it were good once alone"
    );
    world.ghl.set_same_pair(true);
    assert_eq!(refresh(&world, text(&pair, "refresh_token")).await.status, 200);
    assert_eq!((world.ghl.refresh_repeats(), world.ghl.refresh_reuses()), (1, 1));
    assert!(world.ghl.journal().entries().iter().all(|entry| entry.path == "/oauth/token" && entry.body.is_none()));
    world.no_complaints();
}

#[tokio::test]
async fn an_inactive_location_keeps_its_refresh_token() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let pair = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    let code = world.ghl.install_location(&home, &SCOPES);
    world.ghl.set_active(&home, false);
    for _ in 0..2 {
        let reply = refresh(&world, text(&pair, "refresh_token")).await;
        assert_eq!(refused(&reply), (400, "Location is not active"));
        assert_eq!(refused(&redeem(&world, &code).await), (400, "Location is not active"));
    }
    world.ghl.set_active(&home, true);
    assert_eq!(refresh(&world, text(&pair, "refresh_token")).await.status, 200);
    assert_eq!(redeem(&world, &code).await.status, 200);
    assert_eq!((world.ghl.refreshes(), world.ghl.refresh_reuses()), (1, 0));
    world.no_complaints();
}

#[tokio::test]
async fn an_access_token_opens_its_location_for_its_scopes_and_for_a_day() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    world.ghl.add_company_location("otherLocation0000000", "Studio South", "Europe/Paris", "FR");
    let id = world.ghl.create_contact(json!({ "email": "ada@example.com" }));
    let pair = redeem(&world, &world.ghl.install_location(&home, &["contacts.readonly", "locations.readonly"])).await;
    let token = text(&pair, "access_token").to_owned();
    let contact = |method: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let call = world.http.request(method, format!("{}/contacts/{id}", world.ghl.url())).bearer_auth(&token);
        read(call.header("version", "2021-07-28"))
    };
    assert_eq!(contact("GET").await.status, 200);
    assert_eq!(refused(&contact("DELETE").await), (401, "The token is not authorized for this scope."));
    let foreign = ask_location(&world, &token, "otherLocation0000000").await;
    assert_eq!(refused(&foreign), (403, "The token does not have access to this location"));
    assert_eq!(world.ghl.complaints().len(), 2);
    world.ghl.forgive();
    world.clock.advance_ms(86_398_999);
    assert_eq!(contact("GET").await.status, 200);
    world.clock.advance_ms(1);
    assert_eq!(refused(&contact("GET").await), (401, "Invalid JWT"));
    let pair = refresh(&world, text(&pair, "refresh_token")).await;
    assert_eq!(ask_location(&world, text(&pair, "access_token"), &home).await.status, 200);
    world.ghl.expire_access_tokens();
    assert_eq!(refused(&ask_location(&world, text(&pair, "access_token"), &home).await), (401, "Invalid JWT"));
    assert_eq!(refresh(&world, text(&pair, "refresh_token")).await.status, 200);
    world.no_complaints();
}

#[tokio::test]
async fn the_allowance_is_the_locations_whatever_its_token() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let pair = redeem(&world, &world.ghl.install_location(&home, &SCOPES)).await;
    assert!(pair.headers.get("x-ratelimit-max").is_none(), "no allowance is known for grants");
    let next = refresh(&world, text(&pair, "refresh_token")).await;
    for (token, left) in [(text(&pair, "access_token"), "99"), (text(&next, "access_token"), "98")] {
        assert_eq!(ask_location(&world, token, &home).await.header("x-ratelimit-remaining"), left);
    }
    let most = |key: &str| world.ghl.most_in_a_window(key, sandbox::ghl::Window::Sliding);
    assert_eq!((most(&home), most(text(&pair, "access_token")), most(&world.ghl.token())), (2, 2, 0));
    world.no_complaints();
}

#[tokio::test]
async fn a_company_token_is_turned_into_location_tokens() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    world.ghl.add_company_location("otherLocation0000000", "Studio South", "Europe/Paris", "FR");
    let pair = redeem(&world, &world.ghl.install_company(&[&home], false, &COMPANY_SCOPES)).await;
    let company = text(&pair, "access_token").to_owned();
    assert_eq!(text(&pair, "userType"), "Company");
    assert!(pair.body.get("locationId").is_none());
    assert_eq!(pair.body["approvedLocations"], json!([home]));
    assert_eq!(
        (&pair.body["installToFutureLocations"], &pair.body["isBulkInstallation"]),
        (&json!(false), &json!(true))
    );
    let token = location_token(&world, &company, &home).await;
    assert_eq!(text(&token, "scope"), "contacts.readonly locations.readonly");
    assert_eq!((text(&token, "locationId"), text(&token, "appId")), (home.as_str(), world.ghl.app_id().as_str()));
    assert!(token.body.get("refresh_token").is_none() && token.body.get("companyId").is_none());
    assert_eq!(ask_location(&world, text(&token, "access_token"), &home).await.status, 200);
    let absent = location_token(&world, &company, "otherLocation0000000").await;
    assert_eq!(refused(&absent), (400, "App is not installed on this location"));
    world.ghl.install_more("otherLocation0000000");
    world.ghl.set_location_refresh_tokens(true);
    let other = location_token(&world, &company, "otherLocation0000000").await;
    assert_eq!(text(&refresh(&world, text(&other, "refresh_token")).await, "locationId"), "otherLocation0000000");
    world.ghl.set_active(&home, false);
    assert_eq!(refused(&location_token(&world, &company, &home).await), (400, "Location is not active"));
    assert_eq!(world.ghl.location_token_calls(), 2);
    let next = refresh(&world, text(&pair, "refresh_token")).await;
    assert_eq!((text(&next, "userType"), next.body.get("approvedLocations")), ("Company", None));
    world.no_complaints();
    // What a correct client never does.
    let wrong_scope = (401, "The token is not authorized for this scope.");
    assert_eq!(refused(&ask_location(&world, &company, &home).await), wrong_scope, "contacts need a location's token");
    for token in [world.ghl.token(), text(&token, "access_token").to_owned()] {
        assert_eq!(refused(&location_token(&world, &token, &home).await), wrong_scope);
    }
    world.ghl.set_scopes(&company, &["oauth.readonly"]);
    assert_eq!(refused(&location_token(&world, &company, &home).await), wrong_scope);
    let url = format!("{}/oauth/locationToken", world.ghl.url());
    assert_eq!(
        refused(&read(world.http.post(url).bearer_auth(&company)).await),
        (401, "version header was not found.")
    );
    assert_eq!(world.ghl.complaints().len(), 5);
}
