//! The mapping file at work: who is synced, and how.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use sandbox::{Class, Fault, Matcher};
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::{World, command};

#[tokio::test]
async fn only_contacts_with_the_tag() {
    let world = World::mapped("only = \"'trafft' in tags\"", &[]).await;
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    let created = world.sandbox.ghl.take_events().remove(0);
    let answer = world.deliver(&created).await;
    assert_eq!((answer.status(), answer.calls()), ("filtered", (1, 0)), "{}", answer.json);
    world.sandbox.ghl.edit_contact(&contact, json!({ "tags": ["Trafft"] }));
    world.deliver_all().await;
    let told = world.customer_of(&contact).await.description.unwrap();
    assert!(told.contains("Prefers mornings"), "what was not read then is read now: {told}");
}

#[tokio::test]
async fn the_examples_do_what_they_say() {
    let ada = json!({
        "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "companyName": "Example Ltd",
        "customFields": [{ "id": "f1", "value": "gold" }]
    });
    let tagged = json!({ "firstName": "Bob", "lastName": "Example", "email": "bob@example.com", "tags": ["trafft"] });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mapping");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let world = World::mapped(&fs::read_to_string(file.path()).unwrap(), &[("TIME_ZONE", "UTC")]).await;
        world.sandbox.ghl.define_custom_field("f1", "Level", "level");
        let contacts = [&ada, &tagged].map(|contact| world.sandbox.ghl.create_contact(contact.clone()));
        world
            .sandbox
            .ghl
            .add_task(&contacts[0], json!({ "title": "Call back", "dueDate": "2030-09-08T14:30:00.000Z" }));
        world.deliver_all().await;
        let customers = world.sandbox.trafft.customers();
        let of_ada = customers.iter().find(|customer| customer.first_name == "Ada");
        match file.file_name().to_str().unwrap() {
            "only-tagged.toml" => assert_eq!((of_ada, customers.len()), (None, 1)),
            "company.toml" => assert_eq!(of_ada.unwrap().last_name, "Example (Example Ltd)"),
            "short-description.toml" => assert_eq!(
                of_ada.unwrap().description.as_deref(),
                Some("Level: gold\n- Call back, due 2030-09-08 14:30")
            ),
            other => panic!("what should {other} do?"),
        }
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn a_filter_that_fits_nobody_is_told_by_the_dry_run() {
    let world = World::mapped("only = \"source == 'typo'\"", &[]).await;
    for person in 0..3 {
        world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": format!("a{person}@example.com") }));
    }
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_mins(1)).await;
    world.admin(Method::POST, "/api/v1/sweeps/dry-run", None).await;
    world.rest(Duration::from_mins(1)).await;
    let told = world.sweep("dry-run").await;
    assert!(
        told["reason"].as_str().unwrap().ends_with("3 are left out by the mapping's `only`: nobody passes it"),
        "{told}"
    );
}

#[tokio::test]
async fn preview_dry_run_and_what_trafft_then_holds_are_equal() {
    let world = World::mapped("only = \"'no' not in tags\"", &[("PHONE_REGION", "US")]).await;
    let contacts = [
        json!({ "firstName": "Ada", "lastName": "Example", "email": "Ada@example.com", "phone": "+44 20 7946 0958" }),
        json!({ "companyName": "Example Ltd", "email": "office@example.com" }),
        json!({ "firstName": "Zoe\u{308}", "lastName": "O'Brien", "phone": "(415) 555-0143" }),
        json!({ "firstName": "Eve", "email": "eve@example.com", "phone": "ask her" }),
        json!({ "firstName": "Bob", "phone": "ask him" }),
        json!({ "firstName": "Mallory", "email": "mallory@example.com", "tags": ["no"] }),
    ];
    let contacts = contacts.map(|contact| world.sandbox.ghl.create_contact(contact));
    world.sandbox.ghl.take_events();
    let mut previews = Vec::new();
    for contact in &contacts {
        let location = world.sandbox.ghl.location_id();
        let path = format!("/api/v1/connections/{location}/test?contact_id={contact}");
        let checks = world.admin(Method::POST, &path, None).await.json;
        previews.push(checks["checks"].as_array().unwrap().last().unwrap()["found"].as_str().unwrap().to_owned());
    }
    // HighLevel's search shows them a little later.
    world.rest(Duration::from_mins(1)).await;
    world.admin(Method::POST, "/api/v1/sweeps/dry-run", None).await;
    world.rest(Duration::from_mins(1)).await;
    let counted = world.sweep("dry-run").await;
    let told = "would create 4, update 0, ask about 0; 0 match already, 0 are known already (`contacts list`), 1 have neither e-mail nor \
                phone, 1 are left out by the mapping's `only`";
    assert_eq!(counted["reason"], told);
    for contact in &contacts {
        world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
    }
    assert_eq!(world.sandbox.trafft.customers().len(), 4);
    for (contact, preview) in contacts.iter().zip(&previews) {
        let known = world.contact(contact).await;
        let Ok(told) = serde_json::from_str::<Value>(preview) else {
            assert_eq!(known["trafft_customer_id"], Value::Null, "{preview}");
            let said = known["reason"].as_str().unwrap();
            assert!(said == preview || known["status"] == "filtered", "{preview}: {said}");
            continue;
        };
        let customer = world.customer_of(contact).await;
        let text = |key: &str| told[key].as_str().map(str::to_owned);
        assert_eq!(
            (text("first_name"), text("last_name"), text("email"), text("phone"), text("description")),
            (
                Some(customer.first_name),
                Some(customer.last_name),
                customer.email,
                customer.phone_number,
                customer.description
            ),
            "{preview}"
        );
    }
}

#[tokio::test]
async fn custom_fields_by_id_key_and_name() {
    let mapping = r#"
        [customer]
        last_name = "{{ last_name }} {{ custom.level }}/{{ custom['Favourite colour'] }}/{{ custom.f3 }}"
    "#;
    let world = World::mapped(mapping, &[]).await;
    for (id, name, key) in [("f1", "Level", "level"), ("f2", "Favourite colour", "colour"), ("f3", "X", "x")] {
        world.sandbox.ghl.define_custom_field(id, name, key);
    }
    let contact = json!({
        "firstName": "Ada", "lastName": "Example", "email": "ada@example.com",
        "customFields": [{ "id": "f1", "value": "gold" }, { "id": "f2", "value": ["green", "blue"] }, { "id": "f3", "value": 3 }]
    });
    let contact = world.synced(contact).await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Example gold/green, blue/3");
    world.forget_calls();
    world.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "Grace" }));
    assert_eq!(world.deliver_all().await.calls().0, 1);
    assert_eq!(world.sandbox.ghl.journal().count(Class::Metadata), 0, "definitions are read once");
}

/// No contact shows that a name is misspelt: such a field is empty for all of them.
#[tokio::test]
async fn a_custom_field_that_the_location_lacks_is_told_where_the_location_is_tried() {
    let mut world = World::mapped("only = \"custom.levl == 'gold' or custom.f2 or custom.colour\"", &[]).await;
    for (id, name, key) in [("f1", "Level", "level"), ("f2", "Colour", "colour")] {
        world.sandbox.ghl.define_custom_field(id, name, key);
    }
    let told = async |world: &World| {
        let path = format!("/api/v1/connections/{}/test", world.sandbox.ghl.location_id());
        let checks = world.admin(Method::POST, &path, None).await.json;
        let check =
            checks["checks"].as_array().unwrap().iter().find(|check| check["tried"] == "mapping: custom fields");
        check.map(|check| (check["found"].clone(), check["fix"].clone()))
    };
    let found = json!("the mapping names what is empty for every contact: no custom field is called `levl`");
    let fix = json!("correct its name in the mapping; the location has: level, colour");
    assert_eq!(told(&world).await, Some((found, fix)));
    world.stop().await;
    world.set_mapping("only = \"custom.level == 'gold'\"");
    world.start().await;
    assert_eq!(told(&world).await, None);
}

#[tokio::test]
async fn numbers_compare_as_numbers_and_what_is_none_is_missing() {
    for (only, kind, synced) in [
        ("custom.score > 100", "NUMERICAL", vec!["150", "100.5"]),
        ("custom.score | int > 100", "TEXT", vec!["150"]),
        ("custom.score | float(default=200) > 100", "TEXT", vec!["150", "n/a", "100.5", ""]),
    ] {
        let world = World::mapped(&format!("only = \"{only}\""), &[]).await;
        world.sandbox.ghl.define_custom_field("f1", "Score", "score");
        world.sandbox.ghl.raw().field("/locations/", "f1", "dataType", &json!(kind).to_string());
        let mut kept = Vec::new();
        for score in ["75", "150", "n/a", "100.5", ""] {
            let contact = json!({
                "firstName": "Ada", "email": format!("ada{}@example.com", kept.len()),
                "customFields": [{ "id": "f1", "value": score }]
            });
            world.sandbox.ghl.create_contact(contact);
            let answer = world.deliver_all().await;
            assert!(["synced", "filtered"].contains(&answer.status()), "{only}, {score}: {}", answer.json);
            if answer.status() == "synced" {
                kept.push(score);
            }
        }
        assert_eq!(kept, synced, "{only}");
    }
}

#[tokio::test]
async fn the_locations_own_zone_and_country_where_none_are_set() {
    // Names as HighLevel gives them, of which Debian keeps some in a package of their own;
    // Vancouver left its winter time in 2026.
    for (zone, due, visit) in [
        ("Asia/Kolkata", "2026-12-09 01:30", "2026-09-01 16:00:00"),
        ("US/Central", "2026-12-08 14:00", "2026-09-01 06:00:00"),
        ("Asia/Calcutta", "2026-12-09 01:30", "2026-09-01 16:00:00"),
        ("America/Vancouver", "2026-12-08 13:00", "2026-09-01 04:00:00"),
        ("GMT+5:30", "2026-12-09 01:30", "2026-09-01 16:00:00"),
        // Nobody knows which hour it means: then times are in UTC, and say so.
        ("Eastern Standard Time", "2026-12-08 20:00 UTC", "2026-09-01T10:30:00Z"),
    ] {
        let mut world = World::stopped(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]).await;
        let (ghl, location) = (world.sandbox.ghl.clone(), world.sandbox.ghl.location_id());
        ghl.set_timezone(&location, zone);
        ghl.set_phones_as_typed(&location, true);
        ghl.raw().field("/locations/", &location, "country", "\"GB\"");
        world.start().await;
        let contact = json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "020 7946 0018" });
        let contact = world.synced(contact).await;
        assert_eq!(world.customer_of(&contact).await.phone_number.as_deref(), Some("+442079460018"), "{zone}");
        ghl.add_task(&contact, json!({ "title": "Call", "dueDate": "2026-12-08T20:00:00.000Z", "completed": false }));
        // In half an hour or an hour, by the location's clock.
        let visit =
            json!({ "title": "Massage", "startTime": visit, "endTime": visit, "appointmentStatus": "confirmed" });
        ghl.add_appointment(&contact, visit);
        world.deliver_all().await;
        let told = world.customer_of(&contact).await.description.unwrap();
        assert!(told.contains(&format!("- [ ] Call (due {due})")), "{zone}: {told}");
        assert!(told.contains("Massage"), "{zone}: it is still to come: {told}");
    }
}

#[tokio::test]
async fn other_rules_project_every_known_contact_anew_from_what_was_read() {
    let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
    let mut contacts = Vec::new();
    for (number, (tag, company)) in [("vip", "Acme"), ("vip", ""), ("none", "")].into_iter().enumerate() {
        let contact = world.sandbox.ghl.create_contact(json!({
            "firstName": "Ada", "lastName": format!("Example {number}"), "email": format!("ada{number}@example.com"),
            "companyName": company, "tags": [tag],
        }));
        world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
        world.deliver_all().await;
        contacts.push(contact);
    }
    let call = json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    world.sandbox.ghl.add_task(&contacts[1], call);
    world.deliver_all().await;
    assert_eq!(world.contact(&contacts[2]).await["status"], "filtered");

    // The filter goes, and the last name is made otherwise: for the first contact only it is
    // another one.
    world.stop().await;
    world.set_mapping("[customer]\nlast_name = \"{{ last_name }} {{ company }}\"");
    let told = command::run(&world.settings(), &["doctor"]).await.out;
    assert!(told.contains("3 contacts were synced by another mapping"), "{told}");
    world.forget_calls();
    world.start().await;
    world.drain().await;
    assert_eq!(world.customer_of(&contacts[0]).await.last_name, "Example 0 Acme");
    assert_eq!(world.customer_of(&contacts[1]).await.last_name, "Example 1");
    let new = world.customer_of(&contacts[2]).await.description.unwrap_or_default();
    assert!(new.contains("Prefers mornings"), "{new}");
    let asked: Vec<_> = world.sandbox.ghl.journal().entries().into_iter().map(|entry| entry.path).collect();
    let unread = |path: &String| path.starts_with(&format!("/contacts/{}/", contacts[2]));
    assert!(asked.len() == 3 && asked.iter().all(unread), "only what was never read is read: {asked:?}");
    assert_eq!(world.sandbox.trafft.journal().writes(), 2, "one is created, one is changed");
    let sweeps = world.get("/api/v1/sweeps").await.json;
    let sweep = sweeps["sweeps"].as_array().unwrap().iter().find(|sweep| sweep["kind"] == "projection").unwrap();
    assert_eq!((&sweep["total"], &sweep["seen"]), (&json!(3), &json!(3)), "{sweep}");

    // Nothing has changed since.
    world.forget_calls();
    world.restart().await;
    world.drain().await;
    assert_eq!((world.sandbox.ghl.journal().entries().len(), world.sandbox.trafft.journal().writes()), (0, 0));

    // Times are told in another zone: only one description tells any.
    world.set("TIME_ZONE", "Europe/Berlin");
    world.restart().await;
    world.drain().await;
    let told = world.customer_of(&contacts[1]).await.description.unwrap_or_default();
    assert!(told.contains("16:30"), "{told}");
    assert_eq!((world.sandbox.ghl.journal().entries().len(), world.sandbox.trafft.journal().writes()), (0, 1));
    // The description is no longer ours to write: there is nothing to write.
    world.set("DESCRIPTION_POLICY", "at-creation");
    world.forget_calls();
    world.restart().await;
    world.drain().await;
    assert_eq!((world.sandbox.ghl.journal().entries().len(), world.sandbox.trafft.journal().calls()), (0, 0));
    assert_eq!(world.contact(&contacts[0]).await["status"], "unchanged");
}

#[tokio::test]
async fn each_setting_that_decides_what_a_contact_becomes_projects_it_anew() {
    let mut world = World::stopped(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    ghl.set_phones_as_typed(&ghl.location_id(), true);
    let staff =
        json!({ "first_name": "Bob", "last_name": "-", "email": "bob@example.com", "description": "typed by staff" });
    let bob = world.sandbox.trafft.staff_create(staff);
    world.start().await;
    let ada = json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "020 7946 0018", "tags": ["a & b"] });
    let ada = world.synced(ada).await;
    ghl.create_contact(json!({ "firstName": "Bob", "email": "bob@example.com", "tags": ["vip"] }));
    assert_eq!(world.deliver_all().await.customer(), bob);
    let told = |customer: sandbox::Customer| {
        (customer.phone_number.unwrap_or_default(), customer.description.unwrap_or_default())
    };
    let mut shown = [(String::new(), "Tags: a &amp; b".to_owned()), (String::new(), "typed by staff".to_owned())];
    for (name, value, now) in [
        ("PHONE_REGION", "GB", [("+442079460018", "Tags: a &amp; b"), ("", "typed by staff")]),
        ("DESCRIPTION_ESCAPE", "none", [("+442079460018", "Tags: a & b"), ("", "typed by staff")]),
        ("DESCRIPTION_POLICY", "all", [("+442079460018", "Tags: a & b"), ("", "Tags: vip")]),
    ] {
        let customers = async |world: &World| {
            [told(world.customer_of(&ada).await), told(world.sandbox.trafft.customer(bob).unwrap())]
        };
        assert_eq!(customers(&world).await, shown, "before {name}");
        world.set(name, value);
        world.forget_calls();
        world.restart().await;
        world.drain().await;
        shown = now.map(|(phone, description)| (phone.to_owned(), description.to_owned()));
        assert_eq!(customers(&world).await, shown, "{name}={value}");
        let calls = (ghl.journal().entries().len(), world.sandbox.trafft.journal().writes());
        assert_eq!(calls, (0, 1), "{name}={value}");
    }
}

#[tokio::test]
async fn no_more_than_five_hundred_wait_also_after_a_restart() {
    let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
    world.forgiving = true;
    world.know_620_filtered().await;
    // Nobody can be synced, so that all wait who may.
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers").times(1_000_000), Fault::Status(503));
    world.stop().await;
    world.set_mapping("");
    for _ in 0..2 {
        world.start().await;
        world.rest(Duration::from_secs(120)).await;
        let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("ghl_trafft_sync_contacts{status=\"queued\"} 500\n"), "{metrics}");
        world.stop().await;
    }
}

/// The process that begins the pass dies in the middle of it; another one goes on, and a third
/// finds it done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_goes_on_where_the_rules_were_changed() {
    if Database::postgres().is_none() {
        return;
    }
    let mut world = World::mapped("only = \"'vip' in tags\"", &[("LEASE_SECONDS", "3")]).await;
    world.forgiving = true;
    world.know_620_filtered().await;
    world.sql("DELETE FROM contacts WHERE contact_id > 'contact1200'").await;
    world.stop().await;
    world.come_to_the_present();
    world.set_mapping("");
    let log = world.path("log");
    world.set("LOG_TO", &log);
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    let mut made = async |customers: usize| {
        while world.sandbox.trafft.customers().len() < customers {
            moment.tick().await;
        }
    };
    let mut first = Process::start(world.settings());
    made(50).await;
    first.kill();
    let mut second = Process::start(world.settings());
    made(200).await;
    let third = Process::start(world.settings());
    third.ready(&world.http).await;
    assert_eq!(second.stop(), Some(0));
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().remove(0);
    let mut request = world.http.post(format!("{}/webhooks/ghl", third.url)).body(event.body.clone());
    for (name, value) in world.sandbox.ghl.headers_for(&event.body) {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
    made(201).await;
    // What was under way when the first died is looked for, and may be written once more.
    let writes = world.sandbox.trafft.journal().writes();
    assert!((201..=203).contains(&writes), "{writes} writes");
    assert_eq!(world.sandbox.trafft.customers().len(), 201);
    let told = std::fs::read_to_string(log).unwrap();
    assert_eq!(told.matches("200 are looked at anew").count(), 1, "{told}");
}
