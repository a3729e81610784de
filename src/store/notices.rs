//! Tells a waiting request that its event was settled, or that it will not be for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::ContactKey;
use crate::model::{ContactId, LocationId};

/// Resolves when the event was settled, or put off.
///
/// A request that waits asks for it *before* the event is committed, so that no settle can come in
/// between.
#[derive(Debug)]
pub struct Notice {
    event: String,
    told: oneshot::Receiver<Told>,
    notices: Notices,
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The event's row says how it ended, or why it was put off.
    InRow,
    /// Its contact is not even begun, for this reason; nothing is written down.
    NotBegun(String),
}

#[derive(Debug)]
struct Waiting {
    /// None: not known before the event is stored.
    contact: Option<ContactKey>,
    tell: oneshot::Sender<Told>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Notices(Arc<Mutex<HashMap<String, Waiting>>>);

impl Notices {
    pub(super) fn tell(&self, events: &[String]) {
        self.with(|waiting| {
            for event in events {
                if let Some(waiting) = waiting.remove(event) {
                    // An error means that the request has ended: its deadline has passed.
                    let _ = waiting.tell.send(Told::InRow);
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Waiting>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notice {
    /// Waits until there is something to tell.
    pub async fn told(&mut self) -> Told {
        (&mut self.told).await.unwrap_or(Told::InRow)
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.notices.with(|waiting| waiting.remove(&self.event));
    }
}

impl super::Store {
    /// A notice for an event that is about to be accepted or replayed.
    pub fn notice(&self, event: &str, contact: Option<ContactKey>) -> Notice {
        let (tell, told) = oneshot::channel();
        self.notices.with(|waiting| waiting.insert(event.to_owned(), Waiting { contact, tell }));
        Notice { event: event.to_owned(), told, notices: self.notices.clone() }
    }

    /// Nothing of this location is begun for now: tells those whose contact is not being worked
    /// already.
    pub fn tell_put_off(&self, location: &LocationId, reason: &str, is_worked: impl Fn(&ContactId) -> bool) {
        self.notices.with(|waiting| {
            let put_off = |_: &String, waiting: &mut Waiting| {
                waiting.contact.as_ref().is_some_and(|key| key.location == *location && !is_worked(&key.contact))
            };
            for (_, waiting) in waiting.extract_if(put_off) {
                let _ = waiting.tell.send(Told::NotBegun(reason.to_owned()));
            }
        });
    }
}
