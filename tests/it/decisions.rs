//! What a person decides about a contact while it is being worked: the decision holds, and no
//! customer is left behind.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Faults, Matcher};
use serde_json::{Value, json};

use crate::support::{Answer, World};

const SECOND: Duration = Duration::from_secs(1);

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })
}

impl World {
    async fn decide(&self, contact: &str, verb: &str, customer: i64) -> Answer {
        let body = (verb == "link").then(|| json!({ "trafft_customer_id": customer }));
        self.admin(Method::POST, &format!("/api/v1/contacts/{contact}/{verb}"), body).await
    }
}

/// Nobody waits for an answer; staff have made that customer.
async fn beside(customer: Value) -> (World, i64) {
    let mut world = World::stopped(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let customer = world.sandbox.trafft.staff_create(customer);
    world.start().await;
    (world, customer)
}

async fn other() -> (World, i64) {
    beside(json!({ "first_name": "Augusta", "last_name": "King", "email": "augusta@example.com" })).await
}

/// Until the call that the fault is for is under way.
async fn met(faults: &Faults) {
    while faults.unspent() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_a_customer_is_being_made_the_contact_cannot_be_linked_with_another() {
    for (fault, while_it_runs) in [(Fault::Slow { ms: 5_000 }, true), (Fault::DoneThenDropped, false)] {
        let (world, other) = other().await;
        let (ghl, trafft) = (&world.sandbox.ghl, &world.sandbox.trafft);
        trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), fault.clone());
        let contact = ghl.create_contact(ada());
        world.deliver_all().await;
        met(&trafft.faults()).await;
        if !while_it_runs {
            world.idle().await;
        }
        for verb in ["link", "unlink"] {
            let refused = world.decide(&contact, verb, other).await;
            assert_eq!(refused.code, 409, "{verb}, {fault:?}: {}", refused.json);
            assert!(refused.detail().contains("is being made"), "{}", refused.json);
        }
        world.advance(5 * SECOND);
        world.drain().await;
        assert_eq!(trafft.customers().len(), 2, "{fault:?}");
        assert_ne!(world.customer_of(&contact).await.id, other, "{fault:?}");
        // Now it is known which customer that leaves behind.
        assert_eq!(world.decide(&contact, "link", other).await.code, 202, "{fault:?}");
        world.drain().await;
        let linked = world.customer_of(&contact).await;
        assert_eq!((linked.id, linked.first_name.as_str()), (other, "Ada"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_create_that_was_asked_for_while_it_runs_is_that_create() {
    let (world, _) = other().await;
    let trafft = &world.sandbox.trafft;
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 5_000 });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    met(&trafft.faults()).await;
    assert_eq!(world.decide(&contact, "create", 0).await.code, 202);
    world.advance(5 * SECOND);
    world.drain().await;
    assert_eq!((world.customer_of(&contact).await.first_name.as_str(), trafft.customers().len()), ("Ada", 2));
}

#[tokio::test]
async fn a_link_that_is_decided_while_the_contact_is_read_holds() {
    // By itself the contact would become a customer of its own, or be linked with the one that has
    // its e-mail.
    let namesake = json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com" });
    for namesakes in [0, 1] {
        let (world, other) = other().await;
        let (ghl, trafft) = (&world.sandbox.ghl, &world.sandbox.trafft);
        (0..namesakes).for_each(|_| _ = trafft.staff_create(namesake.clone()));
        ghl.faults().push(Matcher::new("GET", "/contacts/"), Fault::Slow { ms: 5_000 });
        let contact = ghl.create_contact(ada());
        world.deliver_all().await;
        met(&ghl.faults()).await;
        assert_eq!(world.decide(&contact, "link", other).await.code, 202);
        world.advance(5 * SECOND);
        world.drain().await;
        let shown = world.contact(&contact).await;
        assert_eq!((&shown["trafft_customer_id"], &shown["decision"]), (&json!(other), &json!("linked")), "{shown}");
        assert_eq!(trafft.customers().len(), 1 + namesakes, "nobody is made");
    }
}

#[tokio::test]
async fn of_several_that_a_create_may_have_made_a_person_chooses_one() {
    let (world, _) = other().await;
    let trafft = &world.sandbox.trafft;
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.idle().await;
    let twin = trafft.staff_create(json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com" }));
    world.drain().await;
    let shown = world.contact(&contact).await;
    assert!(shown["status"] == "conflict" && shown["reason"].to_string().contains("contacts link"), "{shown}");
    assert_eq!(world.decide(&contact, "link", twin).await.code, 202);
    world.drain().await;
    assert_eq!(world.customer_of(&contact).await.id, twin);
}

#[tokio::test]
async fn a_customer_that_becomes_free_ends_the_conflict_over_it() {
    for freed_by in ["link", "unlink", "erase"] {
        let (world, other) = other().await;
        let ghl = &world.sandbox.ghl;
        ghl.set_allow_duplicates(&ghl.location_id(), true);
        let mut with_phone = ada();
        with_phone["phone"] = json!("+14155550142");
        let first = ghl.create_contact(with_phone);
        world.deliver_all().await;
        world.idle().await;
        let customer = world.customer_of(&first).await.id;
        let second = ghl.create_contact(ada());
        world.deliver_all().await;
        world.idle().await;
        assert_eq!(world.contact(&second).await["conflict_trafft_customer_id"], customer);
        // Else the other customer would get the e-mail, too.
        ghl.edit_contact(&first, json!({ "email": null }));
        world.deliver_all().await;
        world.idle().await;
        let done = match freed_by {
            "erase" => world.admin(Method::DELETE, &format!("/api/v1/contacts/{first}"), None).await,
            verb => world.decide(&first, verb, other).await,
        };
        assert!(done.code.is_success(), "{freed_by}: {}", done.json);
        world.drain().await;
        let shown = world.contact(&second).await;
        assert_eq!(shown["trafft_customer_id"], customer, "{freed_by}: {shown}");
    }
}
