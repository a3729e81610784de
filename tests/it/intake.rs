//! What becomes of a believed event: how old it may be, when it is a repeat, whose it is, and that
//! it is never lost.

use std::time::Duration;

use sandbox::{Class, Fault, Matcher};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

fn calls(world: &World) -> usize {
    world.sandbox.ghl.journal().entries().len() + world.sandbox.trafft.journal().entries().len()
}

/// Lets everything else run until it is so.
async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_age_of_an_event_decides_nothing() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    // How long the repeats go on is not published, and a person may send a delivery again 30 days
    // later (G §8.6).
    for (name, late) in [("Minutes", 70 * 60), ("Days", 3 * 86_400), ("Month", 30 * 86_400)] {
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": name }));
        let event = world.sandbox.ghl.take_events().remove(0);
        world.advance(Duration::from_secs(late));
        assert_eq!(world.deliver_now(&event).await.status(), "synced", "{name}");
        assert_eq!(world.customer_of(&contact).await.last_name, name);
    }
    let now = world.clock.now();
    for sent in [
        json!((now + Duration::from_hours(24)).to_string()),
        json!("9999-12-30T21:59:59Z"),
        json!("-009999-01-02T02:00:00Z"),
        json!("1969-12-31T23:59:59Z"),
        json!("yesterday"),
        Value::Null,
    ] {
        let answer = world.tell(world.event(json!({ "id": contact, "timestamp": sent }))).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{sent}");
    }
}

#[tokio::test]
async fn one_id_for_two_events_hides_neither() {
    let world = World::new().await;
    let (one, two) = (world.synced(ada()).await, world.synced(json!({ "email": "b@example.com" })).await);
    let task = world.sandbox.ghl.add_task(&one, json!({ "title": "Call" }));
    world.sandbox.ghl.take_events();
    let (id, at) = (json!("0d9f1f6e-6c0a-4b7e-9b7e-3f0d8b0c2a11"), json!(world.clock.now().to_string()));
    let same = |changes: Value| {
        let mut event = json!({ "webhookId": id, "timestamp": at });
        event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.event(event)
    };
    for (event, status) in [
        (same(json!({ "id": one })), "unchanged"),
        (same(json!({ "id": two })), "unchanged"),
        (same(json!({ "id": one, "type": "ContactTagUpdate" })), "unchanged"),
        (same(json!({ "id": task, "contactId": one, "type": "TaskCreate" })), "synced"),
        (same(json!({ "id": task, "contactId": two, "type": "TaskCreate" })), "unchanged"),
        (same(json!({ "id": one })), "duplicate"),
        (same(json!({ "id": task, "contactId": two, "type": "TaskCreate" })), "duplicate"),
    ] {
        let shown = String::from_utf8_lossy(&event).into_owned();
        let answer = world.tell(event).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, status), "{shown}: {}", answer.json);
    }
}

#[tokio::test]
async fn only_the_senders_own_id_tells_a_repeat() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let long = "w".repeat(10_000);
    for id in [json!("0d9f1f6e"), json!("a b"), json!("ä\u{0}"), json!(7), json!(long), json!("sha256:7")] {
        let now = world.clock.now().to_string();
        let body = |location: &str| {
            world.event(json!({ "id": contact, "locationId": location, "webhookId": id, "timestamp": now }))
        };
        let home = world.sandbox.ghl.location_id();
        let first = world.tell(body(&home)).await;
        assert_eq!(first.status(), "unchanged", "{}", first.json);
        world.forget_calls();
        let again = world.tell(body(&home)).await;
        assert_eq!((again.code.as_u16(), again.status(), again.event()), (200, "duplicate", first.event()));
        assert_eq!(calls(&world), 0, "a repeat costs nothing");
        let elsewhere = world.tell(body("anotherLocation00001")).await;
        assert_eq!(elsewhere.status(), "parked", "ids are of one location: {}", elsewhere.json);
        assert_ne!(elsewhere.event(), first.event());
    }
    for nothing in [Value::Null, json!(""), json!("  "), json!([]), json!({ "a": 1 })] {
        let body = world.event(json!({ "id": contact, "webhookId": nothing }));
        let (first, again) = (world.tell(body.clone()).await, world.tell(body).await);
        assert_eq!((first.status(), again.status()), ("unchanged", "unchanged"), "{nothing}");
        assert_ne!(first.event(), again.event(), "two equal bodies can be two events: {nothing}");
    }
}

#[tokio::test]
async fn an_event_of_a_location_that_is_not_connected_is_parked() {
    let world = World::new().await;
    world.forget_calls();
    let answer = world.tell(world.event(json!({ "locationId": "anotherLocation00001" }))).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "parked"));
    assert!(
        answer.reason().contains("anotherLocation00001") && answer.reason().contains("connections list"),
        "{}",
        answer.reason()
    );
    world.drain().await;
    assert_eq!(calls(&world), 0);
    assert_eq!(world.stored().await[0]["status"], "parked");
    assert_eq!(world.get("/api/v1/contacts").await.json["contacts"], json!([]));
}

#[tokio::test]
async fn the_answer_does_not_wait_longer_than_the_deadline() {
    let world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    let event = world.sandbox.ghl.take_events().remove(0);
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 20_000 });
    world.forget_calls();
    let (answer, ()) = tokio::join!(world.deliver_now(&event), async {
        until(|| world.sandbox.trafft.journal().count(Class::CustomerWrite) == 1).await;
        world.advance(Duration::from_millis(2_000));
    });
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
    world.advance(Duration::from_secs(20));
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.first_name, "Ada");
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
    let stored = world.get(&format!("/api/v1/events/{}", answer.event())).await.json;
    assert_eq!(stored["status"], "synced");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart() {
    let mut world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    world
        .sandbox
        .trafft
        .faults()
        .push(Matcher::new("POST", "/api/v2/customers"), Fault::TooManyRequests { retry_after: Some(60) });
    let answer = world.deliver_all().await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
    assert!(answer.reason().contains("Trafft"), "{}", answer.reason());
    world.restart().await;
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.first_name, "Ada");
}

#[tokio::test]
async fn an_event_that_cannot_be_stored_is_asked_for_again_and_then_taken() {
    let world = World::on_sqlite(&[]).await;
    let contact = world.sandbox.ghl.create_contact(ada());
    let event = world.sandbox.ghl.take_events().remove(0);
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", world.path("sync.db"))).await.unwrap();
    // What SQLite says of a full disk, without filling one.
    let full = "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    sqlx::query(full).execute(&mut database).await.unwrap();
    let probe =
        "CREATE TRIGGER probe BEFORE UPDATE ON processes BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    sqlx::query(probe).execute(&mut database).await.unwrap();
    let answer = world.deliver_now(&event).await;
    assert_eq!(answer.code, 429, "{}", answer.json);
    assert!(answer.is_problem() && answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    assert_eq!(world.http.get(world.url("/readyz")).send().await.unwrap().status(), 503);
    assert_eq!(world.http.get(world.url("/healthz")).send().await.unwrap().status(), 200);
    assert_eq!(world.stored().await.len(), 0);
    sqlx::query("DROP TRIGGER full").execute(&mut database).await.unwrap();
    sqlx::query("DROP TRIGGER probe").execute(&mut database).await.unwrap();
    let answer = world.deliver_now(&event).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "synced"), "{}", answer.json);
    assert_eq!(world.http.get(world.url("/readyz")).send().await.unwrap().status(), 200);
    assert_eq!(world.customer_of(&contact).await.first_name, "Ada");
}

#[tokio::test]
async fn a_service_that_is_stopping_asks_for_the_event_again() {
    let mut world = World::new().await;
    let body = world.event(json!({ "type": "INSTALL" }));
    let signature = world.sandbox.ghl.sign(&body);
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(b"POST /webhooks/ghl HTTP/1.1\r\nHost: test\r\n").await.unwrap();
    // Whoever came before is at the door by now.
    assert_eq!(world.http.get(world.url("/healthz")).send().await.unwrap().status(), 200);
    let rest = async {
        let head = format!("X-GHL-Signature: {signature}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(world.stop(), rest);
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: ") && answer.contains("problem+json"), "{answer}");
    world.start().await;
    assert_eq!(world.stored().await.len(), 0);
}
