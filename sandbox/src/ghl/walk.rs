//! The short way of a search: by one date only, so that the page is read off an order that is there
//! already (G §6.6).

use super::found::Found;
use super::index::Index;
use super::query::{DATES, Plan, Test, moment};
use super::search::Page;

/// The first and last moment that pass, when the test is about ranges of this date and nothing
/// else.
fn span(test: &Test, date: &str) -> Option<(i64, i64)> {
    // Two of the three names are one date here.
    let same = |field: &str| (field == "dateAdded") == (date == "dateAdded");
    let mut span = (i64::MIN, i64::MAX);
    match test {
        Test::All(tests) => {
            for test in tests {
                let (first, last) = self::span(test, date)?;
                span = (span.0.max(first), span.1.min(last));
            }
        }
        Test::One { field, operator, value } if operator == "range" && same(field) => {
            for (bound, limit) in value.as_object().into_iter().flatten() {
                let limit = moment(limit).unwrap_or(0);
                match bound.as_str() {
                    "gte" => span.0 = span.0.max(limit),
                    "gt" => span.0 = span.0.max(limit.saturating_add(1)),
                    "lte" => span.1 = span.1.min(limit),
                    _ => span.1 = span.1.min(limit.saturating_sub(1)),
                }
            }
        }
        Test::Any(_) | Test::One { .. } => return None,
    }
    Some(span)
}

/// The page, when the search asks for a range of one date at most, in the order of that date; else
/// `None`.
pub(super) fn walk<'a>(index: &'a Index, location: &str, plan: &Plan) -> Option<Page<'a>> {
    let [(date, down)] = &plan.sort[..] else {
        return None;
    };
    if !DATES.contains(&date.as_str()) || !plan.query.is_empty() {
        return None;
    }
    let (low, high) = span(&plan.tests, date)?;
    let after = match &plan.after {
        None => None,
        Some((key, id)) => Some((key.as_i64()?, id.clone())),
    };
    let Some(shelf) = index.shelf(location) else {
        return Some((Vec::new(), 0));
    };
    let order = shelf.by(date);
    let start = order.rank(|(at, _)| *at < low);
    let end = order.rank(|(at, _)| *at <= high).max(start);
    let skip = (plan.page - 1) * plan.limit;
    let (from, to) = if *down {
        let end = after.map_or(end, |after| end.min(order.rank(|place| *place < after)));
        let to = end.saturating_sub(skip);
        (to.saturating_sub(plan.limit).max(start), to)
    } else {
        let start = after.map_or(start, |after| start.max(order.rank(|place| *place <= after)));
        (start + skip, (start + skip + plan.limit).min(end))
    };
    let mut places = order.slice(from, to);
    if *down {
        places.reverse();
    }
    let page = places.into_iter().filter_map(|(at, id)| Some(Found { contact: index.get(id)?, key: (*at).into() }));
    Some((page.collect(), end - start))
}
