use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::super::trafft::wire::{CustomerPatch, NewCustomer, Pagination};
use super::super::trafft::{MayWrite, Trafft, TrafftSettings};
use super::*;
use crate::model::CustomerId;

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"token-hush"}"#;
const JORDAN: &str = r#"{"id":22,"first_name":"Jordan","last_name":"Rivera","email":"jordan.rivera@example.com",
    "phone_country_code":"us","phone_number":"+14155550142","birthday":null,"gender":null}"#;

fn connect(origin: &Url, http: Http, clock: Clock) -> Trafft {
    let settings =
        TrafftSettings { origin: origin.clone(), client_id: "id & co".into(), client_secret: "s3cret-hush".into() };
    Trafft::new(http, settings, clock)
}

fn trafft(origin: &Url) -> Trafft {
    connect(origin, http(), clock())
}

/// Gives tokens, and this answer to everything else.
async fn gives(status: u16, body: &'static str) -> Server {
    Server::start(move |request, _| async move {
        if is_token(&request) { answer(200, TOKEN) } else { answer(status, body) }
    })
    .await
}

fn is_token(request: &Seen) -> bool {
    request.uri.path() == "/api/v2/token"
}

fn tokens_asked(server: &Server) -> usize {
    server.seen().iter().filter(|request| is_token(request)).count()
}

fn new_customer() -> NewCustomer {
    NewCustomer {
        first_name: "Jordan".into(),
        last_name: "Rivera".into(),
        email: None,
        phone: Some("+14155550142".into()),
        description: None,
    }
}

fn patch() -> CustomerPatch {
    CustomerPatch {
        first_name: "Jordan".into(),
        last_name: "Rivera".into(),
        email: String::new(),
        phone: String::new(),
        description: None,
    }
}

#[tokio::test]
async fn every_operation_asks_what_the_contract_says() {
    let server = Server::start(|request, _| async move {
        let body = match request.line().as_str() {
            "POST /api/v2/token" => TOKEN.to_owned(),
            "GET /api/v2/customers?page=2&limit=50" => {
                format!(r#"{{"data":[{JORDAN}],"pagination":{{"total":137,"page":2,"limit":50,"pages":3}}}}"#)
            }
            "GET /api/v2/customers/22" => JORDAN.to_owned(),
            "POST /api/v2/customers" => r#"{"id":"141"}"#.to_owned(),
            "PATCH /api/v2/customers/22" => r#"{"id":22}"#.to_owned(),
            "DELETE /api/v2/customers/22" => String::new(),
            "GET /api/v2/appointments?page=1&limit=50" => include_str!("appointments.json").to_owned(),
            other => panic!("{other}"),
        };
        answer(200, body)
    })
    .await;
    let trafft = trafft(&server.url);
    let id = CustomerId(22);
    let page = sendable(trafft.customers(2, 50)).await.unwrap();
    assert_eq!(page.pagination, Pagination { total: Some(137), page: Some(2), limit: Some(50), pages: Some(3) });
    let customer = sendable(trafft.customer(id)).await.unwrap();
    assert_eq!(page.data.items, std::slice::from_ref(&customer));
    assert_eq!((customer.id, customer.phone_number.as_deref(), customer.gender), (id, Some("+14155550142"), None));
    assert_eq!(sendable(trafft.create_customer(&new_customer())).await, Ok(CustomerId(141)));
    sendable(trafft.update_customer(id, &patch())).await.unwrap();
    sendable(trafft.delete_customer(id)).await.unwrap();
    let appointments = sendable(trafft.appointments(1, 50)).await.unwrap().data.items;
    let booked: Vec<_> =
        appointments.iter().map(|appointment| appointment.bookings[0].customer.as_ref().map(|c| c.id)).collect();
    assert_eq!(booked, [Some(id), None]);
    assert_eq!((appointments[0].location.is_some(), appointments[1].location.is_some()), (true, false));

    let seen = server.seen();
    let bodies = [
        Value::Null,
        Value::Null,
        json!({"first_name": "Jordan", "last_name": "Rivera", "phone": "+14155550142"}),
        json!({"first_name": "Jordan", "last_name": "Rivera", "email": "", "phone": ""}),
        Value::Null,
        Value::Null,
    ];
    assert_eq!(seen[0].line(), "POST /api/v2/token");
    assert_eq!(seen[0].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(seen[0].body, "grant_type=client_credentials&client_id=id+%26+co&client_secret=s3cret-hush");
    assert_eq!(seen.len(), 1 + bodies.len());
    for (request, body) in seen[1..].iter().zip(bodies) {
        assert_eq!(request.header("authorization"), "Bearer token-hush");
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap_or_default(), body, "{}", request.line());
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
        (200, "<html>Maintenance</html>", not_json.clone()),
        (200, "", not_json),
        (200, "{}", Error::UNEXPECTED_BODY),
        (201, r#"{"id":"x"}"#, Error::UNEXPECTED_BODY),
        (201, r#"{"id":0}"#, Error::UNEXPECTED_BODY),
        (301, "", refused(About::Path, 301, "")),
        (402, "", refused(About::Account, 402, "")),
        (403, "<html>", refused(About::Path, 403, "<html>")),
        (403, r#"{"error":"plan"}"#, Error::CredentialsRefused { message: VendorMessage::new("plan") }),
        (404, "", refused(About::Path, 404, "")),
        (409, r#"{"error":"taken"}"#, refused(About::Unknown, 409, "taken")),
        (422, r#"{"message":"bad"}"#, refused(About::Record, 422, "bad")),
        (429, "", Error::RateLimited { retry_after: None }),
        (500, "", Error::Unavailable { status: 500, retry_after: None }),
        (503, "<html>", Error::Unavailable { status: 503, retry_after: None }),
    ] {
        let server = gives(status, body).await;
        assert_eq!(trafft(&server.url).create_customer(&new_customer()).await, Err(want), "{status} {body}");
        assert_eq!(server.lines().len(), 2, "nothing is repeated: {status}");
    }
    for (status, body, done) in [
        (204, "", true),
        (200, r#"{"id":1}"#, true),
        (200, r#"{"id":2}"#, false),
        (200, "{}", false),
        (200, r#"{"message":"Not Found"}"#, false),
        (404, r#"{"message":"Customer not found"}"#, true),
        (404, "", false),
        (404, "<html>", false),
        (200, "<html>", false),
        (500, "", false),
    ] {
        let server = gives(status, body).await;
        assert_eq!(trafft(&server.url).delete_customer(CustomerId(1)).await.is_ok(), done, "{status} {body}");
    }
    for (status, body, done) in [
        (200, r#"{"id":1}"#, true),
        (200, r#"{"id":2}"#, false),
        (200, r#"{"message":"Not Found"}"#, false),
        (200, "", true),
        (204, "", true),
        (200, "<html>", false),
        (200, "[]", false),
    ] {
        let server = gives(status, body).await;
        let answer = trafft(&server.url).update_customer(CustomerId(1), &patch()).await;
        assert_eq!(answer.is_ok(), done, "{status} {body}");
    }
    let server = gives(200, JORDAN).await;
    assert_eq!(trafft(&server.url).customer(CustomerId(23)).await, Err(Error::AnotherRecord));
    for body in [r#"{"pagination":{}}"#, r#"{"data":{}}"#] {
        let server = gives(200, body).await;
        assert_eq!(trafft(&server.url).customers(1, 50).await, Err(Error::UNEXPECTED_BODY), "{body}");
    }
}

#[tokio::test]
async fn after_a_401_a_new_token_and_one_repeat() {
    for (refused_calls, want, lines) in [(1, true, 4), (2, false, 4)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let server = Server::start(move |request, before| {
            let calls = calls.clone();
            async move {
                if is_token(&request) {
                    return answer(
                        200,
                        format!(r#"{{"token_type":"bearer","expires_in":3600,"access_token":"t{before}"}}"#),
                    );
                }
                let refuse = calls.fetch_add(1, Ordering::SeqCst) < refused_calls;
                if refuse { answer(401, r#"{"message":"expired"}"#) } else { answer(201, r#"{"id":141}"#) }
            }
        })
        .await;
        let result = trafft(&server.url).create_customer(&new_customer()).await;
        let refused = Err(Error::CredentialsRefused { message: VendorMessage::new("expired") });
        assert_eq!(result, if want { Ok(CustomerId(141)) } else { refused });
        let seen = server.seen();
        assert_eq!(seen.len(), lines);
        assert_eq!((seen[1].header("authorization"), seen[3].header("authorization")), ("Bearer t0", "Bearer t2"));
        assert_eq!(seen[1].body, seen[3].body);
    }
}

#[tokio::test]
async fn many_callers_share_one_token_until_a_minute_before_its_end() {
    let server = gives(200, JORDAN).await;
    let clock = clock();
    let trafft = connect(&server.url, http(), clock.clone());
    let all = || join_all((0..20).map(|_| trafft.customer(CustomerId(22))));
    assert!(all().await.iter().all(Result::is_ok));
    assert_eq!((tokens_asked(&server), server.lines().len()), (1, 21));
    clock.advance(Duration::from_secs(3539));
    assert!(all().await.iter().all(Result::is_ok));
    assert_eq!(tokens_asked(&server), 1);
    clock.advance(Duration::from_secs(1));
    assert!(all().await.iter().all(Result::is_ok));
    assert_eq!(tokens_asked(&server), 2);
}

#[tokio::test]
async fn two_are_in_flight_and_no_more() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start({
        let now = now.clone();
        let most = most.clone();
        let gate = gate.clone();
        move |request, _| {
            let now = now.clone();
            let most = most.clone();
            let gate = gate.clone();
            async move {
                if is_token(&request) {
                    return answer(200, TOKEN);
                }
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                answer(200, JORDAN)
            }
        }
    })
    .await;
    let trafft = trafft(&server.url);
    let calls: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn({
                let trafft = trafft.clone();
                async move { trafft.customer(CustomerId(22)).await }
            })
        })
        .collect();
    while now.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(now.load(Ordering::SeqCst), 2);
    gate.add_permits(6);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whether_a_write_may_leave_is_asked_behind_every_wait() {
    for waits_for_token in [true, false] {
        let gate = Arc::new(Semaphore::new(0));
        let may = Arc::new(AtomicBool::new(true));
        let server = Server::start({
            let gate = gate.clone();
            move |request, _| {
                let gate = gate.clone();
                async move {
                    if if waits_for_token { is_token(&request) } else { request.method == Method::GET } {
                        gate.acquire().await.unwrap().forget();
                    }
                    answer(200, if is_token(&request) { TOKEN } else { JORDAN })
                }
            }
        })
        .await;
        let trafft = trafft(&server.url).guarded(MayWrite::new({
            let may = may.clone();
            move || may.load(Ordering::SeqCst)
        }));
        // Two slow reads take both places.
        let reads: Vec<_> = (0..if waits_for_token { 0 } else { 2 })
            .map(|_| {
                let trafft = trafft.clone();
                tokio::spawn(async move { trafft.customer(CustomerId(22)).await.map(drop) })
            })
            .collect();
        while server.lines().len() < if waits_for_token { 0 } else { 3 } {
            tokio::task::yield_now().await;
        }
        let writes: Vec<_> = (0..3)
            .map(|number| {
                let trafft = trafft.clone();
                tokio::spawn(async move {
                    match number {
                        0 => trafft.create_customer(&new_customer()).await.map(drop),
                        1 => trafft.update_customer(CustomerId(22), &patch()).await,
                        _ => trafft.delete_customer(CustomerId(22)).await,
                    }
                })
            })
            .collect();
        while server.lines().is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        may.store(false, Ordering::SeqCst);
        gate.add_permits(10);
        for read in reads {
            assert_eq!(read.await.unwrap(), Ok(()));
        }
        for write in writes {
            assert_eq!(write.await.unwrap(), Err(Error::Withdrawn));
        }
        assert!(server.seen().iter().all(|request| request.method == Method::GET || is_token(request)));
    }
}

#[tokio::test]
async fn without_a_token_nothing_was_sent() {
    let credentials = |text: &str| Error::CredentialsRefused { message: VendorMessage::new(text) };
    let no_token = |why| Error::NoToken { why: Box::new(why) };
    let not_json = || no_token(Error::UNEXPECTED_BODY);
    let trouble = |status| no_token(Error::Unavailable { status, retry_after: None });
    let elsewhere = |status| {
        let message = VendorMessage::default();
        no_token(Error::Refused { about: About::Path, status, message, fields: vec![] })
    };
    for (status, body, want) in [
        (
            400,
            r#"{"error":"invalid_client","error_description":"no s3cret-hush here"}"#,
            credentials("no [REDACTED] here"),
        ),
        (401, r#"{"message":"wrong"}"#, credentials("wrong")),
        // A gateway's, which says nothing of the credentials.
        (403, "", elsewhere(403)),
        (400, "", elsewhere(400)),
        (404, "", elsewhere(404)),
        (302, "", elsewhere(302)),
        (429, "", Error::RateLimited { retry_after: None }),
        (500, "", trouble(500)),
        (503, "", trouble(503)),
        (200, "<html>", not_json()),
        (200, "", not_json()),
        (200, r#"{"access_token":7}"#, not_json()),
    ] {
        let server = Server::always(status, body).await;
        let error = trafft(&server.url).create_customer(&new_customer()).await.unwrap_err();
        assert_eq!(error, want, "{status} {body}");
        assert!(!error.may_have_been_carried_out());
        assert_eq!(server.lines(), ["POST /api/v2/token"]);
        assert!(trafft(&server.url).delete_customer(CustomerId(1)).await.is_err());
    }
    for origin in [nobody(), raw(b"").await, raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await] {
        let error = trafft(&origin).create_customer(&new_customer()).await.unwrap_err();
        assert!(matches!(error, Error::NotSent { .. } | Error::NoToken { .. }), "{error}");
        assert!(!error.may_have_been_carried_out());
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let server = gives(200, JORDAN).await;
    let trafft = trafft(&server.url);
    trafft.customer(CustomerId(22)).await.unwrap();
    assert!(!format!("{trafft:?}").contains("hush"));
}
