//! Trafft behaves as T §2 to §6 say, and §10 where nobody knows.

use sandbox::Class;
use sandbox::trafft::Duplicates;
use serde_json::{Value, json};

use crate::world::{World, keys, read};

fn person(email: &str) -> Value {
    json!({ "first_name": "Jordan", "last_name": "Rivera", "email": email, "phone": "+1 (415) 555-0142", "description": "secret" })
}

#[tokio::test]
async fn tokens() {
    let world = World::new().await;
    let url = format!("{}/api/v2/token", world.trafft.url());
    let fields =
        [("grant_type", "client_credentials"), ("client_id", &world.trafft.client_id()), ("client_secret", "wrong")];
    assert_eq!(read(world.http.post(&url).json(&json!({ "grant_type": "client_credentials" }))).await.status, 400);
    assert_eq!(read(world.http.post(&url).form(&fields)).await.status, 401);
    assert_eq!(world.trafft.complaints().len(), 2);
    world.trafft.forgive();
    let token = world.token().await;
    let list = || read(world.trafft_call(&token, "GET", "/customers", None));
    world.clock.advance_ms(3_599_999);
    assert_eq!(list().await.status, 200);
    world.clock.advance_ms(1);
    assert_eq!(list().await.status, 401);
    world.no_complaints();
    world.trafft.set_token_lifetime(1);
    let short = world.token().await;
    world.clock.advance_ms(1000);
    assert_eq!(read(world.trafft_call(&short, "GET", "/customers", None)).await.status, 401);
    world.trafft.set_token_lifetime(3600);
    let revoked = world.token().await;
    world.trafft.revoke_tokens();
    assert_eq!(read(world.trafft_call(&revoked, "GET", "/customers", None)).await.status, 401);
    world.no_complaints();
    assert_eq!(read(world.trafft_call("made-up", "GET", "/customers", None)).await.status, 401);
    assert_eq!(world.trafft.complaints().len(), 1);
    assert_eq!(world.trafft.journal().count(Class::Token), 5);
}

#[tokio::test]
async fn eight_keys_and_a_hidden_one() {
    let world = World::new().await;
    let made = world.trafft("POST", "/customers", Some(person("j@example.com"))).await;
    let id = made.body["id"].as_i64().unwrap();
    let shown = world.trafft("GET", &format!("/customers/{id}"), None).await.body;
    let eight = ["birthday", "email", "first_name", "gender", "id", "last_name", "phone_country_code", "phone_number"];
    assert_eq!(keys(&shown).into_iter().collect::<Vec<_>>(), eight);
    assert_eq!((&shown["phone_number"], &shown["phone_country_code"]), (&json!("+14155550142"), &json!("us")));
    assert_eq!(world.trafft.customer(id).unwrap().description.as_deref(), Some("secret"));
    let page = world.trafft("GET", "/customers", None).await.body;
    assert_eq!(page["data"][0], shown);
    world.no_complaints();
    let odd = json!({ "first_name": "a", "last_name": "b", "birthday": "1990-01-01" });
    assert_eq!(world.trafft("POST", "/customers", Some(odd)).await.status, 201);
    assert!(world.trafft.complaints()[0].ends_with("unknown key birthday"));
}

#[tokio::test]
async fn pages_are_newest_first_and_never_larger_than_allowed() {
    let world = World::new().await;
    world.trafft.seed(137);
    let page = world.trafft("GET", "/customers?page=3&limit=100", None).await.body;
    assert_eq!(page["pagination"], json!({ "total": 137, "page": 3, "limit": 50, "pages": 3 }));
    assert_eq!((page["data"].as_array().unwrap().len(), &page["data"][36]["id"]), (37, &json!(1)));
    let first = world.trafft("GET", "/customers?page=1&limit=2", None).await.body;
    assert_eq!((&first["data"][0]["id"], &first["data"][1]["id"]), (&json!(137), &json!(136)));
    assert_eq!(world.trafft("GET", "/customers?page=4", None).await.body["data"], json!([]));
    world.trafft.set_max_limit(10);
    assert_eq!(world.trafft("GET", "/customers?limit=50", None).await.body["pagination"]["limit"], 10);
    world.no_complaints();
    let all = world.trafft.customers();
    let distinct = |of: fn(&sandbox::Customer) -> Option<String>| {
        all.iter().filter_map(of).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(
        (distinct(|c| c.email.clone()), distinct(|c| c.phone_number.clone()), distinct(|c| Some(c.last_name.clone()))),
        (137, 137, 137)
    );
}

#[tokio::test]
async fn filters_are_ignored_or_refused() {
    let world = World::new().await;
    world.trafft.seed(2);
    let all = world.trafft("GET", "/customers?email=customer1%40example.com", None).await;
    assert_eq!((all.status, all.body["pagination"]["total"].as_i64()), (200, Some(2)));
    world.trafft.set_refuse_unknown_query(true);
    assert_eq!(world.trafft("GET", "/customers?search=x", None).await.status, 400);
    assert_eq!(world.trafft.complaints().len(), 2);
}

#[tokio::test]
async fn a_patch_needs_all_four() {
    let world = World::new().await;
    let id = world.trafft.staff_create(person("j@example.com"));
    let path = format!("/customers/{id}");
    let full = json!({ "first_name": "J", "last_name": "R", "email": "j@example.com", "phone": "" });
    for lacking in ["first_name", "last_name", "email", "phone"] {
        let mut body = full.clone();
        body.as_object_mut().unwrap().remove(lacking);
        assert_eq!(world.trafft("PATCH", &path, Some(body)).await.status, 500, "{lacking}");
    }
    assert_eq!(world.trafft.complaints().len(), 4);
    world.trafft.forgive();
    assert_eq!(world.trafft.customer(id).unwrap().first_name, "Jordan");
    let done = world.trafft("PATCH", &path, Some(full.clone())).await;
    assert_eq!((done.status, done.body), (200, json!({ "id": id })));
    let customer = world.trafft.customer(id).unwrap();
    assert_eq!((customer.phone_number, customer.description.as_deref()), (None, Some("secret")), "left out, it stays");
    assert_eq!(world.trafft("PATCH", "/customers/99", Some(full.clone())).await.status, 404);
    world.no_complaints();
    let mut cleared = full;
    cleared["email"] = json!("");
    assert_eq!(world.trafft("PATCH", &path, Some(cleared)).await.status, 422);
}

#[tokio::test]
async fn deleting() {
    let world = World::new().await;
    let id = world.trafft.staff_create(person("j@example.com"));
    let path = format!("/customers/{id}");
    let token = world.token().await;
    let gone = world.trafft_call(&token, "DELETE", &path, None).send().await.unwrap();
    assert_eq!((gone.status().as_u16(), gone.bytes().await.unwrap().len()), (204, 0));
    assert_eq!(world.trafft("DELETE", &path, None).await.status, 404);
    assert_eq!(world.trafft("GET", &path, None).await.status, 404);
    world.no_complaints();
}

#[tokio::test]
async fn taken_emails() {
    let world = World::new().await;
    let first = world.trafft.staff_create(person("j@example.com"));
    let again = || async { world.trafft("POST", "/customers", Some(person("J@example.com"))).await };
    let second = again().await;
    assert_eq!(second.status, 201);
    world.trafft.staff_delete(second.body["id"].as_i64().unwrap());
    world.trafft.set_duplicates(Duplicates::Refuse);
    assert_eq!(again().await.status, 422);
    world.trafft.set_duplicates(Duplicates::ReturnExisting);
    assert_eq!(again().await.body, json!({ "id": first }));
    assert_eq!(world.trafft.customers().len(), 1);
    let nameless = json!({ "first_name": "a", "last_name": "b" });
    assert_eq!(world.trafft("POST", "/customers", Some(nameless.clone())).await.status, 201);
    world.trafft.set_email_required(true);
    assert_eq!(world.trafft("POST", "/customers", Some(nameless)).await.status, 422);
    world.no_complaints();
}

#[tokio::test]
async fn appointments() {
    let world = World::new().await;
    let id = world.trafft.staff_create(person("j@example.com"));
    let booked = world.trafft.staff_book(Some(id), "2026-09-16T11:00:00-05:00", "2026-09-16T12:00:00-05:00");
    world.trafft.staff_book(None, "2026-09-17T11:00:00-05:00", "2026-09-17T12:00:00-05:00");
    let list = world.trafft("GET", "/appointments", None).await.body;
    assert_eq!(list["data"][0]["bookings"][0]["customer"], Value::Null);
    assert_eq!(list["data"][1]["bookings"][0]["customer"].get("phone_number"), None);
    assert_eq!(world.trafft("DELETE", &format!("/appointments/{booked}"), None).await.status, 204);
    assert_eq!(world.trafft("GET", "/appointments?status=canceled", None).await.body["pagination"]["total"], 1);
    let mut booking = json!({ "service": 12, "employee": 5, "customer": 999, "date": "2026-05-01", "time": "11:30" });
    assert_eq!(world.trafft("POST", "/bookings", Some(booking.clone())).await.status, 422);
    world.no_complaints();
    booking["customer"] = json!(id);
    assert_eq!(world.trafft("POST", "/bookings", Some(booking)).await.status, 201);
    assert_eq!(world.trafft("GET", &format!("/appointments/{booked}"), None).await.status, 405);
    assert_eq!(world.trafft("GET", "/nothing", None).await.status, 404);
    assert_eq!(world.trafft.complaints().len(), 2);
}

#[tokio::test]
async fn staff_work_between_two_pages() {
    let world = World::new().await;
    world.trafft.seed(4);
    world.trafft.delete_between_pages(4);
    world.trafft.create_between_pages(person("new@example.com"));
    let mut seen = Vec::new();
    for page in 1..=3 {
        let data = world.trafft("GET", &format!("/customers?limit=2&page={page}"), None).await.body["data"].clone();
        seen.extend(data.as_array().unwrap().iter().map(|customer| customer["id"].as_i64().unwrap()));
    }
    // 2 was skipped by the deletion; after the creation it is read where nobody looks again.
    assert_eq!(seen, [4, 3, 1]);
    world.trafft.staff_edit(1, json!({ "first_name": "Edited", "phone_number": "+442071838750" }));
    let customer = world.trafft.customer(1).unwrap();
    assert_eq!((customer.first_name.as_str(), customer.phone_country_code.as_deref()), ("Edited", Some("gb")));
}

#[tokio::test]
async fn emails_and_pages_among_many() {
    let world = World::new().await;
    world.trafft.seed(20_000);
    let last = world.trafft("GET", "/customers?page=400", None).await.body;
    assert_eq!((&last["data"][49]["id"], &last["pagination"]["pages"]), (&json!(1), &json!(400)));
    world.trafft.set_duplicates(Duplicates::ReturnExisting);
    let taken = |email: &'static str| {
        let world = &world;
        async move { world.trafft("POST", "/customers", Some(person(email))).await.body["id"].as_i64().unwrap() }
    };
    assert_eq!(taken("Customer777@example.com").await, 777);
    world.trafft.staff_edit(777, json!({ "email": "moved@example.com" }));
    assert_eq!(taken("MOVED@example.com").await, 777);
    assert_eq!(taken("customer777@example.com").await, 20_001);
    world.trafft.staff_delete(777);
    assert_eq!(taken("moved@example.com").await, 20_002);
    world.no_complaints();
}
