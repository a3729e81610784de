//! Who gets in, and how often (G §2 to §5).

use sandbox::ghl::Window;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn the_version_is_looked_at_before_the_token() {
    let world = World::new().await;
    let url = format!("{}/contacts/x", world.ghl.url());
    for token in ["wrong".to_owned(), world.ghl.token()] {
        let none = read(world.http.get(&url).bearer_auth(&token)).await;
        assert_eq!((none.status, none.body["message"].as_str()), (401, Some("version header was not found.")));
        let odd = read(world.http.get(&url).bearer_auth(&token).header("version", "2020-01-01")).await;
        assert_eq!((odd.status, odd.body["message"].as_str()), (401, Some("version header is invalid")));
    }
    assert_eq!(world.ghl.complaints().len(), 4);
    world.ghl.forgive();
    world.no_complaints();
    // Published, but not what the contacts file allows: served, and held against the caller.
    let published = read(world.http.get(&url).bearer_auth(world.ghl.token()).header("version", "2023-02-21")).await;
    assert_eq!(published.status, 400);
    assert_eq!(world.ghl.complaints().len(), 1);
}

#[tokio::test]
async fn credentials() {
    let world = World::new().await;
    let id = world.ghl.create_contact(json!({ "email": "ada@example.com" }));
    let path = format!("/contacts/{id}");
    let call = |token: &str| {
        world.http.get(format!("{}{path}", world.ghl.url())).bearer_auth(token).header("version", "2021-07-28")
    };
    let message = |reply: crate::world::Reply| (reply.status, reply.body["message"].as_str().unwrap().to_owned());
    assert_eq!(message(read(call("pit-wrong")).await), (401, "Invalid Private Integration token".to_owned()));
    assert_eq!(message(read(call("abc")).await), (401, "Invalid token: access token is invalid".to_owned()));
    world.ghl.set_scopes(&world.ghl.token(), &["contacts.write"]);
    assert_eq!(message(world.get(&path).await), (401, "The token is not authorized for this scope.".to_owned()));
    let other = world.ghl.add_location("otherLocation0000000", "Studio South", "Europe/Paris", "FR");
    let foreign = read(call(&other)).await;
    assert_eq!(foreign.status, 400, "a contact of another location is not found");
    let location = world.ghl.location_id();
    for request in [
        world
            .http
            .post(format!("{}/contacts/search", world.ghl.url()))
            .json(&json!({ "locationId": location, "pageLimit": 1 })),
        world.http.get(format!("{}/contacts/?locationId={location}", world.ghl.url())),
        world.http.get(format!("{}/locations/{location}", world.ghl.url())),
        call(&other).header("location-id", &location),
    ] {
        let reply = read(request.bearer_auth(&other).header("version", "2021-07-28")).await;
        // The last request carries its version already; a doubled header still reads as the first.
        assert_eq!(message(reply), (403, "The token does not have access to this location".to_owned()));
    }
    assert_eq!(read(call(&world.ghl.token())).await.status, 401);
    world.ghl.revoke_token(&other);
    assert_eq!(read(call(&other)).await.status, 401);
}

#[tokio::test]
async fn unknown_paths_and_keys() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    let lost = world.get("/contacts/a/b/c/d").await;
    assert_eq!((lost.status, lost.body["message"].as_str()), (404, Some("Cannot GET /contacts/a/b/c/d")));
    let id = world.ghl.create_contact(json!({ "email": "ada@example.com" }));
    // Create is not update: three keys of the one are refused by the other (G §6.3).
    let reply = world
        .send("PUT", &format!("/contacts/{id}"), json!({ "locationId": location, "gender": "f", "companyName": "c" }))
        .await;
    assert_eq!(reply.status, 422);
    let mut messages: Vec<&str> =
        reply.body["message"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    messages.sort_unstable();
    assert_eq!(
        messages,
        [
            "property companyName should not exist",
            "property gender should not exist",
            "property locationId should not exist"
        ]
    );
    let reply = world.send("POST", "/contacts/", json!({ "email": "b@example.com" })).await;
    assert_eq!((reply.status, &reply.body["message"]), (422, &json!(["locationId must be a string"])));
    let reply = world
        .send("POST", "/contacts/", json!({ "locationId": location, "email": "b@example.com", "additionalEmails": [] }))
        .await;
    assert_eq!((reply.status, &reply.body["message"]), (422, &json!(["property additionalEmails should not exist"])));
    let reply = world
        .send(
            "POST",
            "/contacts/",
            json!({ "locationId": location, "email": "b@example.com", "customFields": [{ "id": "x", "value": "y" }] }),
        )
        .await;
    assert_eq!(
        (reply.status, &reply.body["message"]),
        (422, &json!(["customFields.0.property value should not exist"]))
    );
    let reply = world.send("POST", &format!("/contacts/{id}/tasks"), json!({ "title": "t" })).await;
    assert_eq!(
        reply.body["message"],
        json!(["dueDate must be a valid ISO 8601 date string", "completed must be a boolean value"])
    );
    let nobody = world.send("POST", "/contacts/", json!({ "locationId": location, "firstName": "Ada" })).await;
    assert_eq!(nobody.status, 400);
    assert_eq!(world.ghl.complaints().len(), 7);
}

#[tokio::test]
async fn a_hundred_calls_in_ten_seconds() {
    let world = World::new().await;
    let path = format!("/locations/{}", world.ghl.location_id());
    for spent in 1..=100 {
        let reply = world.get(&path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-remaining"), (100 - spent).to_string());
    }
    world.clock.advance_ms(9_999);
    let refused = world.get(&path).await;
    assert_eq!((refused.status, refused.body), (429, json!({ "statusCode": 429, "message": "Too Many Requests" })));
    assert!(!refused.headers.contains_key("retry-after"));
    assert_eq!(refused.headers["x-ratelimit-max"], "100");
    assert_eq!(refused.headers["x-ratelimit-interval-milliseconds"], "10000");
    assert_eq!(refused.headers["x-ratelimit-limit-daily"], "200000");
    assert_eq!(refused.headers["x-ratelimit-daily-remaining"], "199900");
    assert_eq!(refused.headers["x-ratelimit-daily-reset"], "50390001", "until midnight UTC");
    assert_eq!(world.ghl.complaints().len(), 1, "a 429 that was earned is a complaint");
    // Each location has its own allowance.
    let other = world.ghl.add_location("otherLocation0000000", "Studio South", "Europe/Paris", "FR");
    let reply = read(
        world
            .http
            .get(format!("{}/locations/otherLocation0000000", world.ghl.url()))
            .bearer_auth(other)
            .header("version", "2021-07-28"),
    )
    .await;
    assert_eq!((reply.status, reply.header("x-ratelimit-remaining")), (200, "99"));
    world.clock.advance_ms(1);
    assert_eq!(world.get(&path).await.status, 200);
}

#[tokio::test]
async fn windows_and_days() {
    let world = World::new().await;
    let path = format!("/locations/{}", world.ghl.location_id());
    world.ghl.set_limits(1, 3);
    world.clock.advance_ms(9_000);
    assert_eq!(world.get(&path).await.status, 200);
    world.clock.advance_ms(1_000);
    assert_eq!(world.get(&path).await.status, 429, "sliding: less than ten seconds ago");
    world.ghl.set_window(Window::Fixed);
    assert_eq!(world.get(&path).await.status, 200, "fixed: ten seconds are over");
    world.clock.advance_ms(10_000);
    assert_eq!(world.get(&path).await.status, 200);
    world.clock.advance_ms(10_000);
    assert_eq!(world.get(&path).await.status, 429, "the day's three are spent");
    world.clock.advance_ms(14 * 3_600_000);
    assert_eq!(world.get(&path).await.status, 200);
}

#[tokio::test]
async fn the_most_calls_in_ten_seconds() {
    let world = World::new().await;
    let (path, token) = (format!("/locations/{}", world.ghl.location_id()), world.ghl.token());
    let most =
        || (world.ghl.most_in_a_window(&token, Window::Fixed), world.ghl.most_in_a_window(&token, Window::Sliding));
    assert_eq!(most(), (0, 0));
    world.ghl.set_limits(4, 1000);
    // The clock starts on full ten seconds: 1 call at 0 s, 3 at 9.999 s, 3 at 10 s.
    for (wait, calls) in [(0, 1), (9_999, 3), (1, 3)] {
        world.clock.advance_ms(wait);
        for _ in 0..calls {
            world.get(&path).await;
        }
    }
    assert_eq!(most(), (4, 6), "the first call is ten seconds old");
    assert_eq!(world.ghl.over_limit(), 2, "of six in the sliding window two were too many");
    world.ghl.faults().push(Matcher::any(), Fault::TooManyRequests { retry_after: None });
    world.clock.advance_ms(10_000);
    assert_eq!(world.get(&path).await.status, 429);
    assert_eq!((world.ghl.over_limit(), most()), (2, (4, 6)));
}
