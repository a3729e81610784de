//! Creates whose end is not clear: what was made is found again, and nobody else's customer is taken
//! for it. Each sequence once did harm, and is played as it was found.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::harm::{SETTLE, ada};
use crate::support::World;

/// Somebody with Ada's e-mail.
fn eve() -> Value {
    json!({ "first_name": "Eve", "last_name": "Other", "email": "ada@example.com", "description": "typed by staff" })
}

/// Staff make this customer while our create for Ada is on its way, which takes three seconds:
/// Trafft will answer it with theirs.
async fn beside(theirs: Value) -> (World, String, i64) {
    let mut world = World::stopped(&[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    let trafft = world.sandbox.trafft.clone();
    trafft.set_duplicates(sandbox::trafft::Duplicates::ReturnExisting);
    world.start().await;
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::Slow { ms: 3_000 });
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    while trafft.faults().unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let staffs = trafft.staff_create(theirs);
    (world, contact, staffs)
}

/// Whatever comes of the contact, a note and its end, the customer is as staff made it.
async fn stays_staffs(world: &World, contact: &str, staffs: i64) {
    let before = world.sandbox.trafft.customer(staffs).unwrap();
    assert_eq!(before.description.as_deref(), Some("typed by staff"));
    world.sandbox.ghl.add_note(contact, json!({ "body": "Quiet room" }));
    world.deliver_all().await;
    world.rest(Duration::from_mins(2)).await;
    world.sandbox.ghl.delete_contact(contact);
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    assert_eq!(world.sandbox.trafft.customer(staffs), Some(before));
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

/// A person books while our POST is on its way; Trafft answers a known e-mail with the customer
/// that has it.
#[tokio::test]
async fn a_customer_that_trafft_names_and_that_looks_otherwise_is_not_ours() {
    let (world, contact, staffs) = beside(eve()).await;
    world.advance(Duration::from_secs(3));
    world.rest(Duration::from_secs(10)).await;
    stays_staffs(&world, &contact, staffs).await;
}

/// The same, and a gateway answers our look at that customer.
#[tokio::test]
async fn a_customer_that_trafft_names_and_does_not_show_is_not_ours() {
    let (world, contact, staffs) = beside(eve()).await;
    let look = Matcher::new("GET", &format!("/api/v2/customers/{staffs}"));
    world.sandbox.trafft.faults().push(look, Fault::Html(502));
    world.advance(Duration::from_secs(3));
    world.rest(10 * SETTLE).await;
    stays_staffs(&world, &contact, staffs).await;
}

/// Another service answers a create with a customer of its own; Trafft carries it out.
#[tokio::test]
async fn a_create_that_another_service_answers_is_looked_for() {
    let mut world = World::new().await;
    world.forgiving = true;
    let trafft = world.sandbox.trafft.clone();
    let strangers = ["old", "new"].map(|name| {
        trafft.staff_create(
            json!({ "first_name": name, "last_name": "Stranger", "email": format!("{name}@example.com") }),
        )
    });
    world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    let body = json!({ "id": strangers[0] }).to_string();
    let answered = Fault::StatusThenDone { status: 200, body, after_ms: 3_000 };
    trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), answered);
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.rest(10 * SETTLE).await;
    let known = world.contact(&contact).await;
    assert_eq!(trafft.customers().len(), 4, "{known}");
    assert_eq!((&known["status"], &known["created_by_us"]), (&json!("synced"), &json!(true)), "{known}");
}

/// The same with a person who is the contact, and has a birthday: staff typed it.
#[tokio::test]
async fn a_customer_with_more_than_we_send_is_linked_and_not_ours() {
    let mut theirs = eve();
    (theirs["first_name"], theirs["last_name"]) = (json!("Ada"), json!("Example"));
    theirs["birthday"] = json!("1990-09-25");
    let (world, contact, staffs) = beside(theirs).await;
    world.advance(Duration::from_secs(3));
    world.rest(Duration::from_secs(10)).await;
    let known = world.contact(&contact).await;
    assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(staffs), &json!(false)), "{known}");
    stays_staffs(&world, &contact, staffs).await;
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

/// The answer of a create is lost, and staff book with the customer that it made; another service
/// answers, once, as if there were no appointments, or none after the newest.
#[tokio::test]
async fn an_empty_page_of_appointments_proves_nothing() {
    let newer: Vec<_> =
        (2..52).map(|id| json!({ "id": id, "bookings": [], "created_at": "2026-09-01T11:00:00Z" })).collect();
    let pagination = json!({ "total": 51, "page": 1, "limit": 50, "pages": 2 });
    let first = json!({ "data": newer, "pagination": pagination }).to_string();
    let empty = r#"{"data":[]}"#.to_owned();
    for pages in [vec![empty.clone()], vec![first, empty]] {
        let mut world = World::new().await;
        let contact = create_without_answer(&mut world).await;
        let trafft = world.sandbox.trafft.clone();
        trafft.staff_book(Some(trafft.customers()[0].id), "2026-09-12T10:00:00Z", "2026-09-12T11:00:00Z");
        for page in pages {
            trafft.faults().push(Matcher::new("GET", "/api/v2/appointments"), Fault::StatusWithBody(200, page));
        }
        world.rest(10 * SETTLE).await;
        assert_eq!(trafft.faults().unspent(), 0);
        let known = world.contact(&contact).await;
        assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(1), &json!(false)), "{known}");
    }
}

/// The answer of a create is lost, and a gateway refuses all appointments for some minutes. Who may
/// never read them has no way to know, and does not wait for ever.
#[tokio::test]
async fn a_gateways_refusal_of_appointments_makes_no_customer_somebody_elses() {
    for (minutes, is_ours) in [(5, true), (60, false)] {
        let mut world = World::new().await;
        let contact = create_without_answer(&mut world).await;
        let refused = Fault::StatusWithBody(403, json!({ "message": "Forbidden" }).to_string());
        let appointments = Matcher::new("GET", "/api/v2/appointments").times(1_000);
        world.sandbox.trafft.faults().push(appointments, refused);
        // The same person's other contact waits until it is known whose that customer is.
        world.sandbox.ghl.set_allow_duplicates(&world.sandbox.ghl.location_id(), true);
        let twin = world.sandbox.ghl.create_contact(ada());
        world.deliver_all().await;
        world.rest(Duration::from_mins(minutes)).await;
        world.sandbox.trafft.faults().clear();
        world.rest(Duration::from_mins(10)).await;
        let known = world.contact(&contact).await;
        assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(1), &json!(is_ours)), "{known}");
        assert_eq!(world.contact(&twin).await["status"], "conflict");
        assert_eq!(world.sandbox.trafft.customers().len(), 1);
    }
}

async fn create_without_answer(world: &mut World) -> String {
    world.forgiving = true;
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
    let contact = world.sandbox.ghl.create_contact(ada());
    world.deliver_all().await;
    world.rest(Duration::from_secs(20)).await;
    contact
}

/// The answer of a create is lost; before anybody has looked for what it made, staff book with that
/// customer, or type its birthday, and type in the same person once more. What speaks against one
/// says nothing for the other.
#[tokio::test]
async fn of_two_customers_that_look_like_a_create_none_is_taken_for_ours() {
    for is_booked in [false, true] {
        let mut world = World::with(&[("DELETE_POLICY", "delete-created")]).await;
        world.forgiving = true;
        let trafft = world.sandbox.trafft.clone();
        let create = Matcher::new("POST", "/api/v2/customers");
        trafft.faults().push(create, Fault::DoneThenDropped);
        let contact = world.sandbox.ghl.create_contact(ada());
        world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
        world.deliver_all().await;
        world.rest(Duration::from_secs(20)).await;
        let made = trafft.customers()[0].id;
        if is_booked {
            trafft.staff_book(Some(made), "2026-09-12T10:00:00Z", "2026-09-12T11:00:00Z");
        } else {
            trafft.staff_edit(made, json!({ "birthday": "1990-09-25" }));
        }
        let mut theirs = eve();
        (theirs["first_name"], theirs["last_name"]) = (json!("Ada"), json!("Example"));
        theirs["phone_number"] = json!("+14155550142");
        let staffs = trafft.staff_create(theirs);
        world.rest(10 * SETTLE).await;
        let known = world.contact(&contact).await;
        assert_eq!((&known["trafft_customer_id"], &known["created_by_us"]), (&json!(staffs), &json!(false)), "{known}");
        stays_staffs(&world, &contact, staffs).await;
    }
}
