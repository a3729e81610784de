//! A client that a public generator makes of `openapi.yaml` reads what the true service answers.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::{ADMIN, World};

/// With the generator in it: made by `python3 -m venv target/client` and `target/client/bin/pip
/// install openapi-python-client==0.29.1`.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/client");

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openapi-python-client in target/client; .ci/run installs it and runs this"]
async fn a_generated_client_reads_contact_event_and_timeline() {
    let package = format!("{TOOLS}/made/sync_client");
    let made = Command::new(format!("{TOOLS}/bin/openapi-python-client"))
        .args(["generate", "--fail-on-warning", "--overwrite", "--meta", "none", "--output-path", &package, "--path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml"))
        .env("PATH", format!("{TOOLS}/bin:/usr/bin:/bin"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", shown(&made));
    let world = World::new().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.sandbox.ghl.add_task(&contact, json!({ "title": "Call back", "dueDate": "2026-09-08T14:30:00.000Z" }));
    world.deliver_all().await;
    let mut reader = Command::new(format!("{TOOLS}/bin/python"));
    reader.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/generated.py"));
    reader.args([&world.url(""), ADMIN, &contact]).env("PYTHONPATH", format!("{TOOLS}/made"));
    // On a thread of its own: the service lives on this one.
    let read = tokio::task::spawn_blocking(move || reader.output().unwrap()).await.unwrap();
    assert!(read.status.success(), "{}", shown(&read));
}
