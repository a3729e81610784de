//! Tasks and appointments that go from one contact to another, and those that two contacts have
//! under one id: each customer shows what its own contact has.

use std::time::Duration;

use sandbox::Class;
use serde_json::{Value, json};

use crate::support::World;

fn person(name: &str) -> Value {
    json!({ "firstName": name, "lastName": "Example", "email": format!("{}@example.com", name.to_lowercase()) })
}

fn visit() -> Value {
    json!({ "title": "Massage", "startTime": "2026-09-16 11:00:00", "endTime": "2026-09-16 11:30:00", "appointmentStatus": "confirmed" })
}

impl World {
    /// Does the description of the contact's customer tell this?
    async fn tells(&self, contact: &str, what: &str) -> bool {
        self.customer_of(contact).await.description.unwrap_or_default().contains(what)
    }

    async fn two(&self) -> [String; 2] {
        [self.synced(person("Ada")).await, self.synced(person("Blaise")).await]
    }
}

#[tokio::test]
async fn an_appointment_that_moves_leaves_the_one_and_comes_to_the_other() {
    let world = World::new().await;
    let [ada, blaise] = world.two().await;
    let visit = world.sandbox.ghl.add_appointment(&ada, visit());
    world.deliver_all().await;
    assert!(world.tells(&ada, "Massage").await);
    // Its event names the new contact alone.
    world.sandbox.ghl.move_appointment(&ada, &blaise, &visit);
    world.deliver_all().await;
    world.drain().await;
    assert_eq!((world.tells(&ada, "Massage").await, world.tells(&blaise, "Massage").await), (false, true));
    let timeline = world.get(&format!("/api/v1/contacts/{ada}/timeline")).await.json;
    assert!(timeline["entries"][0]["gone_at"].is_string(), "it was there: {timeline}");
    // And back again.
    world.sandbox.ghl.move_appointment(&blaise, &ada, &visit);
    world.deliver_all().await;
    world.drain().await;
    assert_eq!((world.tells(&ada, "Massage").await, world.tells(&blaise, "Massage").await), (true, false));
}

#[tokio::test]
async fn one_that_moves_to_a_contact_that_is_not_synced_leaves_the_one_that_is() {
    let mut world = World::stopped(&[]).await;
    let path = world.path("mapping.toml");
    std::fs::write(&path, "only = \"'vip' in tags\"\n").unwrap();
    world.set("MAPPING_FILE", &path);
    world.start().await;
    let mut vip = person("Ada");
    vip["tags"] = json!(["vip"]);
    let ada = world.synced(vip).await;
    let blaise = world.sandbox.ghl.create_contact(person("Blaise"));
    assert_eq!(world.deliver_all().await.status(), "filtered");
    let visit = world.sandbox.ghl.add_appointment(&ada, visit());
    world.deliver_all().await;
    assert!(world.tells(&ada, "Massage").await);
    world.sandbox.ghl.move_appointment(&ada, &blaise, &visit);
    assert_eq!(world.deliver_all().await.status(), "filtered");
    world.drain().await;
    assert!(!world.tells(&ada, "Massage").await);
}

#[tokio::test]
async fn a_task_that_moves_without_an_event_is_found_for_both() {
    let world = World::with(&[("SWEEP_TASKS_MINUTES", "60")]).await;
    let [ada, blaise] = world.two().await;
    let unknown = world.sandbox.ghl.create_contact(person("Chloe"));
    world.sandbox.ghl.take_events();
    let [call, write] = ["Call", "Write"].map(|title| world.sandbox.ghl.add_task(&ada, json!({ "title": title })));
    world.deliver_all().await;
    assert!(world.tells(&ada, "Call").await && world.tells(&ada, "Write").await);
    world.sandbox.ghl.move_task(&ada, &blaise, &call);
    world.rest(Duration::from_mins(61)).await;
    assert_eq!((world.tells(&ada, "Call").await, world.tells(&blaise, "Call").await), (false, true));
    // Nobody has told of that contact: it is not for this sweep, but the task is not Ada's any
    // more.
    world.sandbox.ghl.move_task(&ada, &unknown, &write);
    world.rest(Duration::from_mins(61)).await;
    assert!(!world.tells(&ada, "Write").await);
    world.forget_calls();
    world.rest(Duration::from_mins(61)).await;
    let calls = world.sandbox.ghl.journal().entries();
    let calls: Vec<_> = calls.iter().map(|call| call.class).filter(|class| *class != Class::Metadata).collect();
    assert_eq!(calls, [Class::TaskSearch], "it is settled");
}

#[tokio::test]
async fn what_is_met_with_another_contact_is_looked_for_where_it_was() {
    let world = World::new().await;
    let [ada, blaise] = world.two().await;
    let call = world.sandbox.ghl.add_task(&ada, json!({ "title": "Call" }));
    world.deliver_all().await;
    world.sandbox.ghl.move_task(&ada, &blaise, &call);
    // The event is about another task.
    world.sandbox.ghl.add_task(&blaise, json!({ "title": "Write" }));
    world.deliver_all().await;
    world.drain().await;
    assert_eq!((world.tells(&ada, "Call").await, world.tells(&blaise, "Call").await), (false, true));
}

#[tokio::test]
async fn one_id_that_two_contacts_have_is_two_tasks() {
    let world = World::new().await;
    let ghl = &world.sandbox.ghl;
    let [ada, blaise] = world.two().await;
    let call = ghl.add_task(&ada, json!({ "title": "Call Ada" }));
    let other = ghl.add_task(&blaise, json!({ "title": "Call Blaise" }));
    ghl.raw().field(&format!("/contacts/{blaise}/tasks"), &other, "id", &format!("\"{call}\""));
    world.deliver_all().await;
    world.drain().await;
    for round in 0..2 {
        // Nothing is read but the contacts themselves: their tasks are as the mirror has them.
        for contact in [&ada, &blaise] {
            ghl.edit_contact(contact, json!({ "tags": [format!("round {round}")] }));
        }
        world.deliver_all().await;
        world.drain().await;
        for (contact, own, others) in [(&ada, "Call Ada", "Call Blaise"), (&blaise, "Call Blaise", "Call Ada")] {
            let told = (world.tells(contact, own).await, world.tells(contact, others).await);
            assert_eq!(told, (true, false), "{own}, round {round}");
        }
    }
    world.forget_calls();
    world.drain().await;
    assert_eq!(ghl.journal().calls(), 0, "neither is read again because of the other");
}
