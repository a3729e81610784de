//! The contacts as they are now, and who can be found among them without looking at all: by e-mail,
//! phone and task.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::contact::Contact;

/// By what contacts are matched (G §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// The e-mail.
    Email,
    /// One of the further e-mails.
    Further,
    /// The phone.
    Phone,
}

/// What a contact is found by.
#[derive(PartialEq, Eq)]
struct Marks {
    matches: BTreeSet<(Mark, String)>,
    /// When its tasks were added.
    tasks: BTreeSet<i64>,
}

impl Marks {
    fn of(contact: &Contact) -> Self {
        let further = contact.fields.get("additionalEmails").and_then(Value::as_array).into_iter().flatten();
        let matches = further
            .filter_map(|item| item["email"].as_str().map(|email| (Mark::Further, email.to_ascii_lowercase())))
            .chain([
                (Mark::Email, contact.text("email").to_ascii_lowercase()),
                (Mark::Phone, contact.text("phone").to_owned()),
            ])
            .filter(|(_, text)| !text.is_empty())
            .collect();
        Self { matches, tasks: contact.tasks.iter().map(|task| task.added).collect() }
    }
}

type Matches = HashMap<(Mark, String), BTreeSet<(i64, String)>>;

/// What one location's contacts are found by.
#[derive(Default)]
struct Shelf {
    /// Who has it, the oldest first.
    matches: Matches,
    /// Contacts with tasks of that moment, the newest first.
    tasks: BTreeSet<(Reverse<i64>, String)>,
}

impl Shelf {
    fn add(&mut self, contact: &Contact, marks: Marks) {
        for key in marks.matches {
            self.matches.entry(key).or_default().insert((contact.added, contact.id.clone()));
        }
        self.tasks.extend(marks.tasks.into_iter().map(|at| (Reverse(at), contact.id.clone())));
    }

    fn take(&mut self, contact: &Contact, marks: Marks) {
        for key in marks.matches {
            if let Some(owners) = self.matches.get_mut(&key) {
                owners.remove(&(contact.added, contact.id.clone()));
                if owners.is_empty() {
                    self.matches.remove(&key);
                }
            }
        }
        for at in marks.tasks {
            self.tasks.remove(&(Reverse(at), contact.id.clone()));
        }
    }
}

/// All contacts of all locations.
#[derive(Default)]
pub(crate) struct Book {
    all: BTreeMap<String, Arc<Contact>>,
    shelves: HashMap<String, Shelf>,
}

impl Book {
    pub(crate) fn get(&self, id: &str) -> Option<&Contact> {
        self.all.get(id).map(Arc::as_ref)
    }

    /// The contact as it is now, to keep.
    pub(crate) fn shared(&self, id: &str) -> Option<Arc<Contact>> {
        self.all.get(id).cloned()
    }

    /// In the order of their ids.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Contact> {
        self.all.values().map(Arc::as_ref)
    }

    pub(crate) fn insert(&mut self, contact: Contact) {
        self.remove(&contact.id);
        self.shelves.entry(contact.location.clone()).or_default().add(&contact, Marks::of(&contact));
        self.all.insert(contact.id.clone(), Arc::new(contact));
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Contact> {
        let contact = self.all.remove(id)?;
        if let Some(shelf) = self.shelves.get_mut(&contact.location) {
            shelf.take(&contact, Marks::of(&contact));
        }
        Some(Arc::unwrap_or_clone(contact))
    }

    /// Changes one, whatever of it; `None` when there is none. Id, location and birth stay.
    pub(crate) fn edit<T>(&mut self, id: &str, change: impl FnOnce(&mut Contact) -> T) -> Option<T> {
        let contact = self.all.get_mut(id)?;
        let before = Marks::of(contact);
        let out = change(Arc::make_mut(contact));
        let after = Marks::of(contact);
        if before != after
            && let Some(shelf) = self.shelves.get_mut(&contact.location)
        {
            shelf.take(contact, before);
            shelf.add(contact, after);
        }
        Some(out)
    }

    /// The oldest contact of the location that has this e-mail or phone, besides `but`.
    pub(crate) fn owner(&self, location: &str, mark: Mark, text: &str, but: &str) -> Option<&str> {
        let text = if mark == Mark::Phone { text.to_owned() } else { text.to_ascii_lowercase() };
        let owners = self.shelves.get(location)?.matches.get(&(mark, text))?;
        owners.iter().map(|(_, id)| id.as_str()).find(|id| *id != but)
    }

    /// Moments at which contacts of the location were given tasks, the newest first, and to whom.
    pub(crate) fn tasked(&self, location: &str) -> impl Iterator<Item = (i64, &Contact)> {
        let moments = self.shelves.get(location).into_iter().flat_map(|shelf| &shelf.tasks);
        moments.filter_map(|(Reverse(at), id)| Some((*at, self.get(id)?)))
    }
}
