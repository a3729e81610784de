use axum::http::header::{LOCATION, RETRY_AFTER};
use serde_json::{Value, json};

use super::super::ghl::wire::{ContactPatch, ContactSearch, NewContact, NewTask, TaskPatch, TaskSearch};
use super::super::ghl::{Credential, Ghl, GhlSettings, ListAfter};
use super::*;
use crate::model::Scopes;
use crate::model::{ContactId, EmailKey, ObjectId, Phone};

const HOME: &str = "ve9EPM428h8vShlRW1KT";

fn connect(base: &Url, http: Http, clock: Clock, scopes: Option<Scopes>) -> Ghl {
    let credential = Credential::PrivateToken("pit-hush".into());
    Ghl::new(http, GhlSettings { base: base.clone(), location: HOME.parse().unwrap(), credential, scopes }, clock)
}

fn ghl(base: &Url) -> Ghl {
    connect(base, http(), clock(), None)
}

fn contact_id() -> ContactId {
    "seD4PfOuKoVMLkEZqohJ".parse().unwrap()
}

#[tokio::test]
async fn every_operation_asks_what_the_contract_says() {
    let everything = r#"{"succeded":true,"contact":{"id":"c"},"contacts":[],"task":{"id":"t"},"tasks":[],"note":{"id":"n"},
        "notes":[],"events":[],"tags":["vip"],"location":{"country":"US"},"customFields":[]}"#;
    let server = Server::always(200, everything).await;
    let ghl = ghl(&server.url);
    let (contact, task): (ContactId, ObjectId) = ("c".parse().unwrap(), "t".parse().unwrap());
    let new_task = NewTask {
        title: "Call".into(),
        due_date: "2026-09-08T02:30:00Z".into(),
        completed: false,
        body: None,
        assigned_to: None,
    };
    let after = ListAfter { start_after: Some(7), start_after_id: contact.clone() };
    let email = EmailKey::new("ada+x@example.com");
    let phone = Phone::new("+14155550142", None).ok();

    sendable(ghl.contact(&contact)).await.unwrap();
    sendable(ghl.list_contacts(20, None)).await.unwrap();
    sendable(ghl.list_contacts(100, Some(&after))).await.unwrap();
    sendable(ghl.contacts_of_business(&task, 25, 50)).await.unwrap();
    sendable(ghl.search_contacts(&ContactSearch::updated(Timestamp::UNIX_EPOCH, None))).await.unwrap();
    sendable(ghl.find_duplicate(email.as_ref(), phone.as_ref())).await.unwrap();
    sendable(ghl.create_contact(&NewContact::default())).await.unwrap();
    sendable(
        ghl.update_contact(&contact, &ContactPatch { city: Some("Springfield".into()), ..ContactPatch::default() }),
    )
    .await
    .unwrap();
    sendable(ghl.delete_contact(&contact)).await.unwrap();
    sendable(ghl.tasks(&contact)).await.unwrap();
    sendable(ghl.task(&contact, &task)).await.unwrap();
    sendable(ghl.create_task(&contact, &new_task)).await.unwrap();
    sendable(ghl.update_task(&contact, &task, &TaskPatch::default())).await.unwrap();
    sendable(ghl.complete_task(&contact, &task, false)).await.unwrap();
    sendable(ghl.delete_task(&contact, &task)).await.unwrap();
    sendable(ghl.notes(&contact)).await.unwrap();
    sendable(ghl.note(&contact, &task)).await.unwrap();
    sendable(ghl.appointments(&contact)).await.unwrap();
    assert_eq!(sendable(ghl.add_tags(&contact, &["vip".into()])).await.unwrap(), ["vip"]);
    sendable(ghl.remove_tags(&contact, &["old".into()])).await.unwrap();
    sendable(ghl.location()).await.unwrap();
    sendable(ghl.custom_fields()).await.unwrap();
    sendable(ghl.search_tasks(&TaskSearch::default())).await.unwrap();

    let home = json!(HOME);
    let range = json!([{"field": "dateUpdated", "operator": "range", "value": {"gte": "1970-01-01T00:00:00.000Z"}}]);
    let sort = json!([{"field": "dateUpdated", "direction": "asc"}]);
    let want = [
        ("GET /contacts/c".to_owned(), Value::Null),
        (format!("GET /contacts/?locationId={HOME}&limit=20"), Value::Null),
        (format!("GET /contacts/?locationId={HOME}&limit=100&startAfter=7&startAfterId=c"), Value::Null),
        (format!("GET /contacts/business/t?locationId={HOME}&limit=25&skip=50"), Value::Null),
        ("POST /contacts/search".into(), json!({"locationId": home, "pageLimit": 100, "filters": range, "sort": sort})),
        (
            format!(
                "GET /contacts/search/duplicate?locationId={HOME}&email=ada%2Bx%40example.com&number=%2B14155550142"
            ),
            Value::Null,
        ),
        ("POST /contacts/".into(), json!({"locationId": home})),
        ("PUT /contacts/c".into(), json!({"city": "Springfield"})),
        ("DELETE /contacts/c".into(), Value::Null),
        ("GET /contacts/c/tasks".into(), Value::Null),
        ("GET /contacts/c/tasks/t".into(), Value::Null),
        (
            "POST /contacts/c/tasks".into(),
            json!({"title": "Call", "dueDate": "2026-09-08T02:30:00Z", "completed": false}),
        ),
        ("PUT /contacts/c/tasks/t".into(), json!({})),
        ("PUT /contacts/c/tasks/t/completed".into(), json!({"completed": false})),
        ("DELETE /contacts/c/tasks/t".into(), Value::Null),
        ("GET /contacts/c/notes".into(), Value::Null),
        ("GET /contacts/c/notes/t".into(), Value::Null),
        ("GET /contacts/c/appointments".into(), Value::Null),
        ("POST /contacts/c/tags".into(), json!({"tags": ["vip"]})),
        ("DELETE /contacts/c/tags".into(), json!({"tags": ["old"]})),
        (format!("GET /locations/{HOME}"), Value::Null),
        (format!("GET /locations/{HOME}/customFields?model=contact"), Value::Null),
        (format!("POST /locations/{HOME}/tasks/search"), json!({})),
    ];
    let seen = server.seen();
    assert_eq!(seen.len(), want.len());
    for (request, (line, body)) in seen.iter().zip(want) {
        assert_eq!(request.line(), line);
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap_or_default(), body, "{line}");
        assert_eq!(request.header("version"), "2021-07-28");
        assert_eq!(request.header("authorization"), "Bearer pit-hush");
        assert_eq!(request.header("accept"), "application/json");
        assert!(request.header("user-agent").starts_with("ghl-trafft-sync/"));
        assert_eq!(request.header("content-type") == "application/json", !request.body.is_empty());
    }
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let refused = |about, status, text: &str| {
        let message = VendorMessage::new(text);
        Error::Refused { about, status, message, fields: vec![] }
    };
    let not_json = Error::Unreadable { is_json: false };
    for (status, body, want) in [
        (200, "<html>Be right back</html>", not_json.clone()),
        (200, "", not_json),
        (200, r#"{"contact":null}"#, Error::UNEXPECTED_BODY),
        (200, r#"{"contact":{"id":"somebodyElse"}}"#, Error::AnotherRecord),
        (200, r#"{"contact":{"id":"seD4PfOuKoVMLkEZqohJ","locationId":"another"}}"#, Error::AnotherRecord),
        (302, "", refused(About::Path, 302, "")),
        (400, r#"{"message":"Contact not found"}"#, Error::Gone(Gone::SAID)),
        (
            401,
            r#"{"message":"The token is not authorized for this scope."}"#,
            Error::ScopeMissing { scope: "contacts.readonly".into() },
        ),
        (401, r#"{"message":"Invalid JWT"}"#, Error::CredentialsRefused { message: VendorMessage::new("Invalid JWT") }),
        (404, "", refused(About::Path, 404, "")),
        (
            422,
            r#"{"message":["property X should not exist"]}"#,
            refused(About::Unknown, 422, "property X should not exist"),
        ),
        (429, "", Error::RateLimited { retry_after: None }),
        (502, "<html>", Error::Unavailable { status: 502, retry_after: None }),
    ] {
        let server = Server::always(status, body).await;
        assert_eq!(ghl(&server.url).contact(&contact_id()).await, Err(want), "{status} {body}");
        assert_eq!(server.lines().len(), 1, "nothing is repeated");
    }
}

#[tokio::test]
async fn a_redirect_does_not_take_the_token_along() {
    let elsewhere = Server::always(200, r#"{"contact":{"id":"c"}}"#).await;
    let to = elsewhere.url.to_string();
    let server = Server::start(move |_, _| {
        let to = to.clone();
        async move { Response::builder().status(307).header(LOCATION, to).body(Body::empty()).unwrap() }
    })
    .await;
    let error = ghl(&server.url).contact(&contact_id()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused (307); the address points elsewhere, configure the final one");
    assert_eq!(elsewhere.lines().len(), 0);
}

#[tokio::test]
async fn what_breaks_on_the_way_is_told_apart_by_whether_it_was_sent() {
    let not_sent = |error: &Error| matches!(error, Error::NotSent { .. });
    let unanswered = |error: &Error| matches!(error, Error::Unanswered { .. });
    let plain: Url = "http://10.0.0.1".parse().unwrap();
    for (base, not_sent_expected) in [
        (nobody(), true),
        (plain, true),
        (raw(b"").await, false),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"contact\":").await, false),
        (raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n").await, false),
        (raw(b"SSH-2.0-OpenSSH\r\n").await, false),
    ] {
        let error = ghl(&base).create_contact(&NewContact::default()).await.unwrap_err();
        assert_eq!((not_sent(&error), unanswered(&error)), (not_sent_expected, !not_sent_expected), "{base} {error}");
        assert_eq!(error.may_have_been_carried_out(), !not_sent_expected);
    }
}

#[tokio::test]
async fn a_timeout_is_no_refusal() {
    let server = Server::start(|_, _| std::future::pending()).await;
    let timeouts = Timeouts { request: Duration::from_millis(50), ..Timeouts::default() };
    let ghl = connect(&server.url, Http::new(timeouts, CallCounts::default()).unwrap(), clock(), None);
    assert_eq!(ghl.contact(&contact_id()).await, Err(Error::Unanswered { reason: "no answer in time" }));
}

#[tokio::test]
async fn no_more_than_8_mib_are_read() {
    let server = Server::start(|_, _| async { answer(200, vec![b' '; 8 * 1024 * 1024 + 1]) }).await;
    let error = ghl(&server.url).contact(&contact_id()).await;
    assert_eq!(error, Err(Error::Unanswered { reason: "the answer is larger than 8 MiB" }));
}

#[tokio::test]
async fn a_scope_known_to_be_missing_is_not_even_asked_for() {
    let server = Server::always(200, r#"{"tasks":[],"contact":{"id":"seD4PfOuKoVMLkEZqohJ"}}"#).await;
    let ghl = connect(&server.url, http(), clock(), Some(Scopes::parse("contacts.readonly")));
    let missing = |scope: &str| Some(Error::ScopeMissing { scope: scope.into() });
    assert_eq!(ghl.create_contact(&NewContact::default()).await.err(), missing("contacts.write"));
    assert_eq!(ghl.search_tasks(&TaskSearch::default()).await.err(), missing("locations/tasks.readonly"));
    assert_eq!(ghl.location().await.err(), missing("locations.readonly"));
    assert_eq!(ghl.custom_fields().await.err(), missing("locations/customFields.readonly"));
    assert_eq!(server.lines().len(), 0);
    assert!(ghl.contact(&contact_id()).await.is_ok());
}

#[tokio::test]
async fn no_duplicate_has_many_forms() {
    let email = EmailKey::new("ada@example.com");
    let found = r#"{"contact":{"id":"c"}}"#;
    for (status, body, want) in [
        (200, "", Ok(false)),
        (200, "null", Ok(false)),
        (200, "{}", Ok(false)),
        (200, r#"{"contact":null}"#, Ok(false)),
        (200, r#"{"contact":{}}"#, Ok(false)),
        (404, "", Ok(false)),
        (400, r#"{"message":"Contact not found"}"#, Ok(false)),
        (200, found, Ok(true)),
        (200, r#"{"contact":{"email":"ada@example.com"}}"#, Err(Error::UNEXPECTED_BODY)),
        (200, "[]", Err(Error::UNEXPECTED_BODY)),
        (200, "<html>", Err(Error::Unreadable { is_json: false })),
    ] {
        let server = Server::always(status, body).await;
        let duplicate = ghl(&server.url).find_duplicate(email.as_ref(), None).await;
        assert_eq!(duplicate.map(|contact| contact.is_some()), want, "{status} {body}");
    }
    let server = Server::always(200, found).await;
    assert_eq!(ghl(&server.url).find_duplicate(None, None).await, Ok(None));
    assert_eq!(server.lines().len(), 0);
}

#[tokio::test]
async fn deleting_what_is_gone_is_done() {
    for (status, body, done) in [
        (200, r#"{"succeded":true}"#, true),
        (200, "", true),
        (404, "", false),
        (400, r#"{"message":"Contact not found"}"#, true),
        (404, r#"{"message":"Cannot DELETE /contacts/x"}"#, false),
        (200, r#"{"succeded":false}"#, false),
        (200, "<html>", false),
        (500, "", false),
    ] {
        let server = Server::always(status, body).await;
        assert_eq!(ghl(&server.url).delete_contact(&contact_id()).await.is_ok(), done, "{status} {body}");
    }
}

#[tokio::test]
async fn a_duplicate_names_the_contact_that_is_there() {
    let body = r#"{"statusCode":400,"message":"This location does not allow duplicated contacts.",
        "meta":{"contactId":"seD4PfOuKoVMLkEZqohJ","contactName":"Ada Example","matchingField":"email"}}"#;
    let server = Server::always(400, body).await;
    let error = ghl(&server.url).create_contact(&NewContact::default()).await;
    assert_eq!(error, Err(Error::Duplicate { contact_id: Some(contact_id()) }));
}

#[tokio::test]
async fn a_used_up_budget_is_told_and_a_short_wait_for_it_waited_out() {
    let server = Server::start(|_, before| async move {
        let reply = Response::builder().header("x-ratelimit-remaining", 100 - before);
        reply
            .header("x-ratelimit-interval-milliseconds", "10000")
            .body(Body::from(r#"{"contact":{"id":"seD4PfOuKoVMLkEZqohJ"}}"#))
            .unwrap()
    })
    .await;
    let clock = clock();
    let ghl = connect(&server.url, http(), clock.clone(), None);
    for _ in 0..95 {
        ghl.contact(&contact_id()).await.unwrap();
    }
    let until = clock.now() + Duration::from_millis(10_001);
    assert_eq!(ghl.contact(&contact_id()).await, Err(Error::BudgetUsedUp { until }));
    assert_eq!(server.lines().len(), 95);

    clock.advance(Duration::from_secs(9));
    let id = contact_id();
    let mut waiting = std::pin::pin!(ghl.contact(&id));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    clock.advance(Duration::from_secs(2));
    assert!(waiting.await.is_ok());
}

#[tokio::test]
async fn after_a_429_everyone_waits_as_long_as_it_says() {
    let server = Server::start(|_, _| async {
        Response::builder().status(429).header(RETRY_AFTER, "30").body(Body::empty()).unwrap()
    })
    .await;
    let clock = clock();
    let ghl = connect(&server.url, http(), clock.clone(), None);
    let limited = Err(Error::RateLimited { retry_after: Some(Duration::from_secs(30)) });
    assert_eq!(ghl.contact(&contact_id()).await, limited);
    let until = clock.now() + Duration::from_secs(30);
    assert_eq!(ghl.clone().contact(&contact_id()).await, Err(Error::BudgetUsedUp { until }));
    clock.advance(Duration::from_secs(30));
    assert_eq!(ghl.contact(&contact_id()).await, limited);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn calls_are_counted_by_what_came_of_them() {
    let server = Server::start(|_, before| async move {
        let there = r#"{"contact":{"id":"seD4PfOuKoVMLkEZqohJ"}}"#;
        answer([200, 200, 404][before], [there, "<html>", r#"{"message":"Contact not found"}"#][before])
    })
    .await;
    let counts = CallCounts::default();
    let ghl = connect(&server.url, Http::new(Timeouts::default(), counts.clone()).unwrap(), clock(), None);
    for _ in 0..3 {
        let _ = ghl.contact(&contact_id()).await;
    }
    let mut registry = prometheus_client::registry::Registry::default();
    counts.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for outcome in ["ok", "unreadable", "gone"] {
        assert_eq!(counts.get(&CallLabels { vendor: "ghl", operation: "contact", outcome }), 1);
        assert!(
            text.contains(&format!(r#"vendor_calls_total{{vendor="ghl",operation="contact",outcome="{outcome}"}} 1"#)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn nothing_shows_the_token() {
    let server = Server::always(401, r#"{"message":"Invalid Private Integration token"}"#).await;
    let ghl = ghl(&server.url);
    let error = ghl.contact(&contact_id()).await.unwrap_err();
    assert!(!format!("{ghl:?} {error:?} {error}").contains("hush"));
}
