//! No secret and no token is in the database as it lies on the disk, in the logs of a full run at
//! debug level, or in an answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::installed::SCOPES;
use crate::support::process::Process;
use crate::support::{ADMIN, SEALING, WORKFLOW, World};

/// The true program, its log, and everything that it has answered.
struct Stage {
    world: World,
    process: Process,
    answers: String,
}

impl Stage {
    async fn ask(&mut self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        let text = answer.text().await.unwrap();
        self.answers += &format!("{headers}\n{text}\n");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn admin(&mut self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.world.http.request(method, format!("{}{path}", self.process.url)).bearer_auth(ADMIN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.ask(request).await
    }

    /// Every event that GHL has to tell.
    async fn deliver(&mut self) -> Value {
        let mut last = Value::Null;
        for event in self.world.sandbox.ghl.take_events() {
            let mut request =
                self.world.http.post(format!("{}/webhooks/ghl", self.process.url)).body(event.body.clone());
            for (name, value) in self.world.sandbox.ghl.headers_for(&event.body) {
                request = request.header(name, value);
            }
            last = self.ask(request).await.1;
        }
        last
    }

    /// A page's form, sent by somebody who has the token.
    async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> StatusCode {
        let request = self.world.http.post(format!("{}{path}", self.process.url)).bearer_auth(ADMIN).form(fields);
        self.ask(request).await.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_opens_a_door_is_written_down_or_said() {
    let mut world = World::app(&[]).await;
    world.come_to_the_present();
    let (ghl, trafft, location) =
        (world.sandbox.ghl.clone(), world.sandbox.trafft.clone(), world.sandbox.ghl.location_id());
    world.stop().await;
    let (database, log) = (world.path("leak.db"), world.path("log"));
    let mut settings = world.settings();
    settings.insert("DATABASE_URL".to_owned(), format!("sqlite://{database}"));
    settings.insert("LOG_TO".to_owned(), log.clone());
    settings.insert("RUST_LOG".to_owned(), "debug".to_owned());
    let process = Process::start(settings);
    process.ready(&world.http).await;
    ghl.set_redirect_uris(&[]);
    let mut stage = Stage { world, process, answers: String::new() };

    // Everything that goes well, and everything that does not.
    stage.form("/login", &[("token", "a-wrong-admin-token")]).await;
    stage.form("/oauth/callback", &[("code", "a-code-that-is-none")]).await;
    let code = ghl.install_location(&location, SCOPES);
    stage.form("/oauth/callback", &[("code", &code)]).await;
    stage.form("/oauth/callback", &[("code", &code)]).await;
    let path = format!("/api/v1/connections/{location}");
    let entry = |secret: &str| json!({ "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(), "trafft_client_secret": secret });
    assert_eq!(stage.admin(Method::PUT, &path, Some(entry("a-wrong-trafft-secret"))).await.0, 400);
    assert_eq!(stage.admin(Method::PUT, &path, Some(entry(&trafft.client_secret()))).await.0, 200);
    assert_eq!(stage.admin(Method::PUT, &path, Some(json!([trafft.client_secret()]))).await.0, 400);
    let taken =
        stage.admin(Method::PUT, "/api/v1/connections/anotherLocation0001", Some(entry(&trafft.client_secret()))).await;
    assert_eq!(taken.0, 400);
    ghl.set_reconnect(true);
    ghl.take_events();
    let mut moment = tokio::time::interval(std::time::Duration::from_millis(20));
    for round in 0..3 {
        match round {
            1 => ghl.expire_access_tokens(),
            2 => ghl.lose_tokens(&location),
            _ => {}
        }
        let contact = ghl.seed_contacts(&location, 1, true).remove(0);
        stage.deliver().await;
        for _ in 0..500 {
            let (_, shown) = stage.admin(Method::GET, &format!("/api/v1/contacts/{contact}"), None).await;
            if shown["contact"]["status"] != "queued" {
                break;
            }
            moment.tick().await;
        }
    }
    stage.admin(Method::POST, &format!("{path}/test"), None).await;
    stage.admin(Method::GET, "/api/v1/connections", None).await;
    stage.admin(Method::POST, "/api/v1/keys/rotate", None).await;
    let request = stage.world.http.get(format!("{}{path}", stage.process.url)).bearer_auth("a-wrong-admin-token");
    assert_eq!(stage.ask(request).await.0, 401);
    assert_eq!(ghl.refreshes() + ghl.reconnects(), 2, "a refresh and a reconnect were part of it");
    stage.process.kill();

    let mut disk = std::fs::read(&database).unwrap();
    disk.extend(std::fs::read(format!("{database}-wal")).unwrap_or_default());
    let disk = String::from_utf8_lossy(&disk);
    let logs = std::fs::read_to_string(&log).unwrap();
    assert!(
        disk.contains(&location) && logs.contains(&location) && logs.contains("DEBUG"),
        "looked in the wrong place"
    );
    let known = [ADMIN, SEALING, WORKFLOW, "a-wrong-admin-token", "a-wrong-trafft-secret"].map(str::to_owned);
    let secrets: Vec<String> = ghl
        .oauth_tokens_seen()
        .into_iter()
        .chain(trafft.tokens_seen())
        .chain(known)
        .filter(|it| it.len() > 8)
        .collect();
    assert!(secrets.len() > 10, "{}", secrets.len());
    for secret in &secrets {
        for form in [secret.clone(), STANDARD.encode(secret), secret.replace('+', "%2B")] {
            for (place, text) in [("the database", disk.as_ref()), ("the logs", &logs), ("an answer", &stage.answers)] {
                assert!(!text.contains(&form), "{place} holds {}…", &secret[..6]);
            }
        }
    }
    stage.world.sandbox.ghl.forgive();
    stage.world.sandbox.trafft.forgive();
    stage.world.start().await;
}
