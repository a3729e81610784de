//! How it must have ended. What the customer must look like is asked of the service itself: it
//! reads every contact whole and finds nothing to write; that it is not blind is shown by what can
//! be said without its help.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use sandbox::Customer;
use serde_json::Value;

use crate::climate;
use crate::group::{Group, Person};
use crate::histories::quiet;
use crate::person::as_read;
use crate::seeds::Failure;
use crate::support::World;

/// A contact as the service shows it, and as it is.
struct Standing<'a> {
    person: &'a Person,
    /// Null: never heard of.
    known: Value,
    /// Null: gone.
    truth: Value,
}

impl Standing<'_> {
    fn customer(&self) -> Option<i64> {
        self.known["trafft_customer_id"].as_i64()
    }
    fn text(&self, key: &str) -> &str {
        self.truth[key].as_str().unwrap_or_default()
    }
    /// The number that the contact's text means.
    fn phone<'a>(&'a self, group: &'a Group) -> &'a str {
        group.meaning(self.text("phone"))
    }
    fn is(&self, status: &str) -> bool {
        self.known["status"] == status
    }
}

/// The mapping that is back leaves nobody out; an hour later nobody is left out any more, without
/// any sweep of the records.
pub async fn nobody_left_out(world: &World, groups: &[Group]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for group in groups {
        let mut wrong = Vec::new();
        for person in group.people.iter().filter(|person| !person.gone) {
            let known = world.contact(&person.id).await;
            if known["status"] == "filtered" {
                wrong.push(format!("contact {} is still left out: {known}", person.id));
            }
        }
        if !wrong.is_empty() {
            failures.push(failure(group, &wrong, &[]));
        }
    }
    failures
}

/// Every history by itself.
pub async fn converged(world: &World, groups: &[Group]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let all = world.sandbox.trafft.customers();
    for group in groups {
        let mut standings = Vec::new();
        for person in &group.people {
            let known = world.contact(&person.id).await;
            let truth = world.sandbox.ghl.contact(&person.id).unwrap_or_default();
            standings.push(Standing { person, known, truth });
        }
        let customers = group.customers(&all);
        let mut wrong = Vec::new();
        for standing in &standings {
            if let Err(what) = contact(world, group, standing, &customers, &standings) {
                wrong.push(format!("contact {}: {what}; {}", standing.person.id, standing.known));
            }
        }
        wrong.extend(group.wrong.iter().cloned());
        wrong.extend(nobody_twice(group, &standings, &customers));
        if !wrong.is_empty() {
            failures.push(failure(group, &wrong, &customers));
        }
    }
    failures
}

fn failure(group: &Group, wrong: &[String], customers: &[Customer]) -> Failure {
    let customers: Vec<_> = customers.iter().map(|one| format!("  {one:?}")).collect();
    let told =
        format!("{}\nhistory:\n{}\ncustomers:\n{}", wrong.join("\n"), group.trace.join("\n"), customers.join("\n"));
    Failure { seed: group.seed, told }
}

/// A customer that we made stays when its contact goes, if another contact has it now, or waits for
/// a decision about it, or waited, as after a merge or when it went itself later; or if staff have
/// used it for another person.
fn may_be_kept(group: &Group, standing: &Standing<'_>, all: &[Standing<'_>]) -> bool {
    let is_shared = all.iter().filter(|other| other.customer() == standing.customer()).count() > 1;
    let is_waited_for =
        all.iter().any(|other| other.known["conflict_trafft_customer_id"] == standing.known["trafft_customer_id"]);
    let waited = |other: &Standing<'_>| {
        other.person.gone
            && other.person.id != standing.person.id
            && ["email", "phone"].iter().any(|field| other.person.ever.shares(&standing.person.ever, field))
    };
    is_shared
        || is_waited_for
        || all.iter().any(waited)
        || group.trace.iter().any(|line| line.contains(" staff ") || line.contains(" is merged into "))
}

fn contact(
    world: &World,
    group: &Group,
    standing: &Standing<'_>,
    customers: &[Customer],
    all: &[Standing<'_>],
) -> Result<(), String> {
    if standing.person.gone {
        if climate::deletes(world) && standing.known["created_by_us"] == true && !may_be_kept(group, standing, all) {
            return Err("is gone, and its customer that we made is still there".to_owned());
        }
        // A contact that came and went while nobody told is none of our business.
        let noticed = standing.known.is_null() || !standing.known["gone_at"].is_null();
        return noticed.then_some(()).ok_or_else(|| "is gone, and nobody noticed".to_owned());
    }
    if standing.known.is_null() || !standing.known["gone_at"].is_null() {
        return Err("is there, and nobody noticed".to_owned());
    }
    if standing.is("conflict") {
        return justified(world, group, standing, customers, all);
    }
    let Some(id) = standing.customer() else {
        let reachable = !standing.text("email").is_empty() || !standing.phone(group).is_empty();
        return (standing.is("skipped") && !reachable).then_some(()).ok_or_else(|| "has no customer".to_owned());
    };
    if !standing.is("synced") && !standing.is("unchanged") {
        return Err("did not come to rest".to_owned());
    }
    let customer = world.sandbox.trafft.customer(id).ok_or("its customer is not in Trafft")?;
    for (key, theirs) in [
        ("firstName", customer.first_name.as_str()),
        ("lastName", customer.last_name.as_str()),
        ("email", customer.email.as_deref().unwrap_or_default()),
        ("phone", customer.phone_number.as_deref().unwrap_or_default()),
    ] {
        let ours = if key == "phone" { standing.phone(group) } else { standing.text(key) };
        let is_same = if key == "email" { ours.eq_ignore_ascii_case(theirs) } else { as_read(ours) == as_read(theirs) };
        if !ours.is_empty() && !is_same {
            return Err(format!("its {key} is `{ours}`, its customer's `{theirs}`"));
        }
    }
    let is_staffs = |id: i64| group.staff.iter().any(|(staffs, _)| *staffs == id);
    // Edited by staff before we could see that it is ours, or with one of theirs beside it that
    // looks like it, it is taken for theirs: documented.
    let is_twin = |one: &Customer| {
        is_staffs(one.id)
            && (same(standing.text("email"), &one.email) || same(standing.phone(group), &one.phone_number))
    };
    let is_taken_for_theirs =
        standing.known["created_by_us"] == false && (group.touched.contains(&id) || customers.iter().any(is_twin));
    let is_staffs = is_staffs(id);
    if is_staffs || is_taken_for_theirs { Ok(()) } else { described(world, standing, &customer) }
}

/// Does the description of a customer that the service made tell what it must, and nothing that is
/// over?
fn described(world: &World, standing: &Standing<'_>, customer: &Customer) -> Result<(), String> {
    let told = customer.description.clone().unwrap_or_default();
    let person = standing.person;
    let lines = |mark: &str| -> BTreeSet<String> {
        let words =
            told.lines().filter(|line| line.contains(mark)).map(|line| line.split(['(', ' ']).collect::<Vec<_>>());
        words.flatten().filter(|word| word.contains(mark)).map(str::to_owned).collect()
    };
    let open: BTreeSet<String> = person.tasks.iter().filter(|task| !task.done).map(|task| task.word.clone()).collect();
    let shown: BTreeSet<String> =
        told.lines().filter_map(|line| line.strip_prefix("- [ ] ")?.split(' ').next().map(str::to_owned)).collect();
    if open != shown {
        return Err(format!("its open tasks are {open:?}, told are {shown:?}"));
    }
    if !open.is_empty() && !told.contains(climate::due_as_told()) {
        return Err(format!("its tasks are not due at {}: {told:?}", climate::due_as_told()));
    }
    let notes: BTreeSet<String> = person.notes.iter().map(|note| note.word.clone()).collect();
    let shown = lines("note");
    if !shown.is_subset(&notes) || shown.len() != notes.len().min(3) {
        return Err(format!("its notes are {notes:?}, told are {shown:?}"));
    }
    let now = world.sandbox.clock.now_ms();
    let coming = person.appointments.iter().filter(|one| !one.cancelled && one.start_ms > now);
    let coming: BTreeSet<String> = coming.map(|one| one.word.clone()).collect();
    let shown = lines("visit");
    if !shown.is_subset(&coming) || shown.len() != coming.len().min(3) {
        return Err(format!("its next appointments are {coming:?}, told are {shown:?}"));
    }
    let tags: Vec<_> = standing.truth["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if tags.iter().any(|tag| !told.contains(tag)) || tags.is_empty() == told.contains("Tags:") {
        return Err(format!("its tags are {tags:?}, told is {told:?}"));
    }
    if told.contains("Deleted in HighLevel") { Err("is told to be deleted".to_owned()) } else { Ok(()) }
}

/// Is it the same e-mail or phone? None is no one's.
fn same(ours: &str, theirs: &Option<String>) -> bool {
    !ours.is_empty() && theirs.as_deref().is_some_and(|theirs| theirs.eq_ignore_ascii_case(ours))
}

/// A conflict is for a person to decide, so there must be something to decide, now.
fn justified(
    world: &World,
    group: &Group,
    standing: &Standing<'_>,
    customers: &[Customer],
    all: &[Standing<'_>],
) -> Result<(), String> {
    let reason = standing.known["reason"].as_str().unwrap_or_default();
    if reason.contains("no longer in Trafft") || reason.contains("stands alone") {
        return if group.deleted.is_empty() { Err("staff deleted nothing".to_owned()) } else { Ok(()) };
    }
    let others = || customers.iter().filter(|one| Some(one.id) != standing.customer());
    let mut rivals: Vec<_> = others().filter(|one| same(standing.text("email"), &one.email)).collect();
    if rivals.is_empty() && standing.customer().is_none() {
        rivals = others().filter(|one| same(standing.phone(group), &one.phone_number)).collect();
    }
    let held = |id: i64| all.iter().any(|one| !one.person.gone && one.customer() == Some(id));
    match rivals.as_slice() {
        [] => Err("a conflict with nobody".to_owned()),
        [one] if standing.customer().is_none() && !held(one.id) => {
            let differs =
                |ours: &str, theirs: &str| !ours.is_empty() && !theirs.is_empty() && as_read(ours) != as_read(theirs);
            // Nobody can know that a name which Trafft shows otherwise is the same.
            let shown = world.sandbox.trafft.shown(one.id).unwrap_or_default();
            let name = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
            let email = one.email.as_deref().unwrap_or_default();
            let contradicts = differs(standing.text("firstName"), &name("first_name"))
                || differs(standing.text("lastName"), &name("last_name"))
                || differs(&standing.text("email").to_lowercase(), &email.to_lowercase())
                || differs(standing.phone(group), one.phone_number.as_deref().unwrap_or_default());
            if contradicts { Ok(()) } else { Err(format!("nothing speaks against customer {}", one.id)) }
        }
        _ => Ok(()),
    }
}

/// No customer was made twice, and staff's own keep what staff typed.
fn nobody_twice(group: &Group, standings: &[Standing<'_>], customers: &[Customer]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut holders: BTreeMap<i64, usize> = BTreeMap::new();
    for id in standings.iter().filter_map(Standing::customer) {
        *holders.entry(id).or_default() += 1;
    }
    wrong.extend(
        holders.iter().filter(|(_, count)| **count > 1).map(|(id, _)| format!("customer {id} has two contacts")),
    );
    // Or a person has to say whose it is.
    let is_held = |id: i64| {
        holders.contains_key(&id) || standings.iter().any(|one| one.known["conflict_trafft_customer_id"] == id)
    };
    for customer in customers {
        match group.staff.iter().find(|(id, _)| *id == customer.id) {
            Some((_, typed)) if customer.description.as_ref() != Some(typed) => {
                wrong.push(format!("staff's description of customer {} was {typed:?}", customer.id));
            }
            // One that staff have changed before we could see that it is ours is documented.
            None if !is_held(customer.id)
                && (!group.touched.contains(&customer.id) || group.written.contains(&customer.id)) =>
            {
                wrong.push(format!("customer {} was made, and is nobody's", customer.id));
            }
            _ => {}
        }
    }
    wrong
}

/// A further rotation writes nothing, and neither does reading every contact whole.
pub async fn rests(world: &World, groups: &[Group], rotation: Duration) -> Vec<Failure> {
    let before = world.sandbox.trafft.customers();
    world.forget_calls();
    quiet(world, rotation).await;
    let mut failures = written(world, groups, &before, "the further rotation").await;
    world.forget_calls();
    for person in groups.iter().flat_map(|group| &group.people) {
        if !world.contact(&person.id).await.is_null() {
            world.admin(Method::POST, &format!("/api/v1/contacts/{}/sync", person.id), None).await;
        }
    }
    quiet(world, Duration::from_mins(30)).await;
    failures.extend(written(world, groups, &before, "reading everything").await);
    failures
}

async fn written(world: &World, groups: &[Group], before: &[Customer], when: &str) -> Vec<Failure> {
    let (entries, after) = (world.sandbox.trafft.journal().entries(), world.sandbox.trafft.customers());
    let mut failures = Vec::new();
    for group in groups {
        let (was, is) = (group.customers(before), group.customers(&after));
        let ids: BTreeSet<String> = was.iter().chain(&is).map(|one| one.id.to_string()).collect();
        let of_group = |entry: &&sandbox::Entry| match entry.path.rsplit('/').next() {
            Some("customers") => {
                entry.body.as_ref().is_some_and(|body| group.knows(body["email"].as_str(), body["phone"].as_str()))
            }
            Some(id) => ids.contains(id),
            None => false,
        };
        let writes: Vec<_> = entries.iter().filter(|entry| entry.method != "GET").filter(of_group).collect();
        if !writes.is_empty() || was != is {
            let writes: Vec<_> =
                writes.iter().map(|one| format!("{} {} {:?}", one.method, one.path, one.body)).collect();
            let mut wrong = vec![format!("{when} wrote, before it was {was:?}"), writes.join("\n")];
            for person in &group.people {
                wrong.push(world.contact(&person.id).await.to_string());
            }
            failures.push(failure(group, &wrong, &is));
        }
    }
    failures
}
