//! Alive, ready, and how it has been going: what a monitor sees.

use std::io::Write;
use std::process::{Command, Stdio};

use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142" })
}

#[tokio::test]
async fn a_vendor_that_is_down_leaves_us_ready() {
    let world = World::new().await;
    let get = async |path: &str| {
        let response = world.http.get(world.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    for faults in [world.sandbox.ghl.faults(), world.sandbox.trafft.faults()] {
        faults.push(Matcher::any().times(1), Fault::Status(503));
        world
            .sandbox
            .ghl
            .create_contact(json!({ "firstName": "Ada", "email": format!("{}@example.com", uuid::Uuid::new_v4()) }));
        let answer = world.deliver_all().await;
        assert_eq!((answer.code.as_u16(), answer.status()), (200, "queued"), "{}", answer.json);
        for path in ["/readyz", "/healthz"] {
            let (code, said) = get(path).await;
            assert_eq!(
                (code, &said["status"], &said["version"]),
                (200, &json!("ok"), &json!(env!("CARGO_PKG_VERSION"))),
                "{path}"
            );
        }
        world.drain().await;
    }
    assert_eq!(world.sandbox.trafft.customers().len(), 2);
}

#[tokio::test]
async fn the_counters_count_and_name_nobody() {
    let world = World::new().await;
    let contact = world.sandbox.ghl.create_contact(ada());
    let event = world.sandbox.ghl.take_events().remove(0);
    world.deliver(&event).await;
    world.deliver(&event).await;
    world.tell(world.event(json!({ "type": "Hello ada@example.com" }))).await;
    world.tell("ada@example.com").await;
    world.post("/webhooks/ghl", &[], world.event(json!({}))).await;
    world.post("/webhooks/ghl/workflow", &[], "{}").await;
    let asked = world.http.get(world.url("/metrics"));
    let asked = asked.header("accept", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1");
    let text = asked.send().await.unwrap().text().await.unwrap();
    for line in [
        r#"ghl_trafft_sync_webhook_events_total{source="marketplace",type="ContactCreate",status="synced"} 1"#,
        r#"ghl_trafft_sync_webhook_events_total{source="marketplace",type="ContactCreate",status="duplicate"} 1"#,
        r#"ghl_trafft_sync_webhook_events_total{source="marketplace",type="other",status="ignored"} 1"#,
        r#"ghl_trafft_sync_webhook_refusals_total{source="marketplace",reason="not_believed"} 1"#,
        r#"ghl_trafft_sync_webhook_events_total{source="marketplace",type="Unreadable",status="ignored"} 1"#,
        r#"ghl_trafft_sync_webhook_refusals_total{source="workflow",reason="not_believed"} 1"#,
        r#"ghl_trafft_sync_vendor_calls_total{vendor="ghl",operation="contact",outcome="ok"} 1"#,
        r#"ghl_trafft_sync_contacts{status="failed"} 0"#,
        "# EOF",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    for private in
        [contact.as_str(), "ada@", "Ada", "example.com", "4155550142", "ve9EPM428h8vShlRW1KT", &event.webhook_id]
    {
        assert!(!text.contains(private), "`{private}` in:\n{text}");
    }
}

/// What Prometheus' own tool says of what is counted.
#[tokio::test]
#[ignore = "needs promtool (Debian: prometheus); .ci/run installs it and runs this"]
async fn promtool_has_nothing_to_say_about_the_metrics() {
    let world = World::new().await;
    world.synced(ada()).await;
    world.post("/webhooks/ghl", &[], world.event(json!({}))).await;
    let answer = world.http.get(world.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said.stderr));
}
