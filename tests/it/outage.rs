//! A vendor that is down: webhooks are answered as ever, nobody's attempts are spent, and
//! afterwards all is made good in order.

use std::time::Duration;

use futures_util::future::join_all;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::support::World;

const HOUR: Duration = Duration::from_secs(3600);

/// More than anybody will ask.
const ALL: usize = 1_000_000;

async fn world() -> World {
    let mut world = World::new().await;
    // Faults that nobody met are left over when the vendor comes back.
    world.forgiving = true;
    world
}

#[tokio::test]
async fn a_day_without_trafft_costs_nobody_anything() {
    let world = world().await;
    world.sandbox.trafft.faults().push(Matcher::path("/api/v2").times(ALL), Fault::Status(503));
    let mut contacts = Vec::new();
    for hour in 0..24 {
        for number in 0..5 {
            let email = format!("h{hour}n{number}@example.com");
            contacts.push(world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email })));
        }
        for event in world.sandbox.ghl.take_events() {
            // The clock stands still, so whoever waited for a deadline would wait for ever.
            let answer = world.deliver_now(&event).await;
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
            assert!(answer.reason().contains("Trafft"), "{}", answer.reason());
        }
        world.rest(HOUR).await;
    }
    let calls = world.sandbox.trafft.journal().entries().len();
    // One contact at a time tries, every five minutes at the end: 288 a day, and a few before it
    // was sure.
    assert!(calls < 350, "{calls} calls to a vendor that is down");
    let mut spent = 0;
    for contact in &contacts {
        let shown = world.contact(contact).await;
        assert_eq!(shown["status"], "queued", "{shown}");
        spent += shown["attempt"].as_i64().unwrap();
    }
    assert!(spent <= 2, "only those that found out have spent an attempt: {spent}");

    world.sandbox.trafft.faults().clear();
    world.forget_calls();
    world.rest(HOUR).await;
    for contact in &contacts {
        assert_eq!(world.contact(contact).await["status"], "synced");
    }
    assert_eq!(world.sandbox.trafft.customers().len(), contacts.len());
    assert!(world.sandbox.trafft.journal().max_in_flight() <= 2, "two at once, however much waits");
    assert_eq!(world.sandbox.ghl.journal().entries().len(), 0, "what was read before is not read again");
}

#[tokio::test]
async fn a_day_without_gohighlevel_costs_nobody_anything() {
    let world = world().await;
    world.sandbox.ghl.faults().push(Matcher::any().times(ALL), Fault::Html(502));
    let mut contacts = Vec::new();
    for number in 0..40 {
        let email = format!("n{number}@example.com");
        contacts.push(world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email })));
    }
    for event in world.sandbox.ghl.take_events() {
        let answer = world.deliver_now(&event).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
    }
    world.rest(24 * HOUR).await;
    let calls = world.sandbox.ghl.journal().entries().len();
    assert!(calls < 350, "{calls} calls to a vendor that is down");
    world.sandbox.ghl.faults().clear();
    world.rest(HOUR).await;
    for contact in &contacts {
        assert_eq!(world.contact(contact).await["status"], "synced");
    }
}

#[tokio::test]
async fn one_record_that_trafft_fails_over_stops_nobody_else_and_is_given_up_in_the_end() {
    let world = world().await;
    let poison = world.synced(json!({ "firstName": "Odd", "email": "odd@example.com" })).await;
    let customer = world.customer_of(&poison).await.id;
    let path = format!("/api/v2/customers/{customer}");
    world.sandbox.trafft.faults().push(Matcher::new("PATCH", &path).times(ALL), Fault::Status(500));
    world.sandbox.ghl.edit_contact(&poison, json!({ "lastName": "Odder" }));
    world.deliver_all().await;
    for day in 0..6 {
        let email = format!("day{day}@example.com");
        world.synced(json!({ "firstName": "Ada", "email": email })).await;
        world.rest(24 * HOUR).await;
    }
    let shown = world.contact(&poison).await;
    assert_eq!(shown["status"], "failed", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("given up after 10 attempts"), "{shown}");
    // Trafft has been mended: all that was given up on is asked for again.
    world.sandbox.trafft.faults().clear();
    let retried = world.admin(reqwest::Method::POST, "/api/v1/retry", None).await;
    assert_eq!((retried.code.as_u16(), retried.json["contacts"].as_u64()), (202, Some(1)), "{}", retried.json);
    world.rest(HOUR).await;
    assert_eq!(world.customer_of(&poison).await.last_name, "Odder");
}

/// Ten minutes in which all calls to one vendor meet this. Ten contacts are edited, and one a
/// minute is created; afterwards nothing is deleted, nothing is given up, and everything is synced
/// without a person. How many calls the vendor got meanwhile.
async fn ten_minutes_of(trafft: bool, fault: Fault) -> usize {
    // The clock stands still while a webhook is answered, so its answer waits for nothing.
    let mut world = World::with(&[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let shown = format!("{} answers {fault:?}", if trafft { "Trafft" } else { "GoHighLevel" });
    let mut contacts = Vec::new();
    for number in 0..10 {
        let email = format!("n{number}@example.com");
        contacts.push(world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email })));
    }
    world.deliver_all().await;
    world.drain().await;
    let customers = world.sandbox.trafft.customers();
    let (faults, journal) = match trafft {
        true => (world.sandbox.trafft.faults(), world.sandbox.trafft.journal()),
        false => (world.sandbox.ghl.faults(), world.sandbox.ghl.journal()),
    };
    world.forget_calls();
    faults.push(Matcher::any().times(ALL), fault);
    for contact in &contacts {
        world.sandbox.ghl.edit_contact(contact, json!({ "lastName": "Byron" }));
    }
    for minute in 0..10 {
        let new = json!({ "firstName": "New", "lastName": "Byron", "email": format!("m{minute}@example.com") });
        contacts.push(world.sandbox.ghl.create_contact(new));
        for event in world.sandbox.ghl.take_events() {
            let answer = world.deliver_now(&event).await;
            assert_eq!(answer.code, 200, "{shown}: {}", answer.json);
            // One after the other: how many are on their way when the vendor counts as down is no
            // matter of chance then.
            world.idle().await;
        }
        world.rest(Duration::from_secs(60)).await;
        for contact in &contacts {
            assert_eq!(world.contact(contact).await["status"], "queued", "{shown}, minute {minute}");
        }
    }
    let calls = journal.entries().len();
    assert_eq!(world.sandbox.trafft.customers(), customers, "{shown}: nothing was written meanwhile");
    faults.clear();
    world.rest(HOUR).await;
    for contact in &contacts {
        let now = world.contact(contact).await;
        assert!(now["status"] == "synced" || now["status"] == "unchanged", "{shown}: {now}");
        assert_eq!(world.customer_of(contact).await.last_name, "Byron", "{shown}");
    }
    let after: Vec<_> = world.sandbox.trafft.customers().iter().map(|one| one.id).collect();
    assert_eq!(after.len(), contacts.len(), "{shown}");
    assert!(customers.iter().all(|one| after.contains(&one.id)), "{shown}: none was deleted and made again");
    calls
}

/// A gateway's pages cost no more calls than 503 of the vendor itself.
async fn a_gateway_is_an_outage(trafft: bool) {
    let calls =
        join_all([503, 404, 400, 403, 302, 402, 425, 451].map(|status| ten_minutes_of(trafft, Fault::Html(status))))
            .await;
    assert!(calls.iter().all(|page| *page <= calls[0]), "calls in an outage, and with each page: {calls:?}");
}

#[tokio::test]
async fn ten_minutes_of_a_gateway_that_answers_for_trafft_are_an_outage() {
    a_gateway_is_an_outage(true).await;
}

#[tokio::test]
async fn ten_minutes_of_a_gateway_that_answers_for_gohighlevel_are_an_outage() {
    a_gateway_is_an_outage(false).await;
}
