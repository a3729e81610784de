//! Webhook actions of HighLevel workflows: unsigned by HighLevel, so believed by a token or a
//! relay's signature (G §9).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sandbox::Class;
use serde_json::{Value, json};

use crate::support::{Answer, WORKFLOW, World};

/// Of the specification's own example, as people paste it: its libraries decode it with `whsec_`
/// before it and without.
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

async fn send_workflow(world: &World, headers: &[(&str, &str)], body: impl ToString) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    world.advance(Duration::from_secs(1));
    world.post("/webhooks/ghl/workflow", &headers, body.to_string()).await
}

#[tokio::test]
async fn a_workflow_webhook_needs_its_token() {
    let mut world = World::new().await;
    let contact = world.synced(ada()).await;
    let document = world.sandbox.ghl.workflow_document(&contact);
    let twice = format!("{WORKFLOW}{WORKFLOW}");
    for headers in [
        vec![],
        vec![("x-workflow-token", "wrong")],
        vec![("x-workflow-token", "")],
        vec![("x-workflow-token", twice.as_str())],
        vec![("authorization", WORKFLOW)],
    ] {
        let answer = send_workflow(&world, &headers, &document).await;
        assert_eq!(answer.code, 401, "{headers:?}");
        assert!(answer.is_problem() && !answer.json.to_string().contains(WORKFLOW), "{}", answer.json);
    }
    for (body, code) in
        [("", 400), ("[]", 400), ("{}", 400), ("{\"contact_id\":\"a/b\"}", 400), ("{\"contact_id\":7}", 400)]
    {
        let answer = send_workflow(&world, &[("x-workflow-token", WORKFLOW)], body).await;
        assert_eq!((answer.code.as_u16(), answer.is_problem()), (code, true), "{body}: {}", answer.json);
    }
    assert_eq!(world.stored().await.len(), 1, "the contact's own event alone");
    world.stop().await;
    world.set("GHL_WORKFLOW_TOKEN", "");
    world.start().await;
    let answer = send_workflow(&world, &[("x-workflow-token", WORKFLOW)], &document).await;
    assert_eq!(answer.code, 401);
    assert!(answer.detail().contains("set `GHL_WORKFLOW_TOKEN`"), "{}", answer.detail());
}

#[tokio::test]
async fn a_workflow_document_has_everything_read_or_the_facet_that_it_names() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let task = world.sandbox.ghl.add_task(&contact, json!({ "title": "Call back", "completed": false }));
    world.deliver_all().await;
    // No event tells of an edited task: that is what these webhooks are for (G §9).
    world.sandbox.ghl.edit_task(&contact, &task, json!({ "title": "Call again" }));
    let whole = world.sandbox.ghl.workflow_document(&contact);
    let (mut tasks, mut nonsense) = (whole.clone(), whole.clone());
    tasks["customData"] = json!({ "facet": "tasks" });
    nonsense["customData"] = json!({ "facet": "nonsense" });
    let own = json!({ "contactId": contact });
    let all = vec![Class::Contact, Class::Tasks, Class::Notes, Class::Appointments];
    for (document, status, wanted) in [
        (&tasks, "synced", vec![Class::Tasks]),
        (&whole, "unchanged", all.clone()),
        (&nonsense, "unchanged", all.clone()),
        (&own, "unchanged", all),
    ] {
        world.forget_calls();
        let answer = send_workflow(&world, &[("x-workflow-token", WORKFLOW)], document).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, status), "{document}: {}", answer.json);
        let mut read: Vec<_> = world.sandbox.ghl.journal().entries().iter().map(|entry| entry.class).collect();
        read.retain(|class| *class != Class::Metadata);
        read.sort_by_key(|class| *class as u8);
        assert_eq!(read, wanted, "{document}");
    }
    assert!(world.customer_of(&contact).await.description.unwrap().contains("Call again"));
    // Labels of custom fields are keys, and what people type is cut anywhere.
    let cut = format!(r#"{{"\ud83d":"\ud83d","n":1e999,"contact_id":"{contact}","full_name":"Ada \ud83d"}}"#);
    let answer = send_workflow(&world, &[("x-workflow-token", WORKFLOW)], cut).await;
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "{}", answer.json);
    assert_eq!(world.get("/api/v1/events?type=Workflow").await.json["events"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_relay_that_signs_is_believed_by_its_signature() {
    let world = World::with(&[("GHL_WORKFLOW_SECRET", SECRET), ("GHL_WORKFLOW_TOKEN", "")]).await;
    let contact = world.synced(ada()).await;
    let document = json!({ "contact_id": contact }).to_string();
    let key = STANDARD.decode(SECRET).unwrap();
    let sign = |id: &str, at: &str, body: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let seconds = world.clock.now().as_second();
    let now = seconds.to_string();
    let now = now.as_str();
    let send = async |id: &str, at: &str, signature: &str, body: &str| {
        let headers = [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)];
        send_workflow(&world, &headers, body).await
    };
    let first = send("msg_1", now, &sign("msg_1", now, &document), &document).await;
    assert_eq!((first.code.as_u16(), first.status()), (200, "unchanged"), "{}", first.json);
    let again = send("msg_1", now, &sign("msg_1", now, &document), &document).await;
    assert_eq!((again.status(), again.event()), ("duplicate", first.event()));
    let rotated = format!("v1,{} {}", STANDARD.encode([7; 32]), sign("msg_2", now, &document));
    assert_eq!(send("msg_2", now, &rotated, &document).await.code, 200, "one of several signatures is enough");
    let next = (seconds + 1).to_string();
    let next = next.as_str();
    for (id, at, signature, body) in [
        ("msg_3", now, sign("msg_4", now, &document), document.clone()),
        ("msg_3", next, sign("msg_3", now, &document), document.clone()),
        ("msg_3", now, sign("msg_3", now, &document), format!("{document} ")),
        ("msg_3", now, sign("msg_3", now, &document).replace("v1,", "v2,"), document.clone()),
        ("msg_3", now, "v1,".to_owned(), document.clone()),
    ] {
        let answer = send(id, at, &signature, &body).await;
        assert_eq!((answer.code.as_u16(), answer.is_problem()), (401, true), "{signature}");
    }
    for (id, at) in [("msg_5", seconds - 30 * 86_400), ("msg_6", seconds + 86_400), ("msg_7", 253_402_207_200)] {
        let answer = send(id, &at.to_string(), &sign(id, &at.to_string(), &document), &document).await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "unchanged"), "age decides nothing: {at}");
    }
    for at in [&(seconds * 1000).to_string(), &i64::MAX.to_string(), "", "soon", "1e9", "1614265330.5"] {
        let answer = send("msg_8", at, &sign("msg_8", at, &document), &document).await;
        assert_eq!((answer.code.as_u16(), answer.is_problem()), (401, true), "`{at}`: {}", answer.json);
        assert!(answer.detail().contains("Unix seconds"), "`{at}`: {}", answer.detail());
    }
    let (one, two) = (
        send("", now, &sign("", now, &document), &document).await,
        send("", now, &sign("", now, &document), &document).await,
    );
    assert_eq!((one.status(), two.status()), ("unchanged", "unchanged"), "an empty id tells no repeats");
    assert_eq!(send_workflow(&world, &[("x-workflow-token", WORKFLOW)], &document).await.code, 401, "no token is set");
    world.drain().await;
}
