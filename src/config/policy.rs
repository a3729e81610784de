//! How locations are worked, and how long data is kept: the settings as values.

use std::time::Duration;

use super::name;
use super::reader::Reader;
use super::values::{choice, number, region, zone};
use crate::model::{DeletePolicy, DescriptionPolicy, Keep, MissingPolicy, Pace, Policy};

pub(super) fn keep(from: &mut Reader) -> Option<Keep> {
    let days = |days: u64| Duration::from_hours(24 * days);
    let events = from.get(name::KEEP_EVENTS_DAYS, |text| number(text, 1, 3650)).map(days);
    let writes = from.get(name::KEEP_WRITES_DAYS, |text| number(text, 1, 3650)).map(days);
    Some(Keep { events: events?, writes: writes? })
}

fn pace(from: &mut Reader) -> Option<Pace> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let mut every = |name, most: u64, unit: u64| {
        let number = from.get(name, |text| number(text, 0, most))?;
        Some((number > 0).then(|| Duration::from_secs(number * unit)))
    };
    let contacts = every(name::SWEEP_CONTACTS_MINUTES, 1440, MINUTE);
    let tasks = every(name::SWEEP_TASKS_MINUTES, 10_080, MINUTE);
    let rotation = every(name::SWEEP_ROTATION_DAYS, 365, 24 * HOUR);
    let ids = every(name::SWEEP_IDS_HOURS, 8760, HOUR);
    let customers = every(name::SWEEP_CUSTOMERS_HOURS, 8760, HOUR);
    let task_calls = from.get(name::SWEEP_TASKS_CALLS, |text| number(text, 1, 10_000))?;
    Some(Pace {
        contacts: contacts?,
        tasks: tasks?,
        task_calls: i64::try_from(task_calls).ok()?,
        rotation: rotation?,
        ids: ids?,
        customers: customers?,
    })
}

pub(super) const DESCRIPTION: [(&str, DescriptionPolicy); 3] = [
    ("created", DescriptionPolicy::Created),
    ("all", DescriptionPolicy::All),
    ("at-creation", DescriptionPolicy::AtCreation),
];
pub(super) const ESCAPE: [(&str, bool); 2] = [("html", true), ("none", false)];
pub(super) const DELETE: [(&str, DeletePolicy); 3] =
    [("keep", DeletePolicy::Keep), ("delete-created", DeletePolicy::DeleteCreated), ("ignore", DeletePolicy::Ignore)];
pub(super) const MISSING: [(&str, MissingPolicy); 2] =
    [("conflict", MissingPolicy::Conflict), ("recreate", MissingPolicy::Recreate)];

pub(super) fn policy(from: &mut Reader) -> Option<Policy> {
    let description = from.get(name::DESCRIPTION_POLICY, |text| choice(text, &DESCRIPTION));
    let escape = from.get(name::DESCRIPTION_ESCAPE, |text| choice(text, &ESCAPE));
    let delete = from.get(name::DELETE_POLICY, |text| choice(text, &DELETE));
    let missing = from.get(name::MISSING_CUSTOMER_POLICY, |text| choice(text, &MISSING));
    let settle_time = from.get(name::SETTLE_SECONDS, |text| number(text, 1, 3600)).map(Duration::from_secs);
    let page_pause = from.get(name::TRAFFT_PAGE_PAUSE_MS, |text| number(text, 0, 60_000)).map(Duration::from_millis);
    let pace = pace(from);
    let zone = from.optional(name::TIME_ZONE, zone);
    let region = from.optional(name::PHONE_REGION, region);
    Some(Policy {
        description: description?,
        escape: escape?,
        delete: delete?,
        missing: missing?,
        settle_time: settle_time?,
        page_pause: page_pause?,
        pace: pace?,
        zone,
        region,
    })
}
