//! Scripted and random failures: what a network and a tired server do to the next answers (G §4,
//! T §4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One way for an answer to go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// That status with the vendor's usual error body; nothing is carried out.
    Status(u16),
    /// That status with this body; nothing is carried out.
    StatusWithBody(u16, String),
    /// 429, with or without `Retry-After` in seconds; nothing is carried out.
    TooManyRequests {
        /// The header's value.
        retry_after: Option<u32>,
    },
    /// Waits on the sandbox clock, then carries the call out, whether or not the caller still
    /// listens.
    Slow {
        /// How long.
        ms: i64,
    },
    /// Carried out at once; the answer waits on the sandbox clock.
    DoneThenSlow {
        /// How long.
        ms: i64,
    },
    /// Carried out late, and that answer at once.
    StatusThenDone {
        /// The status.
        status: u16,
        /// The answer.
        body: String,
        /// How long.
        after_ms: i64,
    },
    /// Carried out; the head and half of the body arrive, then the connection closes.
    CutShort,
    /// That status with an HTML page, as a gateway or a maintenance page answers, a 3xx with a
    /// `Location`; nothing is carried out.
    Html(u16),
    /// Carried out, then the connection drops without an answer.
    DoneThenDropped,
    /// The connection drops at once; the call is carried out later, as by a server that was merely
    /// behind.
    DroppedThenDone {
        /// How much later, on the sandbox clock.
        after_ms: i64,
    },
    /// Carried out, but that status says otherwise, such as the 422 after a create that happened
    /// (G §4, #64).
    DoneThenStatus(u16),
    /// The connection drops without an answer; nothing is carried out.
    Refuse,
}

/// Which calls a fault is for.
#[derive(Clone, Debug)]
pub struct Matcher {
    method: Option<String>,
    path: String,
    count: usize,
}

impl Matcher {
    /// Whatever comes next, once. On Trafft that may be a token request.
    pub fn any() -> Self {
        Self { method: None, path: String::new(), count: 1 }
    }

    /// The next call of that method whose path begins with `path`, once.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: Some(method.to_ascii_uppercase()), path: path.to_owned(), count: 1 }
    }

    /// Any method under that path, once.
    pub fn path(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::any() }
    }

    /// The next `count` such calls.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        Self { count, ..self }
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.count > 0 && path.starts_with(&self.path) && self.method.as_deref().is_none_or(|wanted| wanted == method)
    }

    fn same_calls(&self, other: &Self) -> bool {
        self.method == other.method && self.path == other.path
    }
}

/// How often an answer goes wrong by chance; each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// 500, nothing carried out.
    pub status_500: f64,
    /// 429 without `Retry-After`, nothing carried out.
    pub status_429: f64,
    /// Carried out, connection dropped.
    pub done_then_dropped: f64,
    /// Carried out; the head and half of the body arrive.
    pub cut_short: f64,
    /// Connection dropped at once, carried out later.
    pub dropped_then_done: f64,
    /// Another service's 400 at once, carried out later.
    pub refused_then_done: f64,
    /// Another service's 200 at once, which names customer 1; carried out later.
    pub foreign_then_done: f64,
    /// How much later at most, in ms on the sandbox clock; any delay from 0 on is as likely.
    pub late_max_ms: u32,
    /// Something before the vendor answers: an HTML page, or another service's JSON. Nothing
    /// carried out.
    pub gateway: f64,
}

/// Statuses that gateways put on their pages.
const PAGES: [u16; 6] = [404, 403, 400, 302, 502, 200];

/// Statuses and bodies of services that are not the vendor.
const STRANGERS: [u16; 14] = [200, 302, 400, 401, 403, 404, 405, 409, 410, 422, 429, 500, 502, 503];
const STRANGE: [&str; 6] = [
    r#"{"message":"Not Found"}"#,
    r#"{"error":"no route"}"#,
    r#"{"statusCode":404,"error":"Not Found"}"#,
    // Fastify's words for a route that it does not have; with these paths it names both vendors'
    // records.
    r#"{"message":"Route GET:/api/v2/customers/1 of contact not found","error":"Not Found","statusCode":404}"#,
    // A list without records, and an envelope without data.
    r#"{"data":[]}"#,
    r#"{"data":null,"message":"ok"}"#,
];

impl Fault {
    /// A gateway's page or another service's JSON, whichever the dice say.
    fn of_a_gateway(dice: &mut Dice) -> Self {
        if dice.roll() < 0.5 {
            return Self::Html(dice.pick(&PAGES));
        }
        Self::StatusWithBody(dice.pick(&STRANGERS), dice.pick(&STRANGE).to_owned())
    }
}

impl Rates {
    /// What the dice have for the next call.
    fn throw(&self, dice: &mut Dice) -> Option<Fault> {
        if *self == Self::default() {
            return None;
        }
        let mut thrown = dice.roll();
        let mut falls = |rate: f64| {
            thrown -= rate;
            thrown < 0.0
        };
        if falls(self.status_500) {
            Some(Fault::Status(500))
        } else if falls(self.status_429) {
            Some(Fault::TooManyRequests { retry_after: None })
        } else if falls(self.done_then_dropped) {
            Some(Fault::DoneThenDropped)
        } else if falls(self.cut_short) {
            Some(Fault::CutShort)
        } else if falls(self.dropped_then_done) {
            Some(Fault::DroppedThenDone { after_ms: self.late(dice) })
        } else if falls(self.refused_then_done) {
            let body = r#"{"message":"Bad Request","statusCode":400}"#.to_owned();
            Some(Fault::StatusThenDone { status: 400, body, after_ms: self.late(dice) })
        } else if falls(self.foreign_then_done) {
            let body = r#"{"id":1}"#.to_owned();
            Some(Fault::StatusThenDone { status: 200, body, after_ms: self.late(dice) })
        } else if falls(self.gateway) {
            Some(Fault::of_a_gateway(dice))
        } else {
            None
        }
    }

    fn late(&self, dice: &mut Dice) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "rounding down is meant, and a u32 fits")]
        let late = (dice.roll() * (f64::from(self.late_max_ms) + 1.0)) as i64;
        late
    }
}

/// Rates, and the dice they are thrown with.
#[derive(Default)]
struct Chance {
    rates: Rates,
    dice: Dice,
}

#[derive(Default)]
struct Script {
    steps: Vec<(Matcher, Fault)>,
    /// For certain calls only.
    confined: Vec<(Matcher, Chance)>,
    /// For all others.
    chance: Chance,
}

/// The failures that wait for an emulator's next calls.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault behind those already waiting; the first that fits a call is spent on it.
    pub fn push(&self, matcher: Matcher, fault: Fault) {
        self.script().steps.push((matcher, fault));
    }

    /// From now on calls without a scripted fault fail by chance; the same seed gives the same row
    /// of chances.
    pub fn set_rates(&self, rates: Rates, seed: u64) {
        self.script().chance = Chance { rates, dice: Dice(seed) };
    }

    /// The same for calls that fit the matcher, however many, such as `POST` under
    /// `/api/v2/customers`. They have their own dice, and the rates of [`Faults::set_rates`] are
    /// not for them. Of two matchers that fit, the first one set decides; setting one again
    /// replaces its rates.
    pub fn set_rates_for(&self, matcher: Matcher, rates: Rates, seed: u64) {
        let chance = Chance { rates, dice: Dice(seed) };
        let mut script = self.script();
        match script.confined.iter_mut().find(|(known, _)| known.same_calls(&matcher)) {
            Some((_, known)) => *known = chance,
            None => script.confined.push((matcher.times(1), chance)),
        }
    }

    /// How many scripted failures nobody has met yet.
    pub fn unspent(&self) -> usize {
        self.script().steps.iter().map(|(matcher, _)| matcher.count).sum()
    }

    /// Forgets scripted and random failures.
    pub fn clear(&self) {
        *self.script() = Script::default();
    }

    pub(crate) fn next(&self, method: &str, path: &str) -> Option<Fault> {
        let mut script = self.script();
        if let Some(at) = script.steps.iter().position(|(matcher, _)| matcher.fits(method, path)) {
            script.steps[at].0.count -= 1;
            let fault = script.steps[at].1.clone();
            script.steps.retain(|(matcher, _)| matcher.count > 0);
            return Some(fault);
        }
        let Script { confined, chance, .. } = &mut *script;
        let confined = confined.iter_mut().find(|(matcher, _)| matcher.fits(method, path));
        let chance = confined.map_or(chance, |(_, chance)| chance);
        chance.rates.throw(&mut chance.dice)
    }
}

/// SplitMix64: small, and the same everywhere, so a failing run can be played again.
#[derive(Default)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let unit = (z >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a short list"
        )]
        let at = (self.roll() * from.len() as f64) as usize;
        from[at.min(from.len() - 1)]
    }
}
