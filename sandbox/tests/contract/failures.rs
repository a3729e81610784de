//! Scripted and random failures on both (G §4, T §4).

use sandbox::{Fault, Faults, Matcher, Rates};
use serde_json::json;

use crate::world::{World, until};

fn push(faults: &Faults, fault: Fault) {
    faults.push(Matcher::new("POST", "/api/v2/customers"), fault);
}

#[tokio::test]
async fn every_fault() {
    let world = World::new().await;
    let token = world.token().await;
    let faults = world.trafft.faults();
    let body = json!({ "first_name": "a", "last_name": "b" });
    let post = || world.trafft_call(&token, "POST", "/customers", Some(body.clone())).send();
    let count = || world.trafft.customers().len();

    for (fault, status, retry_after) in [
        (Fault::Status(503), 503, None),
        (Fault::StatusWithBody(422, r#"{"message":"no"}"#.to_owned()), 422, None),
        (Fault::TooManyRequests { retry_after: None }, 429, None),
        (Fault::TooManyRequests { retry_after: Some(7) }, 429, Some("7")),
        (Fault::Html(200), 200, None),
        (Fault::Html(502), 502, None),
    ] {
        push(&faults, fault);
        let reply = post().await.unwrap();
        assert_eq!(reply.status().as_u16(), status);
        assert_eq!(reply.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry_after);
        assert_eq!(count(), 0);
    }
    push(&faults, Fault::Html(200));
    assert!(post().await.unwrap().text().await.unwrap().starts_with("<!doctype html>"));

    push(&faults, Fault::Refuse);
    assert!(post().await.is_err());
    assert_eq!(count(), 0, "nothing was carried out");

    push(&faults, Fault::DoneThenDropped);
    assert!(post().await.is_err());
    assert_eq!(count(), 1);

    push(&faults, Fault::CutShort);
    let cut = post().await.unwrap();
    assert_eq!(cut.status(), 201, "the head arrives");
    assert!(cut.bytes().await.is_err(), "the body does not");
    assert_eq!(count(), 2);

    push(&faults, Fault::DoneThenStatus(500));
    assert_eq!(post().await.unwrap().status(), 500);
    assert_eq!(count(), 3);

    push(&faults, Fault::DroppedThenDone { after_ms: 1000 });
    assert!(post().await.is_err());
    assert_eq!(count(), 3);
    world.clock.advance_ms(999);
    tokio::task::yield_now().await;
    assert_eq!(count(), 3);
    world.clock.advance_ms(1);
    until("done after all", || count() == 4).await;

    assert_eq!(faults.unspent(), 0);
    assert_eq!(post().await.unwrap().status(), 201, "the script is over");
    let statuses: Vec<u16> = world.trafft.journal().entries().iter().map(|entry| entry.status).skip(8).collect();
    assert_eq!(statuses, [0, 0, 0, 500, 0, 201], "no answer is 0");
    world.no_complaints();
}

#[tokio::test]
async fn slow_answers_wait_for_the_clock_and_are_carried_out_regardless() {
    let world = World::new().await;
    let token = world.token().await;
    world.trafft.faults().push(Matcher::path("/api/v2/customers").times(3), Fault::Slow { ms: 5000 });
    let post = |name: &str| {
        let body = json!({ "first_name": name, "last_name": "b" });
        tokio::spawn(world.trafft_call(&token, "POST", "/customers", Some(body)).send())
    };
    let (first, second, third) = (post("a"), post("b"), post("c"));
    until("three in flight", || world.trafft.journal().max_in_flight() == 3 && world.trafft.faults().unspent() == 0)
        .await;
    assert!(world.trafft.customers().is_empty() && !first.is_finished());
    third.abort();
    let _ = third.await;
    // Let the sleepers settle on the clock before it moves.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.clock.advance_ms(5000);
    assert_eq!(
        (first.await.unwrap().unwrap().status(), second.await.unwrap().unwrap().status()),
        (201.try_into().unwrap(), 201.try_into().unwrap())
    );
    until("the abandoned call is carried out too", || world.trafft.customers().len() == 3).await;
}

#[tokio::test]
async fn matchers_and_counts() {
    let world = World::new().await;
    let faults = world.ghl.faults();
    faults.push(Matcher::new("get", "/contacts/").times(2), Fault::Status(500));
    faults.push(Matcher::any(), Fault::DoneThenStatus(422));
    assert_eq!(faults.unspent(), 3);
    let body = json!({ "locationId": world.ghl.location_id(), "email": "ada@example.com" });
    // 422, yet created (G §4, #64): looking first is the only way to know.
    let odd = world.send("POST", "/contacts/", body.clone()).await;
    assert_eq!((odd.status, odd.body["message"].is_array(), world.ghl.contact_ids().len()), (422, true, 1));
    assert_eq!(odd.headers["x-ratelimit-max"], "100");
    assert_eq!(
        (
            world.get("/contacts/x").await.status,
            world.get("/contacts/x").await.status,
            world.get("/contacts/x").await.status
        ),
        (500, 500, 400)
    );
    assert_eq!(world.send("POST", "/contacts/", body).await.status, 400);
    faults.push(Matcher::any(), Fault::Status(500));
    faults.clear();
    assert_eq!(faults.unspent(), 0);
    world.no_complaints();
}

#[tokio::test]
async fn chances_repeat_with_their_seed() {
    let world = World::new().await;
    let path = format!("/locations/{}", world.ghl.location_id());
    let mut runs = Vec::new();
    for _ in 0..2 {
        world
            .ghl
            .faults()
            .set_rates(Rates { status_500: 0.3, status_429: 0.2, done_then_dropped: 0.1, ..Rates::default() }, 42);
        world.clock.advance_ms(10_000);
        let mut run = Vec::new();
        for _ in 0..80 {
            run.push(world.ghl("GET", &path).send().await.map_or(0, |reply| reply.status().as_u16()));
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    for status in [0, 200, 429, 500] {
        assert!(runs[0].contains(&status), "{status} in {:?}", runs[0]);
    }
    world.no_complaints();
}

#[tokio::test]
async fn every_kind_of_chance() {
    let world = World::new().await;
    let token = world.token().await;
    let rates = Rates {
        status_500: 0.15,
        status_429: 0.15,
        done_then_dropped: 0.15,
        cut_short: 0.15,
        dropped_then_done: 0.15,
        refused_then_done: 0.1,
        foreign_then_done: 0.1,
        late_max_ms: 4000,
        gateway: 0.0,
    };
    let faults = world.trafft.faults();
    faults.set_rates_for(Matcher::new("POST", "/api/v2/customers"), rates, 7);
    let (mut met, mut done_at_once) = (std::collections::BTreeMap::new(), 0);
    for number in 0..120 {
        let before = world.trafft.customers().len();
        let body = json!({ "first_name": "a", "last_name": number.to_string() });
        let kind = match world.trafft_call(&token, "POST", "/customers", Some(body)).send().await {
            Ok(reply) if reply.status() == 201 => reply.bytes().await.map_or("cut short", |_| "well"),
            Ok(reply) if reply.status() == 429 => "429",
            Ok(reply) if reply.status() == 400 => "refused, then done",
            Ok(reply) if reply.status() == 200 => "answered by another service, then done",
            Ok(reply) => {
                if reply.status() == 500 {
                    "500"
                } else {
                    "odd"
                }
            }
            Err(_) if world.trafft.customers().len() > before => "done, then dropped",
            Err(_) => "dropped, then done",
        };
        done_at_once += usize::from(world.trafft.customers().len() > before);
        *met.entry(kind).or_insert(0) += 1;
        assert_eq!(world.trafft_call(&token, "GET", "/customers", None).send().await.unwrap().status(), 200);
    }
    assert_eq!(met.len(), 8, "{met:?}");
    assert!(!met.contains_key("odd"));
    assert_eq!(done_at_once, met["well"] + met["cut short"] + met["done, then dropped"]);
    let later = ["dropped, then done", "refused, then done", "answered by another service, then done"];
    let later: usize = later.iter().map(|kind| met[kind]).sum();
    world.clock.advance_ms(2000);
    until("some are done", || world.trafft.customers().len() > done_at_once).await;
    world.clock.advance_ms(2000);
    until("all are done", || world.trafft.customers().len() == done_at_once + later).await;
    faults.set_rates_for(Matcher::new("POST", "/api/v2/customers"), Rates::default(), 0);
    faults.set_rates(Rates { status_500: 1.0, ..Rates::default() }, 0);
    let body = json!({ "first_name": "a", "last_name": "b" });
    assert_eq!(world.trafft_call(&token, "POST", "/customers", Some(body)).send().await.unwrap().status(), 201);
    assert_eq!(world.trafft_call(&token, "GET", "/customers", None).send().await.unwrap().status(), 500);
    world.no_complaints();
}
