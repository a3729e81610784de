//! Many events at once on a few new contacts who share an e-mail or a phone, while Trafft's answers
//! get lost and some creates are carried out only later: nobody becomes a customer twice.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::{Matcher, Rates};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::seeds::{self, Failure};
use crate::support::World;

const EVENTS: usize = 64;
const CONTACTS: usize = 3;
const SETTLE: Duration = Duration::from_secs(60);

#[test]
fn nobody_is_created_twice() {
    seeds::play("nobody_is_created_twice", 20, 1, |seeds| async move { world(seeds[0]).await });
}

async fn world(seed: u64) -> Vec<Failure> {
    let mut dice = Dice::new(seed, 3);
    let mut world = World::in_memory(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    world.forgiving = true;
    world.sandbox.ghl.set_limits(100_000, u32::MAX);
    // Customer 1, whom another service's answers name.
    let stranger = json!({ "first_name": "Zoe", "last_name": "Stranger", "email": "zoe@example.com" });
    let stranger = world.sandbox.trafft.staff_create(stranger);
    let before = world.sandbox.trafft.customer(stranger);
    lose_answers(&world, seed);
    let mut told = Vec::new();
    let contacts: Vec<String> = people(&mut dice)
        .into_iter()
        .map(|person| {
            told.push(format!("contact {person}"));
            world.sandbox.ghl.create_contact(person)
        })
        .collect();
    let mut events = world.sandbox.ghl.take_events();
    while events.len() < EVENTS {
        let (what, contact) = (dice.roll(3), dice.index(CONTACTS));
        match what {
            0 => drop(
                world.sandbox.ghl.add_note(&contacts[contact], json!({ "body": format!("note {}", events.len()) })),
            ),
            1 => drop(
                world.sandbox.ghl.add_task(&contacts[contact], json!({ "title": format!("task {}", events.len()) })),
            ),
            _ => world
                .sandbox
                .ghl
                .edit_contact(&contacts[contact], json!({ "companyName": format!("{}", events.len()) })),
        }
        events.extend(world.sandbox.ghl.take_events());
    }
    // Some at the same moment, the rest while answers are being waited for.
    let rest = events.split_off(EVENTS / 2 + dice.index(EVENTS / 2));
    let mut imported = Vec::new();
    for events in [events, rest] {
        futures_util::future::join_all(events.iter().map(|event| world.deliver_now(event))).await;
        world.advance(Duration::from_secs(dice.roll(40)));
        if imported.is_empty() && dice.chance(30) {
            imported = import(&world);
        }
    }
    // Second by second: what Trafft does late is done at its time, not at the moment when somebody
    // looks for it.
    for _ in 0..3 * SETTLE.as_secs() {
        world.advance(Duration::from_secs(1));
        world.idle().await;
    }
    world.drain().await;
    imported.push(stranger);
    let mut wrong = judge(&world, &contacts, &imported).await;
    if world.sandbox.trafft.customer(stranger) != before {
        wrong.push("the stranger was written to".to_owned());
    }
    world.stop().await;
    if wrong.is_empty() {
        return Vec::new();
    }
    told.extend(world.sandbox.trafft.customers().iter().map(|customer| format!("{customer:?}")));
    vec![Failure { seed, told: format!("{}\n{}", wrong.join("\n"), told.join("\n")) }]
}

/// Staff import others, more than a page of the list holds.
fn import(world: &World) -> Vec<i64> {
    let ids = || world.sandbox.trafft.customers().iter().map(|customer| customer.id).collect::<Vec<_>>();
    let before = ids();
    world.sandbox.trafft.seed(60);
    ids().into_iter().filter(|id| !before.contains(id)).collect()
}

/// Three contacts: all of one person, or of a family with one e-mail or one phone.
fn people(dice: &mut Dice) -> Vec<Value> {
    let (by_email, one_name, both) = (dice.chance(50), dice.chance(50), dice.chance(30));
    let name = |who: usize| ["Ada", "Bob", "Chloe"][if one_name { 0 } else { who }];
    let shared = |shared: bool, who: usize| if shared { 0 } else { who };
    (0..CONTACTS)
        .map(|who| {
            let mut person = json!({ "firstName": name(who), "lastName": "Example" });
            if by_email || both || dice.chance(50) {
                person["email"] = json!(format!("e{}@example.com", shared(by_email || both, who)));
            }
            if !by_email || both || dice.chance(50) {
                person["phone"] = json!(format!("+1415555014{}", shared(!by_email || both, who)));
            }
            person
        })
        .collect()
}

/// Of ten creates, five lose their answers; most of those are carried out only later, also behind a
/// gateway's refusal, or another service's word that it is done.
fn lose_answers(world: &World, seed: u64) {
    let rates = Rates {
        done_then_dropped: 0.1,
        cut_short: 0.05,
        dropped_then_done: 0.15,
        refused_then_done: 0.1,
        foreign_then_done: 0.1,
        late_max_ms: 58_000,
        ..Rates::default()
    };
    world.sandbox.trafft.faults().set_rates_for(Matcher::new("POST", "/api/v2/customers"), rates, seed);
}

async fn judge(world: &World, contacts: &[String], others: &[i64]) -> Vec<String> {
    let (mut wrong, mut holders) = (Vec::new(), BTreeMap::new());
    for contact in contacts {
        let shown = world.contact(contact).await;
        let status = shown["status"].as_str().unwrap_or_default().to_owned();
        match (status.as_str(), shown["trafft_customer_id"].as_i64()) {
            ("synced" | "unchanged", Some(customer)) => *holders.entry(customer).or_insert(0) += 1,
            ("conflict", _) if shown["reason"].as_str().is_some_and(|reason| reason.contains("contacts link")) => {}
            _ => wrong.push(format!("contact {contact} is neither linked nor a conflict: {shown}")),
        }
    }
    let mut customers = world.sandbox.trafft.customers();
    customers.retain(|customer| !others.contains(&customer.id));
    for customer in &customers {
        if holders.get(&customer.id) != Some(&1) {
            wrong.push(format!("customer {} is nobody's", customer.id));
        }
    }
    for (at, one) in customers.iter().enumerate() {
        let twice = |other: &sandbox::Customer| {
            one.email.is_some() && one.email == other.email
                || one.phone_number.is_some() && one.phone_number == other.phone_number
        };
        if let Some(other) = customers[at + 1..].iter().find(|other| twice(other)) {
            wrong.push(format!("customers {} and {} are one", one.id, other.id));
        }
    }
    if holders.is_empty() {
        wrong.push("nobody became a customer".to_owned());
    }
    wrong
}
