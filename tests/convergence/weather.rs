//! What the hostile world does to a history besides what people do: gateways that answer for the
//! vendors, answers that are lost, records that cannot be read, clocks that jump, restarts under
//! another mapping. Settled by the seed; `WORLD=friendly` leaves it out.

use sandbox::{Fault, Faults, Matcher, Rates, Sandbox};

use crate::climate;
use crate::dice::Dice;
use crate::group::Group;
use crate::oddities;
use crate::support::World;

/// Phases in which a gateway gives every call of a vendor the same answer.
const GATEWAYS: u64 = 8;
/// Phases in which a record cannot be read.
const ODD_RECORDS: u64 = 12;
const JUMPS: u64 = 5;
const RESTARTS: u64 = 2;
/// Within so many seconds after the start: as long as people are at work.
const WITHIN: u64 = 3600;
/// The two clocks differ by so much at most.
const SKEW_MS: i64 = 120_000;
/// A clock that was set wrongly by hand is ahead by so much.
const FAR_AHEAD_MS: i64 = 12 * 3_600_000;
/// More calls than any phase has.
const ALL: usize = 1_000_000;

/// Is only the friendly world wanted?
pub fn is_friendly() -> bool {
    match std::env::var("WORLD").as_deref() {
        Err(_) | Ok("hostile") => false,
        Ok("friendly") => true,
        Ok(other) => panic!("WORLD is `friendly` or `hostile`, not `{other}`"),
    }
}

struct Change {
    at_ms: i64,
    what: What,
}

enum What {
    /// From then on a vendor's calls meet this; `None`: single calls only.
    Gateway {
        trafft: bool,
        fault: Option<Fault>,
    },
    OddRecord,
    NoOddRecords,
    /// Our clock is so far ahead of the vendors' from then on.
    Jump {
        ahead_ms: i64,
    },
    /// With another mapping, and with a clock that was set meanwhile.
    Restart {
        ahead_ms: i64,
    },
}

pub struct Weather {
    /// The latest first.
    changes: Vec<Change>,
    dice: Dice,
    ahead_ms: i64,
}

impl Weather {
    /// `start`: when the history begins, on the sandbox clock.
    pub fn new(seed: u64, start: i64) -> Self {
        let mut weather = Self { changes: Vec::new(), dice: Dice::new(seed, 4), ahead_ms: 0 };
        if !is_friendly() {
            weather.plan(start);
        }
        weather.changes.sort_by_key(|change| std::cmp::Reverse(change.at_ms));
        weather
    }

    fn plan(&mut self, start: i64) {
        let Self { changes, dice, .. } = self;
        let at = |second: u64| start + i64::try_from(second * 1000).unwrap();
        let mut add = |second: u64, what: What| changes.push(Change { at_ms: at(second), what });
        add(0, What::Gateway { trafft: true, fault: None });
        add(0, What::Gateway { trafft: false, fault: None });
        for _ in 0..GATEWAYS {
            let (from, lasts, trafft) = (dice.roll(WITHIN), 2 + dice.roll(59), dice.chance(50));
            add(from, What::Gateway { trafft, fault: Some(answer(dice)) });
            add(from + lasts, What::Gateway { trafft, fault: None });
        }
        for _ in 0..ODD_RECORDS {
            add(dice.roll(WITHIN), What::OddRecord);
        }
        add(dice.roll(WITHIN), What::NoOddRecords);
        let skew = |dice: &mut Dice| i64::try_from(dice.roll(2 * SKEW_MS.unsigned_abs())).unwrap() - SKEW_MS;
        for _ in 0..JUMPS {
            add(dice.roll(WITHIN), What::Jump { ahead_ms: skew(dice) });
        }
        for _ in 0..RESTARTS {
            add(dice.roll(WITHIN), What::Restart { ahead_ms: skew(dice) });
        }
        // Half a day ahead, until somebody sets it right: what is stored meanwhile lies in the
        // future.
        if dice.chance(20) {
            let from = dice.roll(WITHIN);
            add(from, What::Restart { ahead_ms: FAR_AHEAD_MS });
            add(from + 60 + dice.roll(1800), What::Restart { ahead_ms: skew(dice) });
        }
    }

    /// When it changes next.
    pub fn next(&self) -> Option<i64> {
        self.changes.last().map(|change| change.at_ms)
    }

    /// All changes that are due.
    pub async fn turn(&mut self, world: &mut World, groups: &[Group]) {
        let now = world.sandbox.clock.now_ms();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Change { what, .. }) = self.changes.pop() else { break };
            match what {
                What::Gateway { trafft, fault } => self.gateway(&world.sandbox, trafft, fault),
                What::OddRecord => oddities::begin(&world.sandbox, groups, &mut self.dice),
                What::NoOddRecords => oddities::end(&world.sandbox),
                What::Jump { ahead_ms } => self.jump(world, ahead_ms),
                What::Restart { ahead_ms } => {
                    world.stop().await;
                    let step = jiff::SignedDuration::from_millis(ahead_ms - self.ahead_ms);
                    self.ahead_ms = ahead_ms;
                    world.clock = ghl_trafft_sync::clock::Clock::manual(world.clock.now() + step);
                    climate::set_mapping(world, self.dice.pick(&climate::MAPPINGS));
                    if self.dice.chance(50) {
                        refuse_metadata(&world.sandbox, &mut self.dice);
                    }
                    world.start_idle().await;
                    // Behind a gateway it may not read what it begins with, and tries again by the
                    // clock: then the gateway ends early.
                    let patience = ghl_trafft_sync::clock::Clock::system();
                    if patience.timeout(std::time::Duration::from_secs(5), world.idle()).await.is_none() {
                        self.gateway(&world.sandbox, false, None);
                        self.gateway(&world.sandbox, true, None);
                        world.advance(std::time::Duration::from_secs(20));
                        world.idle().await;
                    }
                }
            }
        }
    }

    fn gateway(&mut self, sandbox: &Sandbox, trafft: bool, fault: Option<Fault>) {
        let faults = if trafft { sandbox.trafft.faults() } else { sandbox.ghl.faults() };
        faults.clear();
        match fault {
            Some(fault) => faults.push(Matcher::any().times(ALL), fault),
            None => {
                let rates = Rates { gateway: 0.03, done_then_dropped: 0.01, cut_short: 0.01, ..Rates::default() };
                faults.set_rates(rates, self.dice.roll(u64::MAX));
            }
        }
    }

    /// One of the two clocks moves by itself.
    fn jump(&mut self, world: &World, ahead_ms: i64) {
        let by = ahead_ms - self.ahead_ms;
        if by > 0 {
            world.clock.advance(std::time::Duration::from_millis(by.unsigned_abs()));
        } else {
            world.sandbox.clock.advance_ms(-by);
        }
        self.ahead_ms = ahead_ms;
    }

    /// All is well from now on.
    pub async fn clear(&mut self, world: &mut World) {
        let both: [Faults; 2] = [world.sandbox.trafft.faults(), world.sandbox.ghl.faults()];
        both.iter().for_each(Faults::clear);
        oddities::end(&world.sandbox);
        self.jump(world, 0);
        if !is_friendly() {
            world.stop().await;
            climate::set_mapping(world, "");
            world.start().await;
        }
    }
}

/// The location record and its fields may not be read for a while.
fn refuse_metadata(sandbox: &Sandbox, dice: &mut Dice) {
    let fault = match dice.roll(3) {
        0 => Fault::StatusWithBody(
            401,
            r#"{"statusCode":401,"message":"The token is not authorized for this scope."}"#.to_owned(),
        ),
        1 => Fault::Status(422),
        _ => Fault::Html(404),
    };
    sandbox.ghl.faults().push(Matcher::new("GET", "/locations/").times(1 + dice.index(6)), fault);
}

/// What a gateway says for a whole phase: most of all, that there is nothing there.
fn answer(dice: &mut Dice) -> Fault {
    let status = dice.pick(&[404, 404, 404, 403, 400, 410, 302, 502, 200]);
    match dice.roll(4) {
        0 => Fault::StatusWithBody(status, r#"{"message":"Not Found"}"#.to_owned()),
        2 => Fault::StatusWithBody(status, r#"{"data":[]}"#.to_owned()),
        1 => Fault::StatusWithBody(status, r#"{"error":"no route"}"#.to_owned()),
        _ => Fault::Html(status),
    }
}
