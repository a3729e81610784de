//! One odd record on a page of a search or of a list stops no sweep: the others are found, and
//! nobody is taken as deleted for it.

use serde_json::{Value, json};

use crate::odd_records::{HALF, HOUR, MINUTE, person};
use crate::support::World;

#[tokio::test]
async fn a_record_in_a_search_that_names_another_location_is_not_used() {
    let world = World::with(&[("SWEEP_IDS_HOURS", "24")]).await;
    let ghl = &world.sandbox.ghl;
    let known = world.synced(person("Ada")).await;
    let new = ghl.create_contact(person("Blaise"));
    ghl.take_events();
    for id in [&known, &new] {
        ghl.raw().field("/contacts/search", id, "locationId", r#""anotherLocation00001""#);
        ghl.raw().field("/contacts/search", id, "email", r#""bob@example.com""#);
    }
    world.rest(MINUTE).await;
    world.ask_for("backfill").await;
    world.rest(HOUR).await;
    let found = world.get("/api/v1/findings?sweep=backfill").await.json;
    for id in [&known, &new] {
        let what = found["findings"].as_array().unwrap().iter().find(|finding| finding["contact_id"] == **id);
        assert!(what.is_some_and(|what| what.to_string().contains("cannot be read in a search")), "{id}: {found}");
    }
    // It is there all the same, and is read by itself.
    assert_eq!(world.customer_of(&new).await.email.as_deref(), Some("blaise@example.com"));
    assert_eq!(world.sandbox.trafft.customers().len(), 2);
    assert!(world.odd("ghl", "search_contacts").await >= 2);
    world.ask_for("ids").await;
    world.rest(HOUR).await;
    for id in [&known, &new] {
        assert_eq!(world.contact(id).await["gone_at"], Value::Null, "not believed is not absent");
    }
}

#[tokio::test]
async fn odd_records_in_searches_stop_no_sweep() {
    let mut world = World::with(&[
        ("SWEEP_CONTACTS_MINUTES", "15"),
        ("SWEEP_TASKS_MINUTES", "60"),
        ("SWEEP_IDS_HOURS", "24"),
        ("SWEEP_CUSTOMERS_HOURS", "12"),
    ])
    .await;
    world.forgiving = true;
    let ghl = &world.sandbox.ghl;
    let ids =
        [world.synced(person("Ada")).await, world.synced(person("Blaise")).await, world.synced(person("Emmy")).await];
    let task = ghl.add_task(&ids[0], json!({ "title": "call back" }));
    let other = ghl.add_task(&ids[1], json!({ "title": "send the form" }));
    world.deliver_all().await;
    world.rest(HOUR).await;
    // Half an emoji in one contact: both are found. One that is null: the others are found.
    ghl.raw().field("/contacts/search", &ids[0], "lastName", HALF);
    ghl.raw().record("/contacts/search", &ids[2], "null");
    ghl.raw().field("/locations/", &task, "body", HALF);
    ghl.edit_contact(&ids[0], json!({ "firstName": "Augusta" }));
    ghl.edit_contact(&ids[1], json!({ "lastName": "Pascal" }));
    ghl.edit_contact(&ids[2], json!({ "lastName": "Noether" }));
    ghl.edit_task(&ids[1], &other, json!({ "title": "send the other form" }));
    ghl.take_events();
    world.rest(16 * MINUTE).await;
    assert_eq!(world.customer_of(&ids[0]).await.first_name, "Augusta");
    assert_eq!(world.customer_of(&ids[1]).await.last_name, "Pascal");
    assert!(world.odd("ghl", "search_contacts").await >= 1);
    world.rest(HOUR).await;
    let description = world.customer_of(&ids[1]).await.description.unwrap();
    assert!(description.contains("send the other form"), "{description}");
    // Nobody is taken as deleted by a pass that met somebody without an id, though one was never
    // met and one really went.
    ghl.delete_contact(&ids[1]);
    ghl.take_events();
    world.forget_calls();
    world.ask_for("ids").await;
    let asked = |id: &str| {
        let path = format!("/contacts/{id}");
        ghl.journal().entries().into_iter().filter(|entry| entry.method == "GET" && entry.path == path).count()
    };
    assert_eq!((asked(&ids[1]), asked(&ids[2])), (0, 0));
    let sweeps = world.get("/api/v1/sweeps").await.json;
    assert!(sweeps.to_string().contains("nobody is taken as deleted"), "{sweeps}");
    ghl.raw().clear();
    world.ask_for("ids").await;
    world.rest(HOUR).await;
    assert!(asked(&ids[1]) > 0, "a whole pass decides again");
    assert!(world.contact(&ids[1]).await["gone_at"].is_string() && world.contact(&ids[2]).await["gone_at"].is_null());
}

/// The contact whose change nobody told may be the one that the search shows without an id.
#[tokio::test]
async fn a_change_whose_record_has_no_id_is_looked_for_until_it_has_one() {
    let mut world = World::with(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.forgiving = true;
    let ghl = &world.sandbox.ghl;
    let id = world.synced(person("Emmy")).await;
    world.rest(HOUR).await;
    ghl.raw().record("/contacts/search", &id, "null");
    ghl.edit_contact(&id, json!({ "lastName": "Noether" }));
    ghl.take_events();
    world.rest(HOUR).await;
    let sweeps = world.get("/api/v1/sweeps").await.json.to_string();
    assert!(sweeps.contains("1 contacts came without an id"), "{sweeps}");
    ghl.raw().clear();
    world.rest(HOUR).await;
    assert_eq!(world.customer_of(&id).await.last_name, "Noether");
}

/// A full page that does not say where the next one begins.
#[tokio::test]
async fn changes_behind_a_page_without_an_end_are_looked_for_again() {
    let mut world = World::with(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.forgiving = true;
    world.rest(HOUR).await;
    let ghl = &world.sandbox.ghl;
    let ids: Vec<_> = (0..130).map(|number| ghl.create_contact(person(&format!("P{number}")))).collect();
    ghl.take_events();
    ids.iter().for_each(|id| ghl.raw().field("/contacts/search", id, "searchAfter", "null"));
    world.rest(16 * MINUTE).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 100);
    ghl.raw().clear();
    world.rest(HOUR).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 130);
}

#[tokio::test]
async fn a_backfill_goes_past_odd_records_on_every_page() {
    let mut world = World::stopped(&[]).await;
    let ghl = &world.sandbox.ghl;
    let ids: Vec<_> = (0..130).map(|number| ghl.create_contact(person(&format!("P{number}")))).collect();
    ghl.take_events();
    // The last of a page keeps its place; the first loses everything.
    ghl.raw().record("/contacts/search", &ids[0], "null");
    ghl.raw().field("/contacts/search", &ids[99], "id", "null");
    ghl.raw().field("/contacts/search", &ids[129], "id", "[]");
    ghl.raw().field("/contacts/search", &ids[120], "lastName", HALF);
    // The search knows what was written a moment ago only after a while.
    world.advance(MINUTE);
    world.start().await;
    world.ask_for("backfill").await;
    assert_eq!(world.sandbox.trafft.customers().len(), 127);
    assert_eq!(world.odd("ghl", "search_contacts").await, 3);
}

#[tokio::test]
async fn odd_customers_do_not_keep_the_index_from_being_built() {
    let mut world = World::stopped(&[("SWEEP_CUSTOMERS_HOURS", "12")]).await;
    let trafft = &world.sandbox.trafft;
    let customer = |name: &str| {
        let email = format!("{}@example.com", name.to_lowercase());
        trafft.staff_create(json!({ "first_name": name, "last_name": "Example", "email": email }))
    };
    let ids: Vec<_> = ["Ada", "Blaise", "Emmy", "Grace", "Hedy", "Kurt"].iter().map(|name| customer(name)).collect();
    let path = "/api/v2/customers";
    trafft.raw().field(path, ids[0], "last_name", HALF);
    trafft.raw().field(path, ids[1], "id", "null");
    trafft.raw().field(path, ids[2], "id", "0");
    trafft.raw().field(path, ids[3], "id", &format!("{}.0", ids[3]));
    trafft.raw().field(path, ids[4], "id", &format!("\"{}\"", ids[4]));
    world.start().await;
    assert_eq!(world.odd("trafft", "customers").await, 2, "one pass is enough: what could not be read was met");
    for (name, number) in [("Grace", 3), ("Hedy", 4), ("Kurt", 5)] {
        let id = world.sandbox.ghl.create_contact(person(name));
        world.deliver_all().await;
        assert_eq!(world.customer_of(&id).await.id, ids[number], "{name} was found");
    }
    // A linked customer that comes back without an id is not taken as deleted by the passes.
    let linked = ids[5];
    world.sandbox.trafft.raw().clear();
    world.sandbox.trafft.raw().field(path, linked, "id", "null");
    world.forget_calls();
    world.rest(40 * HOUR).await;
    let asked = world
        .sandbox
        .trafft
        .journal()
        .entries()
        .into_iter()
        .filter(|entry| entry.path.ends_with(&format!("/{linked}")))
        .count();
    assert_eq!(asked, 0);
    assert!(world.get("/api/v1/sweeps").await.json.to_string().contains("none is taken as deleted"));
}
