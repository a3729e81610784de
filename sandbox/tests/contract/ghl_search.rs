//! Search: required keys, what filters may be, cursors, and an index that lags (G §6.6).

use serde_json::json;

use crate::world::{World, ids};

#[tokio::test]
async fn what_is_required() {
    let world = World::new().await;
    let location = world.ghl.location_id();
    for (body, status) in [
        (json!({ "pageLimit": 1 }), 422),
        (json!({ "locationId": location }), 422),
        (json!({ "locationId": location, "pageLimit": 501 }), 422),
        (json!({ "locationId": location, "pageLimit": 1, "page": 1, "searchAfter": [1, "a"] }), 422),
        (json!({ "locationId": location, "pageLimit": 500, "page": 21 }), 422),
        (json!({ "locationId": location, "pageLimit": 1, "limit": 1 }), 422),
        (json!({ "locationId": location, "pageLimit": 500, "page": 20 }), 200),
    ] {
        let reply = world.send("POST", "/contacts/search", body.clone()).await;
        assert_eq!(reply.status, status, "{body}");
        assert_eq!(reply.body["message"].is_array(), status == 422);
    }
    assert_eq!(world.ghl.complaints().len(), 6);
}

#[tokio::test]
async fn what_filters_may_be() {
    let world = World::new().await;
    let filter = |field: &str, operator: &str, value: serde_json::Value| json!({ "filters": [{ "field": field, "operator": operator, "value": value }] });
    let unknown = world.search(filter("date_updated", "range", json!({ "gte": 1 }))).await;
    assert_eq!((unknown.status, &unknown.body["message"]), (400, &json!("Invalid field date_updated")));
    let operator = world.search(filter("dateUpdated", "gte", json!("2026-09-01T00:00:00.000Z"))).await;
    assert_eq!(
        (operator.status, &operator.body["message"]),
        (422, &json!(["Invalid Operator gte passed for field date_updated"]))
    );
    for bad in [
        filter("email", "range", json!({ "gte": 1 })),
        filter("email", "contains", json!("ad")),
        filter("email", "eq", json!("x".repeat(76))),
        filter("dateAdded", "range", json!({ "from": 1 })),
        filter("dateAdded", "range", json!({ "gte": "yesterday" })),
        json!({ "filters": [{ "group": "XOR", "filters": [] }] }),
        json!({ "query": "x".repeat(76) }),
    ] {
        assert_eq!(world.search(bad.clone()).await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn what_filters_find() {
    let world = World::new().await;
    world.ghl.set_index_lag_ms(0);
    let ada = world.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com", "tags": ["vip"], "customFields": [{ "id": "f", "value": "gold" }] }));
    let bob = world.ghl.create_contact(json!({ "firstName": "Bob", "phone": "+12125550142", "tags": ["old"], "dndSettings": { "Email": { "status": "active" } } }));
    let one = |field: &str, operator: &str, value: serde_json::Value| json!({ "field": field, "operator": operator, "value": value });
    for (filters, found) in [
        (json!([one("email", "eq", json!("ADA@example.com"))]), vec![&ada]),
        (json!([one("email", "contains", json!("example"))]), vec![&ada]),
        (json!([one("email", "exists", json!(true))]), vec![&ada]),
        (json!([one("email", "not_exists", json!(true))]), vec![&bob]),
        (json!([one("phone", "eq", json!("+12125550142"))]), vec![&bob]),
        (json!([one("tags", "contains", json!("vip"))]), vec![&ada]),
        (json!([one("tags", "not_contains", json!(["vip", "x"]))]), vec![&bob]),
        (json!([one("customFields.f", "eq", json!("gold"))]), vec![&ada]),
        (json!([one("dndSettings.Email.status", "eq", json!("active"))]), vec![&bob]),
        (json!([one("firstName", "not_eq", json!("Ada"))]), vec![&bob]),
        (json!([one("firstName", "eq", json!("Ada")), one("email", "not_exists", json!(true))]), vec![]),
        (
            json!([{ "group": "OR", "filters": [one("firstName", "eq", json!("ada")), { "group": "AND", "filters": [one("tags", "eq", json!("old"))] }] }]),
            vec![&ada, &bob],
        ),
        (
            json!([one(
                "dateAdded",
                "range",
                json!({ "gte": "2026-09-01T10:00:00.000Z", "lt": 1_788_256_800_001_i64 })
            )]),
            vec![&ada, &bob],
        ),
        (json!([one("dateUpdated", "range", json!({ "gt": "2026-09-01T10:00:00.000Z" }))]), vec![]),
    ] {
        let mut have = ids(&world.search(json!({ "filters": filters })).await);
        have.sort();
        let mut want: Vec<String> = found.into_iter().cloned().collect();
        want.sort();
        assert_eq!(have, want, "{filters}");
    }
    assert_eq!(ids(&world.search(json!({ "query": "bob" })).await), [bob]);
    world.no_complaints();
}

#[tokio::test]
async fn a_cursor_reads_everything_once() {
    let world = World::new().await;
    let mut made = Vec::new();
    for number in 0..25 {
        made.push(world.ghl.create_contact(json!({ "email": format!("c{number}@example.com") })));
        // Several share a millisecond; the id decides between them.
        world.clock.advance_ms(i64::from(number % 3 == 0));
    }
    world.clock.advance_ms(2000);
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let mut body = json!({
            "locationId": world.ghl.location_id(), "pageLimit": 4, "sort": [{ "field": "dateUpdated", "direction": "asc" }],
            "filters": [{ "field": "dateUpdated", "operator": "range", "value": { "gte": "2026-09-01T09:55:00.000Z" } }],
        });
        if let Some(after) = after {
            body["searchAfter"] = after;
        }
        let page = world.send("POST", "/contacts/search", body).await;
        assert_eq!(page.body["total"], 25);
        let Some(last) = page.body["contacts"].as_array().unwrap().last() else { break };
        assert!(last["searchAfter"][0].is_i64() && last["searchAfter"][1] == last["id"]);
        after = Some(last["searchAfter"].clone());
        found.extend(ids(&page));
    }
    assert_eq!(found.len(), 25);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(found), sorted(made));
    world.no_complaints();
}

#[tokio::test]
async fn the_index_lags() {
    let world = World::new().await;
    let id = world.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.clock.advance_ms(1999);
    assert_eq!(ids(&world.search(json!({})).await), [""; 0], "a new contact is not there yet");
    world.clock.advance_ms(1);
    assert_eq!(ids(&world.search(json!({})).await), [id.as_str()]);
    world.ghl.edit_contact(&id, json!({ "firstName": "Augusta" }));
    assert_eq!(world.search(json!({})).await.body["contacts"][0]["firstName"], "Ada");
    assert_eq!(world.get(&format!("/contacts/{id}")).await.body["contact"]["firstName"], "Augusta");
    world.clock.advance_ms(2000);
    let now = world.search(json!({})).await.body;
    assert_eq!(
        (&now["contacts"][0]["firstName"], &now["contacts"][0]["dateUpdated"]),
        (&json!("Augusta"), &json!("2026-09-01T10:00:02.000Z"))
    );
    world.ghl.delete_contact(&id);
    assert_eq!(ids(&world.search(json!({})).await), [id.as_str()], "a deleted one lingers");
    world.clock.advance_ms(2000);
    assert_eq!(ids(&world.search(json!({})).await), [""; 0]);
}

#[tokio::test]
async fn the_lag_may_change() {
    let world = World::new().await;
    world.ghl.set_index_lag_ms(0);
    let id = world.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    world.clock.advance_ms(1000);
    world.ghl.edit_contact(&id, json!({ "firstName": "Augusta" }));
    let first = || async { world.search(json!({})).await.body["contacts"][0]["firstName"].clone() };
    assert_eq!(first().await, "Augusta");
    world.ghl.set_index_lag_ms(1000);
    assert_eq!(first().await, "Ada", "what was shown already is hidden again");
    world.ghl.set_index_lag_ms(1001);
    assert_eq!(first().await, json!(null));
    world.clock.advance_ms(1);
    assert_eq!(first().await, "Ada");
    world.clock.advance_ms(1000);
    assert_eq!(first().await, "Augusta");
    world.no_complaints();
}
