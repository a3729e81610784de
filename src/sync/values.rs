//! What GHL says about a contact, as the mapping's templates see it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::Value;

use super::custom::custom;
use super::locale::{Locale, day, day_and_time, instant};
use super::mapping::Mapping;
use super::text::{html_to_text, one_line, shorten, without_data};
use crate::clients::ghl::wire::{Appointment, Contact, CustomField, Note, Task};

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

const LONGEST_TITLE: usize = 120;
const LONGEST_NOTE: usize = 300;

/// The contact's own values, as templates and the filter see them.
pub(super) fn values(
    state: &State<'_>,
    locale: &Locale,
    mapping: &Mapping,
    now: Timestamp,
) -> (Value, Option<Timestamp>) {
    let contact = state.contact;
    let text = |field: &Option<String>| Value::from(one_line(field.as_deref().unwrap_or_default()));
    let limits = mapping.limits;
    let (coming, until) = coming(&state.appointments, locale, now);
    let written = written(&state.notes);
    let (open, completed): (Vec<_>, Vec<_>) = state.tasks.iter().partition(|task| task.completed != Some(true));
    let more = [
        ("tasks", open.len(), limits.tasks),
        ("completed_tasks", completed.len(), limits.completed_tasks),
        ("notes", written.len(), limits.notes),
        ("appointments", coming.len(), limits.appointments),
    ];
    let more = more.map(|(name, all, limit)| (name, all.saturating_sub(limit)));
    let deleted = state.deleted.map(|at| day(at, locale));
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
        ("tasks", tasks(open, locale, limits.tasks, false)),
        ("completed_tasks", tasks(completed, locale, limits.completed_tasks, true)),
        ("notes", notes(written, locale, limits.notes)),
        ("appointments", appointments(coming, locale, limits.appointments)),
        ("more", Value::from(BTreeMap::from(more))),
        ("deleted", Value::from(deleted.unwrap_or_default())),
    ]);
    (Value::from(values), until.filter(|_| limits.appointments > 0))
}

/// GHL stores tags in lower case, and compares them so (G §6.20).
fn tags(contact: &Contact) -> Vec<String> {
    let mut tags: Vec<_> = contact.tags.iter().map(|tag| one_line(tag).to_lowercase()).collect();
    tags.sort();
    tags.dedup();
    tags
}

fn tasks(tasks: Vec<&Task>, locale: &Locale, limit: usize, latest_first: bool) -> Value {
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (read(task.due_date.as_ref(), locale), task)).collect();
    tasks.sort_by_key(|(due, task)| (due.unwrap_or(Timestamp::MAX), task.id.clone()));
    if latest_first {
        tasks.reverse();
    }
    let shown = tasks.into_iter().take(limit).map(|(due, task)| {
        entry([
            ("id", task.id.to_string()),
            ("title", title(task.title.as_ref())),
            ("text", shorten(&html_to_text(task.body.as_deref().unwrap_or_default()), LONGEST_NOTE)),
            ("due", due.map(|at| day_and_time(at, locale)).unwrap_or_default()),
        ])
    });
    Value::from(shown.collect::<Vec<_>>())
}

/// The notes that say something, each with its title and text. An editor that was opened and left
/// makes `<p>&nbsp;</p>`.
fn written(notes: &[Note]) -> Vec<(&Note, String, String)> {
    let read = notes.iter().map(|note| {
        // What GHL itself made of the editor's HTML is nearer to what was written than what we can
        // make of it.
        let text =
            note.body_text.as_deref().map(without_data).map(|text| one_line(&text)).filter(|text| !text.is_empty());
        let text = text.unwrap_or_else(|| html_to_text(note.body.as_deref().unwrap_or_default()));
        (note, title(note.title.as_ref()), shorten(&text, LONGEST_NOTE))
    });
    read.filter(|(_, title, text)| !title.is_empty() || !text.is_empty()).collect()
}

fn notes(notes: Vec<(&Note, String, String)>, locale: &Locale, limit: usize) -> Value {
    let mut notes: Vec<_> = notes.into_iter().map(|note| (read(note.0.date_added.as_ref(), locale), note)).collect();
    notes.sort_by_key(|(added, (note, ..))| std::cmp::Reverse((*added, note.id.clone())));
    let shown = notes.into_iter().take(limit).map(|(added, (note, title, text))| {
        entry([
            ("id", note.id.to_string()),
            ("title", title),
            ("text", text),
            ("date", added.map(|at| day(at, locale)).unwrap_or_default()),
        ])
    });
    Value::from(shown.collect::<Vec<_>>())
}

/// The appointments to come, and when the first of them will have begun. One whose time cannot be
/// read is told last, without it.
fn coming<'a>(
    all: &'a [Appointment],
    locale: &Locale,
    now: Timestamp,
) -> (Vec<(Option<Timestamp>, &'a Appointment)>, Option<Timestamp>) {
    let standing = all.iter().filter(|one| one.deleted != Some(true) && !is_off(&status(one)));
    let mut coming: Vec<_> = standing.map(|one| (read(one.start_time.as_ref(), locale), one)).collect();
    coming.retain(|(start, _)| start.is_none_or(|start| start > now));
    coming.sort_by_key(|(start, one)| (start.unwrap_or(Timestamp::MAX), one.id.clone()));
    let until = coming.first().and_then(|(start, _)| *start);
    (coming, until)
}

fn appointments(coming: Vec<(Option<Timestamp>, &Appointment)>, locale: &Locale, limit: usize) -> Value {
    let shown = coming.into_iter().take(limit).map(|(start, one)| {
        entry([
            ("id", one.id.to_string()),
            ("title", title(one.title.as_ref())),
            ("status", one_line(&status(one))),
            ("start", start.map(|start| day_and_time(start, locale)).unwrap_or_default()),
        ])
    });
    Value::from(shown.collect::<Vec<_>>())
}

/// Under each key that HighLevel gives it (G §6.19).
fn status(one: &Appointment) -> String {
    [&one.appointment_status, &one.misspelt_status, &one.status]
        .into_iter()
        .flatten()
        .next()
        .cloned()
        .unwrap_or_default()
}

/// Nobody will come. States are compared without case, blanks, `-` and `_` (G §6.19).
fn is_off(status: &str) -> bool {
    let letters = status.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_'));
    let status: String = letters.flat_map(char::to_lowercase).collect();
    ["cancelled", "canceled", "invalid", "noshow", "deleted", "rejected"].contains(&status.as_str())
}

fn read(time: Option<&String>, locale: &Locale) -> Option<Timestamp> {
    instant(time?, locale)
}

fn entry<const N: usize>(fields: [(&'static str, String); N]) -> Value {
    Value::from(BTreeMap::from(fields))
}

/// Titles are plain text: what looks like markup there was typed.
fn title(title: Option<&String>) -> String {
    shorten(&one_line(title.map(String::as_str).unwrap_or_default()), LONGEST_TITLE)
}
