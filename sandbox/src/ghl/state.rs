//! What this GoHighLevel remembers: locations, tokens, contacts, the lagging search index, and
//! events not yet sent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::book::Book;
use super::breaker::Breaker;
use super::contact::{Activity, Contact, is_empty};
use super::events::Event;
use super::index::Index;
use super::limits::Limits;
use super::oauth::{App, Bearer, Installs, OAuthTokens};
use super::webhooks::{Delivered, WebhookSwitches};
use crate::clock;

pub(crate) const APP: &str = "6578278e879ad2646715ba9c";
pub(crate) const APP_VERSION: &str = "6578278e879ad2646715ba9d";
pub(crate) const COMPANY: &str = "tDtDnQdgm2LXpyiqYvZ6";
pub(crate) const HOME: &str = "ve9EPM428h8vShlRW1KT";
/// The admin who installs things.
pub(crate) const USER: &str = "y0BeYjuRIlDwsDcOHOJo";
/// What the app costs.
pub(crate) const PLAN: &str = "66a0419a0dffa47fb5f8b22f";

/// What a token may be used for; many hold the same ones.
pub(crate) type Scopes = Arc<[String]>;

/// Every scope of G §3.8 that some operation here asks for.
pub(crate) const SCOPES: [&str; 5] = [
    "contacts.readonly",
    "contacts.write",
    "locations.readonly",
    "locations/customFields.readonly",
    "locations/tasks.readonly",
];

/// The events an edit of these keys causes. Other keys move `dateUpdated` silently (G §8.5, #77).
const WATCHED: [&str; 19] = [
    "address1",
    "city",
    "state",
    "companyName",
    "country",
    "source",
    "dateOfBirth",
    "email",
    "firstName",
    "lastName",
    "phone",
    "postalCode",
    "tags",
    "website",
    "assignedTo",
    "customFields",
    "timezone",
    "additionalEmails",
    "businessId",
];

/// Keys of events that are there even when empty (G §8.5).
const ALWAYS: [&str; 2] = ["attachments", "whitelabelDetails"];

/// How a contact that is not there is refused (G §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotFound {
    /// 400 with a not-found text, as production code reports.
    #[default]
    BadRequest,
    /// 404 with the same text, as other code expects.
    NotFound,
}

/// Which field decides first when both could match another contact (G §6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchOrder {
    /// E-mail, then phone.
    #[default]
    EmailFirst,
    /// Phone, then e-mail.
    PhoneFirst,
}

pub(crate) struct CustomField {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) key: String,
}

pub(crate) struct Location {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) timezone: String,
    pub(crate) country: String,
    pub(crate) allow_duplicates: bool,
    /// Phones are kept as they were typed, not as E.164.
    pub(crate) phones_as_typed: bool,
    pub(crate) order: MatchOrder,
    pub(crate) custom_fields: Vec<CustomField>,
}

impl Location {
    pub(crate) fn new(id: &str, name: &str, timezone: &str, country: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            timezone: timezone.to_owned(),
            country: country.to_owned(),
            allow_duplicates: false,
            phones_as_typed: false,
            order: MatchOrder::default(),
            custom_fields: Vec::new(),
        }
    }

    pub(crate) fn custom_field_id(&self, key: &str) -> Option<String> {
        let bare = key.strip_prefix("contact.").unwrap_or(key);
        self.custom_fields.iter().find(|field| field.key == bare).map(|field| field.id.clone())
    }
}

pub(crate) struct Grant {
    pub(crate) location: String,
    pub(crate) scopes: Scopes,
}

pub(crate) struct State {
    pub(crate) locations: BTreeMap<String, Location>,
    /// Private integration tokens.
    pub(crate) tokens: HashMap<String, Grant>,
    pub(crate) app: App,
    pub(crate) installs: Installs,
    pub(crate) oauth_tokens: OAuthTokens,
    pub(crate) contacts: Book,
    /// Contacts that somebody deleted.
    pub(crate) deleted: HashMap<String, Contact>,
    pub(crate) index: Index,
    pub(crate) not_found: NotFound,
    pub(crate) task_id_key: &'static str,
    pub(crate) limits: Limits,
    pub(crate) queue: VecDeque<Event>,
    pub(crate) emitted: u32,
    /// Contacts made, and edits made, by the many.
    pub(crate) made: u32,
    pub(crate) switches: WebhookSwitches,
    pub(crate) webhook_url: Option<String>,
    pub(crate) deliveries: Vec<Delivered>,
    pub(crate) pending: usize,
    /// When those of the pending ones that wait for a repeat have it.
    pub(crate) repeats: Vec<i64>,
    /// Deliveries that never succeeded, and where they went, by the event's id.
    pub(crate) undelivered: HashMap<String, (Event, String)>,
    /// Those of them that somebody sends again by hand.
    pub(crate) resends: Vec<String>,
    pub(crate) breaker: Breaker,
}

impl State {
    pub(crate) fn new(home_token: &str, now: i64) -> Self {
        let home = Location::new(HOME, "Studio North", "America/New_York", "US");
        let mut state = Self {
            locations: BTreeMap::new(),
            tokens: HashMap::new(),
            app: App::new(),
            installs: Installs::default(),
            oauth_tokens: OAuthTokens::default(),
            contacts: Book::default(),
            deleted: HashMap::new(),
            index: Index::new(2000),
            not_found: NotFound::default(),
            task_id_key: "_id",
            limits: Limits::default(),
            queue: VecDeque::new(),
            emitted: 0,
            made: 0,
            switches: WebhookSwitches::default(),
            webhook_url: None,
            deliveries: Vec::new(),
            pending: 0,
            repeats: Vec::new(),
            undelivered: HashMap::new(),
            resends: Vec::new(),
            breaker: Breaker::new(now),
        };
        state.add_location(home, home_token);
        state
    }

    /// Each URL is judged by itself (G §8.6).
    pub(crate) fn set_webhook_url(&mut self, url: Option<String>, now: i64) {
        if url != self.webhook_url {
            self.breaker.switch_on(now);
            self.breaker.unsent = 0;
        }
        self.webhook_url = url;
    }

    pub(crate) fn add_location(&mut self, location: Location, token: &str) {
        let scopes = SCOPES.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>().into();
        self.tokens.insert(token.to_owned(), Grant { location: location.id.clone(), scopes });
        self.locations.insert(location.id.clone(), location);
    }

    /// What a bearer token is good for, of whichever kind it is (G §3).
    pub(crate) fn bearer(&self, token: &str, now: i64) -> Bearer {
        match self.tokens.get(token) {
            Some(grant) => Bearer::Location(grant.location.clone(), grant.scopes.clone()),
            None => self.oauth_tokens.bearer(token, now),
        }
    }

    /// The contact, if this location has it.
    pub(crate) fn contact(&self, location: &str, id: &str) -> Option<&Contact> {
        self.contacts.get(id).filter(|contact| contact.location == location)
    }

    pub(crate) fn create_contact(&mut self, now: i64, location: &str, fields: &Map<String, Value>) -> Option<String> {
        let location = self.locations.get(location)?;
        let mut contact = Contact::new(new_id(), location, now);
        contact.apply(fields, location);
        let (id, event) = (contact.id.clone(), contact.as_event());
        self.put(now, contact);
        self.emit(now, "ContactCreate", Some(&id), event);
        Some(id)
    }

    /// A new contact of which nobody is told.
    pub(crate) fn put(&mut self, now: i64, contact: Contact) {
        let id = contact.id.clone();
        self.contacts.insert(contact);
        self.sight(now, &id);
    }

    /// Changes a contact; false when there is none. An edit that changes nothing leaves no trace.
    pub(crate) fn edit_contact(&mut self, now: i64, id: &str, changes: &Map<String, Value>) -> bool {
        let Some(location) = self.contacts.get(id).and_then(|contact| self.locations.get(&contact.location)) else {
            return false;
        };
        let changed = self.contacts.edit(id, |contact| {
            let changed = contact.apply(changes, location);
            if !changed.is_empty() {
                contact.updated = now;
            }
            changed
        });
        let (Some(changed), Some(contact)) = (changed, self.contacts.get(id)) else {
            return false;
        };
        if changed.is_empty() {
            return true;
        }
        let event = contact.as_event();
        let dnd = contact.fields.get("dndSettings").cloned();
        self.sight(now, id);
        if changed.contains("tags") {
            self.emit(now, "ContactTagUpdate", Some(id), event.clone());
        }
        if changed.contains("dnd") || changed.contains("dndSettings") {
            let mut event = event.clone();
            event.insert("dndSettings".to_owned(), dnd.unwrap_or_else(|| json!({})));
            self.emit(now, "ContactDndUpdate", Some(id), event);
        }
        if changed.iter().any(|key| WATCHED.contains(&key.as_str())) {
            self.emit(now, "ContactUpdate", Some(id), event);
        }
        true
    }

    pub(crate) fn delete_contact(&mut self, now: i64, id: &str) -> bool {
        let Some(contact) = self.contacts.remove(id) else {
            return false;
        };
        self.sight(now, id);
        self.emit(now, "ContactDelete", Some(id), contact.as_event());
        self.deleted.insert(id.to_owned(), contact);
        true
    }

    /// A deleted contact is there again, as it was; false when there is none. Whether an event
    /// tells of it is not known (G §13): none does here.
    pub(crate) fn restore_contact(&mut self, now: i64, id: &str) -> bool {
        let Some(contact) = self.deleted.remove(id) else {
            return false;
        };
        self.put(now, contact);
        true
    }

    /// One id vanishes; what it had goes to the other, where that had nothing (G §13).
    pub(crate) fn merge_contacts(&mut self, now: i64, keep: &str, gone: &str) -> bool {
        if keep == gone || self.contacts.get(keep).is_none() {
            return false;
        }
        let Some(mut lost) = self.contacts.remove(gone) else {
            return false;
        };
        let inherited = self.contacts.edit(keep, |kept| {
            kept.tasks.append(&mut lost.tasks);
            kept.notes.append(&mut lost.notes);
            kept.appointments.append(&mut lost.appointments);
            let missing = lost.fields.iter().filter(|(key, _)| !kept.fields.contains_key(*key));
            missing.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<String, Value>>()
        });
        self.sight(now, gone);
        if !self.switches.silent_merge {
            self.emit(now, "ContactDelete", Some(gone), lost.as_event());
        }
        self.edit_contact(now, keep, &inherited.unwrap_or_default())
    }

    /// Remembers how the contact looks now, for a search that lags behind.
    fn sight(&mut self, now: i64, id: &str) {
        self.index.sight(now, id, self.contacts.shared(id));
    }

    /// Queues an event: flat, stamped, nothing empty (G §8.4).
    pub(crate) fn emit(&mut self, now: i64, kind: &str, contact: Option<&str>, fields: Map<String, Value>) {
        self.emitted += 1;
        let nth = self.switches.drop_every;
        if nth != 0 && self.emitted.is_multiple_of(nth) {
            return;
        }
        let webhook_id = Uuid::new_v4().to_string();
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(kind));
        body.extend(fields.into_iter().filter(|(key, value)| ALWAYS.contains(&key.as_str()) || !is_empty(value)));
        if kind == "TaskCreate" && self.switches.thin_task_create {
            body.remove("contactId");
            body.remove("body");
        }
        body.insert("timestamp".to_owned(), json!(clock::iso(now)));
        body.insert("webhookId".to_owned(), json!(webhook_id));
        body.insert("appId".to_owned(), json!(APP));
        body.insert("versionId".to_owned(), json!(APP_VERSION));
        self.queue.push_back(Event {
            location_id: body.get("locationId").and_then(Value::as_str).unwrap_or_default().to_owned(),
            contact_id: contact.map(str::to_owned),
            kind: kind.to_owned(),
            webhook_id,
            at_ms: now,
            body: Value::Object(body).to_string().into_bytes(),
        });
    }

    pub(crate) fn activity(&self, contact: &str, kind: super::activity::Sort, id: &str) -> Option<&Activity> {
        kind.of(self.contacts.get(contact)?).iter().find(|activity| activity.id == id)
    }
}

/// 20 letters and digits, as most GHL ids (G §2).
pub(crate) fn new_id() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = Uuid::new_v4().as_u128();
    let mut id = String::new();
    for _ in 0..20 {
        id.push(char::from(ALPHABET[usize::try_from(rest % 62).unwrap_or(0)]));
        rest /= 62;
    }
    id
}
