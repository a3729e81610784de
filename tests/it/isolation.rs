//! Many connections in one service: none reads or writes what is another's, none waits for
//! another's load.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use reqwest::Method;
use sandbox::{Class, Fault, Matcher, Trafft};
use serde_json::{Value, json};

use crate::support::asking::time;
use crate::support::ticker::{Ticker, until};
use crate::support::{World, number};

/// An agency's locations, each with a Trafft account of its own.
struct Agency {
    world: World,
    locations: Vec<(String, Trafft)>,
}

async fn agency(count: usize, settings: &[(&str, &str)]) -> Agency {
    let mut world = World::app(settings).await;
    let ids: Vec<String> = (0..count).map(|number| format!("location{number:012}")).collect();
    world.install_agency(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut locations = Vec::new();
    for id in ids {
        let trafft = world.sandbox.add_trafft().await.unwrap();
        let entered = world.enter(&id, &trafft, json!({})).await;
        assert_eq!(entered.code, 200, "{}", entered.json);
        locations.push((id, trafft));
    }
    world.idle().await;
    Agency { world, locations }
}

/// The names of a contact as Trafft should have them.
fn names(contact: &Value) -> (String, String) {
    let text = |key: &str| contact[key].as_str().unwrap_or_default().to_owned();
    (text("firstName"), text("lastName"))
}

/// Customers' ids are the same numbers in every account, and every third event is sent to another
/// location as well, as if that one had a contact of the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_collide_are_still_those_of_different_people() {
    let (count, steps) = (12, number("SCALE", 300));
    let seed = number("SEED", 7);
    let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
    let Agency { world, locations } =
        agency(count, &[("DELETE_POLICY", "delete-created"), ("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let ghl = world.sandbox.ghl.clone();
    let mut contacts: Vec<(usize, String)> = Vec::new();
    for _ in 0..steps {
        let at = dice.random_range(0..count);
        match dice.random_range(0..10) {
            0..4 => contacts.push((at, ghl.seed_contacts(&locations[at].0, 1, true).remove(0))),
            4..8 if !contacts.is_empty() => {
                let (_, contact) = &contacts[dice.random_range(0..contacts.len())];
                ghl.touch_contacts(&[contact]);
            }
            8 if !contacts.is_empty() => {
                let (_, contact) = &contacts[dice.random_range(0..contacts.len())];
                ghl.add_note(contact, json!({ "body": format!("a note on {contact}") }));
            }
            _ if !contacts.is_empty() => {
                let (_, contact) = contacts.swap_remove(dice.random_range(0..contacts.len()));
                ghl.delete_contact(&contact);
            }
            _ => {}
        }
        for event in ghl.take_events() {
            assert_eq!(world.deliver_now(&event).await.code, 200);
            if dice.random_bool(0.3) {
                let mut body: Value = serde_json::from_slice(&event.body).unwrap();
                body["locationId"] = json!(locations[dice.random_range(0..count)].0);
                body["webhookId"] = json!(uuid::Uuid::new_v4().to_string());
                assert_eq!(world.signed(body.to_string()).await.code, 200);
            }
        }
        world.advance(Duration::from_millis(dice.random_range(0..2000)));
    }
    world.drain().await;
    for (location, _) in &locations {
        // Six deletions of few contacts in a row look like an accident, and are held until somebody
        // says that they are none.
        let confirmed =
            world.admin(Method::POST, &format!("/api/v1/connections/{location}/confirm-deletions"), None).await;
        assert_eq!(confirmed.code, 200, "{}", confirmed.json);
    }
    world.drain().await;
    for (at, (location, trafft)) in locations.iter().enumerate() {
        let mine = contacts.iter().filter(|(home, _)| *home == at).map(|(_, id)| names(&ghl.contact(id).unwrap()));
        let theirs = trafft.customers().into_iter().map(|customer| (customer.first_name, customer.last_name));
        let (mine, theirs): (BTreeSet<_>, BTreeSet<_>) = (mine.collect(), theirs.collect());
        assert_eq!(theirs, mine, "location {location}, seed {seed}");
    }
    // HighLevel gives a token its own location's contacts alone, and complains of one that names
    // another location. Asked for a contact that it does not have there, as the events of strangers
    // made us ask, it says so and does not complain.
    assert_eq!(ghl.complaints(), Vec::<String>::new(), "seed {seed}");
    let refused = ghl.journal().entries().into_iter().filter(|call| call.class == Class::Contact && call.status == 400);
    assert_ne!(refused.count(), 0, "nobody asked for a stranger, seed {seed}");
}

/// How long events of these locations wait, by the moved clock: one event each, a while apart.
async fn waits(agency: &Agency, busy: Option<usize>, quiet: &[usize]) -> Vec<i64> {
    let Agency { world, locations } = agency;
    let ghl = &world.sandbox.ghl;
    let mut events = Vec::new();
    for &at in quiet {
        let next = world.clock.now() + Duration::from_millis(200);
        let load = busy.map_or(0, |_| 9);
        if let Some(busy) = busy {
            ghl.seed_contacts(&locations[busy].0, load, true);
        }
        ghl.seed_contacts(&locations[at].0, 1, true);
        for event in ghl.take_events() {
            let answer = world.deliver_now(&event).await;
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            if body["locationId"] == locations[at].0.as_str() {
                events.push((at, answer.event()));
            }
        }
        until(|| world.clock.now() >= next).await;
    }
    let mut settled = Vec::new();
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    for (at, event) in events {
        loop {
            let shown = world.get(&format!("/api/v1/events/{event}")).await.json;
            if let Some(end) = time(&shown["settled_at"]) {
                assert_eq!(shown["status"], "synced", "location {at}: {shown}");
                settled.push(end - time(&shown["received_at"]).unwrap());
                break;
            }
            moment.tick().await;
        }
    }
    settled.sort_unstable();
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "beside other tests the machine's slowness counts as waiting; .ci/run runs it alone"]
#[expect(clippy::print_stdout, reason = "the figures, for whoever runs it for them")]
async fn one_busy_location_and_ten_with_dead_tokens_do_not_slow_the_others() {
    let count = usize::try_from(number("SCALE", 60)).unwrap();
    let agency = agency(count, &[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let Agency { world, locations } = &agency;
    for (_, trafft) in locations {
        trafft.faults().push(Matcher::path("/api/v2/customers").times(1_000_000), Fault::Slow { ms: 150 });
    }
    let traffts: Vec<Trafft> = locations.iter().map(|(_, trafft)| trafft.clone()).collect();
    let ticker = Ticker::start(world, &traffts, Duration::from_millis(10), Duration::from_millis(15));
    // The first event of a location reads more than the later ones; that is no part of the
    // comparison.
    let (dead, mut quiet): (Vec<_>, Vec<_>) = (1..count).partition(|at| *at <= 10);
    quiet.truncate(100);
    waits(&agency, None, &quiet).await;
    let alone = waits(&agency, None, &quiet).await;
    // Their tokens die, and nobody has told us.
    dead.iter().for_each(|at| world.sandbox.ghl.uninstall_location(&locations[*at].0));
    world.sandbox.ghl.take_events();
    dead.iter().for_each(|at| drop(world.sandbox.ghl.seed_contacts(&locations[*at].0, 5, true)));
    for event in world.sandbox.ghl.take_events() {
        world.deliver_now(&event).await;
    }
    let beside = waits(&agency, Some(0), &quiet).await;
    ticker.stop().await;
    let p99 = |waits: &[i64]| waits[(waits.len() * 99).div_ceil(100) - 1];
    println!(
        "{count} connections; p99 quiet {} ms, beside a busy one {} ms, of the moved clock",
        p99(&alone),
        p99(&beside)
    );
    assert!(p99(&beside) < 2 * p99(&alone), "quiet {alone:?}\nbeside {beside:?}");
    let mut failed = BTreeMap::new();
    for (location, _) in locations {
        let listed = world.get(&format!("/api/v1/contacts?location_id={location}&status=queued")).await.json;
        failed.insert(location, listed["contacts"].as_array().map_or(0, Vec::len));
    }
    assert!(
        dead.iter().all(|at| failed[&locations[*at].0] == 5),
        "the dead ones wait, and nothing of theirs is lost: {failed:?}"
    );
}
