//! What no webhook tells is found all the same.

use std::time::Duration;

use reqwest::Method;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Sweeps on, at paces that differ, so that each can be told from the others.
async fn world() -> World {
    World::with(&[
        ("SWEEP_CONTACTS_MINUTES", "15"),
        ("SWEEP_TASKS_MINUTES", "60"),
        ("SWEEP_ROTATION_DAYS", "3"),
        ("SWEEP_IDS_HOURS", "24"),
        ("SWEEP_CUSTOMERS_HOURS", "12"),
    ])
    .await
}

impl World {
    async fn findings(&self, sweep: &str) -> Vec<(String, String)> {
        let found = self.get(&format!("/api/v1/findings?sweep={sweep}&limit=200")).await.json;
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let found = found["findings"].as_array().unwrap();
        found.iter().map(|finding| (text(finding, "contact_id"), text(finding, "what"))).collect()
    }

    pub async fn sweep(&self, kind: &str) -> Value {
        let sweeps = self.get("/api/v1/sweeps").await.json["sweeps"].as_array().cloned().unwrap();
        sweeps.into_iter().find(|sweep| sweep["kind"] == kind).unwrap()
    }
}

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })
}

fn blaise() -> Value {
    json!({ "firstName": "Blaise", "lastName": "Example", "email": "blaise@example.com" })
}

#[tokio::test]
async fn a_change_and_a_contact_whose_events_were_lost_are_found_by_the_time_of_change() {
    let world = world().await;
    let (ada, quiet) = (world.synced(ada()).await, world.synced(blaise()).await);
    world.rest(HOUR).await;
    assert_eq!(world.findings("contacts").await, [], "what events told is not found again");
    world.sandbox.ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
    let new = world.sandbox.ghl.create_contact(json!({ "firstName": "New", "email": "new@example.com" }));
    world.sandbox.ghl.take_events();
    world.rest(16 * MINUTE).await;
    assert_eq!(world.customer_of(&ada).await.last_name, "Byron");
    assert_eq!(world.customer_of(&new).await.first_name, "New");
    let mut found = world.findings("contacts").await;
    found.sort();
    let mut missed = vec![(ada, "changed".to_owned()), (new, "created".to_owned())];
    missed.sort();
    assert_eq!(found, missed, "the report is exact; {quiet} is not in it");
}

#[tokio::test]
async fn what_happened_while_the_service_was_away_is_found_at_the_start() {
    let mut world = world().await;
    let contact = world.synced(ada()).await;
    world.stop().await;
    world.advance(70 * MINUTE);
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    world.sandbox.ghl.take_events();
    world.advance(70 * MINUTE);
    world.start().await;
    assert_eq!(world.customer_of(&contact).await.last_name, "Byron");
    assert_eq!(world.findings("contacts").await, [(contact, "changed".to_owned())]);
}

#[tokio::test]
async fn an_edited_task_is_found_although_no_event_exists() {
    let world = world().await;
    let contact = world.synced(ada()).await;
    let task = world.sandbox.ghl.add_task(&contact, json!({ "title": "Call Ada", "dueDate": "2026-09-03T09:00:00Z" }));
    world.deliver_all().await;
    world.rest(2 * HOUR).await;
    assert_eq!(world.findings("tasks").await, []);
    world.sandbox.ghl.edit_task(&contact, &task, json!({ "title": "Write to Ada" }));
    world.rest(61 * MINUTE).await;
    let description = world.customer_of(&contact).await.description.unwrap_or_default();
    assert!(description.contains("Write to Ada"), "{description}");
    assert_eq!(world.findings("tasks").await, [(contact, "a task changed".to_owned())]);
}

#[tokio::test]
async fn a_lost_note_comes_with_the_rotation() {
    let world = world().await;
    let contact = world.synced(ada()).await;
    world.sandbox.ghl.add_note(&contact, json!({ "body": "likes mornings" }));
    world.sandbox.ghl.take_events();
    world.rest(73 * HOUR).await;
    let description = world.customer_of(&contact).await.description.unwrap_or_default();
    assert!(description.contains("likes mornings"), "{description}");
    world.forget_calls();
    world.rest(24 * HOUR).await;
    let reads = world.sandbox.ghl.journal().entries();
    let notes = reads.iter().filter(|entry| entry.path.ends_with("/notes")).count();
    assert_eq!(notes, 0, "each has its turn once in three days");
}

#[tokio::test]
async fn a_contact_whose_deletion_was_lost_is_missed_and_asked_for_twice() {
    let world = world().await;
    let (gone, there) = (world.synced(ada()).await, world.synced(blaise()).await);
    world.sandbox.ghl.delete_contact(&gone);
    world.sandbox.ghl.take_events();
    world.rest(25 * HOUR).await;
    assert!(!world.contact(&gone).await["gone_at"].is_null());
    assert!(world.contact(&there).await["gone_at"].is_null());
    assert_eq!(world.findings("ids").await, [(gone, "not among the contacts any more".to_owned())]);
}

#[tokio::test]
async fn what_staff_edit_in_trafft_gives_way_to_what_gohighlevel_has_and_to_nothing_else() {
    let world = world().await;
    let (ada, blaise) = (world.synced(ada()).await, world.synced(blaise()).await);
    let (edited, phoned) = (world.customer_of(&ada).await.id, world.customer_of(&blaise).await.id);
    world.sandbox.trafft.staff_edit(edited, json!({ "last_name": "Lovelace" }));
    // GoHighLevel has no phone of his: Trafft's stays.
    world.sandbox.trafft.staff_edit(phoned, json!({ "phone_number": "+12125550199" }));
    world.forget_calls();
    world.rest(13 * HOUR).await;
    assert_eq!(world.customer_of(&ada).await.last_name, "Example");
    assert_eq!(world.customer_of(&blaise).await.phone_number.as_deref(), Some("+12125550199"));
    let writes = world.sandbox.trafft.journal().entries();
    assert_eq!(writes.iter().filter(|entry| entry.method == "PATCH").count(), 1, "nothing is written without cause");
    world.forget_calls();
    world.rest(13 * HOUR).await;
    let writes = world.sandbox.trafft.journal().entries();
    assert!(writes.iter().all(|entry| entry.method == "GET" || entry.path.ends_with("/token")), "it is settled");
}

#[tokio::test]
async fn a_customer_that_staff_deleted_is_a_conflict_after_two_passes() {
    let world = world().await;
    let contact = world.synced(ada()).await;
    let customer = world.customer_of(&contact).await.id;
    world.sandbox.trafft.staff_delete(customer);
    world.rest(13 * HOUR).await;
    assert_eq!(world.contact(&contact).await["status"], "synced", "one pass is not enough");
    world.rest(25 * HOUR).await;
    let shown = world.contact(&contact).await;
    assert_eq!(shown["status"], "conflict", "{shown}");
    assert!(world.sandbox.trafft.customers().is_empty(), "nobody is made anew without being asked");
}

/// A person stops a backfill while its page is being read.
#[tokio::test]
async fn a_backfill_that_is_stopped_in_the_middle_of_a_step_stays_stopped() {
    let world = World::new().await;
    world.sandbox.ghl.seed_contacts(&world.sandbox.ghl.location_id(), 150, false);
    let faults = world.sandbox.ghl.faults();
    faults.push(Matcher::new("POST", "/contacts/search"), Fault::Slow { ms: 5_000 });
    world.admin(Method::POST, "/api/v1/sweeps/backfill", None).await;
    while faults.unspent() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.admin(Method::DELETE, "/api/v1/sweeps/backfill", None).await.code, 202);
    world.advance(Duration::from_secs(5));
    world.rest(HOUR).await;
    assert!(world.sandbox.trafft.customers().is_empty());
    assert_eq!(world.sweep("backfill").await["due_at"], Value::Null);
}

#[tokio::test]
async fn a_backfill_takes_everyone_over_and_its_dry_run_says_so_before() {
    let world = world().await;
    // One is there already and matches, one lacks the phone, one is in doubt, one cannot become a
    // customer.
    for (first, email) in [("Ada", "ada@example.com"), ("Carol", "family@example.com")] {
        world.sandbox.trafft.staff_create(json!({ "first_name": first, "last_name": "Example", "email": email }));
    }
    let blaise = json!({ "first_name": "Blaise", "last_name": "Example", "email": "blaise@example.com" });
    let incomplete = world.sandbox.trafft.staff_create(blaise);
    for contact in [
        ada(),
        json!({ "firstName": "Blaise", "lastName": "Example", "email": "blaise@example.com", "phone": "+12125550142" }),
        json!({ "firstName": "Dan", "lastName": "Example", "email": "family@example.com" }),
        json!({ "firstName": "Nameless" }),
    ] {
        world.sandbox.ghl.create_contact(contact);
    }
    let many = 250;
    for number in 0..many {
        let email = format!("many{number}@example.com");
        world
            .sandbox
            .ghl
            .create_contact(json!({ "firstName": "Many", "lastName": format!("N{number}"), "email": email }));
    }
    world.sandbox.ghl.take_events();
    world.advance(MINUTE);
    world.idle().await;
    world.forget_calls();
    let begun = world.admin(Method::POST, "/api/v1/sweeps/dry-run", None).await;
    assert_eq!(begun.code, 202, "{}", begun.json);
    world.rest(MINUTE).await;
    let told = world.sweep("dry-run").await;
    let counted = format!(
        "would create {many}, update 1, ask about 1; 1 match already, 0 are known already (`contacts list`), 1 have neither e-mail \
         nor phone, 0 are left out by the mapping's `only`"
    );
    assert_eq!(told["reason"], counted, "{told}");
    let ended = world.admin(Method::DELETE, "/api/v1/sweeps/dry-run", None).await;
    let after = world.sweep("dry-run").await;
    assert_eq!((ended.code.as_u16(), &after["reason"]), (202, &told["reason"]), "what has ended stays as it was told");
    let written = world.sandbox.trafft.journal().entries();
    assert!(
        written.iter().all(|entry| entry.method == "GET" || entry.path.ends_with("/token")),
        "a dry run writes nothing"
    );
    assert_eq!(world.sandbox.trafft.customers().len(), 3);

    world.forget_calls();
    world.admin(Method::POST, "/api/v1/sweeps/backfill", None).await;
    world.rest(3 * HOUR).await;
    assert_eq!(world.sandbox.trafft.customers().len(), 3 + many);
    let completed = world.sandbox.trafft.customer(incomplete).unwrap();
    assert_eq!(completed.phone_number.as_deref(), Some("+12125550142"));
    let told = world.sweep("backfill").await;
    assert_eq!((told["seen"].as_i64(), told["total"].as_i64()), (Some(254), Some(254)), "{told}");
    let searches = world.sandbox.ghl.journal().entries();
    let searches = searches.iter().filter(|entry| entry.path == "/contacts/search").count();
    assert!(searches >= 3, "a hundred a call: {searches}");
}
