//! Every write to Trafft, held against what people have done: nobody's customer is changed into
//! somebody else, overwritten or deleted without cause, and nobody is created twice.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::{Customer, Entry, Sandbox};
use serde_json::Value;

use crate::group::{Group, Person};
use crate::person::as_read;

/// What a contact ever was, or what a customer ever held, field by field.
#[derive(Clone, Default)]
pub struct Ever {
    fields: BTreeMap<&'static str, BTreeSet<String>>,
    /// Words of its tasks, notes, appointments and tags.
    words: BTreeSet<String>,
}

/// The fields of a write.
const FIELDS: [&str; 4] = ["first_name", "last_name", "email", "phone"];

/// A contact that was there so recently may be deleted all the same: HighLevel had said that it was
/// gone.
const JUST_NOW: i64 = 180_000;

impl Ever {
    fn add(&mut self, field: &'static str, text: Option<&str>) {
        let text = text.unwrap_or_default();
        let text = if field == "email" { text.to_lowercase() } else { as_read(text) };
        self.fields.entry(field).or_default().insert(text);
    }

    fn has(&self, field: &str, text: &str) -> bool {
        let text = if field == "email" { text.to_lowercase() } else { as_read(text) };
        self.fields.get(field).is_some_and(|texts| texts.contains(&text))
    }

    pub fn shares(&self, other: &Self, field: &str) -> bool {
        let texts = |ever: &Self| ever.fields.get(field).cloned().unwrap_or_default();
        texts(self).intersection(&texts(other)).any(|text| !text.is_empty())
    }

    /// A customer as it is.
    fn holds(&mut self, customer: &Customer) {
        self.add("first_name", Some(&customer.first_name));
        self.add("last_name", Some(&customer.last_name));
        self.add("email", customer.email.as_deref());
        self.add("phone", customer.phone_number.as_deref());
    }

    fn holds_shown(&mut self, shown: &Value) {
        for (field, key) in FIELDS.into_iter().zip(["first_name", "last_name", "email", "phone_number"]) {
            self.add(field, shown[key].as_str());
        }
    }
}

/// A customer, as far as its history goes.
struct Known {
    group: usize,
    ever: Ever,
    /// What it held since the service was last at rest: what GoHighLevel lacks is sent back so.
    lately: Ever,
    now: Customer,
    /// Made since the service was last at rest: what was on its way then had looked before.
    is_new: bool,
    /// The contacts that the last write may have been for.
    writers: BTreeSet<usize>,
}

/// What was written so far.
#[derive(Default)]
pub struct Ledger {
    customers: BTreeMap<i64, Known>,
}

impl Group {
    /// Remembers how its contacts are now.
    pub fn remember(&mut self, sandbox: &Sandbox) {
        let now = sandbox.clock.now_ms();
        for who in 0..self.people.len() {
            let Some(truth) = sandbox.ghl.contact(&self.people[who].id) else { continue };
            let text = |key: &str| truth[key].as_str().map(str::to_owned);
            let phone = text("phone").map(|text| self.meaning(&text).to_owned());
            let person = &mut self.people[who];
            person.there_ms = now;
            person.ever.add("first_name", text("firstName").as_deref());
            person.ever.add("last_name", text("lastName").as_deref());
            person.ever.add("email", text("email").as_deref());
            person.ever.add("phone", phone.as_deref());
            let Person { ever, tasks, notes, appointments, .. } = person;
            ever.words.extend(tasks.iter().map(|task| task.word.clone()));
            ever.words.extend(notes.iter().map(|note| note.word.clone()));
            ever.words.extend(appointments.iter().map(|one| one.word.clone()));
            let tags = truth["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            ever.words.extend(tags.map(str::to_owned));
        }
    }
}

impl Ledger {
    /// Judges what was written since the last time, and takes in what staff have done. `is_quiet`:
    /// the service was at rest.
    pub fn read(&mut self, sandbox: &Sandbox, groups: &mut [Group], is_quiet: bool) {
        let journal = sandbox.trafft.journal();
        for entry in journal.entries().iter().filter(|entry| entry.path.contains("/customers")) {
            match entry.method.as_str() {
                "POST" => self.created(groups, entry),
                "PATCH" => self.changed(groups, entry),
                "DELETE" => self.deleted(groups, entry),
                _ => {}
            }
        }
        journal.clear();
        let all = sandbox.trafft.customers();
        let there: BTreeSet<i64> = all.iter().map(|customer| customer.id).collect();
        for customer in all {
            let knows = |group: &Group| group.knows(customer.email.as_deref(), customer.phone_number.as_deref());
            let known = match self.customers.get_mut(&customer.id) {
                Some(known) => known,
                None => {
                    let Some(group) = groups.iter().position(knows) else { continue };
                    let (ever, lately, writers) = (Ever::default(), Ever::default(), BTreeSet::new());
                    let now = Customer { id: customer.id, ..Customer::default() };
                    let known = Known { group, ever, lately, now, is_new: true, writers };
                    self.customers.entry(customer.id).or_insert(known)
                }
            };
            if is_quiet {
                known.lately = Ever::default();
                known.is_new = false;
            }
            if known.now == customer && !is_quiet {
                continue;
            }
            known.ever.holds(&customer);
            known.lately.holds(&customer);
            known.lately.holds_shown(&sandbox.trafft.shown(customer.id).unwrap_or_default());
            known.now = customer;
        }
        self.customers.retain(|id, _| there.contains(id));
    }

    fn created(&mut self, groups: &mut [Group], entry: &Entry) {
        let body = entry.body.clone().unwrap_or_default();
        let Some(group) = groups.iter_mut().find(|group| group.knows(body["email"].as_str(), body["phone"].as_str()))
        else {
            return;
        };
        if candidates(group, &body, &stand_ins(&body)).is_empty() {
            group.wrong.push(format!("a customer that is no contact was created: {body}"));
        }
        let twice = self.customers.values().find(|known| {
            let same = |ours: &Value, theirs: &Option<String>| {
                ours.as_str().zip(theirs.as_deref()).is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
            };
            // Staff's edits are seen by the next pass only; what they make, by the next create.
            let is_staffs = group.staff.iter().any(|(id, _)| *id == known.now.id);
            let is_unseen = group.touched.contains(&known.now.id) || known.is_new && is_staffs;
            !is_unseen && (same(&body["email"], &known.now.email) || same(&body["phone"], &known.now.phone_number))
        });
        if let Some(Known { now, .. }) = twice {
            group.wrong.push(format!("created twice: {body}, beside {now:?}"));
        }
    }

    fn changed(&mut self, groups: &mut [Group], entry: &Entry) {
        let body = entry.body.clone().unwrap_or_default();
        let Some(known) = id(entry).and_then(|id| self.customers.get_mut(&id)) else { return };
        let group = &mut groups[known.group];
        group.written.insert(known.now.id);
        let of_it: BTreeSet<usize> = candidates(group, &body, &known.lately)
            .into_iter()
            .filter(|who| {
                let person = &group.people[*who].ever;
                ["email", "phone"].iter().any(|field| person.shares(&known.ever, field))
            })
            .collect();
        if of_it.is_empty() {
            let now = &known.now;
            group.wrong.push(format!("customer {} was overwritten without cause: {body}, it was {now:?}", now.id));
        }
        for field in FIELDS {
            known.ever.add(field, body[field].as_str());
            known.lately.add(field, body[field].as_str());
        }
        (known.now.email, known.now.phone_number) = (text(&body["email"]), text(&body["phone"]));
        known.writers = of_it;
    }

    fn deleted(&mut self, groups: &mut [Group], entry: &Entry) {
        let Some(known) = id(entry).and_then(|id| self.customers.get(&id)) else { return };
        let (id, group) = (known.now.id, &mut groups[known.group]);
        let gone = |person: &Person| person.gone || entry.at_ms < person.there_ms + JUST_NOW;
        let has_cause = known.writers.iter().any(|who| gone(&group.people[*who]));
        if group.staff.iter().any(|(staffs, _)| *staffs == id) {
            group.wrong.push(format!("staff's customer {id} was deleted"));
        } else if !has_cause && !known.writers.is_empty() {
            group.wrong.push(format!("customer {id} of a contact that is there was deleted"));
        }
        if entry.status == 204 {
            self.customers.remove(&id);
        }
    }
}

/// The contacts of which every value of a write is, or what the customer had before.
fn candidates(group: &Group, body: &Value, before: &Ever) -> BTreeSet<usize> {
    let words = body["description"].as_str().unwrap_or_default().split(|c: char| !c.is_alphanumeric());
    let is_word = |word: &&str| {
        ["note", "task", "visit"].iter().any(|kind| {
            word.strip_prefix(kind).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let words: Vec<&str> = words.filter(is_word).collect();
    let is_of = |person: &Person| {
        let values = FIELDS.iter().all(|field| {
            let value = body[*field].as_str().unwrap_or_default();
            // What GoHighLevel lacks clears nothing.
            !value.is_empty() && person.ever.has(field, value) || before.has(field, value)
        });
        values && words.iter().all(|word| person.ever.words.contains(*word))
    };
    (0..group.people.len()).filter(|who| is_of(&group.people[*who])).collect()
}

/// What stands in a new customer for what the contact lacks.
fn stand_ins(body: &Value) -> Ever {
    let mut ever = Ever::default();
    let local_part = body["email"].as_str().and_then(|email| email.split('@').next());
    ever.add("first_name", local_part);
    ever.add("email", None);
    ever.add("phone", None);
    for name in ["first_name", "last_name"] {
        ever.add(name, Some("-"));
    }
    ever
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn id(entry: &Entry) -> Option<i64> {
    entry.path.rsplit('/').next()?.parse().ok()
}
