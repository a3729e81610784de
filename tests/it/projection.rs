//! By which rules everybody is projected: they may be taken back half-way, and HighLevel may not
//! tell its part for a moment.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::support::World;
use crate::support::standing::metrics;

const HOUR: Duration = Duration::from_hours(1);

/// HighLevel's own JSON, for one call.
fn refuse_once(world: &World, path: &str) {
    let refused = json!({ "statusCode": 403, "message": "Forbidden resource" }).to_string();
    world.sandbox.ghl.faults().push(Matcher::new("GET", path), Fault::StatusWithBody(403, refused));
}

#[tokio::test]
async fn rules_that_are_taken_back_half_way_leave_nobody_behind() {
    let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
    world.forgiving = true;
    // So many that the pass of other rules has to wait.
    world.know_620_filtered().await;
    world.stop().await;
    world.set_mapping("only = \"'vip' not in tags\"");
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers").times(1_000_000), Fault::Status(503));
    world.start().await;
    let vip = json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "tags": ["vip"] });
    let vip = world.sandbox.ghl.create_contact(vip);
    assert_eq!(world.deliver_all().await.status(), "filtered");

    world.stop().await;
    world.set_mapping("only = \"'vip' in tags\"");
    world.sandbox.trafft.faults().clear();
    world.start().await;
    world.rest(HOUR).await;
    assert_eq!(world.customer_of(&vip).await.first_name, "Ada");
    assert_eq!(world.sandbox.trafft.customers().len(), 1);
}

/// Contacts are worked by a mistaken filter, and the process ends before its pass over the others
/// has begun; then the filter is taken back.
#[tokio::test]
async fn rules_that_are_taken_back_before_their_pass_leave_nobody_behind() {
    let mut world = World::mapped("", &[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.sandbox.ghl.seed_contacts(&world.sandbox.ghl.location_id(), 10, true);
    world.deliver_all().await;
    world.drain().await;
    world.stop().await;
    world.set_mapping("only = \"'vip' in tags\"");
    world
        .sql(
            "UPDATE contacts SET sequence = sequence + 1, contact_wanted = sequence + 1, due_at = marked_at, lane = 0,
                status = 'queued'",
        )
        .await;
    let faults = world.sandbox.ghl.faults();
    faults.push(Matcher::new("GET", "/contacts/"), Fault::Slow { ms: 5_000 });
    world.start_idle().await;
    while faults.unspent() > 0 {
        tokio::task::yield_now().await;
    }
    let clocks = (world.sandbox.clock.clone(), world.clock.clone());
    let goes_on = async {
        clocks.0.advance_ms(5_000);
        clocks.1.advance(Duration::from_secs(5));
    };
    tokio::join!(world.stop(), goes_on);

    world.set_mapping("");
    world.start().await;
    world.rest(HOUR).await;
    for contact in world.sandbox.ghl.contact_ids() {
        let now = world.contact(&contact).await;
        assert_eq!(now["status"], "unchanged", "{now}");
    }
}

/// What other rules change waits behind what people change.
#[tokio::test]
async fn a_webhook_does_not_wait_for_a_pass_of_other_rules() {
    let mut world = World::mapped("only = \"'vip' in tags\"", &[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.know_620_filtered().await;
    world.stop().await;
    world.set_mapping("");
    world.forgiving = true;
    let creates = Matcher::new("POST", "/api/v2/customers").times(1_000_000);
    world.sandbox.trafft.faults().push(creates, Fault::Slow { ms: 1_000 });
    world.start_idle().await;
    let waiting = async || {
        let text = metrics(&world).await;
        let queued = text.lines().find_map(|line| line.strip_prefix("ghl_trafft_sync_contacts{status=\"queued\"} "));
        queued.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    let mut moment = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2_000 {
        moment.tick().await;
        if waiting().await == 500 {
            break;
        }
    }
    assert_eq!(waiting().await, 500);
    world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": "ada@example.com" }));
    let event = world.sandbox.ghl.take_events().pop().unwrap();
    assert_eq!(world.deliver_now(&event).await.status(), "queued");
    let names = || world.sandbox.trafft.customers().into_iter().map(|one| one.first_name).collect::<Vec<_>>();
    for _ in 0..500 {
        world.advance(Duration::from_millis(250));
        moment.tick().await;
        if names().contains(&"Ada".to_owned()) {
            break;
        }
    }
    assert!(names().contains(&"Ada".to_owned()) && names().len() < 30, "{:?}", names());
}

#[tokio::test]
async fn a_dry_run_under_other_rules_counts_by_them() {
    let mut world = World::mapped("only = \"'vip' in tags\"", &[]).await;
    let person = |name: &str| json!({ "firstName": name, "email": format!("{name}@example.com") });
    let known = world.sandbox.ghl.create_contact(person("ada"));
    assert_eq!(world.deliver_all().await.status(), "filtered");
    world.sandbox.ghl.create_contact(person("blaise"));
    world.sandbox.ghl.take_events();
    world.stop().await;
    world.set_mapping("");
    world.advance(Duration::from_mins(1));
    world.start().await;
    world.drain().await;
    assert_eq!(world.contact(&known).await["status"], "synced");
    world.admin(Method::POST, "/api/v1/sweeps/dry-run", None).await;
    world.rest(Duration::from_mins(1)).await;
    let told = world.sweep("dry-run").await["reason"].to_string();
    let counts = ["would create 1, update 0, ask about 0", "1 are known already", "0 are left out"];
    assert!(counts.iter().all(|count| told.contains(count)), "{told}");
}

/// A location in India that searches for changes so often, and a contact with a task that is due
/// there at 20:00.
async fn in_kolkata(minutes: &str) -> (World, String) {
    let settings = [("TIME_ZONE", ""), ("PHONE_REGION", ""), ("SWEEP_CONTACTS_MINUTES", minutes)];
    let mut world = World::stopped(&settings).await;
    world.sandbox.ghl.set_timezone(&world.sandbox.ghl.location_id(), "Asia/Kolkata");
    world.start().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let call = json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    world.sandbox.ghl.add_task(&contact, call);
    world.deliver_all().await;
    (world, contact)
}

#[tokio::test]
async fn a_location_record_that_is_refused_for_a_moment_changes_no_customer() {
    let (mut world, contact) = in_kolkata("0").await;
    let location = world.sandbox.ghl.location_id();
    world.stop().await;
    world.forget_calls();
    refuse_once(&world, &format!("/locations/{location}"));
    world.start().await;
    world.rest(3 * HOUR).await;
    assert_eq!(world.sandbox.ghl.faults().unspent(), 0);
    assert_eq!(world.sandbox.trafft.journal().writes(), 0);

    // Who was worked meanwhile is put right.
    world.stop().await;
    refuse_once(&world, &format!("/locations/{location}"));
    world.start().await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "Prefers mornings" }));
    world.deliver_all().await;
    let told = |customer: sandbox::Customer| customer.description.unwrap_or_default();
    assert!(told(world.customer_of(&contact).await).contains("2026-09-08 14:30 UTC"));
    world.rest(3 * HOUR).await;
    let told = told(world.customer_of(&contact).await);
    assert!(told.contains("2026-09-08 20:00") && told.contains("Prefers mornings"), "{told}");
}

#[tokio::test]
async fn custom_fields_that_are_refused_for_a_moment_leave_nobody_out_for_good() {
    let mut world = World::stopped(&[]).await;
    world.set_mapping("only = \"custom.level == 'gold'\"");
    world.sandbox.ghl.define_custom_field("f1", "Level", "level");
    refuse_once(&world, "/locations/");
    world.start().await;
    let contact = world.sandbox.ghl.create_contact(json!({
        "firstName": "Ada", "email": "ada@example.com", "customFields": [{ "id": "f1", "value": "gold" }]
    }));
    assert_eq!(world.deliver_all().await.status(), "filtered");
    world.rest(3 * HOUR).await;
    assert_eq!(world.contact(&contact).await["status"], "synced");
}

/// No event tells of it, and nobody restarts the service for it.
#[tokio::test]
async fn a_zone_and_a_field_that_change_in_highlevel_reach_everybody() {
    let mut world = World::stopped(&[("TIME_ZONE", ""), ("PHONE_REGION", ""), ("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.set_mapping("only = \"custom.level == 'gold'\"");
    let location = world.sandbox.ghl.location_id();
    world.sandbox.ghl.define_custom_field("f1", "Level", "level");
    world.start().await;
    let gold = json!([{ "id": "f1", "value": "gold" }]);
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com", "customFields": gold })).await;
    let call = json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    world.sandbox.ghl.add_task(&contact, call);
    world.deliver_all().await;
    let other = json!([{ "id": "f2", "value": "gold" }]);
    world.sandbox.ghl.define_custom_field("f2", "Rank", "rank");
    let left_out = json!({ "firstName": "Blaise", "email": "blaise@example.com", "customFields": other });
    let left_out = world.sandbox.ghl.create_contact(left_out);
    assert_eq!(world.deliver_all().await.status(), "filtered");

    world.sandbox.ghl.set_timezone(&location, "Asia/Kolkata");
    world.sandbox.ghl.define_custom_field("f2", "Level", "level");
    world.rest(3 * HOUR).await;
    let told = world.customer_of(&contact).await.description.unwrap_or_default();
    assert!(told.contains("2026-09-08 20:00"), "{told}");
    assert_eq!(world.customer_of(&left_out).await.first_name, "Blaise");
}

/// What was told holds while it cannot be read again, and against a record that is thin or
/// another's.
#[tokio::test]
async fn a_location_record_that_cannot_be_believed_changes_no_customer() {
    let (world, contact) = in_kolkata("15").await;
    let location = world.sandbox.ghl.location_id();
    let refused = |status: u16| (status, json!({ "statusCode": status, "message": "Forbidden resource" }));
    let record = |record: serde_json::Value| (200, json!({ "location": record }));
    for (status, body) in [
        refused(403),
        refused(503),
        record(json!({})),
        record(json!({ "id": location, "timezone": 5 })),
        record(json!({ "id": "anotherLocation00001", "timezone": "Europe/Berlin", "country": "DE" })),
    ] {
        let reads = Matcher::new("GET", &format!("/locations/{location}")).times(1_000);
        world.sandbox.ghl.faults().push(reads, Fault::StatusWithBody(status, body.to_string()));
        world.rest(2 * HOUR).await;
        assert!(world.sandbox.ghl.faults().unspent() < 1_000, "it was asked for");
        world.sandbox.ghl.faults().clear();
        world.forget_calls();
        world.sandbox.ghl.add_note(&contact, json!({ "body": format!("After {body}") }));
        world.deliver_all().await;
        let told = world.customer_of(&contact).await.description.unwrap_or_default();
        assert!(told.contains("2026-09-08 20:00"), "{body}: {told}");
        assert_eq!(world.sandbox.trafft.journal().writes(), 1, "{body}");
    }
}

/// Who arranges the fields anew changes nobody.
#[tokio::test]
async fn custom_fields_in_another_order_begin_no_pass() {
    let mut world = World::stopped(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.set_mapping("only = \"custom.level != 'none'\"");
    let ghl = world.sandbox.ghl.clone();
    ghl.define_custom_field("f1", "Level", "level");
    ghl.define_custom_field("f2", "Rank", "rank");
    world.start().await;
    world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let passed = world.sweep("projection").await["finished_at"].clone();
    ghl.define_custom_field("f1", "Level", "level");
    world.rest(3 * HOUR).await;
    assert_eq!(world.sweep("projection").await["finished_at"], passed);
    ghl.define_custom_field("f1", "Grade", "grade");
    world.rest(3 * HOUR).await;
    assert_ne!(world.sweep("projection").await["finished_at"], passed);
}
