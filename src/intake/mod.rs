//! From bytes to a stored event: verify, understand, accept. Reaches sync only through the dirty mark in the store
//! and a nudge.

mod event;
mod signature;

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::model::{ContactId, LocationId, Status};
use crate::store::{self, Accept, Accepted, ContactKey, Inbox, Notice, Store};
use crate::sync::Nudge;

pub use event::Unreadable;
pub use signature::{HIGHLEVEL, Refusal, VerifiedWebhook, WebhookKeys, WorkflowSecrets};

/// How this installation takes webhooks in.
#[derive(Debug, Clone)]
pub struct Rules {
    /// HighLevel's keys.
    pub keys: WebhookKeys,
    /// Only events of this app, if set.
    pub app: Option<String>,
    /// What workflow webhooks have to know.
    pub workflow: WorkflowSecrets,
    /// Older than this is stale; must exceed the 75 minutes that a retried delivery may take (G §8.6).
    pub freshness: Duration,
    /// Whose an event is that does not say (only workflow documents may leave it out); none: such an event is refused.
    pub location: Option<LocationId>,
    /// Does anybody wait for an event to be settled? With a deadline of 0, nobody does.
    pub waits: bool,
}

/// The intake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake {
    rules: std::sync::Arc<Rules>,
    store: Store,
    inbox: Inbox,
    nudge: Nudge,
    clock: Clock,
}

/// Why an event was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not believed: 401.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not understood: 400.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not stored: 429, so that HighLevel tries again.
    #[error(transparent)]
    NotStored(#[from] store::Error),
}

/// An event whose sender is known. Only [`Intake`] makes one, and it takes in nothing else.
#[derive(Debug)]
pub struct Believed(Accept);

/// An event at the door, and the notice of its settling.
#[derive(Debug)]
pub struct Admitted {
    /// What became of it at the door.
    pub accepted: Accepted,
    /// GHL's name for it, if we act on it; else `other`.
    pub kind: &'static str,
    /// Resolves when it was settled, if anybody waits for that.
    pub notice: Option<Notice>,
    /// The contact that it names.
    pub contact: Option<ContactId>,
    /// Stored just now: while nobody has worked on it, its row says nothing that is not here.
    pub is_new: bool,
}

impl Intake {
    /// Nothing here does anything until a webhook comes.
    pub fn new(rules: Rules, store: Store, inbox: Inbox, nudge: Nudge, clock: Clock) -> Self {
        Self { rules: std::sync::Arc::new(rules), store, inbox, nudge, clock }
    }

    /// The event that a webhook of a marketplace app tells of.
    ///
    /// # Errors
    /// It was not believed, or not understood.
    pub fn marketplace<'h>(&self, header: impl Fn(&str) -> Option<&'h str>, body: Vec<u8>) -> Result<Believed, Error> {
        let webhook = signature::verify(header, body, &self.rules.keys)?;
        event::marketplace(webhook, &self.rules, self.clock.now()).map(Believed)
    }

    /// The event that a webhook action of a GHL workflow tells of.
    ///
    /// # Errors
    /// It was not believed, or not understood.
    pub fn workflow<'h>(&self, header: impl Fn(&str) -> Option<&'h str>, body: Vec<u8>) -> Result<Believed, Error> {
        let webhook = signature::verify_workflow(header, body, &self.rules.workflow)?;
        event::workflow(webhook, &self.rules, self.clock.now()).map(Believed)
    }

    /// The location that is meant where none is named, if there is one.
    pub fn location(&self) -> Option<LocationId> {
        self.rules.location.clone()
    }

    /// Something of this location is due.
    pub fn nudge(&self, location: &LocationId) {
        self.nudge.now(location);
    }

    /// A person asks for a contact to be read whole.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn operator(&self, contact: ContactKey) -> Result<Admitted, Error> {
        self.accept(Believed(event::operator(contact, self.clock.now()))).await
    }

    /// A person sends an event round again. `None`: there is no such event.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn replay(&self, event: &str) -> Result<Option<Admitted>, Error> {
        let notice = self.rules.waits.then(|| self.store.notice(event, None));
        let replayed = self.store.replay(event, self.clock.now()).await?;
        Ok(replayed.map(|(location, accepted)| {
            self.nudge.now(&location);
            Admitted { accepted, kind: "other", notice, contact: None, is_new: false }
        }))
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn accept(&self, Believed(event): Believed) -> Result<Admitted, Error> {
        let (kind, contact) = (event::label(&event.kind), event.contact().cloned());
        let key = || contact.clone().map(|contact| ContactKey { location: event.location.clone(), contact });
        // Before the commit: a settle that comes right behind it finds the notice there.
        let notice = self.rules.waits.then(|| self.store.notice(&event.id, key()));
        let accepted = self.inbox.accept(event).await?;
        if accepted.status == Status::Applied {
            self.nudge.connections();
        }
        let is_new = accepted.status != Status::Duplicate;
        Ok(Admitted { accepted, kind, notice, contact, is_new })
    }
}

/// Too old, or further ahead than clocks go wrong.
fn is_stale(sent_at: Option<Timestamp>, now: Timestamp, freshness: Duration) -> bool {
    const SKEW: Duration = Duration::from_mins(5);
    // Differences, because sums of what a sender claims may lie beyond the end of time.
    let exceeds = |from: Timestamp, to: Timestamp, limit: Duration| {
        Duration::try_from(to.duration_since(from)).is_ok_and(|apart| apart > limit)
    };
    sent_at.is_some_and(|sent| exceeds(sent, now, freshness) || exceeds(now, sent, SKEW))
}
