//! What a contact's GHL state should look like in Trafft. The one file that names both vendors' fields.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minijinja::Value;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::mapping::Mapping;
use super::text::{finish, one_line, plain, shorten};
use crate::clients::ghl::wire::{Appointment, Contact, CustomField, Note, Task};
use crate::clients::trafft::wire::{CustomerPatch, NewCustomer};
use crate::model::{EmailKey, Phone, Region};
use crate::store::Customer;

/// Where the contacts live: how to read times and numbers that do not say.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) zone: TimeZone,
    pub(super) region: Option<Region>,
}

/// Everything that GHL says about one contact.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) contact: &'a Contact,
    pub(super) definitions: &'a [CustomField],
    pub(super) tasks: Vec<Task>,
    pub(super) notes: Vec<Note>,
    pub(super) appointments: Vec<Appointment>,
    pub(super) deleted: Option<Timestamp>,
}

/// The customer as it should be. `None`: GHL has no value, Trafft keeps its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Projection {
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    /// Only where it is ours to write.
    pub(super) description: Option<String>,
    /// Names for a customer that has to be made of a contact without one.
    #[serde(skip)]
    stand_in: String,
    /// When the description, as it is, is no longer true.
    #[serde(skip)]
    pub(super) until: Option<Timestamp>,
    /// What GHL has and Trafft cannot take, in words.
    #[serde(skip)]
    pub(super) left_out: Vec<&'static str>,
}

/// Names and addresses longer than this are cut: no vendor says what it bears.
const LONGEST_NAME: usize = 255;
const LONGEST_TITLE: usize = 120;
const LONGEST_NOTE: usize = 300;

/// The contact's own values, as templates and the filter see them.
pub(super) fn values(
    state: &State<'_>,
    place: &Place,
    mapping: &Mapping,
    now: Timestamp,
) -> (Value, Option<Timestamp>) {
    let contact = state.contact;
    let text = |field: &Option<String>| Value::from(one_line(field.as_deref().unwrap_or_default()));
    let (appointments, until) = appointments(&state.appointments, place, mapping.limits.appointments, now);
    let (open, completed): (Vec<_>, Vec<_>) = state.tasks.iter().partition(|task| task.completed != Some(true));
    let deleted = state.deleted.map(|at| at.to_zoned_datetime(place.zone.clone()).date().to_string());
    let values: BTreeMap<&str, Value> = BTreeMap::from([
        ("id", Value::from(contact.id.as_str())),
        ("location_id", Value::from(contact.location_id.as_ref().map(|id| id.to_string()).unwrap_or_default())),
        ("first_name", text(&contact.first_name)),
        ("last_name", text(&contact.last_name)),
        ("name", text(&contact.name)),
        ("email", text(&contact.email)),
        ("phone", text(&contact.phone)),
        ("company", text(&contact.company_name)),
        ("address1", text(&contact.address1)),
        ("city", text(&contact.city)),
        ("state", text(&contact.state)),
        ("country", text(&contact.country)),
        ("postal_code", text(&contact.postal_code)),
        ("website", text(&contact.website)),
        ("timezone", text(&contact.timezone)),
        ("source", text(&contact.source)),
        ("type", text(&contact.kind)),
        ("date_of_birth", text(&contact.date_of_birth)),
        ("date_added", text(&contact.date_added)),
        ("assigned_to", text(&contact.assigned_to)),
        ("dnd", Value::from(contact.dnd.unwrap_or_default())),
        ("tags", Value::from(tags(contact))),
        ("custom", custom(contact, state.definitions)),
        ("tasks", tasks(open, place, mapping.limits.tasks, false)),
        ("completed_tasks", tasks(completed, place, mapping.limits.completed_tasks, true)),
        ("notes", notes(&state.notes, place, mapping.limits.notes)),
        ("appointments", appointments),
        ("deleted", Value::from(deleted.unwrap_or_default())),
    ]);
    (Value::from(values), until)
}

/// Renders the customer. `escape`: the description may be shown as HTML.
pub(super) fn project(
    mapping: &Mapping,
    (values, until): &(Value, Option<Timestamp>),
    place: &Place,
    escape: bool,
) -> Result<Projection, minijinja::Error> {
    let field = |name: &str| -> Result<Option<String>, minijinja::Error> {
        let text = shorten(&one_line(&mapping.render(name, values)?), LONGEST_NAME);
        Ok((!text.is_empty()).then_some(text))
    };
    let value = |name: &str| values.get_attr(name).ok().map(|value| value.to_string()).filter(|text| !text.is_empty());
    let (mut first_name, mut last_name) = (field("first_name")?, field("last_name")?);
    if let (None, None, Some(name)) = (&first_name, &last_name, value("name")) {
        let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
        (first_name, last_name) = (Some(first.to_owned()), (!last.is_empty()).then(|| last.to_owned()));
    }
    let (email, phone) = (field("email")?, field("phone")?);
    let mut left_out = Vec::new();
    let email = email.filter(|text| {
        EmailKey::new(text).is_some() || {
            left_out.push("the e-mail is no address");
            false
        }
    });
    let phone = phone.and_then(|text| {
        let phone = Phone::new(&text, place.region);
        if phone.is_none() {
            left_out.push("the phone is not a full number (see `PHONE_REGION`)");
        }
        phone.map(|phone| phone.to_string())
    });
    let local_part = email.as_deref().and_then(|email| email.split('@').next()).map(str::to_owned);
    Ok(Projection {
        first_name,
        last_name,
        stand_in: value("company").or(local_part).unwrap_or_else(|| "-".to_owned()),
        email,
        phone,
        description: Some(finish(&mapping.render("description", values)?, mapping.limits.max_length, escape)),
        until: *until,
        left_out,
    })
}

impl Projection {
    /// What identifies this state: equal fingerprints need no write.
    pub(super) fn fingerprint(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `first`, and what had to be left out of the projection.
    pub(super) fn explain(&self, first: &str) -> String {
        let parts = std::iter::once(first).chain(self.left_out.iter().copied()).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("; ")
    }

    /// The customer to create.
    pub(super) fn new_customer(&self) -> NewCustomer {
        let first = match (&self.first_name, &self.last_name) {
            (Some(first), _) => first.clone(),
            (None, Some(_)) => "-".to_owned(),
            (None, None) => self.stand_in.clone(),
        };
        NewCustomer {
            first_name: first,
            // Perhaps Trafft wants one (T §10); this is the last resort that the book names.
            last_name: self.last_name.clone().unwrap_or_else(|| "-".to_owned()),
            email: self.email.clone(),
            phone: self.phone.clone(),
            description: self.description.clone().filter(|text| !text.is_empty()),
        }
    }

    /// Does GHL have all four fields that a PATCH must carry (T §5.3)?
    pub(super) fn is_whole(&self) -> bool {
        [&self.first_name, &self.last_name, &self.email, &self.phone].iter().all(|field| field.is_some())
    }

    /// The update to send; what GHL lacks is `current`'s own value.
    pub(super) fn patch(&self, current: Option<&Customer>) -> CustomerPatch {
        let or = |ours: &Option<String>, theirs: fn(&Customer) -> &String| {
            ours.clone().or_else(|| current.map(|customer| theirs(customer).clone())).unwrap_or_default()
        };
        CustomerPatch {
            first_name: or(&self.first_name, |customer| &customer.first_name),
            last_name: or(&self.last_name, |customer| &customer.last_name),
            email: or(&self.email, |customer| &customer.email),
            phone: or(&self.phone, |customer| &customer.phone_number),
            description: self.description.clone(),
        }
    }

    /// Is Trafft's customer so already, as far as GHL has values? What Trafft never shows cannot be known to match.
    pub(super) fn matches(&self, customer: &Customer) -> bool {
        self.description.is_none() && self.shows_in(customer)
    }

    /// Is what Trafft shows of its customer as it should be?
    pub(super) fn shows_in(&self, customer: &Customer) -> bool {
        let same = |ours: &Option<String>, theirs: &str| ours.as_deref().is_none_or(|ours| ours == theirs);
        let theirs = customer.phone.as_ref().map(Phone::as_str);
        same(&self.first_name, &customer.first_name)
            && same(&self.last_name, &customer.last_name)
            && same(&self.email, &customer.email)
            && self.phone.as_deref().is_none_or(|ours| theirs == Some(ours))
    }
}

/// Stored in lower case and compared so (G §6.20).
fn tags(contact: &Contact) -> Vec<String> {
    let mut tags: Vec<_> = contact.tags.iter().map(|tag| one_line(tag).to_lowercase()).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// Custom fields by id, by key with and without its `contact.`, and by name.
fn custom(contact: &Contact, definitions: &[CustomField]) -> Value {
    let mut custom = BTreeMap::new();
    for field in &contact.custom_fields {
        let value = readable(&field.value);
        if let Some(definition) = definitions.iter().find(|definition| definition.id == field.id) {
            let key = definition.field_key.clone().unwrap_or_default();
            custom.insert(key.strip_prefix("contact.").unwrap_or(&key).to_owned(), value.clone());
            custom.insert(key, value.clone());
            custom.insert(definition.name.clone().unwrap_or_default(), value.clone());
        }
        custom.insert(field.id.clone(), value);
    }
    Value::from(custom)
}

/// A custom field's value as text; a list's parts with commas (G §8.5: string, number, array or object).
fn readable(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(""),
        serde_json::Value::String(text) => Value::from(one_line(text)),
        serde_json::Value::Array(parts) => {
            Value::from(parts.iter().map(|part| readable(part).to_string()).collect::<Vec<_>>().join(", "))
        }
        other => Value::from(one_line(&other.to_string())),
    }
}

fn tasks(mut tasks: Vec<&Task>, place: &Place, limit: usize, latest_first: bool) -> Value {
    tasks.sort_by_key(|task| (task.due_date.clone().unwrap_or_else(|| "9".to_owned()), task.id.clone()));
    if latest_first {
        tasks.reverse();
    }
    let shown = tasks.into_iter().take(limit).map(|task| {
        entry([
            ("id", task.id.to_string()),
            ("title", title(task.title.as_ref())),
            ("text", shorten(&plain(task.body.as_deref().unwrap_or_default()), LONGEST_NOTE)),
            (
                "due",
                task.due_date
                    .as_deref()
                    .and_then(|due| instant(due, place))
                    .map(|at| day_and_time(at, place))
                    .unwrap_or_default(),
            ),
        ])
    });
    Value::from(shown.collect::<Vec<_>>())
}

fn notes(notes: &[Note], place: &Place, limit: usize) -> Value {
    let mut notes: Vec<_> = notes.iter().collect();
    notes.sort_by_key(|note| std::cmp::Reverse((note.date_added.clone().unwrap_or_default(), note.id.clone())));
    let shown = notes.into_iter().take(limit).map(|note| {
        let day = |at: Timestamp| at.to_zoned_datetime(place.zone.clone()).date().to_string();
        entry([
            ("id", note.id.to_string()),
            ("title", title(note.title.as_ref())),
            ("text", shorten(&plain(note.body.as_deref().unwrap_or_default()), LONGEST_NOTE)),
            ("date", note.date_added.as_deref().and_then(|at| instant(at, place)).map(day).unwrap_or_default()),
        ])
    });
    Value::from(shown.collect::<Vec<_>>())
}

/// The next appointments, and when the first of them will have begun.
fn appointments(all: &[Appointment], place: &Place, limit: usize, now: Timestamp) -> (Value, Option<Timestamp>) {
    let status = |one: &Appointment| one.appointment_status.clone().or_else(|| one.status.clone()).unwrap_or_default();
    let mut next: Vec<_> = all
        .iter()
        .filter(|one| {
            !["cancelled", "canceled", "invalid", "noshow", "deleted"].contains(&status(one).to_lowercase().as_str())
        })
        .filter_map(|one| Some((instant(one.start_time.as_deref()?, place)?, one)))
        .filter(|(start, _)| *start > now)
        .collect();
    next.sort_by_key(|(start, one)| (*start, one.id.clone()));
    let until = next.first().map(|(start, _)| *start);
    let shown = next.into_iter().take(limit).map(|(start, one)| {
        entry([
            ("id", one.id.to_string()),
            ("title", title(one.title.as_ref())),
            ("status", one_line(&status(one))),
            ("start", day_and_time(start, place)),
        ])
    });
    (Value::from(shown.collect::<Vec<_>>()), until.filter(|_| limit > 0))
}

fn entry<const N: usize>(fields: [(&'static str, String); N]) -> Value {
    Value::from(BTreeMap::from(fields))
}

fn title(title: Option<&String>) -> String {
    shorten(&plain(title.map(String::as_str).unwrap_or_default()), LONGEST_TITLE)
}

/// A time as GHL gives it: with an offset, or in the location's own zone (G §6.19).
pub(super) fn instant(text: &str, place: &Place) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Some(place.zone.to_ambiguous_zoned_datetime(local).compatible().ok()?.timestamp())
    })
}

fn day_and_time(at: Timestamp, place: &Place) -> String {
    at.to_zoned_datetime(place.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
impl Projection {
    /// A projection with just these four; empty means none.
    pub(super) fn of(first: &str, last: &str, email: &str, phone: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            first_name: some(first),
            last_name: some(last),
            email: some(email),
            phone: some(phone),
            description: None,
            stand_in: "-".to_owned(),
            until: None,
            left_out: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mapping::VARIABLES;
    use super::*;

    fn place() -> Place {
        Place { zone: TimeZone::get("America/New_York").unwrap(), region: Region::new("US") }
    }

    fn shown(contact: serde_json::Value) -> (Value, Option<Timestamp>) {
        let contact: Contact = serde_json::from_value(contact).unwrap();
        let (tasks, notes, appointments) = (Vec::new(), Vec::new(), Vec::new());
        let state = State { contact: &contact, definitions: &[], tasks, notes, appointments, deleted: None };
        values(&state, &place(), &Mapping::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_contact_offers_what_templates_may_name() {
        let (values, _) = shown(json!({ "id": "c1" }));
        let mut offered: Vec<_> = values.try_iter().unwrap().map(|name| name.to_string()).collect();
        offered.push("loop".to_owned());
        offered.sort();
        let mut named = VARIABLES.to_vec();
        named.sort_unstable();
        assert_eq!(offered, named);
    }

    #[test]
    fn names_are_what_ghl_has_and_stand_ins_only_where_a_customer_is_made() {
        for (contact, has, made) in [
            (json!({ "firstName": "Ada", "lastName": "Example" }), (Some("Ada"), Some("Example")), ("Ada", "Example")),
            (json!({ "firstName": "Ada" }), (Some("Ada"), None), ("Ada", "-")),
            (json!({ "lastName": "Example" }), (None, Some("Example")), ("-", "Example")),
            (json!({ "name": "Ada King Noel" }), (Some("Ada"), Some("King Noel")), ("Ada", "King Noel")),
            (json!({ "name": "Ada" }), (Some("Ada"), None), ("Ada", "-")),
            (json!({ "companyName": "Example Ltd" }), (None, None), ("Example Ltd", "-")),
            (json!({ "email": "ada@example.com" }), (None, None), ("ada", "-")),
            (json!({ "firstName": " \u{202e}\t" }), (None, None), ("-", "-")),
        ] {
            let mut contact = contact;
            contact["id"] = json!("c1");
            let projection = project(&Mapping::default(), &shown(contact.clone()), &place(), true).unwrap();
            assert_eq!((projection.first_name.as_deref(), projection.last_name.as_deref()), has, "{contact}");
            let new = projection.new_customer();
            assert_eq!((new.first_name.as_str(), new.last_name.as_str()), made, "{contact}");
        }
    }
}
