//! A location with many contacts: the same answers as with few, and soon (G §6.5, §6.6, §7.3).

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::world::{World, ids};

/// Every search both ways: by the order that is kept, and, for a filter that holds for all, by
/// looking at everyone.
#[tokio::test]
async fn the_short_way_finds_what_the_long_way_finds() {
    let world = World::new().await;
    world.ghl.set_limits(100_000, 100_000);
    let home = world.ghl.location_id();
    world.ghl.add_location("otherLocation0000000", "Studio South", "Europe/Paris", "FR");
    world.ghl.seed_contacts("otherLocation0000000", 10, false);
    let mut made = Vec::new();
    for round in 0..16_i64 {
        made.extend(world.ghl.seed_contacts(&home, 60, false));
        world.clock.advance_ms(round % 3 * 700);
        world.ghl.touch_contacts(&made[made.len() / 2..made.len() / 2 + 5]);
        world.ghl.delete_contact(&made.remove(made.len() / 3));
        world.ghl.set_index_lag_ms([2000, 0, 700, 9000][usize::try_from(round / 2 % 4).unwrap()]);
        let mut searches = vec![json!({}), json!({ "page": 3, "pageLimit": 7 })];
        for (field, direction) in [("dateUpdated", "asc"), ("dateUpdated", "desc"), ("dateAdded", "asc")] {
            let sort = json!([{ "field": field, "direction": direction }]);
            let ranged = |value: Value| json!([{ "field": field, "operator": "range", "value": value }]);
            let at = crate::world::START + round * 300;
            searches.push(json!({ "pageLimit": 13, "sort": sort }));
            searches.push(json!({ "sort": sort, "filters": ranged(json!({ "gte": at })), "pageLimit": 9, "page": 2 }));
            searches.push(json!({ "sort": sort, "filters": ranged(json!({ "gt": at, "lte": at + 4000 })) }));
            searches
                .push(json!({ "sort": sort, "filters": ranged(json!({ "lt": at })), "searchAfter": [at - 700, "M"] }));
            searches.push(json!({ "sort": sort, "searchAfter": [at, "a"], "pageLimit": 3 }));
            let group = json!([{ "group": "AND", "filters": ranged(json!({ "lt": 5, "gt": 7 })) }]);
            searches.push(json!({ "sort": sort, "filters": group }));
        }
        for search in searches {
            let short = world.search(search.clone()).await;
            let mut long = search.clone();
            let mut filters = long["filters"].as_array().cloned().unwrap_or_default();
            filters.push(json!({ "field": "email", "operator": "exists" }));
            long["filters"] = json!(filters);
            let long = world.search(long).await;
            assert_eq!((short.status, &short.body["total"]), (200, &long.body["total"]), "{search}");
            assert_eq!(short.body["contacts"], long.body["contacts"], "{search}");
        }
    }
    world.no_complaints();
}

#[tokio::test]
async fn many_contacts_no_two_alike() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let quiet = world.ghl.seed_contacts(&home, 50, false);
    assert_eq!(world.kinds(), [""; 0]);
    let loud = world.ghl.seed_contacts(&home, 3, true);
    assert_eq!(world.kinds(), ["ContactCreate"; 3]);
    let all: Vec<Value> = quiet.iter().chain(&loud).map(|id| world.ghl.contact(id).unwrap()).collect();
    for key in ["id", "name", "email", "phone"] {
        let different: BTreeSet<&str> = all.iter().map(|contact| contact[key].as_str().unwrap()).collect();
        assert_eq!(different.len(), 53, "{key}");
    }
    world.clock.advance_ms(5);
    world.ghl.touch_contacts(&quiet[..7]);
    assert_eq!(world.kinds(), ["ContactUpdate"; 7]);
    let touched = world.ghl.contact(&quiet[0]).unwrap();
    assert_ne!((&touched["lastName"], &touched["dateUpdated"]), (&all[0]["lastName"], &all[0]["dateUpdated"]));
}

#[tokio::test]
async fn found_by_what_they_have_now() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let made = world.ghl.seed_contacts(&home, 3, false);
    let find = |query: &'static str| {
        let (world, path) = (&world, format!("/contacts/search/duplicate?locationId={home}&{query}"));
        async move { world.get(&path).await.body["contact"]["id"].as_str().unwrap_or_default().to_owned() }
    };
    assert_eq!(find("email=CONTACT2@example.com").await, made[1]);
    assert_eq!(find("number=%2B14152000003").await, made[2]);
    world.ghl.edit_contact(&made[1], json!({ "email": "new@example.com", "phone": "+14152000009" }));
    assert_eq!((find("email=contact2@example.com").await, find("number=%2B14152000002").await), Default::default());
    assert_eq!(find("email=new@example.com").await, made[1]);
    world.ghl.delete_contact(&made[1]);
    assert_eq!(find("email=new@example.com").await, "");
    world.no_complaints();
}

#[tokio::test]
async fn tasks_of_a_location_are_newest_first() {
    let world = World::new().await;
    let made = world.ghl.seed_contacts(&world.ghl.location_id(), 20, false);
    let path = format!("/locations/{}/tasks/search", world.ghl.location_id());
    let titles = |body: Value| {
        let (world, path) = (&world, &path);
        async move {
            let found = world.send("POST", path, body).await.body["tasks"].clone();
            found.as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let mut tasks = Vec::new();
    for number in 0..6 {
        tasks.push(world.ghl.add_task(&made[number * 3 % 5], json!({ "title": format!("t{number}") })));
        world.clock.advance_ms(1);
    }
    assert_eq!(titles(json!({ "limit": 2, "skip": 1 })).await, ["t4", "t3"]);
    assert_eq!(titles(json!({ "contactId": [made[0]] })).await, ["t5", "t0"]);
    world.ghl.delete_task(&made[2], &tasks[4]);
    world.ghl.merge_contacts(&made[9], &made[0]);
    assert_eq!(titles(json!({ "limit": 3 })).await, ["t5", "t3", "t2"]);
    assert_eq!(titles(json!({ "contactId": [made[9]] })).await, ["t5", "t0"]);
    world.ghl.delete_contact(&made[9]);
    assert_eq!(titles(json!({})).await, ["t3", "t2", "t1"]);
    world.no_complaints();
}

/// A loose bound: it is there to catch a walk over everybody, which takes a hundred times as long.
#[tokio::test]
async fn a_page_does_not_take_longer_for_the_others() {
    let world = World::new().await;
    let home = world.ghl.location_id();
    let made = world.ghl.seed_contacts(&home, 30_000, false);
    world.clock.advance_ms(2000);
    world.search(json!({})).await;
    let mut took = Vec::new();
    let mut after = Value::Null;
    for id in &made[..40] {
        let begun = Instant::now();
        let reply = world
            .search(json!({
                "sort": [{ "field": "dateUpdated", "direction": "asc" }], "searchAfter": after,
                "filters": [{ "field": "dateUpdated", "operator": "range", "value": { "gte": "2026-09-01T09:55:00.000Z" } }],
            }))
            .await;
        took.push(begun.elapsed());
        assert_eq!((&reply.body["total"], ids(&reply).len()), (&json!(30_000), 100));
        after = reply.body["contacts"][99]["searchAfter"].clone();
        assert_eq!(world.get(&format!("/contacts/{id}")).await.status, 200);
    }
    took.sort();
    assert!(took[20].as_millis() < 100, "{took:?}");
    world.no_complaints();
}
