//! By which rules everybody is projected: they may be taken back half-way, and HighLevel may not
//! tell its part for a moment.

use std::time::Duration;

use sandbox::{Fault, Matcher};
use serde_json::json;

use crate::support::World;

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

#[tokio::test]
async fn a_location_record_that_is_refused_for_a_moment_changes_no_customer() {
    let mut world = World::stopped(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]).await;
    let location = world.sandbox.ghl.location_id();
    world.sandbox.ghl.set_timezone(&location, "Asia/Kolkata");
    world.start().await;
    let contact = world.synced(json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let call = json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    world.sandbox.ghl.add_task(&contact, call);
    world.deliver_all().await;
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
