//! What search sees: the contacts as they were a while ago (G §6.6), in the order of their dates.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::contact::Contact;
use crate::ordered::Ordered;

/// Sightings are kept at least so long, in case the lag is raised.
const KEPT_MS: i64 = 60_000;

/// A contact as it was from that moment on; `None` once it was deleted.
struct Sighting {
    at: i64,
    contact: Option<Arc<Contact>>,
}

/// A date and an id: the order of a search by that date.
pub(crate) type Place = (i64, String);

/// The published contacts of one location.
#[derive(Default)]
pub(crate) struct Shelf {
    by_added: Ordered<Place>,
    by_updated: Ordered<Place>,
}

impl Shelf {
    /// In the order of the named date; `lastActivity` is `dateUpdated` here.
    pub(crate) fn by(&self, date: &str) -> &Ordered<Place> {
        if date == "dateAdded" { &self.by_added } else { &self.by_updated }
    }
}

/// Remembers every change for a while, and publishes it when it is old enough.
pub(crate) struct Index {
    lag: i64,
    sightings: HashMap<String, Vec<Sighting>>,
    /// What is to be published, and when it happened.
    waiting: VecDeque<(i64, String)>,
    published: HashMap<String, Arc<Contact>>,
    shelves: HashMap<String, Shelf>,
    /// The lag was raised: what is published may be too new.
    stale: bool,
}

impl Index {
    pub(crate) fn new(lag: i64) -> Self {
        Self {
            lag,
            sightings: HashMap::new(),
            waiting: VecDeque::new(),
            published: HashMap::new(),
            shelves: HashMap::new(),
            stale: false,
        }
    }

    pub(crate) fn set_lag(&mut self, lag: i64) {
        self.stale |= lag > self.lag;
        self.lag = lag;
    }

    /// Remembers how the contact looks from now on.
    pub(crate) fn sight(&mut self, now: i64, id: &str, contact: Option<Arc<Contact>>) {
        let sightings = self.sightings.entry(id.to_owned()).or_default();
        match sightings.last_mut() {
            Some(last) if last.at == now => last.contact = contact,
            _ => sightings.push(Sighting { at: now, contact }),
        }
        let settled = now - self.lag.max(KEPT_MS);
        while sightings.len() > 1 && sightings[1].at <= settled {
            sightings.remove(0);
        }
        self.waiting.push_back((now, id.to_owned()));
    }

    /// Brings what search sees up to this moment.
    pub(crate) fn publish(&mut self, now: i64) {
        let visible = now - self.lag;
        if std::mem::take(&mut self.stale) {
            self.published.clear();
            self.shelves.clear();
            let mut all: Vec<(i64, String)> =
                self.sightings.iter().flat_map(|(id, all)| all.iter().map(|one| (one.at, id.clone()))).collect();
            all.sort();
            self.waiting = all.into();
        }
        while let Some((_, id)) = self.waiting.pop_front_if(|(at, _)| *at <= visible) {
            self.show(visible, &id);
        }
    }

    fn show(&mut self, visible: i64, id: &str) {
        let sightings = self.sightings.get(id).map(Vec::as_slice).unwrap_or_default();
        let Some(latest) = sightings.iter().rfind(|sighting| sighting.at <= visible) else {
            return;
        };
        let place = |date: i64| (date, id.to_owned());
        let before = self.published.remove(id);
        let after = latest.contact.clone();
        if let Some(shelf) = before.as_ref().and_then(|contact| self.shelves.get_mut(&contact.location)) {
            before.iter().for_each(|contact| shelf.by_updated.remove(&place(contact.updated)));
            // Born once: only a contact that is gone leaves this one.
            before.iter().filter(|_| after.is_none()).for_each(|contact| shelf.by_added.remove(&place(contact.added)));
        }
        if let Some(contact) = after {
            let shelf = self.shelves.entry(contact.location.clone()).or_default();
            shelf.by_added.insert(place(contact.added));
            shelf.by_updated.insert(place(contact.updated));
            self.published.insert(id.to_owned(), contact);
        }
    }

    /// A published contact.
    pub(crate) fn get(&self, id: &str) -> Option<&Contact> {
        self.published.get(id).map(Arc::as_ref)
    }

    /// The orders of a location that has published contacts, or had.
    pub(crate) fn shelf(&self, location: &str) -> Option<&Shelf> {
        self.shelves.get(location)
    }

    /// All published contacts of a location, in no order.
    pub(crate) fn of(&self, location: &str) -> impl Iterator<Item = &Contact> {
        self.published.values().map(Arc::as_ref).filter(move |contact| contact.location == location)
    }
}
