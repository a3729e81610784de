//! From bytes to a stored event: verify, understand, accept. Reaches sync only through the dirty
//! mark in the store and a nudge.

mod event;
mod signature;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tracing::{Span, error, error_span, info, warn};

use crate::clock::Clock;
use crate::model::{ContactId, Deliveries, LocationId, Spell, Status};
use crate::store::{self, ContactKey, Inbox, IncomingEvent, Notice, Receipt, Source, Store};
use crate::sync::Nudge;

pub use event::Unreadable;
pub use signature::{HIGHLEVEL, Refusal, VerifiedWebhook, WebhookKeys, WorkflowKey, WorkflowSecrets};
use tally::Tally;

/// How this installation takes webhooks in.
#[derive(Debug, Clone)]
pub struct Rules {
    /// HighLevel's keys.
    pub keys: WebhookKeys,
    /// Only events of this app, if set.
    pub app: Option<String>,
    /// What workflow webhooks have to know.
    pub workflow: WorkflowSecrets,
    /// The location of an event that names none (only workflow documents may leave it out); none:
    /// such an event is refused.
    pub location: Option<LocationId>,
    /// Do requests wait for their event to be settled? Not with a deadline of 0.
    pub waits: bool,
}

/// The intake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake {
    rules: Arc<Rules>,
    /// An event of our own app was seen, in this process or before it.
    saw_own_app: Arc<AtomicBool>,
    /// Another app's events are refused.
    other_app: Arc<Spell>,
    tally: Arc<Tally>,
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
    /// A workflow's document that names no contact: 400.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// HighLevel signed it for another app, and none for ours has ever come: 429, since the mistake
    /// is probably ours.
    #[error(
        "the event was sent to another marketplace app, and no event of the app in `GHL_APP_ID` (or `GHL_CLIENT_ID`) has ever come: compare that setting with the id of your app at HighLevel; events are repeated for a while, so none is lost if it is mended soon"
    )]
    OtherApp,
    /// Not stored: 429, so that HighLevel tries again.
    #[error(transparent)]
    NotStored(#[from] store::Error),
}

/// The marketplace app that an event was sent to, compared with `GHL_APP_ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum App {
    Ours,
    Other,
    /// The event does not say, or the setting is not there.
    Unknown,
}

/// An event whose sender is known. Only [`Intake`] makes one, and it takes in nothing else.
#[derive(Debug)]
pub struct VerifiedEvent {
    event: IncomingEvent,
    app: App,
    /// The sender's own id for it, fit for the log.
    delivery: Option<String>,
}

impl VerifiedEvent {
    /// What every line of the log that belongs to this event has to name.
    pub fn span(&self) -> Span {
        let Self { event, delivery, .. } = self;
        let contact = event.contact().map(ContactId::as_str);
        error_span!(
            parent: None,
            "webhook",
            webhook.id = delivery, event.id = event.id, location.id = %event.location, contact.id = contact
        )
    }
}

/// An event that was taken in, and the notice that tells when it is settled.
#[derive(Debug)]
pub struct PendingAnswer {
    /// What became of it at the door.
    pub accepted: Receipt,
    /// GHL's name for it, if we act on it; else what it is counted as.
    pub kind: &'static str,
    /// Resolves when it was settled, if anybody waits for that.
    pub notice: Option<Notice>,
    /// The contact that it names.
    pub contact: Option<ContactId>,
    /// Stored just now: until the event is worked, its row holds nothing that is not here.
    pub is_new: bool,
}

impl Intake {
    /// Nothing here does anything until a webhook comes.
    pub fn new(rules: Rules, store: Store, inbox: Inbox, nudge: Nudge, clock: Clock) -> Self {
        let saw_own_app = Arc::default();
        let other_app = Arc::default();
        let tally = Arc::default();
        Self { rules: Arc::new(rules), saw_own_app, other_app, tally, store, inbox, nudge, clock }
    }

    /// The event that a webhook of a marketplace app tells of.
    ///
    /// # Errors
    /// It was not believed.
    pub fn marketplace<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: Vec<u8>,
    ) -> Result<VerifiedEvent, Error> {
        let webhook = signature::verify(header, body, &self.rules.keys)?;
        Ok(event::marketplace(webhook, &self.rules, self.clock.now()))
    }

    /// The event that a webhook action of a GHL workflow tells of.
    ///
    /// # Errors
    /// It was not believed, or not understood.
    pub fn workflow<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: Vec<u8>,
    ) -> Result<VerifiedEvent, Error> {
        let webhook = signature::verify_workflow(header, body, &self.rules.workflow)?;
        let delivery = webhook.delivery.as_deref().map(event::printable);
        let event = event::workflow(webhook, &self.rules, self.clock.now())?;
        Ok(VerifiedEvent { event, app: App::Unknown, delivery })
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
    pub async fn operator(&self, contact: ContactKey) -> Result<PendingAnswer, Error> {
        let event = event::operator(contact, self.clock.now());
        self.accept(VerifiedEvent { event, app: App::Unknown, delivery: None }).await
    }

    /// A person sends an event round again. `None`: there is no such event.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn replay(&self, event: &str) -> Result<Option<PendingAnswer>, Error> {
        let notice = self.rules.waits.then(|| self.store.notice(event, None));
        let replayed = self.store.replay(event, self.clock.now()).await?;
        Ok(replayed.map(|(location, accepted)| {
            self.nudge.now(&location);
            PendingAnswer { accepted, kind: "other", notice, contact: None, is_new: false }
        }))
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// It was not stored, or is for another app while none for ours has ever come.
    pub async fn accept(&self, believed: VerifiedEvent) -> Result<PendingAnswer, Error> {
        let is_delivery = believed.event.source == Source::Marketplace;
        let key = is_delivery.then(|| believed.event.delivery_key.clone());
        let admitted = self.take_in(believed).await;
        if let Some(key) = key {
            self.tally.note(key, admitted.as_ref().ok().map(|admitted| admitted.accepted.status));
        }
        admitted
    }

    async fn take_in(&self, VerifiedEvent { event, app, .. }: VerifiedEvent) -> Result<PendingAnswer, Error> {
        let kind = match app {
            App::Other if !self.was_own_app_seen().await? => {
                self.note_other_app(&event.location).await;
                return Err(Error::OtherApp);
            }
            App::Other => event::OTHER_APP,
            App::Ours | App::Unknown => event::label(&event.kind),
        };
        let contact = event.contact().cloned();
        let key = || contact.clone().map(|contact| ContactKey { location: event.location.clone(), contact });
        // Registered before the commit, so that a settle right after the commit finds the notice.
        let notice = self.rules.waits.then(|| self.store.notice(&event.id, key()));
        let accepted = self.inbox.accept(event).await?;
        if accepted.status == Status::Applied {
            self.nudge.connections();
        }
        if app == App::Ours {
            self.see_own_app().await;
        }
        let is_new = accepted.status != Status::Duplicate;
        Ok(PendingAnswer { accepted, kind, notice, contact, is_new })
    }

    /// How deliveries were answered in the past three days.
    ///
    /// # Errors
    /// The store's.
    pub async fn deliveries(&self) -> Result<Deliveries, store::Error> {
        let _whole = self.tally.handing_over.lock().await;
        let stored = self.store.deliveries(self.clock.now()).await?;
        let counted = self.tally.counted();
        Ok(Deliveries { accepted: stored.accepted + counted.accepted, refused: stored.refused + counted.refused })
    }

    /// Stores what was counted; if that fails, the count is kept for the next time. The log says
    /// once when too few are accepted.
    pub async fn store_tally(&self) {
        let handing_over = self.tally.handing_over.lock().await;
        let counted = self.tally.counted();
        if counted == Deliveries::default() {
            return;
        }
        if let Err(error) = self.store.add_deliveries(counted, self.clock.now()).await {
            if !error.tell_outage() {
                warn!(error = %error, "the count of deliveries could not be stored, trying again later: {error}");
            }
            return;
        }
        self.tally.stored(counted);
        drop(handing_over);
        let Ok(all) = self.store.deliveries(self.clock.now()).await else { return };
        match (all.are_too_few(), self.tally.is_told.swap(all.are_too_few(), Ordering::Relaxed)) {
            (true, false) => warn!(
                accepted = all.accepted,
                refused = all.refused,
                "of {} deliveries in three days only {} were accepted: HighLevel switches off an address that accepts fewer than 90 % of its deliveries; `doctor` says what to do",
                all.accepted + all.refused,
                all.accepted
            ),
            (false, true) => info!("enough deliveries are accepted again"),
            _ => {}
        }
    }

    /// Has an event of our own app ever come, here or to another process?
    async fn was_own_app_seen(&self) -> Result<bool, store::Error> {
        let Some(app) = &self.rules.app else { return Ok(true) };
        if !self.saw_own_app.load(Ordering::Relaxed) && self.store.was_app_seen(app).await? {
            self.saw_own_app.store(true, Ordering::Relaxed);
        }
        Ok(self.saw_own_app.load(Ordering::Relaxed))
    }

    /// Stores that events of this location are refused, so that its state shows it.
    async fn note_other_app(&self, location: &LocationId) {
        let Some(app) = &self.rules.app else { return };
        if self.other_app.came(Instant::now()) {
            error!(location.id = %location, "{}", Error::OtherApp);
        }
        if let Err(error) = self.store.refused_other_app(location, app, self.clock.now()).await
            && !error.tell_outage()
        {
            warn!(error = %error, "the refusal of another app's events could not be noted for location {location}: {error}");
        }
    }

    /// Remembers, once, that our app's events come. The event is stored already, so trouble here is
    /// tried again with the next.
    async fn see_own_app(&self) {
        let Some(app) = self.rules.app.as_ref().filter(|_| !self.saw_own_app.load(Ordering::Relaxed)) else { return };
        match self.store.saw_app(app, self.clock.now()).await {
            Ok(()) => self.saw_own_app.store(true, Ordering::Relaxed),
            Err(error) if error.tell_outage() => {}
            Err(error) => warn!(error = %error, "the app's first event could not be noted, trying later: {error}"),
        }
    }
}
