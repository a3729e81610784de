//! Logs tell what happened to whom by id, and nothing else: no personal data, no secret.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "tests")]

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use sandbox::ghl::WebhookSwitches;
use sandbox::{Fault, Matcher, Sandbox};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_personal_data_and_no_secret_reaches_the_logs() {
    let captured = Captured::default();
    let writer = captured.clone();
    // Everything of ours down to the last detail, and what the libraries warn of.
    tracing_subscriber::fmt().with_env_filter("warn,ghl_trafft_sync=trace").with_writer(move || writer.clone()).init();
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
    let mut environment: HashMap<String, String> =
        sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, value) in [
        ("DATABASE_URL", format!("sqlite://{}/sync.db", folder.path().display()).as_str()),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("ADMIN_TOKEN", "the-admin-token-itself"),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let stop = CancellationToken::new();
    let config = load(&Sources { environment, ..Default::default() }).unwrap();
    let app = App::build(config, Clock::system(), stop.clone()).await.unwrap();
    let (url, mut handle) = (format!("http://{}/webhooks/ghl", app.address()), app.handle());
    let running = tokio::spawn(app.run());
    handle.idle().await.unwrap();

    let (ghl, trafft) = (&sandbox.ghl, &sandbox.trafft);
    let contact = ghl.create_contact(json!({
        "firstName": "Zaphod", "lastName": "Beeblebrox", "email": "zaphod@heartofgold.example", "phone": "+14155550142"
    }));
    ghl.add_note(&contact, json!({ "body": "two heads" }));
    ghl.edit_contact(&contact, json!({ "lastName": "President" }));
    trafft.faults().push(
        Matcher::new("PATCH", "/api/v2/customers"),
        Fault::StatusWithBody(422, "zaphod@heartofgold.example is odd".into()),
    );
    for event in ghl.take_events() {
        ghl.deliver(&event, &url).await.unwrap();
    }
    ghl.edit_contact(&contact, json!({ "lastName": "Nobody" }));
    ghl.set_switches(WebhookSwitches { bad_signature: true, ..WebhookSwitches::default() });
    for event in ghl.take_events() {
        assert_eq!(ghl.deliver(&event, &url).await.unwrap().status, 401);
    }
    stop.cancel();
    running.await.unwrap().unwrap();

    let logs = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logs.contains(&contact) && logs.contains("synced") && logs.contains("refused"), "{logs}");
    let secrets = [ghl.token(), trafft.client_secret(), "the-admin-token-itself".to_owned()];
    let people = ["Zaphod", "zaphod", "Beeblebrox", "President", "4155550142", "two heads"].map(str::to_owned);
    for never in secrets.iter().chain(&people) {
        assert!(!logs.contains(never.as_str()), "`{never}` stands in the logs:\n{logs}");
    }
}
