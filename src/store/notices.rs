//! Tells a waiting request that its event was settled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Resolves when the event was settled, or put off with a reason: read its row then.
///
/// Whoever waits asks for it *before* the event is committed, so no settle can slip through in between.
#[derive(Debug)]
pub struct Notice {
    event: String,
    told: oneshot::Receiver<()>,
    notices: Notices,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Notices(Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>);

impl Notices {
    pub(super) fn subscribe(&self, event: &str) -> Notice {
        let (tell, told) = oneshot::channel();
        self.with(|waiting| waiting.insert(event.to_owned(), tell));
        Notice { event: event.to_owned(), told, notices: self.clone() }
    }

    pub(super) fn tell(&self, events: &[String]) {
        self.with(|waiting| {
            for event in events {
                if let Some(tell) = waiting.remove(event) {
                    // An error means that nobody waits any more: its deadline has passed.
                    let _ = tell.send(());
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, oneshot::Sender<()>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notice {
    /// Waits until the event was settled.
    pub async fn settled(&mut self) {
        let _ = (&mut self.told).await;
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.notices.with(|waiting| waiting.remove(&self.event));
    }
}

impl super::Store {
    /// A notice for an event that is about to be accepted or replayed.
    pub fn notice(&self, event: &str) -> Notice {
        self.notices.subscribe(event)
    }
}
