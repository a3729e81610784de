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

/// The pass over Trafft's customers shows the new customer before the POST's answer has come.
#[tokio::test]
async fn a_customer_that_a_pass_shows_before_the_posts_answer_is_ours_all_the_same() {
    let mut broken = Vec::new();
    for decided in [false, true] {
        let mut world = World::stopped(&[
            ("DELETE_POLICY", "delete-created"),
            ("SWEEP_CUSTOMERS_HOURS", "24"),
            ("SYNC_INLINE_DEADLINE_MS", "0"),
        ])
        .await;
        if decided {
            world
                .sandbox
                .trafft
                .staff_create(json!({ "first_name": "Augusta", "last_name": "King", "email": "ada@example.com" }));
        }
        world.start().await;
        let (ghl, trafft) = (world.sandbox.ghl.clone(), world.sandbox.trafft.clone());
        let contact = ghl.create_contact(ada());
        if decided {
            world.deliver_all().await;
            world.idle().await;
        }
        // The answer of the POST is slow in coming: 5 s.
        trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenSlow { ms: 5_000 });
        if decided {
            let path = format!("/api/v1/contacts/{contact}/create");
            assert_eq!(world.admin(Method::POST, &path, None).await.code, 202);
        } else {
            world.deliver_all().await;
        }
        while trafft.faults().unspent() > 0 {
            tokio::task::yield_now().await;
        }
        // Meanwhile the pass over Trafft's customers reads its first page.
        let asked = world.admin(Method::POST, "/api/v1/sweeps/customers", None).await;
        assert!(asked.code.is_success(), "{}", asked.json);
        let mut moment = tokio::time::interval(Duration::from_millis(10));
        let is_shown = |sweep: &Value| sweep["kind"] == "customers" && sweep["seen"].as_i64() > Some(0);
        while !world.get("/api/v1/sweeps").await.json["sweeps"].as_array().unwrap().iter().any(is_shown) {
            moment.tick().await;
        }
        world.advance(Duration::from_secs(5));
        world.rest(Duration::from_mins(3)).await;
        if decided {
            // As the reason says that there is none, the person asks once more.
            let path = format!("/api/v1/contacts/{contact}/create");
            world.admin(Method::POST, &path, None).await;
            world.rest(Duration::from_mins(3)).await;
        }
        ghl.add_note(&contact, json!({ "body": "Allergic to lavender oil" }));
        world.deliver_all().await;
        world.rest(Duration::from_hours(30)).await;
        let customers = trafft.customers();
        let adas: Vec<_> = customers.iter().filter(|customer| customer.first_name == "Ada").collect();
        if adas.len() != 1 || !adas[0].description.as_deref().unwrap_or_default().contains("lavender") {
            broken.push(format!("decided {decided}: {adas:?}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
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

/// A gateway answers a POST with a 400 of its own; Trafft carries it out a little later.
#[tokio::test]
async fn a_create_that_a_gateway_answers_with_a_400_is_made_once() {
    for late in [8_000, 3_000] {
        gateways_400(late).await;
    }
}

async fn gateways_400(late: i64) {
    let mut world = World::with(&[]).await;
    world.forgiving = true;
    let body = r#"{"message":"Bad Request","statusCode":400}"#.to_owned();
    world
        .sandbox
        .trafft
        .faults()
        .push(Matcher::new("POST", "/api/v2/customers"), Fault::StatusThenDone { status: 400, body, after_ms: late });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.rest(3 * SETTLE).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Allergic to lavender oil" }));
    world.deliver_all().await;
    let customers = world.sandbox.trafft.customers();
    assert_eq!(customers.len(), 1);
    assert!(customers[0].description.as_deref().unwrap_or_default().contains("lavender"));
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

/// A person books while our POST is on its way; Trafft answers a known e-mail with the customer
/// that has it.
#[tokio::test]
async fn a_customer_that_trafft_names_and_that_looks_otherwise_is_not_ours() {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.sandbox.trafft.set_duplicates(sandbox::trafft::Duplicates::ReturnExisting);
    world.start().await;
    let trafft = world.sandbox.trafft.clone();
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 3_000 });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    while trafft.faults().unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let staffs = trafft.staff_create(json!({ "first_name": "Eve", "last_name": "Other", "email": "ada@example.com", "description": "typed by staff" }));
    world.advance(Duration::from_secs(3));
    world.rest(Duration::from_secs(10)).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    world.rest(Duration::from_mins(2)).await;
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.rest(Duration::from_mins(5)).await;
    assert_eq!(trafft.customer(staffs).and_then(|one| one.description).as_deref(), Some("typed by staff"));
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

/// Delivered, whether or not the location is worked.
async fn deliver(world: &World) {
    for event in world.sandbox.ghl.take_events() {
        assert_eq!(world.deliver_now(&event).await.code, 200);
    }
}

/// How Trafft shows a number of another country is not known: a customer that we have just made is
/// ours in any form of it.
#[tokio::test]
async fn a_customer_that_trafft_shows_with_a_national_number_is_ours() {
    let world = World::new().await;
    world.sandbox.trafft.raw().field("/api/v2/customers", 1, "phone_number", r#""030 901820""#);
    let person = json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+4930901820" });
    let contact = world.synced(person).await;
    let known = world.contact(&contact).await;
    assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(1), &json!(true)), "{known}");
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

/// A merge as above, while HighLevel has trouble with the record that stays: it is still the one
/// that the customer is for.
#[tokio::test]
async fn a_merge_hands_the_customer_over_to_a_contact_that_cannot_be_read_yet() {
    let mut world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
    let gone = world.synced(ada()).await;
    let customer = world.customer_of(&gone).await.id;
    let stays = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    let record = Matcher::new("GET", &format!("/contacts/{stays}")).times(3);
    let timeout = r#"{"message":"Request Timeout after 30000ms","error":"Bad Request","statusCode":400}"#.to_owned();
    world.sandbox.ghl.faults().push(record, Fault::StatusWithBody(400, timeout));
    world.sandbox.ghl.merge_contacts(&stays, &gone);
    world.sandbox.ghl.edit_contact(&stays, json!({ "companyName": "Example Ltd" }));
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    assert!(world.sandbox.trafft.customer(customer).is_some());
    assert_eq!(world.contact(&stays).await["trafft_customer_id"], customer);
}

/// Trafft answers a create with the customer that somebody else has just made; a gateway answers
/// our look at it.
#[tokio::test]
async fn a_customer_that_trafft_names_and_does_not_show_is_not_ours() {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    world.sandbox.trafft.set_duplicates(sandbox::trafft::Duplicates::ReturnExisting);
    world.start().await;
    let trafft = world.sandbox.trafft.clone();
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 3_000 });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    while trafft.faults().unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let staffs = trafft.staff_create(
        json!({ "first_name": "Eve", "last_name": "Other", "email": "ada@example.com", "description": "typed by staff" }),
    );
    let look = Matcher::new("GET", &format!("/api/v2/customers/{staffs}"));
    trafft.faults().push(look, Fault::Html(502));
    world.advance(Duration::from_secs(3));
    world.rest(10 * SETTLE).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    world.rest(Duration::from_mins(2)).await;
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.rest(Duration::from_mins(5)).await;
    let kept = trafft.customer(staffs).map(|one| (one.first_name, one.description.unwrap_or_default()));
    assert_eq!(kept, Some(("Eve".to_owned(), "typed by staff".to_owned())));
}

/// The same with a person who is the contact, and has a birthday: staff typed it.
#[tokio::test]
async fn a_customer_with_more_than_we_send_is_linked_and_not_ours() {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.sandbox.trafft.set_duplicates(sandbox::trafft::Duplicates::ReturnExisting);
    world.start().await;
    let trafft = world.sandbox.trafft.clone();
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 3_000 });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    while trafft.faults().unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let staffs = trafft.staff_create(json!({
        "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "birthday": "1990-09-25",
        "description": "typed by staff",
    }));
    world.advance(Duration::from_secs(3));
    world.rest(Duration::from_secs(10)).await;
    let known = world.contact(&contact).await;
    assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(staffs), &json!(false)), "{known}");
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.rest(Duration::from_mins(5)).await;
    assert_eq!(trafft.customer(staffs).and_then(|one| one.description).as_deref(), Some("typed by staff"));
}

/// The answer of a create is lost, and the contact is deleted before anybody has looked for what
/// it made.
#[tokio::test]
async fn a_customer_whose_create_had_no_answer_goes_with_its_contact() {
    let mut world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
    world.forgiving = true;
    let create = Matcher::new("POST", "/api/v2/customers");
    world.sandbox.trafft.faults().push(create, Fault::DoneThenDropped);
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.rest(Duration::from_secs(20)).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
    world.sandbox.ghl.delete_contact(&contact);
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    assert_eq!(world.sandbox.trafft.customers(), [], "{}", world.contact(&contact).await);
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

/// The answer of a create is lost, and Trafft shows the number as it is dialled at home.
#[tokio::test]
async fn a_customer_with_a_national_number_is_known_again_after_a_lost_answer() {
    for email in [Some("ada@example.com"), None] {
        let mut world = World::new().await;
        world.forgiving = true;
        world.sandbox.trafft.raw().field("/api/v2/customers", 1, "phone_number", r#""030 901820""#);
        world.sandbox.trafft.raw().field("/api/v2/customers", 1, "phone_country_code", "null");
        let create = Matcher::new("POST", "/api/v2/customers");
        world.sandbox.trafft.faults().push(create, Fault::DoneThenDropped);
        let person = json!({ "firstName": "Ada", "email": email, "phone": "+4930901820" });
        let contact = world.sandbox.ghl.create_contact(person);
        world.deliver_all().await;
        world.rest(5 * SETTLE).await;
        assert_eq!(world.sandbox.trafft.customers().len(), 1, "{email:?}");
        let known = world.contact(&contact).await;
        assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(1), &json!(true)), "{known}");
    }
}

/// The answer of a create is lost; before anybody has looked for what it made, the contact loses
/// what it could be reached by, or the filter leaves it out.
#[tokio::test]
async fn a_customer_whose_create_had_no_answer_is_found_whatever_becomes_of_the_contact() {
    for change in [json!({ "email": null, "phone": null }), json!({ "tags": [] })] {
        let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
        world.forgiving = true;
        let create = Matcher::new("POST", "/api/v2/customers");
        world.sandbox.trafft.faults().push(create, Fault::DoneThenDropped);
        let mut person = ada();
        person["tags"] = json!(["vip"]);
        let contact = world.sandbox.ghl.create_contact(person);
        world.deliver_all().await;
        world.rest(Duration::from_secs(20)).await;
        world.sandbox.ghl.edit_contact(&contact, change.clone());
        world.deliver_all().await;
        world.rest(10 * SETTLE).await;
        let known = world.contact(&contact).await;
        assert_eq!(
            (&known["trafft_customer_id"], &known["created_by_us"]),
            (&json!(1), &json!(true)),
            "{change}: {known}"
        );
    }
}

/// The answer of a create is lost; before anybody has looked for what it made, staff type in the
/// same person.
#[tokio::test]
async fn of_two_customers_that_look_like_a_create_the_one_without_more_is_ours() {
    let mut world = World::new().await;
    world.forgiving = true;
    let create = Matcher::new("POST", "/api/v2/customers");
    world.sandbox.trafft.faults().push(create, Fault::DoneThenDropped);
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.rest(Duration::from_secs(20)).await;
    let made = world.sandbox.trafft.customers()[0].id;
    world.sandbox.trafft.staff_create(json!({
        "first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "phone_number": "+14155550142",
        "birthday": "1990-09-25",
    }));
    world.rest(10 * SETTLE).await;
    let known = world.contact(&contact).await;
    assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(made), &json!(true)), "{known}");
}
