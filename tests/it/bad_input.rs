//! Whatever is sent has a defined end: no 5xx, no panic, no service that works no more.

use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn signed_bodies_that_are_no_events_are_ignored_and_counted() {
    let world = World::new().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let mut sent = 0;
    let bodies = [
        b"".to_vec(),
        b" ".to_vec(),
        b"hello".to_vec(),
        b"\0".to_vec(),
        b"null".to_vec(),
        b"true".to_vec(),
        b"7".to_vec(),
        b"\"ContactUpdate\"".to_vec(),
        b"[]".to_vec(),
        b"[{\"type\":\"ContactUpdate\"}]".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"{}{}".to_vec(),
        b"{\"type\":null}".to_vec(),
        b"{\"type\":[]}".to_vec(),
        b"{\"type\":{\"a\":1}}".to_vec(),
        b"{\"type\":\"ContactUpdate\",}".to_vec(),
        b"{'type':'ContactUpdate'}".to_vec(),
        b"type=ContactUpdate&id=1".to_vec(),
        b"<xml/>".to_vec(),
        b"\xef\xbb\xbf{\"type\":\"ContactUpdate\"}".to_vec(),
        b"{\"type\":\"Contact\xff\"}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"{\"type\":\"a\nb\"}".to_vec(),
        b"{\"type\":\"\\ud800\"}".to_vec(),
        b"{\"type\":1e999}".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        format!("{{\"type\":\"ContactUpdate\",\"data\":{}}}", deep("[", "]")).into_bytes(),
        b"{\"type\":\"AppointmentCreate\",\"appointment\":1e999}".to_vec(),
        format!("{{\"type\":\"AppointmentCreate\",\"appointment\":{}}}", deep("[", "]")).into_bytes(),
        b"{\"locationId\":\"ve9EPM428h8vShlRW1KT\",\"id\":\"nmFmQEsNgz6AVpgLVUJ0\"}".to_vec(),
        "[".repeat(1 << 20).into_bytes(),
    ];
    for body in bodies.into_iter().chain(without_their_type()) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        // Refused, it would come 12 times more and count against the URL (G §8.6).
        let answer = world.tell(body).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "ignored"), "{shown}: {}", answer.json);
        assert!(!answer.reason().is_empty() && answer.json.get("contact_id").is_none(), "{shown}: {}", answer.json);
        sent += 1;
    }
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = |line: &&str| line.starts_with("ghl_trafft_sync_webhook_events_total") && line.contains("ignored");
    let counted: u64 =
        metrics.lines().filter(counted).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(counted, sent);
    world.is_well().await;
}

#[tokio::test]
async fn what_stands_beside_it_does_not_keep_a_contact_from_being_marked() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let (location, app) = (world.sandbox.ghl.location_id(), world.sandbox.ghl.app_id());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for odd in [r#""\ud83d""#, "1e999", deep.as_str()] {
        for body in [
            format!(
                r#"{{"type":"AppointmentUpdate","locationId":"{location}","appId":"{app}","appointment":{{"title":{odd},"id":"a1","contactId":"{contact}"}}}}"#
            ),
            format!(
                r#"{{"type":"ContactUpdate","data":{{"locationId":"{location}","appId":"{app}","firstName":{odd},"id":"{contact}"}}}}"#
            ),
            format!(r#"{{"\ud83d":{odd},"type":"ContactUpdate","locationId":"{location}","id":"{contact}"}}"#),
        ] {
            let answer = world.tell(body.clone()).await;
            let shown = body.chars().take(300).collect::<String>();
            assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{shown}: {}", answer.json);
            assert_eq!(answer.json["contact_id"], contact.as_str(), "{shown}");
        }
    }
    let latin = [
        format!(r#"{{"type":"ContactUpdate","locationId":"{location}","id":"{contact}","firstName":"Zo"#).as_bytes(),
        b"\xeb\"}",
    ]
    .concat();
    assert_eq!(world.tell(latin).await.status(), "unchanged", "it says whom it is about, and is signed");
    for path in ["/webhooks/ghl", "/webhooks/ghl/"] {
        let body = world.event(json!({ "id": contact }));
        world.advance(std::time::Duration::from_secs(1));
        let answer = world.post(path, &world.sandbox.ghl.headers_for(&body), body).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{path}: {}", answer.json);
    }
}

#[tokio::test]
async fn odd_values_anywhere_in_an_event_have_a_defined_end() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let long = "x".repeat(10_000);
    let odd = [
        json!(7),
        json!(-7.5),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
        json!({ "id": "a" }),
        json!(""),
        json!(" "),
        json!("../../contacts"),
        json!("a/b?c=d#e"),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("%00"),
        json!("' OR 1=1 --"),
        json!("\r\nX-Header: 1"),
        json!("\u{202e}\u{feff}"),
        json!("ä😀"),
        json!(long),
        json!(u64::MAX),
        json!(1e308),
    ];
    for key in
        ["type", "locationId", "id", "contactId", "appointment", "appId", "companyId", "timestamp", "webhookId", "data"]
    {
        for kind in ["ContactUpdate", "ContactDelete", "TaskCreate", "AppointmentCreate", "INSTALL"] {
            for value in &odd {
                let mut event: Value = serde_json::from_slice(&world.event(json!({ "type": kind }))).unwrap();
                event[key] = value.clone();
                let answer = world.tell(event.to_string()).await;
                let fine = match answer.code.as_u16() {
                    200 => {
                        ["queued", "skipped", "ignored", "parked", "unresolved", "duplicate"].contains(&answer.status())
                    }
                    _ => false,
                };
                assert!(
                    fine,
                    "{kind} with {key} = {}: {} {}",
                    &value.to_string()[..value.to_string().len().min(60)],
                    answer.code,
                    answer.json
                );
            }
        }
    }
    world.drain().await;
    world.is_well().await;
}

#[tokio::test]
async fn odd_but_sound_json_is_understood() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let (location, app) = (world.sandbox.ghl.location_id(), world.sandbox.ghl.app_id());
    let event = |extra: &str| {
        format!(
            "{{\"type\":\"ContactUpdate\",\"locationId\":\"{location}\",\"appId\":\"{app}\",{extra}\"id\":\"{contact}\"}}"
        )
    };
    for body in [
        event("\"id\":\"nmFmQEsNgz6AVpgLVUJ0\","),
        event("\"type\":\"INSTALL\",\"type\":\"ContactUpdate\","),
        event("\"n\":123456789012345678901234567890,\"m\":-1.5e-300,"),
        event("\"firstName\":\"a\\u0000b\\u001f\\u007f\",\"tags\":[\"\\u0000\"],"),
        event("\"firstName\":7,\"tags\":\"vip\",\"customFields\":{},\"phone\":[[]],"),
        event(&format!("\"x\":{}{},", "[".repeat(100), "]".repeat(100))),
        event(&format!("\"firstName\":\"{}\",", "n".repeat(1 << 20))),
        event(&(0..20_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>()),
    ] {
        let answer = world.tell(body.clone()).await;
        let shown = body.chars().take(300).collect::<String>();
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{shown}: {}", answer.json);
        assert_eq!(answer.json["contact_id"], contact.as_str(), "the last of two keys counts: {shown}");
    }
}

#[tokio::test]
async fn the_cap_on_bodies_is_exact() {
    let world = World::new().await;
    let event = String::from_utf8(world.event(json!({ "type": "INSTALL" }))).unwrap();
    let whole = format!("{event}{}", " ".repeat(4_194_304 - event.len()));
    assert_eq!(world.tell(whole.clone()).await.code, 200);
    let over = format!("{whole} ");
    let signature = world.sandbox.ghl.sign(over.as_bytes());
    // By hand: a client that is still sending may miss an answer that comes before it has finished.
    let head =
        format!("POST /webhooks/ghl HTTP/1.1\r\nHost: test\r\nX-GHL-Signature: {signature}\r\nConnection: close\r\n");
    for (announced, body) in [
        (format!("Content-Length: {}\r\n\r\n", over.len()), String::new()),
        ("Content-Length: 18446744073709551615\r\n\r\n".to_owned(), String::new()),
        ("Transfer-Encoding: chunked\r\n\r\n".to_owned(), format!("{:x}\r\n{over}\r\n", over.len())),
    ] {
        let answer = world.raw(&format!("{head}{announced}{body}")).await;
        let fine = answer.starts_with("HTTP/1.1 413")
            || (announced.contains("18446744073709551615") && answer.starts_with("HTTP/1.1 4"));
        assert!(fine, "{announced}: {answer}");
        if answer.starts_with("HTTP/1.1 413") {
            assert!(answer.contains("application/problem+json") && answer.contains("MAX_BODY_BYTES"), "{answer}");
        }
    }
    assert_eq!(world.stored().await.len(), 1);
    world.is_well().await;
}

/// HighLevel's own events, each without its `type`.
fn without_their_type() -> impl Iterator<Item = Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clients/ghl/examples");
    let events = std::fs::read_dir(folder).unwrap().filter_map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut event: Value = serde_json::from_str(&text).ok()?;
        event.as_object_mut()?.remove("type")?;
        Some(event.to_string().into_bytes())
    });
    let events: Vec<_> = events.collect();
    assert!(events.len() >= 5, "{}", events.len());
    events.into_iter()
}
