//! What an event is about: whether we act on it, and for which contact.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Refusal, Rules, VerifiedWebhook, is_stale};
use crate::clients::ghl::wire::{Envelope, WorkflowDocument};
use crate::model::{ContactId, Facet, Facets, Installer, LocationId, ObjectId};
use crate::store::{Accept, ContactKey, Source, Subject};

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
}

/// The events that we act on (G §8.5).
const KINDS: [(&str, About); 16] = [
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
];
/// Our own two names.
const WORKFLOW: &str = "Workflow";
const SYNC: &str = "Sync";

/// Verified, but no event.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not what an event looks like.
    #[error("the body is not a HighLevel event: {0}")]
    NotAnEvent(String),
    /// A workflow document without a contact.
    #[error("the body names no contact: send HighLevel's own webhook action, or a JSON object with `contact_id`")]
    NoContact,
    /// A workflow document without a location, and none in the settings.
    #[error("the body names no location: send HighLevel's own webhook action, or add `location_id` to the JSON object")]
    NoLocation,
}

/// For counting: one of [`KINDS`], or `other`.
pub(super) fn label(kind: &str) -> &'static str {
    let names = KINDS.iter().map(|(name, _)| *name).chain([WORKFLOW, SYNC]);
    names.into_iter().find(|known| *known == kind).unwrap_or("other")
}

/// Understands a marketplace event (G §8.4, §8.5).
pub(super) fn marketplace(webhook: VerifiedWebhook, rules: &Rules, now: Timestamp) -> Result<Accept, super::Error> {
    let body = text(webhook.body)?;
    let event: Envelope = parse(&body)?;
    let kind = event.kind.clone().ok_or_else(|| Unreadable::NotAnEvent("it has no `type`".to_owned()))?;
    // HighLevel's key signs for every app: the signature proves HighLevel, not our app.
    if let (Some(ours), Some(theirs)) = (&rules.app, &event.app_id)
        && ours != theirs
    {
        return Err(Refusal::OtherApp.into());
    }
    let subject = subject(&kind, &event, rules);
    let sent_at = event.timestamp.as_deref().and_then(|text| text.parse().ok());
    let (location, subject) = match (event.location_id.clone(), subject) {
        (Some(location), subject) => (location, subject),
        // Location events carry their location as `id`, company events carry none (G §8.4).
        (None, ignored @ (Subject::Nothing(_) | Subject::Installed { .. } | Subject::Uninstalled(_))) => {
            let other = [&event.id, &event.company_id].into_iter().flatten().find_map(|id| id.parse().ok());
            (other.unwrap_or_else(nowhere), ignored)
        }
        (None, _) => (nowhere(), Subject::Nothing("it has no usable `locationId`".to_owned())),
    };
    Ok(Accept {
        id: Uuid::now_v7().to_string(),
        location,
        delivery_key: event
            .webhook_id
            .as_deref()
            .and_then(|id| delivery_key("ghl", id))
            .map(|key| dated(sent_at, &key)),
        source: Source::Marketplace,
        kind: printable(&kind),
        subject,
        stale: is_stale(sent_at, now, rules.freshness),
        sent_at,
        received_at: now,
        body,
    })
}

/// Understands a workflow's document (G §9). It does not say what changed, so everything is read again, unless the
/// user's own `customData` names the facet: `"facet": "tasks"`.
pub(super) fn workflow(webhook: VerifiedWebhook, rules: &Rules, now: Timestamp) -> Result<Accept, super::Error> {
    let body = text(webhook.body)?;
    let document: WorkflowDocument = parse(&body)?;
    let contact = document.contact_id.ok_or(Unreadable::NoContact)?;
    let location = document.location_id.or_else(|| rules.location.clone()).ok_or(Unreadable::NoLocation)?;
    let named = document.custom_data.get("facet").and_then(|facet| facet.as_str());
    let facet = named.and_then(|named| Facet::ALL.into_iter().find(|facet| facet.name() == named));
    Ok(Accept {
        id: Uuid::now_v7().to_string(),
        location,
        delivery_key: webhook.delivery.as_deref().and_then(|id| delivery_key("workflow", id)),
        source: Source::Workflow,
        kind: WORKFLOW.to_owned(),
        subject: Subject::Contact { id: contact, facets: facet.map_or(Facets::ALL, Facets::from), deleted: false },
        stale: is_stale(webhook.sent_at, now, rules.freshness),
        sent_at: webhook.sent_at,
        received_at: now,
        body,
    })
}

/// A person's wish, kept as an event like any other.
pub(super) fn operator(key: ContactKey, now: Timestamp) -> Accept {
    Accept {
        id: Uuid::now_v7().to_string(),
        location: key.location,
        delivery_key: None,
        source: Source::Operator,
        kind: SYNC.to_owned(),
        subject: Subject::Contact { id: key.contact, facets: Facets::ALL, deleted: false },
        stale: false,
        sent_at: None,
        received_at: now,
        body: "{}".to_owned(),
    }
}

fn subject(kind: &str, event: &Envelope, rules: &Rules) -> Subject {
    let contact = |deleted| {
        let id: ContactId = event.id.as_deref()?.parse().ok()?;
        Some(Subject::Contact { id, facets: Facet::Contact.into(), deleted })
    };
    let owned = |facet: Facet| {
        let inside = event.appointment.as_ref();
        let owner = inside.and_then(|one| one.contact_id.clone()).or_else(|| event.contact_id.clone());
        let object: Option<ObjectId> =
            inside.and_then(|one| one.id.clone()).or_else(|| event.id.as_deref()?.parse().ok());
        match (owner, object) {
            (Some(id), _) => Some(Subject::Contact { id, facets: facet.into(), deleted: false }),
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
        About::Installed | About::Uninstalled if rules.app.is_none() || event.app_id.is_none() => {
            return Subject::Nothing(
                "whose app it is about is not known: set `GHL_CLIENT_ID` or `GHL_APP_ID`".to_owned(),
            );
        }
        About::Installed => match &event.location_id {
            Some(location) => Some(Subject::Installed { location: location.clone(), company }),
            // Tokens come with the browser, before this event or after it.
            None => {
                return Subject::Nothing(format!("`{kind}`: the browser that installs the app brings what is needed"));
            }
        },
        About::Uninstalled => match (&event.location_id, company) {
            (Some(location), _) => Some(Subject::Uninstalled(Installer::Location(location.clone()))),
            (None, company) => company.map(|company| Subject::Uninstalled(Installer::Company(company))),
        },
    };
    subject.unwrap_or_else(|| Subject::Nothing("it has no usable id".to_owned()))
}

fn text(body: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(body).map_err(|_| Unreadable::NotAnEvent("it is not UTF-8".to_owned()))
}

/// The parser's own words tell where, and never repeat what stands there.
fn parse<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Unreadable> {
    serde_json::from_str(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "not an object of the expected shape" } else { "not JSON" };
        Unreadable::NotAnEvent(format!("{what}, line {line}, column {column}"))
    })
}

/// Ids from outside, kept as they are while they are plain, as a digest otherwise. A blank one tells nothing apart.
fn delivery_key(source: &str, id: &str) -> Option<String> {
    if id.trim().is_empty() {
        None
    } else if id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some(format!("{source}:{id}"))
    } else {
        let digest: String = Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("{source}:sha256:{digest}"))
    }
}

/// What is delivered twice is the same message, with the same time. It goes first, so that new keys sort behind old ones and
/// are stored beside each other.
fn dated(sent_at: Option<Timestamp>, key: &str) -> String {
    format!("{:013}:{key}", sent_at.map_or(0, |at| at.as_millisecond()))
}

fn printable(kind: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    kind.chars().filter(plain).take(60).collect()
}

/// Where events are kept that belong to no location: `-` is nobody's id.
#[expect(clippy::expect_used, reason = "a literal")]
fn nowhere() -> LocationId {
    "-".parse().expect("an id")
}
