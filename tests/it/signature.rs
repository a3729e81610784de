//! Only what HighLevel signed, byte for byte, comes in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::support::{Answer, World};

const HIGHLEVEL: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";

fn event(world: &World) -> String {
    let location = world.sandbox.ghl.location_id();
    format!(
        r#"{{"type":"LocationUpdate","id":"{location}","name":"Zo\u00eb \/ ë","timestamp":"2026-09-01T10:00:00.000Z"}}"#
    )
}

async fn post(world: &World, body: &[u8], headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    world.post("/webhooks/ghl", &headers, body).await
}

fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.code, 401, "{what}: {}", answer.json);
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
}

#[tokio::test]
async fn genuine_deliveries_pass_whatever_their_bytes() {
    let world = World::new().await;
    let plain = event(&world);
    for body in [
        plain.clone(),
        format!("\r\n\t {} \n\n", plain.replace("\":", "\" :\t").replace(',', " ,\r\n")),
        plain.replace("Zo", r"\u005a\u006f \ud83d\ude00 \b\f\n"),
        plain.replace("Zo", &"x".repeat(1 << 20)),
        plain.replacen('{', &format!("{{{}", " ".repeat(1 << 20)), 1),
    ] {
        let answer = world.signed(body.clone()).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{:.80}", body);
    }
}

#[tokio::test]
async fn tampered_deliveries_are_refused_and_leave_nothing() {
    let world = World::with(&[("GHL_APP_ID", "app1")]).await;
    let body = event(&world);
    let good = world.sandbox.ghl.sign(body.as_bytes());
    let reprinted = serde_json::from_str::<serde_json::Value>(&body).unwrap().to_string();
    let other = world.sandbox.ghl.sign(b"{}");
    for (what, body, headers) in [
        ("no signature", body.as_str(), vec![]),
        ("N/A", &body, vec![("x-ghl-signature", "N/A")]),
        ("only the retired header", &body, vec![("x-wh-signature", good.as_str())]),
        ("swapped headers", &body, vec![("x-wh-signature", &good), ("x-ghl-signature", "N/A")]),
        ("another body's signature", &body, vec![("x-ghl-signature", &other)]),
        ("re-serialised", &reprinted, vec![("x-ghl-signature", &good)]),
        ("a blank more", &format!("{body} "), vec![("x-ghl-signature", &good)]),
        ("cut", &body[..body.len() - 1], vec![("x-ghl-signature", &good)]),
        ("empty", "", vec![("x-ghl-signature", &good)]),
        ("not base64", &body, vec![("x-ghl-signature", "%%%")]),
        ("too short", &body, vec![("x-ghl-signature", "AAAA")]),
    ] {
        let answer = post(&world, body.as_bytes(), &headers).await;
        assert_refused(&answer, what);
        assert!(!answer.json.to_string().contains(&good), "{what} echoes the signature");
    }
    let retired = post(&world, body.as_bytes(), &[("x-wh-signature", &good)]).await;
    assert!(retired.detail().contains("retired"), "{}", retired.json);
    assert_refused(&world.signed(body.replace("\"type\"", "\"appId\":\"app2\",\"type\"")).await, "another app's event");
    assert_eq!(world.signed(body.replace("\"type\"", "\"appId\":\"app1\",\"type\"")).await.code, 200);
    let events = world.get("/api/v1/events").await;
    assert_eq!(events.json["events"].as_array().unwrap().len(), 1, "only the one that was ours");
}

#[tokio::test]
async fn a_bit_flipped_anywhere_is_refused() {
    let world = World::new().await;
    let body = event(&world).into_bytes();
    let signature = STANDARD.decode(world.sandbox.ghl.sign(&body)).unwrap();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let flips = (0..body.len() + signature.len(), 0..8u8);
    let cases: Vec<_> = (0..200).map(|_| flips.new_tree(&mut runner).unwrap().current()).collect();
    for (at, bit) in cases {
        let (mut body, mut signature) = (body.clone(), signature.clone());
        match at.checked_sub(body.len()) {
            None => body[at] ^= 1 << bit,
            Some(at) => signature[at] ^= 1 << bit,
        }
        let answer = post(&world, &body, &[("x-ghl-signature", &STANDARD.encode(&signature))]).await;
        assert_refused(&answer, &format!("bit {bit} of byte {at}"));
    }
}

#[tokio::test]
async fn a_rotation_has_two_keys_at_once() {
    let mut world = World::stopped(&[]).await;
    let keys = format!("{HIGHLEVEL},{}", world.sandbox.ghl.public_key());
    world.set("GHL_WEBHOOK_PUBLIC_KEYS", &keys);
    world.start().await;
    assert_eq!(world.signed(event(&world)).await.code, 200);
    world.set("GHL_WEBHOOK_PUBLIC_KEYS", HIGHLEVEL);
    world.restart().await;
    assert_refused(&world.signed(event(&world)).await, "signed with a key that is no longer ours");
}

#[tokio::test]
async fn workflow_webhooks_need_their_token() {
    let mut world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.sandbox.ghl.take_events();
    let document = world.sandbox.ghl.workflow_document(&contact).to_string();
    let header = |token: &str| vec![("X-Workflow-Token".to_owned(), token.to_owned())];
    assert_refused(&world.post("/webhooks/ghl/workflow", &[], document.clone()).await, "no token");
    assert_refused(&world.post("/webhooks/ghl/workflow", &header("wrong"), document.clone()).await, "wrong token");
    let answer = world.post("/webhooks/ghl/workflow", &header(crate::support::WORKFLOW), document.clone()).await;
    assert_eq!((answer.status(), answer.calls().0), ("synced", 4), "{}", answer.json);
    world.pass().await;
    let one_facet = document.replacen('{', r#"{"customData":{"facet":"tasks"},"#, 1);
    let one_facet = one_facet.replace(r#""customData":{},"#, "");
    let answer = world.post("/webhooks/ghl/workflow", &header(crate::support::WORKFLOW), one_facet).await;
    assert_eq!(answer.status(), "unchanged", "{}", answer.json);
    world.set("GHL_WORKFLOW_TOKEN", "");
    world.restart().await;
    let off = world.post("/webhooks/ghl/workflow", &header(crate::support::WORKFLOW), document).await;
    assert_refused(&off, "off");
    assert!(off.detail().contains("GHL_WORKFLOW_TOKEN"), "{}", off.json);
}
