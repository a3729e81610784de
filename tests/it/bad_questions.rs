//! Bad questions to the admin API are refused in words, as problem+json.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, World};

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn bad_questions_to_the_admin_api_are_refused_in_words() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let long = "x".repeat(20_000);
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, body, code) in [
        (&get, "/api/v1/events?limit=0".to_owned(), None, 400),
        (&get, "/api/v1/events?limit=201".to_owned(), None, 400),
        (&get, "/api/v1/events?limit=-1".to_owned(), None, 400),
        (&get, "/api/v1/events?limit=many".to_owned(), None, 400),
        (&get, "/api/v1/events?limit=99999999999999999999".to_owned(), None, 400),
        (&get, "/api/v1/events?limit=1&limit=2".to_owned(), None, 400),
        (&get, "/api/v1/events?status=nonsense".to_owned(), None, 400),
        (&get, "/api/v1/events?statsu=failed".to_owned(), None, 400),
        (&get, "/api/v1/contacts?limit=0".to_owned(), None, 400),
        (&get, "/api/v1/contacts?status=nonsense".to_owned(), None, 400),
        (&get, format!("/api/v1/contacts?cursor={contact}"), None, 400),
        (&get, "/api/v1/events/nonsense".to_owned(), None, 404),
        (&get, "/api/v1/events/%00".to_owned(), None, 404),
        (&get, "/api/v1/events/%FF".to_owned(), None, 400),
        (&get, format!("/api/v1/events/{long}"), None, 404),
        (&post, "/api/v1/events/nonsense/replay".to_owned(), None, 404),
        (&get, "/api/v1/events/nonsense/replay".to_owned(), None, 405),
        (&Method::DELETE, "/api/v1/events".to_owned(), None, 405),
        (&get, "/api/v1/contacts/nonsense".to_owned(), None, 404),
        (&get, "/api/v1/contacts/nonsense/timeline".to_owned(), None, 404),
        (&get, format!("/api/v1/contacts/{contact}?location_id=another"), None, 404),
        (&get, format!("/api/v1/contacts/{long}"), None, 404),
        (&post, "/api/v1/contacts/a%2Fb/sync".to_owned(), None, 400),
        (&post, "/api/v1/contacts/%00/sync".to_owned(), None, 400),
        (&post, format!("/api/v1/contacts/{long}/sync"), None, 400),
        (&post, format!("/api/v1/contacts/{contact}/sync?location_id=a%2Fb"), None, 400),
        (&post, "/api/v1/contacts/nonsense/link".to_owned(), Some(json!({ "trafft_customer_id": 1 })), 404),
        (&post, "/api/v1/contacts/nonsense/unlink".to_owned(), None, 404),
        (&post, "/api/v1/contacts/nonsense/create".to_owned(), None, 404),
        (&post, format!("/api/v1/contacts/{contact}/create"), None, 409),
        (&post, format!("/api/v1/contacts/{contact}/link"), None, 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({})), 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!([])), 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({ "trafft_customer_id": "one" })), 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({ "trafft_customer_id": 1.5 })), 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({ "trafft_customer_id": u64::MAX })), 400),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({ "trafft_customer_id": -1 })), 404),
        (&post, format!("/api/v1/contacts/{contact}/link"), Some(json!({ "trafft_customer_id": i64::MAX })), 404),
        (&get, "/api/v1/nonsense".to_owned(), None, 404),
        (&get, "/api/v1/../../etc/passwd".to_owned(), None, 404),
        (&get, "/webhooks/ghl".to_owned(), None, 405),
        (&Method::PUT, "/webhooks/ghl/workflow".to_owned(), None, 405),
    ] {
        let answer = world.admin(method.clone(), &path, body.clone()).await;
        let shown = &path[..path.len().min(80)];
        assert_eq!(answer.code, code, "{method} {shown} {body:?}: {}", answer.json);
        assert!(answer.is_problem(), "{method} {shown} {body:?}: {:?} {}", answer.headers, answer.json);
        assert_eq!(answer.headers.contains_key("allow"), code == 405, "{method} {shown}: {:?}", answer.headers);
    }
    let text = format!(
        "POST /api/v1/contacts/{contact}/link HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{{\"custome"
    );
    let answer = world.raw(&text).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("problem+json"), "{answer}");
    assert_eq!(world.contact(&contact).await["decision"], Value::Null, "nothing was decided");
    world.is_well().await;
}
