use std::cmp::Reverse;
use std::collections::BinaryHeap;

use reqwest::header::HeaderValue;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn told(headers: &[(&'static str, i64)]) -> HeaderMap {
    headers.iter().map(|(name, number)| (name.parse().unwrap(), HeaderValue::from(*number))).collect()
}

/// One that has had its first answer.
fn warm() -> Budget {
    Budget { told: true, ..Budget::default() }
}

/// Reserves and is answered at once, so many times.
fn spend(budget: &mut Budget, calls: usize, now: Timestamp) {
    for call in 0..calls {
        assert_eq!(budget.reserve(Lane::Live, now), Ok(()), "call {call}");
        budget.answered(now);
    }
}

#[test]
fn nearly_a_hundred_in_ten_seconds_from_the_answers_on() {
    let mut budget = warm();
    spend(&mut budget, 94, at(0));
    assert_eq!(budget.reserve(Lane::Live, at(1)), Ok(()));
    assert_eq!(budget.reserve(Lane::Live, at(9_000)), Err(Wait::Until(at(10_001))));
    budget.answered(at(9_500));
    assert_eq!(budget.reserve(Lane::Live, at(10_000)), Err(Wait::Until(at(10_001))));
    spend(&mut budget, 94, at(10_001));
    assert_eq!(budget.reserve(Lane::Live, at(10_001)), Err(Wait::Until(at(19_501))));
}

#[test]
fn nobody_waits_for_a_call_that_has_no_answer_yet_but_it_counts() {
    let mut budget = warm();
    for _ in 0..95 {
        assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    }
    assert_eq!(budget.reserve(Lane::Live, at(60_000)), Err(Wait::Until(at(70_000))));
}

#[test]
fn the_headers_name_limits_and_what_is_left() {
    let max = ("x-ratelimit-max", 5);
    let window = ("x-ratelimit-interval-milliseconds", 2_000);
    for (headers, want) in [
        (told(&[]), Ok(())),
        (told(&[("x-ratelimit-remaining", 99)]), Ok(())),
        // Someone else has used two.
        (told(&[max, window, ("x-ratelimit-remaining", 2)]), Ok(())),
        (told(&[max, window, ("x-ratelimit-remaining", 0)]), Err(Wait::Until(at(2_000)))),
        (told(&[("x-ratelimit-remaining", 0)]), Err(Wait::Until(at(10_000)))),
        (told(&[("x-ratelimit-daily-remaining", 1)]), Ok(())),
        (told(&[("x-ratelimit-daily-remaining", 0)]), Err(Wait::Until(at(3_600_000)))),
        (told(&[("x-ratelimit-max", 0), ("x-ratelimit-interval-milliseconds", -5)]), Ok(())),
    ] {
        let mut budget = warm();
        assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
        budget.learn(&headers, at(0));
        budget.answered(at(0));
        assert_eq!(budget.reserve(Lane::Live, at(0)), want, "{headers:?}");
    }
}

#[test]
fn the_day_starts_anew_when_highlevel_says_so_within_reason() {
    const HOUR: i64 = 3_600_000;
    for (reset, opens) in [
        (5 * HOUR, 5 * HOUR),
        (24 * HOUR, 24 * HOUR),
        // A minute at least; what cannot be is not believed.
        (3, 60_000),
        (24 * HOUR + 1, HOUR),
        (0, HOUR),
        (-1, HOUR),
    ] {
        let headers = told(&[("x-ratelimit-daily-reset", reset), ("x-ratelimit-daily-remaining", 0)]);
        let mut budget = warm();
        assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
        budget.learn(&headers, at(0));
        budget.answered(at(0));
        assert_eq!(budget.reserve(Lane::Live, at(0)), Err(Wait::Until(at(opens))), "{reset}");
        assert_eq!(budget.reserve(Lane::Live, at(opens - 1)), Err(Wait::Until(at(opens))), "{reset}");
        assert_eq!(budget.reserve(Lane::Live, at(opens)), Ok(()), "{reset}");
    }
    // Lanes that leave a part of the day to others wait for the new day too, and know it when it is
    // there.
    let mut budget = warm();
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    let day = [("x-ratelimit-limit-daily", 1000), ("x-ratelimit-daily-remaining", 100)];
    budget.learn(&told(&[day[0], day[1], ("x-ratelimit-daily-reset", 2 * HOUR)]), at(0));
    budget.answered(at(0));
    assert_eq!(budget.reserve(Lane::Backfill, at(0)), Err(Wait::Until(at(2 * HOUR))));
    assert_eq!(budget.reserve(Lane::Backfill, at(2 * HOUR)), Ok(()));
}

#[test]
fn a_lane_that_leaves_the_rest_to_others_asks_now_and_then_whether_the_day_is_new() {
    const HOUR: i64 = 3_600_000;
    let mut budget = warm();
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    budget.learn(&told(&[("x-ratelimit-limit-daily", 1000), ("x-ratelimit-daily-remaining", 100)]), at(0));
    budget.answered(at(0));
    for hour in 1..=2 {
        assert_eq!(budget.reserve(Lane::Sweep, at((hour - 1) * HOUR + 1)), Err(Wait::Until(at(hour * HOUR + 1))));
        assert_eq!(budget.reserve(Lane::Sweep, at(hour * HOUR + 1)), Ok(()));
        assert_eq!(budget.reserve(Lane::Sweep, at(hour * HOUR + 1)), Err(Wait::Until(at((hour + 1) * HOUR + 1))));
        budget.answered(at(hour * HOUR + 1));
    }
    budget.learn(&told(&[("x-ratelimit-daily-remaining", 999)]), at(3 * HOUR));
    assert_eq!(budget.reserve(Lane::Sweep, at(3 * HOUR)), Ok(()));
}

#[test]
fn what_others_use_is_left_to_them_for_a_window() {
    let mut budget = warm();
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    budget.learn(&told(&[("x-ratelimit-remaining", 10)]), at(0));
    budget.answered(at(0));
    spend(&mut budget, 5, at(1));
    assert_eq!(budget.reserve(Lane::Live, at(1)), Err(Wait::Until(at(10_000))));
    spend(&mut budget, 89, at(10_000));
}

#[test]
fn a_days_allowance_is_spent_to_the_last_call_and_asked_for_with_one() {
    let mut budget = warm();
    let left = |left| told(&[("x-ratelimit-daily-remaining", left)]);
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    budget.learn(&left(3), at(0));
    budget.answered(at(0));
    assert_eq!((budget.reserve(Lane::Live, at(0)), budget.reserve(Lane::Live, at(0))), (Ok(()), Ok(())));
    // An older answer comes late, with a larger number: it does not count.
    budget.learn(&left(3), at(0));
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    assert_eq!(budget.reserve(Lane::Live, at(1)), Err(Wait::Until(at(3_600_000))));
    for _ in 0..3 {
        budget.answered(at(1));
    }
    assert_eq!(budget.reserve(Lane::Live, at(3_600_000)), Ok(()), "one goes ahead");
    assert_eq!(budget.reserve(Lane::Live, at(3_600_000)), Err(Wait::Until(at(7_200_000))));
    budget.learn(&left(199_999), at(3_600_100));
    budget.answered(at(3_600_100));
    spend(&mut budget, 90, at(3_600_100));
}

#[test]
fn closed_is_closed() {
    let mut budget = warm();
    budget.close(at(5_000));
    budget.close(at(4_000));
    assert_eq!(budget.reserve(Lane::Live, at(4_999)), Err(Wait::Until(at(5_000))));
    assert_eq!(budget.reserve(Lane::Live, at(5_000)), Ok(()));
}

/// GHL's side, which counts a call when it arrives.
struct Counting {
    arrived: Vec<i64>,
}

impl Counting {
    fn arrive(&mut self, now: i64) -> (usize, usize) {
        self.arrived.push(now);
        let sliding = self.arrived.iter().filter(|at| **at > now - 10_000).count();
        let fixed = self.arrived.iter().filter(|at| (**at + 3_333) / 10_000 == (now + 3_333) / 10_000).count();
        (sliding, fixed)
    }
}

/// 150 callers who call again as soon as they may, over a line that takes up to 2 s in each
/// direction.
#[test]
fn no_window_of_either_kind_ever_sees_more_than_a_hundred() {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Step {
        Answered { left: usize },
        Arrives,
        Calls,
    }
    for told_left in [false, true] {
        let mut seed = 7_u64;
        let mut delay = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as i64 % 2_000
        };
        let mut budget = warm();
        let mut ghl = Counting { arrived: Vec::new() };
        let mut steps: BinaryHeap<_> = (0..150).map(|caller| Reverse((0, caller, Step::Calls))).collect();
        while let Some(Reverse((now, caller, step))) = steps.pop() {
            let next = match step {
                _ if now > 300_000 => continue,
                Step::Calls => match budget.reserve(Lane::Live, at(now)) {
                    Ok(()) => (now + delay(), Step::Arrives),
                    Err(Wait::Until(until)) => (until.as_millisecond(), Step::Calls),
                    Err(Wait::Answer) => unreachable!("answers came long ago"),
                },
                Step::Arrives => {
                    let (sliding, fixed) = ghl.arrive(now);
                    assert!(sliding <= 100 && fixed <= 100, "{sliding} and {fixed} at {now} ms");
                    (now + delay(), Step::Answered { left: 100 - fixed })
                }
                Step::Answered { left } => {
                    if told_left {
                        budget.learn(&told(&[("x-ratelimit-remaining", left as i64)]), at(now));
                    }
                    budget.answered(at(now));
                    (now, Step::Calls)
                }
            };
            steps.push(Reverse((next.0, caller, next.1)));
        }
        // 30 windows of 95 at best; each round also takes the line's time.
        assert!(ghl.arrived.len() > 1_500, "only {} calls in 300 s", ghl.arrived.len());
    }
}

#[test]
fn the_first_call_goes_alone_and_what_its_answer_says_is_spent_counts() {
    let mut budget = Budget::default();
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    assert_eq!(budget.reserve(Lane::Live, at(0)), Err(Wait::Answer));
    budget.learn(&told(&[("x-ratelimit-max", 100), ("x-ratelimit-remaining", 8)]), at(50));
    budget.answered(at(50));
    spend(&mut budget, 3, at(60));
    assert_eq!(budget.reserve(Lane::Live, at(70)), Err(Wait::Until(at(10_050))));
}

#[test]
fn answers_that_tell_nothing_are_not_waited_for_for_ever() {
    let mut budget = Budget::default();
    for _ in 0..SILENT {
        spend(&mut budget, 1, at(0));
        budget.learn(&told(&[]), at(0));
    }
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
}

#[test]
fn a_backfill_leaves_room_for_webhooks_in_the_window_and_in_the_day() {
    let mut budget = warm();
    for _ in 0..50 {
        assert_eq!(budget.reserve(Lane::Backfill, at(0)), Ok(()));
    }
    assert!(budget.reserve(Lane::Backfill, at(0)).is_err());
    assert_eq!(budget.reserve(Lane::Sweep, at(0)), Ok(()));
    spend(&mut budget, 44, at(0));
    assert!(budget.reserve(Lane::Live, at(0)).is_err());
    let mut budget = warm();
    budget.learn(&told(&[("x-ratelimit-limit-daily", 1000), ("x-ratelimit-daily-remaining", 200)]), at(0));
    assert!(budget.reserve(Lane::Backfill, at(0)).is_err());
    assert!(budget.reserve(Lane::Sweep, at(0)).is_err());
    assert_eq!(budget.reserve(Lane::Retry, at(0)), Ok(()));
    assert_eq!(budget.reserve(Lane::Live, at(0)), Ok(()));
}
