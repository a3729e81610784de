//! Only what HighLevel signed is believed, byte for byte (G §8.2, §8.3).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::support::{Answer, World};

const HIGHLEVEL: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
const WITH: &str = "x-ghl-signature";
const RETIRED: &str = "x-wh-signature";

async fn send(world: &World, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    world.advance(std::time::Duration::from_secs(1));
    world.post("/webhooks/ghl", &headers, body).await
}

/// An event whose bytes no printer of JSON would make again.
fn odd(world: &World, first_name: &str) -> String {
    let (location, app) = (world.sandbox.ghl.location_id(), world.sandbox.ghl.app_id());
    format!(
        "\r\n {{ \"type\" : \"ContactUpdate\",\t\"appId\":\"{app}\", \"locationId\":\"{location}\",\n\"id\": \"nmFmQEsNgz6AVpgLVUJ0\", \
         \"firstName\":\"{first_name}\", \"dnd\":false , \"tags\":[ ], \"score\": 1.0e0 }}\n"
    )
}

#[tokio::test]
async fn genuine_deliveries_pass_however_they_are_written() {
    let world = World::new().await;
    for body in [
        odd(&world, r"Zo\u00eb"),
        odd(&world, "Zoë \u{1f600}"),
        odd(&world, r"\uD83D\uDE00 \/ \b\f\n\r\t \u0041"),
        odd(&world, "\u{2028}\u{feff}\u{202e}"),
        odd(&world, ""),
        odd(&world, &"x".repeat(1 << 20)),
        odd(&world, &r"\u00eb".repeat((1 << 20) / 6)),
        odd(&world, "x").trim().to_owned(),
        format!("{}{}", odd(&world, "x"), " \r\n\t".repeat(100)),
    ] {
        let answer = world.tell(body.clone()).await;
        assert_eq!(answer.code, 200, "{}… {}", body.chars().take(200).collect::<String>(), answer.json);
        assert_eq!(answer.json["contact_id"], "nmFmQEsNgz6AVpgLVUJ0", "{}", answer.json);
    }
}

#[tokio::test]
async fn the_contract_books_own_vector_passes() {
    let body = include_bytes!("../../sandbox/fixtures/ghl/signature-vector.body");
    let signature = "iKT1LVwCg2hEGkLyWYDqgxJ9ZYHxepzZgEmi/VxzLcABay+bF4Dh13btgsDwdkTX9UoVDn2Zp17chmNbs3nEBQ==";
    let world = World::new().await;
    assert_eq!(send(&world, &[(WITH, signature)], body).await.code, 200);
    assert_eq!(send(&world, &[("X-GHL-SIGNATURE", signature)], body).await.code, 200, "names have no case");
}

#[tokio::test]
async fn tampered_deliveries_are_refused_and_leave_nothing() {
    let world = World::new().await;
    let body = odd(&world, r"Zo\u00eb");
    let (good, other) = (world.sandbox.ghl.sign(body.as_bytes()), world.sandbox.ghl.sign(b"{}"));
    let usual = world.sandbox.ghl.switches();
    world.sandbox.ghl.set_switches(sandbox::ghl::WebhookSwitches { legacy: true, ..usual.clone() });
    let legacy =
        world.sandbox.ghl.headers_for(body.as_bytes()).into_iter().find(|(name, _)| name == RETIRED).unwrap().1;
    world.sandbox.ghl.set_switches(usual);
    let parsed: Value = serde_json::from_str(&body).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(body.contains(from), "{from} is not in the body");
        body.replacen(from, to, 1)
    };
    let url_safe = good.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, String);
    let cases: Vec<Case<'_>> = vec![
        ("no signature", vec![], body.clone()),
        ("an empty signature", vec![(WITH, "")], body.clone()),
        ("N/A", vec![(WITH, "N/A")], body.clone()),
        ("N/A twice", vec![(WITH, "N/A"), (RETIRED, "N/A")], body.clone()),
        ("the retired signature alone", vec![(RETIRED, &legacy)], body.clone()),
        ("the retired signature beside N/A", vec![(WITH, "N/A"), (RETIRED, &legacy)], body.clone()),
        ("the retired signature in the header of the new", vec![(WITH, &legacy)], body.clone()),
        ("the new signature in the retired header", vec![(RETIRED, &good)], body.clone()),
        ("swapped headers", vec![(WITH, &legacy), (RETIRED, &good)], body.clone()),
        ("a bad signature beside a good retired one", vec![(WITH, &other), (RETIRED, &legacy)], body.clone()),
        ("the signature of another body", vec![(WITH, &other)], body.clone()),
        ("a bad one before the good one", vec![(WITH, &other), (WITH, &good)], body.clone()),
        ("half a signature", vec![(WITH, &good[..44])], body.clone()),
        ("two signatures in one", vec![(WITH, Box::leak(format!("{good},{good}").into_boxed_str()))], body.clone()),
        ("hexadecimal", vec![(WITH, Box::leak("ab".repeat(64).into_boxed_str()))], body.clone()),
        ("a blank more at the end", vec![(WITH, &good)], format!("{body} ")),
        ("white space trimmed", vec![(WITH, &good)], body.trim().to_owned()),
        ("parsed and printed", vec![(WITH, &good)], parsed.to_string()),
        ("pretty-printed", vec![(WITH, &good)], serde_json::to_string_pretty(&parsed).unwrap()),
        ("an escape resolved", vec![(WITH, &good)], changed(r"\u00eb", "ë")),
        ("an escape in capitals", vec![(WITH, &good)], changed("00eb", "00EB")),
        ("another id", vec![(WITH, &good)], changed("nmFm", "nmFn")),
        ("a key more", vec![(WITH, &good)], changed("\"dnd\"", "\"x\":1,\"dnd\"")),
        ("CRLF made LF", vec![(WITH, &good)], changed("\r\n", "\n")),
        ("a byte order mark", vec![(WITH, &good)], format!("\u{feff}{body}")),
        ("no body", vec![(WITH, &good)], String::new()),
    ];
    for (what, headers, body) in cases {
        let answer = send(&world, &headers, body.as_bytes()).await;
        assert_eq!(answer.code, 401, "{what}: {}", answer.json);
        assert!(answer.is_problem(), "{what}: {:?} {}", answer.headers, answer.json);
        let said = format!("{} {:?}", answer.json, answer.headers);
        for secret in [good.as_str(), other.as_str(), &legacy[..44], "nmFm", "Zo"] {
            assert!(!said.contains(secret), "{what}: the refusal repeats what was sent: {said}");
        }
    }
    // Neither alphabet but the standard one, and no missing padding (G §8.3).
    if url_safe != good {
        assert_eq!(send(&world, &[(WITH, &url_safe)], body.as_bytes()).await.code, 401);
    }
    assert_eq!(world.stored().await, Vec::<Value>::new());
    assert_eq!(send(&world, &[(WITH, &good)], body.as_bytes()).await.code, 200, "the original still passes");
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn the_retired_header_alone_is_told_apart() {
    let world = World::new().await;
    let mut switches = world.sandbox.ghl.switches();
    (switches.legacy_only, switches.not_applicable) = (true, false);
    world.sandbox.ghl.set_switches(switches.clone());
    let answer = world.tell(world.event(json!({}))).await;
    assert_eq!(answer.code, 401);
    assert!(answer.detail().contains("`X-WH-Signature` is retired"), "{}", answer.detail());
    assert!(answer.detail().contains("proxy"), "says what to do: {}", answer.detail());
    (switches.legacy_only, switches.legacy, switches.not_applicable) = (false, true, true);
    world.sandbox.ghl.set_switches(switches);
    let answer = world.tell(world.event(json!({}))).await;
    assert_eq!(answer.code, 401);
    assert!(answer.detail().contains("retired"), "N/A means that it is not there: {}", answer.detail());
    let answer = send(&world, &[], &world.event(json!({}))).await;
    assert!(answer.detail().contains("no `X-GHL-Signature`"), "{}", answer.detail());
    assert_eq!(world.stored().await.len(), 0);
}

#[tokio::test]
async fn an_event_of_another_app_is_refused_until_one_of_our_own_has_come() {
    let mut world = World::new().await;
    let (theirs, nobodys) =
        (world.event(json!({ "appId": "aaaaaaaaaaaaaaaaaaaaaaaa" })), world.event(json!({ "appId": null })));
    let wrapped = world.event(json!({ "appId": null, "data": { "appId": "aaaaaaaaaaaaaaaaaaaaaaaa" } }));
    for body in [&theirs, &wrapped] {
        let answer = world.tell(body.clone()).await;
        assert_eq!(answer.code, 429, "the setting is probably wrong: HighLevel keeps it for us");
        assert!(answer.is_problem() && answer.detail().contains("GHL_APP_ID"), "{}", answer.json);
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_eq!(world.stored().await.len(), 0);
    assert_eq!(world.tell(nobodys).await.code, 200, "events without an app id pass (G §8.4)");
    assert_eq!(world.tell(theirs.clone()).await.code, 429, "and say nothing of the setting");
    assert_eq!(world.tell(world.event(json!({}))).await.code, 200, "one of our own");
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        for body in [&theirs, &wrapped] {
            let mut event: Value = serde_json::from_slice(body).unwrap();
            event["webhookId"] = json!(uuid::Uuid::new_v4().to_string());
            let answer = world.tell(event.to_string()).await;
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{}", answer.json);
            assert!(answer.reason().contains("another marketplace app"), "{}", answer.reason());
        }
    }
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"type="OtherApp",status="ignored""#), "{metrics}");
    world.stop().await;
    world.set("GHL_APP_ID", "bbbbbbbbbbbbbbbbbbbbbbbb");
    world.start().await;
    assert_eq!(world.tell(theirs.clone()).await.code, 429, "another setting has to prove itself anew");
    world.stop().await;
    world.set("GHL_APP_ID", "");
    world.start().await;
    assert_eq!(world.tell(theirs).await.code, 200);
}

#[tokio::test]
async fn an_event_that_was_ignored_is_taken_when_it_is_sent_again_after_the_setting_was_mended() {
    let mut world = World::new().await;
    assert_eq!(world.tell(world.event(json!({}))).await.code, 200, "one of our own, so that others are ignored");
    let theirs = world.event(json!({ "appId": "aaaaaaaaaaaaaaaaaaaaaaaa" }));
    for status in ["ignored", "duplicate"] {
        assert_eq!(world.tell(theirs.clone()).await.status(), status);
    }
    world.stop().await;
    world.set("GHL_APP_ID", "aaaaaaaaaaaaaaaaaaaaaaaa");
    world.start().await;
    let first = world.tell(theirs.clone()).await;
    assert!(!["ignored", "duplicate"].contains(&first.status()), "{}", first.json);
    assert_eq!(world.tell(theirs).await.status(), "duplicate");
}

#[tokio::test]
async fn two_keys_at_once_lose_nothing_in_a_rotation() {
    let mut world = World::new().await;
    let own = world.sandbox.ghl.public_key();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{HIGHLEVEL}\n-----END PUBLIC KEY-----\n");
    for (keys, code) in [
        (format!("{own},{HIGHLEVEL}"), 200),
        (format!("{HIGHLEVEL}, {own}"), 200),
        (format!("{pem}{own}"), 200),
        (pem.replace('\n', "\\n") + &own, 200),
        (HIGHLEVEL.to_owned(), 401),
        // HighLevel's own key is what holds when nothing is set.
        (String::new(), 401),
    ] {
        world.stop().await;
        world.set("GHL_WEBHOOK_PUBLIC_KEYS", &keys);
        world.start().await;
        assert_eq!(world.tell(world.event(json!({}))).await.code, code, "{keys}");
    }
}

/// What can happen to a delivery on its way.
#[derive(Debug, Clone)]
enum Tamper {
    FlipBody(prop::sample::Index),
    FlipSignature(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index),
    Reprint,
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => index().prop_map(Tamper::FlipBody),
        3 => index().prop_map(Tamper::FlipSignature),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Tamper::Insert(at, byte)),
        1 => index().prop_map(Tamper::Remove),
        1 => index().prop_map(Tamper::Swap),
        1 => Just(Tamper::Reprint),
    ]
}

#[test]
fn whatever_is_changed_on_the_way_is_noticed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]));
    let ghl = &world.sandbox.ghl;
    let strategy = ("\\PC{0,40}", "[ \t\r\n]{0,8}", tamper());
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |(name, blanks, tamper)| {
        let event: Value = serde_json::from_slice(&world.event(json!({ "firstName": name }))).unwrap();
        let body = format!("{blanks}{event}{blanks} ").into_bytes();
        let mut signature = ghl.sign(&body);
        let (mut sent, headers) = (body.clone(), |signature: &str| vec![(WITH.to_owned(), signature.to_owned())]);
        match tamper {
            Tamper::FlipBody(bit) => {
                let bit = bit.index(sent.len() * 8);
                sent[bit / 8] ^= 1 << (bit % 8);
            }
            Tamper::FlipSignature(bit) => {
                use base64::Engine;
                let engine = base64::engine::general_purpose::STANDARD;
                let mut bytes = engine.decode(&signature).unwrap();
                let bit = bit.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                signature = engine.encode(bytes);
            }
            Tamper::Insert(at, byte) => sent.insert(at.index(sent.len() + 1), byte),
            Tamper::Remove(at) => drop(sent.remove(at.index(sent.len()))),
            Tamper::Swap(at) => {
                let at = at.index(sent.len() - 1);
                sent.swap(at, at + 1);
            }
            Tamper::Reprint => sent = event.to_string().into_bytes(),
        }
        // Two equal neighbours swapped change nothing.
        let changed = sent != body || signature != ghl.sign(&body);
        let answer = runtime.block_on(world.post("/webhooks/ghl", &headers(&signature), sent));
        let want = if changed { 401 } else { 200 };
        if answer.code != want {
            return Err(TestCaseError::fail(format!("{} instead of {want}: {}", answer.code, answer.json)));
        }
        let genuine = runtime.block_on(world.post("/webhooks/ghl", &headers(&ghl.sign(&body)), body));
        if genuine.code != 200 {
            return Err(TestCaseError::fail(format!("the original: {} {}", genuine.code, genuine.json)));
        }
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(world.drain());
    drop(world);
}
