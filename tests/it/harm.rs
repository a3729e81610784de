//! Sequences that once did harm: a customer deleted, doubled, lost or taken for another's. Each is
//! played as it was found.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

pub const SETTLE: Duration = Duration::from_secs(61);
pub const HOUR: Duration = Duration::from_hours(1);

pub fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

/// A value that HighLevel had, has no more, and has again; staff changed it in Trafft in between.
#[tokio::test]
async fn a_value_that_comes_back_is_written() {
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    let customer = world.sandbox.trafft.staff_create(
        json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone": "+14155550142" }),
    );
    world.start().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    assert_eq!(world.deliver_all().await.customer(), customer);
    // The phone goes.
    world.sandbox.ghl.edit_contact(&contact, json!({ "phone": null }));
    world.deliver_all().await;
    world.rest(25 * HOUR).await;
    // Staff type another one; HighLevel has none, so it stays.
    world.sandbox.trafft.staff_edit(customer, json!({ "phone_number": "+14155550199" }));
    world.rest(25 * HOUR).await;
    // It is back in HighLevel.
    world.sandbox.ghl.edit_contact(&contact, json!({ "phone": "+14155550142" }));
    world.deliver_all().await;
    world.rest(75 * HOUR).await;
    assert_eq!(world.customer_of(&contact).await.phone_number.as_deref(), Some("+14155550142"));
}

/// One contact whose values the mapping cannot be applied to stops an upgrade's reading of phones,
/// and with it the location.
#[tokio::test]
async fn a_contact_that_the_mapping_fails_on_stops_no_other_one() {
    let mut broken = Vec::new();
    for change in ["upgrade", "region"] {
        let mapping = "[customer]\nlast_name = \"{{ last_name + ' ' + tags[0] }}\"\n";
        let mut world = World::mapped(mapping, &[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
        let mut with = ada();
        with["tags"] = json!(["vip"]);
        let odd = world.sandbox.ghl.create_contact(with);
        let bob = json!({ "firstName": "Bob", "lastName": "B", "email": "bob@example.com", "tags": ["vip"] });
        let bob = world.sandbox.ghl.create_contact(bob);
        world.deliver_all().await;
        world.idle().await;
        world.sandbox.ghl.edit_contact(&odd, json!({ "tags": [] }));
        world.deliver_all().await;
        world.idle().await;
        world.stop().await;
        match change {
            "upgrade" => world.sql("UPDATE connections SET phone_keys = NULL").await,
            _ => world.set("PHONE_REGION", "DE"),
        }
        world.start_idle().await;
        let eve = json!({ "firstName": "Eve", "lastName": "E", "email": "eve@example.com", "tags": ["vip"] });
        world.sandbox.ghl.create_contact(eve);
        deliver(&world).await;
        world.sandbox.ghl.edit_contact(&bob, json!({ "firstName": "Robert" }));
        deliver(&world).await;
        let mut moment = tokio::time::interval(Duration::from_millis(20));
        let mut names = Vec::new();
        for _ in 0..200 {
            world.advance(Duration::from_secs(10));
            moment.tick().await;
            names = world.sandbox.trafft.customers().into_iter().map(|one| one.first_name).collect();
            if ["Eve", "Robert"].iter().all(|name| names.iter().any(|one| one == name)) {
                break;
            }
        }
        if !["Eve", "Robert"].iter().all(|name| names.iter().any(|one| one == name)) {
            broken.push(format!("{change}: {names:?}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Delivered, whether or not the location is worked.
async fn deliver(world: &World) {
    for event in world.sandbox.ghl.take_events() {
        assert_eq!(world.deliver_now(&event).await.code, 200);
    }
}

/// A gateway of another make (Fastify) has lost its route for a bit more than a minute.
#[tokio::test]
async fn a_route_that_is_not_found_is_no_customer() {
    for body in [
        r#"{"message":"Route PATCH:/api/v2/customers/1 not found","error":"Not Found","statusCode":404}"#,
        r#"{"message":"No query results for model [App\\Models\\Tenant]."}"#,
    ] {
        let mut world = World::stopped(&[("MISSING_CUSTOMER_POLICY", "recreate")]).await;
        world.start().await;
        world.forgiving = true;
        let contact = world.synced(ada()).await;
        let customer = world.customer_of(&contact).await.id;
        world.sandbox.trafft.seed(60);
        world.synced(json!({ "firstName": "Newest", "lastName": "N", "email": "newest@example.com" })).await;
        let path = format!("/api/v2/customers/{customer}");
        world.sandbox.trafft.faults().push(Matcher::path(&path).times(2), Fault::StatusWithBody(404, body.to_owned()));
        world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
        world.deliver_all().await;
        world.rest(3 * SETTLE).await;
        let same: Vec<_> = world
            .sandbox
            .trafft
            .customers()
            .into_iter()
            .filter(|one| one.email.as_deref() == Some("ada@example.com"))
            .collect();
        assert_eq!(same.len(), 1, "{body}");
    }
}

/// Two whole passes did not show a customer of a contact that is left out for now; then it was
/// shown again; then one page of a gateway.
#[tokio::test]
async fn a_customer_that_is_shown_again_is_not_taken_for_gone_by_one_page_of_a_gateway() {
    let mut world = World::mapped(
        "only = \"'vip' in tags\"",
        &[("SWEEP_CUSTOMERS_HOURS", "24"), ("MISSING_CUSTOMER_POLICY", "recreate")],
    )
    .await;
    world.forgiving = true;
    let mut with = ada();
    with["tags"] = json!(["vip"]);
    let contact = world.synced(with).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.trafft.seed(3);
    world.rest(25 * HOUR).await;
    world.sandbox.ghl.edit_contact(&contact, json!({ "tags": [] }));
    world.deliver_all().await;
    // The list leaves it out, twice.
    let page = json!({ "data": [{ "id": 2, "first_name": "x", "last_name": "y", "email": "x@example.com", "phone_number": "" }], "pagination": { "total": 1, "page": 1, "limit": 50, "pages": 1 } });
    let left_out = Fault::StatusWithBody(200, page.to_string());
    world.sandbox.trafft.faults().push(Matcher::new("GET", "/api/v2/customers").times(2), left_out);
    world.rest(50 * HOUR).await;
    // And shows it for a week.
    world.rest(24 * 7 * HOUR).await;
    let path = format!("/api/v2/customers/{customer}");
    world.sandbox.trafft.faults().push(Matcher::new("GET", &path), Fault::Html(404));
    world.sandbox.ghl.edit_contact(&contact, json!({ "tags": ["vip"], "lastName": "Byron" }));
    world.deliver_all().await;
    world.rest(Duration::from_mins(5)).await;
    assert_eq!(world.contact(&contact).await["trafft_customer_id"], customer);
}

/// Another service answers for Trafft's list of customers, once, as if there were none.
#[tokio::test]
async fn an_answer_without_customers_proves_nothing() {
    for body in [r#"{"data":null,"message":"ok"}"#, r#"{"data":[]}"#, r#"{"data":[],"pagination":{"pages":1}}"#] {
        let mut world = World::new().await;
        world.forgiving = true;
        let trafft = world.sandbox.trafft.clone();
        world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
        // A person has booked, and we have not met that customer yet.
        let booked =
            trafft.staff_create(json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com" }));
        trafft.faults().push(Matcher::new("GET", "/api/v2/customers"), Fault::StatusWithBody(200, body.to_owned()));
        let contact = world.sandbox.ghl.create_contact(ada());
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        assert_eq!(trafft.customers().len(), 2, "{body}: {:?}", trafft.customers());
        assert_eq!(world.contact(&contact).await["trafft_customer_id"], booked, "{body}");

        // The answer of a create is lost, and so is the look for what it made.
        trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
        let eve = world.sandbox.ghl.create_contact(json!({ "firstName": "Eve", "email": "eve@example.com" }));
        world.deliver_all().await;
        world.rest(Duration::from_secs(20)).await;
        let look = Matcher::new("GET", "/api/v2/customers").times(2);
        trafft.faults().push(look, Fault::StatusWithBody(200, body.to_owned()));
        world.rest(10 * SETTLE).await;
        let known = world.contact(&eve).await;
        assert_eq!(trafft.customers().len(), 3, "{body}: {:?}", trafft.customers());
        assert_eq!(known["created_by_us"], true, "{body}: {known}");
    }
}

/// The first pass over the customers after the index was built, and one answer as above in it: the
/// customers that nobody is linked with are still there.
#[tokio::test]
async fn one_pass_that_shows_nobody_takes_nobody_out_of_the_index() {
    let body = r#"{"data":[],"pagination":{"total":0,"pages":0}}"#;
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "24")]).await;
    let trafft = world.sandbox.trafft.clone();
    let staffs =
        trafft.staff_create(json!({ "first_name": "Augusta", "last_name": "King", "email": "ada@example.com" }));
    // Beyond the newest page.
    trafft.seed(60);
    world.start().await;
    world.forgiving = true;
    // Reading all of them took a minute, and then the work began.
    world.sql("UPDATE customers SET seen_at = seen_at - 60000").await;
    let contact = world.sandbox.ghl.create_contact(ada());
    assert_eq!(world.deliver_all().await.status(), "conflict");
    trafft.faults().push(Matcher::new("GET", "/api/v2/customers"), Fault::StatusWithBody(200, body.to_owned()));
    world.rest(25 * HOUR).await;
    let known = world.contact(&contact).await;
    assert_eq!(
        (&known["status"], &known["conflict_trafft_customer_id"]),
        (&json!("conflict"), &json!(staffs)),
        "{known}"
    );
    assert_eq!(trafft.customers().len(), 61);
}

/// The location's record is refused once after a restart, while the pass over Trafft's customers
/// goes on.
#[tokio::test]
async fn a_location_record_that_is_refused_for_a_moment_takes_no_phone_out_of_the_index() {
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "24"), ("PHONE_REGION", "")]).await;
    world.forgiving = true;
    let there = world.sandbox.trafft.staff_create(json!({ "first_name": "Ada", "last_name": "Example" }));
    world.sandbox.trafft.staff_edit(there, json!({ "phone_number": "(415) 555-0142" }));
    world.sandbox.trafft.seed(60);
    world.start().await;
    world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    world.stop().await;
    world.advance(25 * HOUR);
    let body = r#"{"statusCode":403,"message":"Forbidden resource"}"#.to_owned();
    world.sandbox.ghl.faults().push(Matcher::new("GET", "/locations/"), Fault::StatusWithBody(403, body));
    world.start().await;
    world.rest(Duration::from_mins(10)).await;
    let contact =
        world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "lastName": "Example", "phone": "+14155550142" }));
    world.deliver_all().await;
    world.drain().await;
    assert_eq!(world.contact(&contact).await["trafft_customer_id"], there);
}

/// Two contacts are one person, and are merged in HighLevel: the one that stays waits for the
/// customer of the one that goes.
#[tokio::test]
async fn a_merge_hands_the_customer_over() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let gone = world.synced(ada()).await;
    let customer = world.customer_of(&gone).await.id;
    world.sandbox.trafft.staff_book(Some(customer), "2026-09-12T10:00:00Z", "2026-09-12T11:00:00Z");
    let stays = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.sandbox.ghl.merge_contacts(&stays, &gone);
    world.deliver_all().await;
    world.drain().await;
    assert!(world.sandbox.trafft.customer(customer).is_some(), "its contact lives, and it has an appointment");
}

/// A merge as above, where staff have made a customer with the same e-mail, too: the doubt is about
/// both.
#[tokio::test]
async fn a_merge_hands_the_customer_over_where_several_have_the_email() {
    for is_linked in [false, true] {
        let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
        world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
        let king = json!({ "first_name": "Ada", "last_name": "King", "email": "king@example.com" });
        let first = is_linked.then(|| world.sandbox.trafft.staff_create(king));
        let gone = world.synced(ada()).await;
        let customer = world.customer_of(&gone).await.id;
        world.sandbox.trafft.staff_book(Some(customer), "2026-09-12T10:00:00Z", "2026-09-12T11:00:00Z");
        let stays = if let Some(first) = first {
            // It has a customer of its own, and takes over the e-mail that both others have.
            let stays =
                world.synced(json!({ "firstName": "Ada", "lastName": "Example", "email": "new@example.com" })).await;
            world.sandbox.trafft.staff_edit(first, json!({ "email": "ada@example.com" }));
            world.admin(Method::POST, "/api/v1/sweeps/customers", None).await;
            world.drain().await;
            world.sandbox.ghl.edit_contact(&stays, json!({ "email": "ada@example.com" }));
            stays
        } else {
            world
                .sandbox
                .trafft
                .staff_create(json!({ "first_name": "Ada", "last_name": "Example", "email": "ada@example.com" }));
            world.sandbox.ghl.create_contact(ada())
        };
        assert_eq!(world.deliver_all().await.status(), "conflict", "{is_linked}");
        world.sandbox.ghl.merge_contacts(&stays, &gone);
        world.deliver_all().await;
        world.drain().await;
        let known = world.contact(&stays).await;
        assert!(world.sandbox.trafft.customer(customer).is_some(), "{is_linked}: it has an appointment: {known}");
    }
}

/// A merge as above, while the record that stays is in trouble: it is still the one that the
/// customer is for.
#[tokio::test]
async fn a_merge_hands_the_customer_over_to_a_contact_that_is_in_trouble() {
    for trouble in ["retried", "given up on"] {
        let mapping = "[customer]\nlast_name = \"{{ last_name + ' ' + tags[0] }}\"\n";
        let mut world = World::mapped(mapping, &[("DELETE_POLICY", "delete-created")]).await;
        world.forgiving = true;
        let ghl = world.sandbox.ghl.clone();
        ghl.set_allow_duplicates(&ghl.location_id(), true);
        let mut person = ada();
        person["tags"] = json!(["vip"]);
        let gone = world.synced(person.clone()).await;
        let customer = world.customer_of(&gone).await.id;
        let stays = ghl.create_contact(person);
        world.deliver_all().await;
        if trouble == "retried" {
            let record = Matcher::new("GET", &format!("/contacts/{stays}")).times(3);
            let timeout =
                r#"{"message":"Request Timeout after 30000ms","error":"Bad Request","statusCode":400}"#.to_owned();
            ghl.faults().push(record, Fault::StatusWithBody(400, timeout));
            ghl.edit_contact(&stays, json!({ "companyName": "Example Ltd" }));
        } else {
            // The mapping has no last name for it.
            ghl.edit_contact(&stays, json!({ "tags": [] }));
            world.deliver_all().await;
            assert_eq!(world.contact(&stays).await["status"], "failed");
        }
        ghl.merge_contacts(&stays, &gone);
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        assert!(world.sandbox.trafft.customer(customer).is_some(), "{trouble}");
        ghl.edit_contact(&stays, json!({ "tags": ["vip"], "companyName": "Example & Co" }));
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        let known = world.contact(&stays).await;
        assert_eq!(known["trafft_customer_id"], customer, "{trouble}: {known}");
    }
}

/// Staff turned a customer that we had made into somebody else; its contact is deleted before any
/// pass has seen that.
#[tokio::test]
async fn a_customer_that_staff_made_another_persons_is_not_deleted() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.trafft.staff_edit(customer, json!({ "first_name": "Zoe", "last_name": "Stranger", "email": "zoe@example.com", "phone_number": "+14155550199", "description": "typed by staff" }));
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.drain().await;
    assert!(world.sandbox.trafft.customer(customer).is_some(), "Zoe");
}

/// Staff who correct a name have the same person in mind: that customer goes with its contact.
#[tokio::test]
async fn a_customer_that_staff_corrected_is_deleted() {
    let world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.trafft.staff_edit(customer, json!({ "first_name": "Augusta", "last_name": "King" }));
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.drain().await;
    assert!(world.sandbox.trafft.customer(customer).is_none());
}

/// Another service answers a DELETE, once, with 200 and words of its own; or it is lost.
#[tokio::test]
async fn a_delete_counts_once_trafft_does_not_show_the_customer_any_more() {
    let strange = r#"{"message":"Not Found"}"#.to_owned();
    for fault in [Fault::StatusWithBody(200, strange), Fault::DoneThenDropped, Fault::DoneThenStatus(500)] {
        let mut world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
        world.forgiving = true;
        let contact = world.synced(ada()).await;
        world.sandbox.trafft.faults().push(Matcher::new("DELETE", "/api/v2/customers"), fault.clone());
        world.sandbox.ghl.delete_contact(&contact);
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        assert_eq!(world.sandbox.trafft.customers(), [], "{fault:?}");
        let known = world.contact(&contact).await;
        assert_eq!((&known["status"], &known["trafft_customer_id"]), (&json!("synced"), &Value::Null), "{known}");
    }
}
