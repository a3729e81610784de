//! Many contacts at once: a location of some age, and a busy morning in it.

use serde_json::{Map, json};

use super::Ghl;
use super::contact::Contact;
use super::state::{State, new_id};

/// Digits that make a valid number after `+1415`.
const FIRST_NUMBER: u32 = 2_000_000;

impl State {
    /// One contact like no other; `events` tells whether anybody hears of it. `None`: no such
    /// location.
    fn seed_contact(&mut self, now: i64, location: &str, events: bool) -> Option<String> {
        const FIRST: [&str; 10] =
            ["Ada", "Blaise", "Chien", "Dorothy", "Emmy", "Fatima", "Grace", "Hedy", "Ines", "Jordan"];
        const LAST: [&str; 10] =
            ["Alvarez", "Brandt", "Chow", "Dubois", "Eze", "Fischer", "Gupta", "Haddad", "Ivanova", "Jensen"];
        self.made += 1;
        let number = self.made;
        let pick = |names: [&'static str; 10], at: u32| names[usize::try_from(at % 10).unwrap_or(0)];
        let mut contact = Contact::new(new_id(), self.locations.get(location)?, now);
        for (key, text) in [
            ("firstName", pick(FIRST, number).to_owned()),
            ("lastName", format!("{} {number}", pick(LAST, number / 10))),
            ("email", format!("contact{number}@example.com")),
            ("phone", format!("+1415{}", FIRST_NUMBER + number)),
        ] {
            contact.fields.insert(key.to_owned(), json!(text));
        }
        let (id, event) = (contact.id.clone(), events.then(|| contact.as_event()));
        self.put(now, contact);
        if let Some(event) = event {
            self.emit(now, "ContactCreate", Some(&id), event);
        }
        Some(id)
    }
}

/// # Panics
/// When there is no such location, or no such contact.
impl Ghl {
    /// So many contacts, no two alike in name, e-mail or phone; without `events` nobody is told.
    /// Their ids, in order.
    #[track_caller]
    pub fn seed_contacts(&self, location: &str, count: usize, events: bool) -> Vec<String> {
        let made: Option<Vec<String>> =
            (0..count).map(|_| self.0.change(|state, now| state.seed_contact(now, location, events))).collect();
        super::person::there(made.is_some(), "location", location);
        made.unwrap_or_default()
    }

    /// Gives each of them a last name that nobody had before: one `ContactUpdate` each.
    #[track_caller]
    pub fn touch_contacts<T: AsRef<str>>(&self, ids: &[T]) {
        for id in ids {
            let found = self.0.change(|state, now| {
                state.made += 1;
                let changes = Map::from_iter([("lastName".to_owned(), json!(format!("Touched {}", state.made)))]);
                state.edit_contact(now, id.as_ref(), &changes)
            });
            super::person::there(found, "contact", id.as_ref());
        }
    }
}
