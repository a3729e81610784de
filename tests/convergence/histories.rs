//! Plays many histories in one world, then lets it be quiet for one rotation of the sweeps, and has
//! the oracle look.

use std::time::Duration;

use reqwest::Method;
use sandbox::Event;

use crate::climate;
use crate::dice::Dice;
use crate::group::{Delivery, Group};
use crate::ledger::Ledger;
use crate::oracle;
use crate::seeds::{self, Failure};
use crate::support::World;
use crate::weather::Weather;

/// Sweeps at such paces that one rotation of all of them is a day.
const SETTINGS: [(&str, &str); 6] = [
    ("SWEEP_CONTACTS_MINUTES", "15"),
    ("SWEEP_TASKS_MINUTES", "60"),
    ("SWEEP_ROTATION_DAYS", "1"),
    ("SWEEP_IDS_HOURS", "6"),
    ("SWEEP_CUSTOMERS_HOURS", "6"),
    // Nobody waits for an answer here.
    ("SYNC_INLINE_DEADLINE_MS", "0"),
];

const ROTATION: Duration = Duration::from_hours(25);

#[test]
fn every_customer_ends_as_its_contact_says() {
    seeds::play("every_customer", 200, 100, world);
}

async fn world(seeds: Vec<u64>) -> Vec<Failure> {
    let settings =
        [&SETTINGS[..], &[("DELETE_POLICY", climate::delete_policy(seeds[0]))], climate::asked_for()].concat();
    let mut world = World::in_memory(&settings).await;
    // Budgets are another test's business; here a clock that stands still would wait for them for
    // ever.
    world.sandbox.ghl.set_limits(100_000, u32::MAX);
    world.forgiving = true;
    world.sandbox.trafft.set_forms(climate::forms(seeds[0]));
    world.sandbox.trafft.set_duplicates(climate::duplicates(seeds[0]));
    world.sandbox.ghl.set_phones_as_typed(&world.sandbox.ghl.location_id(), true);
    let mut groups: Vec<Group> = seeds.iter().map(|seed| Group::new(*seed)).collect();
    let mut ledger = Ledger::default();
    history(&mut world, &mut groups, &mut ledger, seeds[0]).await;
    // A person sees that the vendors are well, and has everything that was given up on tried again.
    world.admin(Method::POST, "/api/v1/retry", None).await;
    for _ in 0..2 {
        // A person sees that many were deleted at once, knows that it is true, and says so.
        quiet(&world, Duration::from_mins(30)).await;
        let connection = format!("/api/v1/connections/{}", world.sandbox.ghl.location_id());
        if world.get(&connection).await.json["states"].to_string().contains("\"deletions_held\"") {
            world.admin(Method::POST, &format!("{connection}/confirm-deletions"), None).await;
            quiet(&world, Duration::from_mins(30)).await;
            // What those customers stood in the way of, such as a create with the same e-mail, was
            // given up on.
            world.admin(Method::POST, "/api/v1/retry", None).await;
        }
    }
    let mut failures = oracle::nobody_left_out(&world, &groups).await;
    climate::move_away(&world);
    quiet(&world, ROTATION).await;
    ledger.read(&world.sandbox, &mut groups, true);
    failures.extend(oracle::converged(&world, &groups).await);
    failures.extend(oracle::rests(&world, &groups, ROTATION).await);
    if failures.is_empty() {
        let complaints = [world.sandbox.ghl.complaints(), world.sandbox.trafft.complaints()].concat();
        failures.extend(complaints.into_iter().map(|told| Failure { seed: seeds[0], told }));
    }
    world.stop().await;
    failures
}

/// What is planned for one history: deeds at their times.
struct Plan {
    dice: Dice,
    /// Milliseconds after the start, the latest first.
    deeds: Vec<i64>,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let count = 5 + dice.roll(14);
        // Some histories are hasty: everything within a minute.
        let within = dice.pick(&[6, 60, 360]);
        let mut deeds: Vec<i64> = (0..count).map(|_| i64::try_from(dice.roll(within) * 10_000).unwrap()).collect();
        deeds.sort_unstable_by(|a, b| b.cmp(a));
        Self { dice, deeds }
    }
}

/// All deeds, and all deliveries, each at its time.
async fn history(world: &mut World, groups: &mut [Group], ledger: &mut Ledger, seed: u64) {
    let start = world.sandbox.clock.now_ms();
    let mut weather = Weather::new(seed, start);
    let mut plans: Vec<Plan> = groups.iter().map(|group| Plan::new(group.seed)).collect();
    let mut under_way: Vec<Delivery> = Vec::new();
    let mut is_quiet = true;
    for moment in 0.. {
        let deeds = plans.iter().filter_map(|plan| plan.deeds.last().map(|at| start + at));
        let deliveries = under_way.iter().map(|delivery| delivery.at_ms);
        let Some(next) = deeds.chain(deliveries).chain(weather.next()).min() else { break };
        let wait = u64::try_from((next - world.sandbox.clock.now_ms()).max(0)).unwrap();
        world.advance(Duration::from_millis(wait));
        weather.turn(world, groups).await;
        let now = world.sandbox.clock.now_ms();
        ledger.read(&world.sandbox, groups, is_quiet);
        let mut acts = false;
        for (group, plan) in groups.iter_mut().zip(&mut plans) {
            while plan.deeds.last().is_some_and(|at| start + at <= now) {
                plan.deeds.pop();
                acts = true;
                let Some(deed) = group.act(&world.sandbox, &mut plan.dice) else { continue };
                group.trace.push(format!("{:>6} s {deed}", (now - start) / 1000));
                group.remember(&world.sandbox);
                for event in world.sandbox.ghl.take_events() {
                    under_way.extend(group.send(now, event));
                }
            }
        }
        if acts {
            ledger.read(&world.sandbox, groups, false);
        }
        let (due, later) = under_way.into_iter().partition(|delivery| delivery.at_ms <= now);
        under_way = later;
        let due: Vec<Delivery> = due;
        futures_util::future::join_all(due.iter().map(|delivery| deliver(&*world, &delivery.event))).await;
        // Now and then the clock moves on while work is in flight.
        is_quiet = moment % 3 != 0;
        if is_quiet {
            world.idle().await;
        }
    }
    weather.clear(world).await;
}

/// With the one signature that is looked at: making the other, of RSA, would be much of the work
/// here.
async fn deliver(world: &World, event: &Event) {
    let signature = ("x-ghl-signature".to_owned(), world.sandbox.ghl.sign(&event.body));
    let answer = world.post("/webhooks/ghl", &[signature], event.body.clone()).await;
    assert_eq!(answer.code, 200, "{}", answer.json);
}

/// Nobody does anything for so long; the service has time to work now and then.
pub async fn quiet(world: &World, time: Duration) {
    const STEP: Duration = Duration::from_mins(15);
    let end = world.clock.now() + time;
    while world.clock.now() < end {
        world.advance(STEP);
        world.idle().await;
        // What was found is worked, and what has to settle settles.
        for wait in [Duration::from_secs(1), Duration::from_secs(61)] {
            world.advance(wait);
            world.idle().await;
        }
    }
}
