//! Answers that never came, vendors that fail, a service that is stopped: in the end Trafft is as
//! it should be, once.

use std::time::Duration;

use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn a_create_without_an_answer_makes_one_customer() {
    for fault in [
        Fault::DoneThenDropped,
        Fault::DroppedThenDone { after_ms: 30_000 },
        Fault::CutShort,
        Fault::Html(200),
        Fault::DoneThenStatus(500),
        Fault::DoneThenStatus(422),
        Fault::Status(500),
        Fault::Status(503),
        Fault::TooManyRequests { retry_after: Some(120) },
        Fault::TooManyRequests { retry_after: None },
        Fault::Refuse,
    ] {
        for restart in [false, true] {
            let shown = format!("{fault:?}, restart: {restart}");
            let mut world = World::new().await;
            world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), fault.clone());
            let contact = world.sandbox.ghl.create_contact(ada());
            let answer = world.deliver_all().await;
            assert_eq!(answer.code, 200, "{shown}");
            if restart {
                world.restart().await;
            }
            world.drain().await;
            let customers = world.sandbox.trafft.customers();
            assert_eq!(customers.len(), 1, "{shown}: {customers:?}");
            assert_eq!(world.customer_of(&contact).await.email.as_deref(), Some("ada@example.com"), "{shown}");
            // And it goes on as usual from here.
            world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
            assert_eq!(world.deliver_all().await.status(), "synced", "{shown}");
        }
    }
}

#[tokio::test]
async fn a_create_without_an_answer_is_not_repeated_while_a_new_customer_cannot_be_read() {
    for odd in ["null", r#"{"id":{"a":1}}"#, "email"] {
        let world = World::in_memory(&[]).await;
        world.sandbox.trafft.staff_create(json!({ "first_name": "Bob", "last_name": "Old" }));
        world.synced(json!({ "firstName": "Eve", "email": "eve@example.com" })).await;
        world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
        let contact = world.sandbox.ghl.create_contact(ada());
        world.deliver_all().await;
        let made = world.sandbox.trafft.customers().into_iter().map(|customer| customer.id).max().unwrap();
        match odd {
            "email" => world.sandbox.trafft.raw().field("/api/v2/customers", made, "email", "{}"),
            record => world.sandbox.trafft.raw().record("/api/v2/customers", made, record),
        }
        world.rest(Duration::from_hours(2)).await;
        let known = world.contact(&contact).await;
        assert_eq!(world.sandbox.trafft.customers().len(), 3, "{odd}: {known}");
        assert!(known["reason"].as_str().unwrap().contains("cannot be read"), "{odd}: {known}");
        world.sandbox.trafft.raw().clear();
        world.drain().await;
        assert_eq!(world.contact(&contact).await["trafft_customer_id"], made, "{odd}");
        assert_eq!(world.sandbox.trafft.customers().len(), 3, "{odd}");
    }
}

#[tokio::test]
async fn an_update_that_fails_is_made_true_later() {
    for fault in [
        Fault::DoneThenDropped,
        Fault::DroppedThenDone { after_ms: 3_000 },
        Fault::CutShort,
        Fault::Html(200),
        Fault::StatusWithBody(200, r#"{"message":"Not Found"}"#.to_owned()),
        Fault::StatusWithBody(200, r#"{"id":7}"#.to_owned()),
        Fault::Html(404),
        Fault::StatusWithBody(404, r#"{"message":"Customer not found"}"#.to_owned()),
        Fault::Html(502),
        Fault::Status(500),
        Fault::TooManyRequests { retry_after: Some(30) },
        Fault::Refuse,
    ] {
        let world = World::new().await;
        let contact = world.synced(ada()).await;
        world.sandbox.trafft.faults().push(Matcher::new("PATCH", "/api/v2/customers"), fault.clone());
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
        let answer = world.deliver_all().await;
        assert_eq!(answer.status(), "queued", "{fault:?}: {}", answer.json);
        assert!(answer.reason().starts_with("Trafft"), "{fault:?}: {}", answer.reason());
        world.drain().await;
        assert_eq!(world.customer_of(&contact).await.last_name, "Byron", "{fault:?}");
        assert_eq!(world.contact(&contact).await["status"], "synced", "{fault:?}");
        assert_eq!(world.sandbox.trafft.customers().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn highlevels_own_trouble_is_waited_out() {
    for fault in [
        Fault::Status(500),
        Fault::Html(502),
        Fault::CutShort,
        Fault::Html(200),
        Fault::TooManyRequests { retry_after: None },
        Fault::Refuse,
    ] {
        let world = World::new().await;
        world.sandbox.ghl.faults().push(Matcher::path("/contacts/").times(3), fault.clone());
        let contact = world.sandbox.ghl.create_contact(ada());
        assert_eq!(world.deliver_all().await.status(), "queued", "{fault:?}");
        world.drain().await;
        assert_eq!(world.customer_of(&contact).await.first_name, "Ada", "{fault:?}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_without_anybody_noticing() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.sandbox.trafft.revoke_tokens();
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.sandbox.trafft.journal().max_in_flight(), 1);
}

#[tokio::test]
async fn contacts_of_one_person_arriving_together_make_one_customer() {
    let world = World::with(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    for _ in 0..5 {
        world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
    }
    let contacts: Vec<_> = (0..16).map(|_| world.sandbox.ghl.create_contact(ada())).collect();
    let events = world.sandbox.ghl.take_events();
    futures_util::future::join_all(events.iter().map(|event| world.deliver_now(event))).await;
    world.drain().await;
    world.sandbox.trafft.faults().clear();
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
    let mut ends = std::collections::BTreeMap::new();
    for contact in &contacts {
        let status = world.contact(contact).await["status"].as_str().unwrap().to_owned();
        *ends.entry(status).or_insert(0) += 1;
    }
    assert_eq!(ends["conflict"], 15, "{ends:?}");
}

#[tokio::test]
async fn a_slow_trafft_does_not_keep_highlevel_waiting() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    world.sandbox.trafft.faults().push(Matcher::new("PATCH", "/api/v2/customers"), Fault::Slow { ms: 10_000 });
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.pass().await;
    let event = world.sandbox.ghl.take_events().remove(0);
    let waiting = world.deliver_now(&event);
    let clock = async {
        // The deadline passes once the request to Trafft is under way.
        while world.sandbox.trafft.faults().unspent() > 0 {
            tokio::task::yield_now().await;
        }
        world.advance(Duration::from_secs(3));
    };
    let (answer, ()) = tokio::join!(waiting, clock);
    assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
    world.advance(Duration::from_secs(10));
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
}
