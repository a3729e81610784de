//! Webhooks: signatures, delivery, retries, and what can be wrong with them (G §8.2 to §8.6).

use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sandbox::ghl::{LOOK_MS, MAX_RETRIES, RETRY_FIRST_MS, RETRY_LONGEST_MS, WebhookSwitches};
use serde_json::{Value, json};

use crate::world::{World, until};

type Received = (HeaderMap, Vec<u8>);

/// Somebody to deliver to, who answers what the test says and keeps what came.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, String) {
        let this = Self::default();
        *this.answers.lock().unwrap() = answers.to_vec();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let kept = this.clone();
        let handler = move |headers: HeaderMap, body: Bytes| async move {
            kept.got.lock().unwrap().push((headers, body.to_vec()));
            let mut answers = kept.answers.lock().unwrap();
            let status = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
            (StatusCode::from_u16(status).unwrap(), r#"{"status":"synced"}"#)
        };
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
        (this, url)
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    fn types(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn verifies(algorithm: &'static dyn VerificationAlgorithm, key: &str, header: &str, body: &[u8]) -> bool {
    let key = STANDARD.decode(key).unwrap();
    STANDARD
        .decode(header)
        .is_ok_and(|signature| UnparsedPublicKey::new(algorithm, key).verify(body, &signature).is_ok())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn the_test_vector() {
    let world = World::new().await;
    let body = include_bytes!("../../fixtures/ghl/signature-vector.body");
    assert_eq!(body.len(), 223);
    assert_eq!(world.ghl.public_key(), "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=");
    let signature = world.ghl.sign(body);
    assert_eq!(signature, "iKT1LVwCg2hEGkLyWYDqgxJ9ZYHxepzZgEmi/VxzLcABay+bF4Dh13btgsDwdkTX9UoVDn2Zp17chmNbs3nEBQ==");
    assert!(verifies(&ED25519, &world.ghl.public_key(), &signature, body));
    let printed = serde_json::from_slice::<Value>(body).unwrap().to_string();
    assert!(!verifies(&ED25519, &world.ghl.public_key(), &signature, printed.as_bytes()));
    let real = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
    assert!(!verifies(&ED25519, real, &signature, body));
}

#[tokio::test]
async fn both_signatures_and_their_switches() {
    let world = World::new().await;
    let body = b"{}";
    let ghl = &world.ghl;
    let (current, legacy) = (ghl.public_key(), ghl.legacy_public_key());
    let check = |switches: WebhookSwitches| {
        ghl.set_switches(switches);
        let headers = ghl.headers_for(body);
        let new =
            header(&headers, "x-ghl-signature").map(|text| (text.to_owned(), verifies(&ED25519, &current, text, body)));
        let old =
            header(&headers, "x-wh-signature").map(|text| verifies(&RSA_PKCS1_2048_8192_SHA256, &legacy, text, body));
        (new, old)
    };
    let (new, old) = check(WebhookSwitches::default());
    assert!(new.unwrap().1 && old.is_none(), "retired");
    let (new, old) = check(WebhookSwitches { legacy: true, ..Default::default() });
    assert!(new.unwrap().1 && old == Some(true));
    assert_eq!(STANDARD.decode(header(&ghl.headers_for(body), "x-wh-signature").unwrap()).unwrap().len(), 512);
    assert_eq!(check(WebhookSwitches { legacy_only: true, ..Default::default() }), (None, Some(true)));
    assert_eq!(
        check(WebhookSwitches { not_applicable: true, ..Default::default() }),
        (Some(("N/A".to_owned(), false)), None)
    );
    let (new, old) = check(WebhookSwitches { bad_signature: true, legacy: true, ..Default::default() });
    assert!(!new.unwrap().1 && old == Some(false));
}

#[tokio::test]
async fn delivered_by_hand() {
    let world = World::new().await;
    let (receiver, url) = Receiver::start(&[202]).await;
    world.ghl.create_contact(json!({ "email": "ada@example.com", "city": "", "tags": [] }));
    let event = world.ghl.events().remove(0);
    let delivery = world.ghl.deliver(&event, &url).await.unwrap();
    assert_eq!((delivery.status, delivery.json()), (202, json!({ "status": "synced" })));
    assert!(delivery.header("Content-Type").is_some());
    let (headers, body) = receiver.got.lock().unwrap()[0].clone();
    assert_eq!(body, event.body);
    assert!(verifies(&ED25519, &world.ghl.public_key(), headers["x-ghl-signature"].to_str().unwrap(), &body));
    let parsed = event.json();
    assert_eq!(
        (parsed.get("city"), parsed.get("tags"), parsed.get("dateUpdated"), parsed.get("data")),
        (None, None, None, None)
    );
    assert_eq!(world.ghl.events().len(), 1, "delivering by hand takes nothing from the queue");
    assert!(world.ghl.deliver(&event, "http://127.0.0.1:1/").await.is_err());
}

#[tokio::test]
async fn whatever_is_not_answered_2xx_is_tried_again() {
    for answers in [vec![500, 200], vec![302, 401, 204], vec![400, 413, 503, 202], vec![429, 429, 200], vec![200]] {
        let (world, tries) = (World::new().await, answers.len());
        let (receiver, url) = Receiver::start(&answers).await;
        world.ghl.set_webhook_url(Some(url));
        world.ghl.create_contact(json!({ "email": "ada@example.com" }));
        for expected in 1..=tries {
            until("the next try", || world.ghl.deliveries().len() == expected).await;
            assert_eq!(world.ghl.pending_deliveries() > 0, expected < tries);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            assert_eq!(receiver.count(), expected, "not before its time");
            world.clock.advance_ms(RETRY_LONGEST_MS);
        }
        until("the end", || world.ghl.pending_deliveries() == 0).await;
        let got = receiver.got.lock().unwrap();
        assert!(got.iter().all(|(_, body)| *body == got[0].1), "a retry is the same message");
    }
}

#[tokio::test]
async fn twelve_repeats_further_and_further_apart() {
    let nobody = "http://127.0.0.1:1/".to_owned();
    let (_receiver, refused) = Receiver::start(&[429]).await;
    for (url, status) in [(refused, Some(429)), (nobody, None)] {
        let world = World::new().await;
        world.ghl.create_contact(json!({ "email": "ada@example.com" }));
        world.ghl.set_webhook_url(Some(url));
        for tries in 1..=1 + MAX_RETRIES as usize {
            until("the next try", || world.ghl.deliveries().len() == tries).await;
            // A second at a time: how long each pause was shows.
            while world.ghl.deliveries().len() == tries && world.ghl.pending_deliveries() > 0 {
                world.clock.advance_ms(1_000);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        }
        until("the end", || world.ghl.pending_deliveries() == 0).await;
        let tries = world.ghl.deliveries();
        assert_eq!(tries.len(), 1 + MAX_RETRIES as usize);
        assert!(tries.iter().all(|delivery| delivery.status == status));
        let first = tries[1].at_ms - tries[0].at_ms;
        assert!(first >= RETRY_FIRST_MS, "{first}");
        let last = tries[12].at_ms - tries[11].at_ms;
        assert!(last >= RETRY_LONGEST_MS, "{last}");
    }
}

/// Lets time pass until no delivery waits any more.
async fn let_run(world: &World) {
    loop {
        until("what is due", || world.ghl.deliveries_rest()).await;
        let Some(next) = world.ghl.next_delivery_ms() else { return };
        world.clock.advance_ms(next - world.clock.now_ms());
    }
}

#[tokio::test]
async fn a_resend_that_succeeds_ends_the_repeats() {
    let world = World::new().await;
    let (receiver, url) = Receiver::start(&[500, 200]).await;
    world.ghl.set_webhook_url(Some(url));
    world.ghl.create_contact(json!({ "email": "ada@example.com" }));
    until("the first try", || world.ghl.deliveries().len() == 1).await;
    let id = world.ghl.deliveries()[0].webhook_id.clone();
    assert_eq!(world.ghl.resend(&id).await.unwrap().unwrap().status, 200);
    let_run(&world).await;
    assert_eq!(receiver.count(), 2, "the repeats that were to come are dropped");
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got[0].1, got[1].1, "the same payload");
    assert!(world.ghl.resend(&id).await.is_none(), "it has succeeded");
    assert!(world.ghl.resend("unknown").await.is_none());
}

#[tokio::test]
async fn a_url_that_refuses_too_many_is_warned_about_then_off_until_it_is_switched_on() {
    let world = World::new().await;
    let (receiver, url) = Receiver::start(&[429]).await;
    world.ghl.set_breaker_busy(20);
    world.ghl.set_webhook_url(Some(url.clone()));
    let create = || world.ghl.create_contact(json!({ "firstName": "Ada" }));
    // Few webhooks count for nothing, however many are refused.
    create();
    let_run(&world).await;
    world.clock.advance_ms(LOOK_MS);
    assert!(!world.ghl.breaker().warned);
    for is_second in [false, true] {
        create();
        create();
        let_run(&world).await;
        assert_eq!(world.ghl.breaker().tries, 26, "repeats count");
        world.clock.advance_ms(LOOK_MS);
        let breaker = world.ghl.breaker();
        assert_eq!((breaker.warned, breaker.paused_at_ms.is_some()), (true, is_second));
    }
    let count = receiver.count();
    *receiver.answers.lock().unwrap() = vec![200];
    create();
    until("nobody is told", || world.ghl.breaker().unsent == 1).await;
    world.clock.advance_ms(10 * LOOK_MS);
    let_run(&world).await;
    assert_eq!(receiver.count(), count, "nothing is sent, however much time passes");
    world.ghl.switch_events_on();
    create();
    until("told again", || receiver.count() == count + 1).await;
    assert!(!world.ghl.breaker().warned);
    // What is accepted well is never switched off.
    for _ in 0..2 {
        (0..30).for_each(|_| _ = create());
        let_run(&world).await;
        world.clock.advance_ms(LOOK_MS);
    }
    let breaker = world.ghl.breaker();
    assert_eq!((breaker.warned, breaker.paused_at_ms, breaker.unsent), (false, None, 1));
}

#[tokio::test]
async fn one_bad_look_is_forgiven_by_a_good_one() {
    let world = World::new().await;
    let (receiver, url) = Receiver::start(&[429]).await;
    world.ghl.set_breaker_busy(5);
    world.ghl.set_webhook_url(Some(url));
    for (answer, is_warned) in [(429, true), (200, false), (429, true)] {
        *receiver.answers.lock().unwrap() = vec![answer];
        (0..6).for_each(|_| _ = world.ghl.create_contact(json!({ "firstName": "Ada" })));
        let_run(&world).await;
        world.clock.advance_ms(LOOK_MS);
        let breaker = world.ghl.breaker();
        assert_eq!((breaker.warned, breaker.paused_at_ms), (is_warned, None));
    }
}

#[tokio::test]
async fn twice_reversed_lost_and_thin() {
    let world = World::new().await;
    let ghl = &world.ghl;
    let id = ghl.create_contact(json!({ "email": "ada@example.com" }));
    ghl.take_events();
    let change = |name: &str| ghl.edit_contact(&id, json!({ "firstName": name, "tags": [name] }));
    ghl.set_switches(WebhookSwitches { duplicate: true, ..Default::default() });
    change("a");
    let events = ghl.take_events();
    assert_eq!(events.len(), 4);
    assert_eq!((&events[0].webhook_id, &events[0].body), (&events[1].webhook_id, &events[1].body));
    ghl.set_switches(WebhookSwitches { out_of_order: true, ..Default::default() });
    change("b");
    assert_eq!(world.kinds(), ["ContactUpdate", "ContactTagUpdate"]);
    ghl.set_switches(WebhookSwitches { drop_every: 1, ..Default::default() });
    change("c");
    assert_eq!(world.kinds(), [""; 0]);
    ghl.set_switches(WebhookSwitches { drop_every: 2, ..Default::default() });
    change("d");
    assert_eq!(world.kinds().len(), 1);
    ghl.set_switches(WebhookSwitches { thin_task_create: true, ..Default::default() });
    ghl.add_task(&id, json!({ "title": "Call", "body": "b", "dueDate": "2026-09-08T02:30:00Z" }));
    let event = ghl.take_events().remove(0);
    assert_eq!((event.json().get("contactId"), event.json().get("body")), (None, None));
    assert_eq!(event.contact_id.as_deref(), Some(id.as_str()), "the test still knows");
    ghl.set_switches(WebhookSwitches { silent_merge: true, ..Default::default() });
    let gone = ghl.create_contact(json!({ "email": "b@example.com" }));
    ghl.take_events();
    ghl.merge_contacts(&id, &gone);
    assert_eq!(world.kinds(), [""; 0]);
}

#[tokio::test]
async fn the_background_delivers_what_waits() {
    let world = World::new().await;
    let (receiver, url) = Receiver::start(&[200]).await;
    let id = world.ghl.create_contact(json!({ "email": "ada@example.com" }));
    world.ghl.set_webhook_url(Some(url));
    until("the one that waited", || receiver.count() == 1).await;
    world.ghl.queue_event("SomethingNew", json!({ "locationId": world.ghl.location_id() }));
    until("a new one", || receiver.count() == 2).await;
    assert_eq!(receiver.types(), ["ContactCreate", "SomethingNew"]);
    world.ghl.set_webhook_url(None);
    world.ghl.delete_contact(&id);
    assert_eq!(world.kinds(), ["ContactDelete"]);
}
