//! What an event is about: whether we act on it, and for which contact.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{App, Rules, VerifiedEvent, VerifiedWebhook};
use crate::clients::ghl::wire::{Envelope, WorkflowDocument};
use crate::clients::json;
use crate::model::{CompanyId, ContactId, Facet, Facets, Installer, LocationId, ObjectId};
use crate::store::{ContactKey, IncomingEvent, Source, Subject};

/// What an event is about.
#[derive(Clone, Copy)]
enum About {
    Contact,
    /// A contact that is gone.
    Gone,
    /// Something that belongs to a contact.
    Owned(Facet),
    Installed,
    Uninstalled,
    /// The account took a new version of the app.
    Updated,
}

/// The events that we act on (G §8.5).
const KINDS: &[(&str, About)] = &[
    ("ContactCreate", About::Contact),
    ("ContactUpdate", About::Contact),
    ("ContactDelete", About::Gone),
    ("ContactDndUpdate", About::Contact),
    ("ContactTagUpdate", About::Contact),
    ("TaskCreate", About::Owned(Facet::Tasks)),
    ("TaskComplete", About::Owned(Facet::Tasks)),
    ("TaskDelete", About::Owned(Facet::Tasks)),
    ("NoteCreate", About::Owned(Facet::Notes)),
    ("NoteUpdate", About::Owned(Facet::Notes)),
    ("NoteDelete", About::Owned(Facet::Notes)),
    ("AppointmentCreate", About::Owned(Facet::Appointments)),
    ("AppointmentUpdate", About::Owned(Facet::Appointments)),
    ("AppointmentDelete", About::Owned(Facet::Appointments)),
    ("INSTALL", About::Installed),
    ("UNINSTALL", About::Uninstalled),
    ("UPDATE", About::Updated),
];
/// Our own names.
const WORKFLOW: &str = "Workflow";
const SYNC: &str = "Sync";
const UNREADABLE: &str = "Unreadable";
/// What another app's events are counted as, whatever they are called.
pub(super) const OTHER_APP: &str = "OtherApp";

/// A workflow's webhook that its token or signature let in, and that does not say what to read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not a JSON object.
    #[error("the body is not a HighLevel document: {0}")]
    NotADocument(String),
    /// A workflow document without a contact.
    #[error("the body names no contact: send HighLevel's own webhook action, or a JSON object with `contact_id`")]
    NoContact,
    /// A workflow document without a location, and none in the settings.
    #[error("the body names no location: send HighLevel's own webhook action, or add `location_id` to the JSON object")]
    NoLocation,
}

/// For counting: one of [`KINDS`], one of our own names, or `other`.
pub(super) fn label(kind: &str) -> &'static str {
    let names = KINDS.iter().map(|(name, _)| *name).chain([WORKFLOW, SYNC, UNREADABLE]);
    names.into_iter().find(|known| *known == kind).unwrap_or("other")
}

/// Understands a marketplace event (G §8.4, §8.5), and tells whose app it was sent to. What
/// HighLevel signed is never refused for its content: it would come 12 times more, and count
/// against the URL (G §8.6).
pub(super) fn marketplace(webhook: VerifiedWebhook, rules: &Rules, now: Timestamp) -> VerifiedEvent {
    match parse::<Envelope>(&webhook.body) {
        Ok(event) => {
            let (accepted, app) = understood(&event, webhook.body, rules, now);
            VerifiedEvent { event: accepted, app, delivery: event.webhook_id.as_deref().map(printable) }
        }
        Err(what) => {
            let event = ignored(&Envelope::default(), UNREADABLE, &what, now);
            VerifiedEvent { event, app: App::Unknown, delivery: None }
        }
    }
}

fn ignored(event: &Envelope, kind: &str, reason: &str, now: Timestamp) -> IncomingEvent {
    let location = event.location_id.clone().unwrap_or_else(nowhere);
    accept(event, kind, location, Subject::Nothing(reason.to_owned()), now)
}

fn understood(event: &Envelope, body: Vec<u8>, rules: &Rules, now: Timestamp) -> (IncomingEvent, App) {
    let ignored = |kind: &str, reason: &str| ignored(event, kind, reason, now);
    let Some(kind) = &event.kind else {
        return (ignored(UNREADABLE, "it has no `type`"), App::Unknown);
    };
    // HighLevel's key signs for every app: the signature proves HighLevel, not our app.
    let app = match (&rules.app, &event.app_id) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            let reason = "it was sent to another marketplace app than `GHL_APP_ID`";
            return (ignored(kind, reason), App::Other);
        }
        (Some(_), Some(_)) => App::Ours,
        _ => App::Unknown,
    };
    let accepted = match (event.location_id.clone(), subject(kind, event, rules)) {
        (Some(location), subject) => accept(event, kind, location, subject, now),
        // Location events carry their location as `id`, company events carry none (G §8.4).
        (
            None,
            subject @ (Subject::Nothing(_) | Subject::Installed { .. } | Subject::Updated(_) | Subject::Uninstalled(_)),
        ) => {
            let other = [&event.id, &event.company_id].into_iter().flatten().find_map(|id| id.parse().ok());
            accept(event, kind, other.unwrap_or_else(nowhere), subject, now)
        }
        (None, _) => ignored(kind, "it has no usable `locationId`"),
    };
    (IncomingEvent { body: text(body), may_wait: rules.app.is_some(), ..accepted }, app)
}

/// An event without its body.
fn accept(event: &Envelope, kind: &str, location: LocationId, subject: Subject, now: Timestamp) -> IncomingEvent {
    let sent_at = event.timestamp.as_deref().and_then(|text| text.parse().ok());
    let appointment = event.appointment.as_ref();
    let mut about = vec![
        event.id.as_deref(),
        event.contact_id.as_ref().map(ContactId::as_str),
        appointment.and_then(|it| it.id.as_ref()).map(ObjectId::as_str),
        appointment.and_then(|it| it.contact_id.as_ref()).map(ContactId::as_str),
    ];
    // Once a setting is mended, or a newer version knows its type, a Resend of an ignored event is
    // no duplicate.
    if matches!(subject, Subject::Nothing(_)) {
        about.push(Some("ignored"));
    }
    IncomingEvent {
        id: Uuid::now_v7().to_string(),
        location,
        delivery_key: event.webhook_id.as_deref().and_then(|id| delivery_key(sent_at, ["ghl", id, kind], &about)),
        source: Source::Marketplace,
        kind: printable(kind),
        subject,
        may_wait: false,
        sent_at,
        received_at: now,
        body: String::new(),
    }
}

/// Understands a workflow's document (G §9). It does not say what changed, so everything is read
/// again, unless the user's own `customData` names the facet: `"facet": "tasks"`.
pub(super) fn workflow(webhook: VerifiedWebhook, rules: &Rules, now: Timestamp) -> Result<IncomingEvent, super::Error> {
    let document: WorkflowDocument = parse(&webhook.body).map_err(Unreadable::NotADocument)?;
    let contact = document.contact_id.ok_or(Unreadable::NoContact)?;
    let location = document.location_id.or_else(|| rules.location.clone()).ok_or(Unreadable::NoLocation)?;
    let named = document.custom_data.get("facet").and_then(|facet| facet.as_str());
    let facet = named.and_then(|named| Facet::ALL.into_iter().find(|facet| facet.name() == named));
    Ok(IncomingEvent {
        id: Uuid::now_v7().to_string(),
        location,
        delivery_key: webhook
            .delivery
            .as_deref()
            .and_then(|id| delivery_key(webhook.sent_at, ["workflow", id, WORKFLOW], &[Some(contact.as_str())])),
        source: Source::Workflow,
        kind: WORKFLOW.to_owned(),
        subject: Subject::Contact {
            id: contact,
            facets: facet.map_or(Facets::ALL, Facets::from),
            deleted: false,
            object: None,
        },
        may_wait: true,
        sent_at: webhook.sent_at,
        received_at: now,
        body: text(webhook.body),
    })
}

/// A person's wish, kept as an event like any other.
pub(super) fn operator(key: ContactKey, now: Timestamp) -> IncomingEvent {
    IncomingEvent {
        id: Uuid::now_v7().to_string(),
        location: key.location,
        delivery_key: None,
        source: Source::Operator,
        kind: SYNC.to_owned(),
        subject: Subject::Contact { id: key.contact, facets: Facets::ALL, deleted: false, object: None },
        may_wait: true,
        sent_at: None,
        received_at: now,
        body: "{}".to_owned(),
    }
}

fn subject(kind: &str, event: &Envelope, rules: &Rules) -> Subject {
    let contact = |deleted| {
        let id: ContactId = event.id.as_deref()?.parse().ok()?;
        Some(Subject::Contact { id, facets: Facet::Contact.into(), deleted, object: None })
    };
    let owned = |facet: Facet| {
        let inside = event.appointment.as_ref();
        let owner = inside.and_then(|one| one.contact_id.clone()).or_else(|| event.contact_id.clone());
        let object: Option<ObjectId> =
            inside.and_then(|one| one.id.clone()).or_else(|| event.id.as_deref()?.parse().ok());
        match (owner, object) {
            (Some(id), object) => {
                let object = object.map(|object| (facet, object));
                Some(Subject::Contact { id, facets: facet.into(), deleted: false, object })
            }
            (None, object) => object.map(|id| Subject::Object { facet, id }),
        }
    };
    let company = event.company_id.as_deref().and_then(|id| id.parse().ok());
    let Some((_, about)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Subject::Nothing(format!("`{}` is not acted on", printable(kind)));
    };
    let subject = match about {
        About::Contact => contact(false),
        About::Gone => contact(true),
        About::Owned(facet) => owned(*facet),
        // Every app's installs are signed with the same key.
        About::Installed | About::Uninstalled | About::Updated if rules.app.is_none() || event.app_id.is_none() => {
            return Subject::Nothing(
                "which app it is about is not known: set `GHL_CLIENT_ID` or `GHL_APP_ID`".to_owned(),
            );
        }
        About::Installed => match &event.location_id {
            Some(location) => Some(Subject::Installed { location: location.clone(), company }),
            // Tokens come with the browser, before this event or after it.
            None => {
                return Subject::Nothing(format!(
                    "`{kind}`: nothing to do: the tokens come with the browser that installs the app"
                ));
            }
        },
        About::Uninstalled => installer(event, company).map(Subject::Uninstalled),
        About::Updated => installer(event, company).map(Subject::Updated),
    };
    subject.unwrap_or_else(|| Subject::Nothing("the event holds no id that can be used".to_owned()))
}

/// Whose install it is about: the location's that it names, else the agency's.
fn installer(event: &Envelope, company: Option<CompanyId>) -> Option<Installer> {
    event.location_id.clone().map(Installer::Location).or_else(|| company.map(Installer::Company))
}

/// What is not UTF-8 is kept as far as it is: HighLevel signed it, so it may still say which
/// contact it is about.
fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Parses a JSON object, and tolerates some things that no parser accepts. On failure: what the
/// body is not, with the parser's line and column, and never the content.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).or_else(|error| {
        let read = json::read(body).and_then(|repaired| serde_json::from_value(repaired).ok());
        let what = if error.is_data() { "not a JSON object" } else { "not JSON" };
        read.ok_or_else(|| format!("{what}, line {}, column {}", error.line(), error.column()))
    })
}

/// What makes a second delivery of the same event recognisable. `of` is source, the sender's id for
/// it, and type; none: the sender gave no id. Type and subject are in it, because HighLevel does
/// not promise that two events never share an id.
///
/// The time comes first, so that new keys sort behind old ones and are stored beside each other.
fn delivery_key(sent_at: Option<Timestamp>, of: [&str; 3], about: &[Option<&str>]) -> Option<String> {
    if of[1].trim().is_empty() {
        return None;
    }
    let mut digest = Sha256::new();
    for part in of.into_iter().map(Some).chain(about.iter().copied()) {
        // With their lengths: no two lists of parts are written alike.
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        digest.update(part.unwrap_or_default());
    }
    let digest = digest.finalize();
    let at = sent_at.map_or(0, |at| at.as_millisecond());
    let short = digest.get(..16).map(|half| URL_SAFE_NO_PAD.encode(half))?;
    Some(format!("{at:013}:{short}"))
}

/// What a sender chose, fit for a line of the log.
pub(super) fn printable(kind: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    kind.chars().filter(plain).take(60).collect()
}

/// Where events are kept that belong to no location: `-` is nobody's id.
#[expect(clippy::expect_used, reason = "a literal")]
fn nowhere() -> LocationId {
    "-".parse().expect("an id")
}
