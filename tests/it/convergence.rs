//! Once GoHighLevel goes quiet, every customer equals its contact: over random histories, with deliveries lost, doubled, out of
//! order and late, and staff who edit Trafft meanwhile.
//!
//! `SEEDS=n` plays so many histories; `SEED=x` plays the one that failed, alone.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use sandbox::{Customer, Event};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::history::History;
use crate::support::{World, number};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Histories that share one start of the service, and nothing else.
const TOGETHER: u64 = 100;

/// One rotation of every sweep, and two of the pass that believes nothing before its second time.
const QUIET: Duration = Duration::from_secs(27 * 3600);

async fn world() -> World {
    let world = World::with(&[
        ("SYNC_INLINE_DEADLINE_MS", "0"),
        ("SWEEP_CONTACTS_MINUTES", "15"),
        ("SWEEP_TASKS_MINUTES", "60"),
        ("SWEEP_ROTATION_DAYS", "1"),
        ("SWEEP_IDS_HOURS", "10"),
        ("SWEEP_CUSTOMERS_HOURS", "10"),
    ])
    .await;
    // All histories at once are more than one location may ask; limits are the business of another test.
    world.sandbox.ghl.set_limits(100_000, 100_000_000);
    world.sandbox.ghl.set_switches(sandbox::ghl::WebhookSwitches { silent_merge: true, ..Default::default() });
    world
}

/// Plays the histories side by side, then lets the sweeps go round.
async fn play(world: &World, histories: &mut [History]) {
    let mut acts: BTreeMap<(Timestamp, usize), ()> = BTreeMap::new();
    let mut post: Vec<(Timestamp, Event)> = Vec::new();
    let start = world.clock.now();
    for (at, history) in histories.iter_mut().enumerate() {
        acts.insert((start + history.pause(), at), ());
    }
    loop {
        let next = acts.keys().map(|(time, _)| *time).chain(post.iter().map(|(time, _)| *time)).min();
        let Some(next) = next else { break };
        // Whatever falls into the same minute happens together.
        let now = world.clock.now();
        let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default().max(MINUTE);
        world.rest(wait).await;
        let now = world.clock.now();
        while let Some((&(time, at), ())) = acts.first_key_value().filter(|((time, _), ())| *time <= now) {
            acts.remove(&(time, at));
            let history = &mut histories[at];
            history.act(world);
            for event in world.sandbox.ghl.take_events() {
                post.extend(history.deliveries().into_iter().map(|late| (now + late, event.clone())));
            }
            if !history.is_over() {
                acts.insert((now + history.pause(), at), ());
            }
        }
        let (due, later) = std::mem::take(&mut post).into_iter().partition(|(time, _)| *time <= now);
        post = later;
        for (_, event) in due as Vec<(Timestamp, Event)> {
            assert_eq!(world.deliver_now(&event).await.code, 200);
        }
        world.idle().await;
    }
    world.rest(QUIET).await;
}

/// What is wrong with how a history ended.
async fn faults(world: &World, history: &History) -> Vec<String> {
    let mut faults = Vec::new();
    let customers = world.sandbox.trafft.customers();
    let mine = format!("s{}n", history.seed);
    let mut emails = HashSet::new();
    for customer in
        customers.iter().filter(|customer| customer.email.as_deref().is_some_and(|email| email.starts_with(&mine)))
    {
        if !emails.insert(customer.email.clone()) {
            faults.push(format!("customer {} is there twice: {:?}", customer.id, customer.email));
        }
    }
    for staff in customers.iter().filter(|customer| history.staffs.contains(&customer.id)) {
        if staff.description.as_deref() != Some("staff only") {
            faults.push(format!("the note on customer {} was written over: {:?}", staff.id, staff.description));
        }
    }
    for contact in history.contacts() {
        let shown = world.contact(contact).await;
        let record = world.sandbox.ghl.contact(contact).unwrap();
        match shown["status"].as_str() {
            // A person is asked: staff deleted the customer, or the new e-mail is somebody else's.
            Some("conflict") => {}
            Some("synced" | "unchanged") => {
                let customer = customers.iter().find(|customer| Some(customer.id) == shown["customer_id"].as_i64());
                faults.extend(customer.map_or(Some(format!("{contact} has no customer: {shown}")), |customer| {
                    differs(&record, customer)
                }));
            }
            other => faults.push(format!("{contact} ended as {other:?}: {shown}")),
        }
    }
    faults
}

/// By fields that need no projection to be compared.
fn differs(contact: &Value, customer: &Customer) -> Option<String> {
    let same = |key: &str, theirs: Option<&str>| {
        contact[key].as_str().is_none_or(|ours| ours.is_empty() || Some(ours) == theirs)
    };
    let equal = same("firstName", Some(&customer.first_name))
        && same("lastName", Some(&customer.last_name))
        && same("email", customer.email.as_deref())
        && same("phone", customer.phone_number.as_deref());
    (!equal).then(|| format!("{} differs from customer {}: {contact} {customer:?}", contact["id"], customer.id))
}

/// Exactly: read everything anew, and nothing is left to be written.
async fn rewrites(world: &World, histories: &[History]) -> Vec<String> {
    let before = world.sandbox.trafft.customers();
    for contact in histories.iter().flat_map(History::contacts) {
        let answer = world.admin(Method::POST, &format!("/api/v1/contacts/{contact}/sync"), None).await;
        assert_eq!(answer.code, 200);
    }
    world.rest(HOUR).await;
    let after = world.sandbox.trafft.customers();
    before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .map(|(before, after)| format!("{before:?} became {after:?}"))
        .collect()
}

async fn converge(seeds: Vec<u64>) -> Vec<(u64, String)> {
    let world = world().await;
    let mut histories: Vec<_> = seeds.into_iter().map(History::new).collect();
    play(&world, &mut histories).await;
    let mut failed = Vec::new();
    for history in &histories {
        let faults = faults(&world, history).await;
        if !faults.is_empty() {
            failed.push((history.seed, format!("{}\n    {}", faults.join("\n  "), history.log.join("\n    "))));
        }
    }
    let all: Vec<_> = histories.iter().map(|history| history.seed).collect();
    world.forget_calls();
    world.rest(QUIET).await;
    let writes = world.sandbox.trafft.journal().writes();
    if writes > 0 {
        failed.push((all[0], format!("{writes} writes in a quiet day, among the seeds {all:?}")));
    }
    for wrong in rewrites(&world, &histories).await {
        let history = histories.iter().find(|history| wrong.contains(&format!("s{}n", history.seed)));
        let log = history.map_or(String::new(), |history| history.log.join("\n    "));
        failed.push((history.map_or(all[0], |history| history.seed), format!("{wrong}\n    {log}")));
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_gohighlevel_goes_quiet_every_customer_equals_its_contact() {
    let seeds: Vec<u64> = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..number("SEEDS", 25)).collect(),
    };
    let mut told = Vec::new();
    let mut playing = JoinSet::new();
    for together in seeds.chunks(TOGETHER as usize) {
        // As many worlds as the machine this is meant for has cores.
        if playing.len() >= 2 {
            told.extend(playing.join_next().await.unwrap().unwrap());
        }
        playing.spawn(converge(together.to_vec()));
    }
    told.extend(playing.join_all().await.into_iter().flatten());
    let told: Vec<_> = told.into_iter().map(|(seed, what)| format!("SEED={seed}: {what}")).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}
