//! A batch of events stored in one transaction, with as few statements as it takes: known deliveries are found, contacts
//! marked, events inserted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::json;

use super::contacts::Mark;
use super::db::plain;
use super::rows::{Text, given};
use super::{Accept, Accepted, Error, Result, Signal, Store, Subject, Tx};
use crate::model::{Facets, Lane, Status};

pub(super) const CONNECTED: &str = "SELECT COUNT(*) FROM connections WHERE location_id = $1";
static WHICH_CONNECTED: LazyLock<Text> = LazyLock::new(|| {
    Text::new("SELECT location_id FROM connections JOIN ROWS ON location_id = given.value ->> 'location'")
});
static DELIVERED: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        "SELECT location_id, delivery_key, events.id FROM ROWS JOIN events
            ON location_id = given.value ->> 'location' AND delivery_key = given.value ->> 'key'",
    )
});
// What it says of the contact is that of the mark just made: its row is ours until the transaction ends.
static INSERT: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
            contact_since, sent_at, received_at, body, status, reason, due_at)
        SELECT given.value ->> 'id', given.value ->> 'location', given.value ->> 'key', given.value ->> 'source',
            given.value ->> 'kind', given.value ->> 'contact', given.value ->> 'object',
            CAST(given.value ->> 'facets' AS BIGINT), contacts.sequence, COALESCE(contacts.known_since, 0),
            CAST(given.value ->> 'sent' AS BIGINT), CAST(given.value ->> 'received' AS BIGINT),
            given.value ->> 'body', given.value ->> 'status', given.value ->> 'reason',
            CAST(given.value ->> 'due' AS BIGINT)
        FROM ROWS LEFT JOIN contacts ON contacts.location_id = given.value ->> 'location'
            AND contacts.contact_id = given.value ->> 'marked'
        WHERE TRUE ON CONFLICT (location_id, delivery_key) DO NOTHING",
    )
});

/// A row of `events`, as the statement takes it.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    location: &'a str,
    key: Option<String>,
    source: &'static str,
    kind: String,
    contact: Option<&'a str>,
    object: Option<&'a str>,
    facets: i64,
    /// The contact again, if the event made a mark.
    marked: Option<&'a str>,
    sent: Option<i64>,
    received: i64,
    body: &'a str,
    status: &'static str,
    reason: Option<String>,
    due: Option<i64>,
}

/// What makes a delivery recognisable: its location, and its key as it is stored.
type Delivery<'a> = (&'a str, String);

/// An event that is new, and the status that it starts with.
struct New<'a> {
    event: &'a Accept,
    status: Status,
    reason: Option<String>,
}

impl New<'_> {
    fn is_acted_on(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Stale | Status::Unresolved)
    }

    /// The mark that the event makes, if it makes one.
    fn mark(&self) -> Option<Mark<'_>> {
        match &self.event.subject {
            Subject::Contact { id, facets, deleted } if self.is_acted_on() => Some(Mark {
                location: self.event.location.as_str(),
                contact: id.as_str(),
                facets: *facets,
                deleted: *deleted,
                lane: Lane::Live,
                now: self.event.received_at,
            }),
            _ => None,
        }
    }
}

impl<'a> From<&'a New<'_>> for Row<'a> {
    fn from(new: &'a New<'_>) -> Self {
        let New { event, status, reason } = new;
        let (contact, object, facets) = match &event.subject {
            Subject::Contact { id, facets, .. } => (Some(id.as_str()), None, *facets),
            Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet)),
            Subject::Installed { .. } | Subject::Uninstalled(_) | Subject::Nothing(_) => (None, None, Facets::NONE),
        };
        let received = event.received_at.as_millisecond();
        Self {
            id: &event.id,
            location: event.location.as_str(),
            key: event.delivery_key.as_deref().map(plain),
            source: event.source.name(),
            kind: plain(&event.kind),
            contact,
            object,
            facets: facets.bits(),
            marked: contact.filter(|_| new.is_acted_on()),
            sent: event.sent_at.map(|at| at.as_millisecond()),
            received,
            body: &event.body,
            status: status.name(),
            reason: reason.as_deref().map(plain),
            due: (new.is_acted_on() && object.is_some()).then_some(received),
        }
    }
}

impl Store {
    /// All of them or none.
    pub(super) async fn accept_all(&self, events: &[Accept]) -> Result<Vec<Accepted>> {
        let mut tx = self.db.begin_first().await?;
        let locations: BTreeSet<&str> = events.iter().map(|event| event.location.as_str()).collect();
        let connected = self.connected(&mut tx, &locations).await?;
        let mut first = self.delivered(&mut tx, events).await?;
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            // The second of two in one batch is a duplicate of the first.
            if let Some(delivery) = delivery(event) {
                if first.contains_key(&delivery) {
                    continue;
                }
                first.insert(delivery, event.id.clone());
            }
            let (status, reason) = match self.apply(&mut tx, event).await? {
                Some(applied) => applied,
                None => status(event, connected.contains(event.location.as_str())),
            };
            new.push(New { event, status, reason });
        }
        // Always in the same order: two processes that store the same deliveries must not wait for each other in a circle.
        new.sort_by_cached_key(|new| (&new.event.location, new.event.contact(), &new.event.delivery_key));
        self.mark_all(&mut tx, &marks(&new)).await?;
        if self.insert(&mut tx, &new).await? < new.len() {
            // Another process took a delivery in at this very moment; the mark costs one read too many.
            first.extend(self.delivered(&mut tx, events).await?);
        }
        for location in locations {
            self.signal(&mut tx, &Signal::Due(location.to_owned())).await?;
        }
        tx.commit().await?;
        // What went into a file that nobody will open again was not stored.
        self.db.is_there()?;
        let mut new: HashMap<_, _> = new.into_iter().map(|new| (&new.event.id, (new.status, new.reason))).collect();
        let accepted = |event: &Accept| {
            let id = delivery(event).and_then(|delivery| first.get(&delivery)).unwrap_or(&event.id);
            let known = if *id == event.id { new.remove(id) } else { None };
            let (status, reason) = known.unwrap_or((Status::Duplicate, None));
            Accepted { event: id.clone(), status, reason }
        };
        Ok(events.iter().map(accepted).collect())
    }

    /// What an event changes by itself. None: it is about a contact, or nothing.
    async fn apply(&self, tx: &mut Tx<'_>, event: &Accept) -> Result<Option<(Status, Option<String>)>> {
        let at = event.sent_at.unwrap_or(event.received_at);
        let (applied, otherwise) = match &event.subject {
            Subject::Installed { location, company } => (
                self.installed(tx, location, company.as_ref(), at).await?,
                "the browser that installs the app brings what is needed",
            ),
            Subject::Uninstalled(installer) => {
                (self.uninstalled(tx, installer, at).await?, "it is not installed here, or was installed again since")
            }
            _ => return Ok(None),
        };
        Ok(Some(if applied {
            (Status::Applied, None)
        } else {
            (Status::Ignored, Some(format!("`{}`: {otherwise}", event.kind)))
        }))
    }

    async fn connected(&self, tx: &mut Tx<'_>, locations: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
        let rows = given(locations.iter().map(|location| json!({ "location": location })));
        let query = sqlx::query_scalar(WHICH_CONNECTED.on(&self.db)).bind(rows);
        Ok(query.fetch_all(&mut **tx).await?.into_iter().collect())
    }

    /// Which of the deliveries are stored, and as which events.
    async fn delivered<'e>(&self, tx: &mut Tx<'_>, events: &'e [Accept]) -> Result<HashMap<Delivery<'e>, String>> {
        let deliveries: Vec<_> = events.iter().filter_map(delivery).collect();
        let rows = given(deliveries.iter().map(|(location, key)| json!({ "location": location, "key": key })));
        let query = sqlx::query_as(DELIVERED.on(&self.db)).bind(rows);
        let stored: Vec<(String, String, String)> = query.fetch_all(&mut **tx).await?;
        let stored: HashMap<_, _> = stored.into_iter().map(|(location, key, id)| ((location, key), id)).collect();
        if stored.is_empty() {
            return Ok(HashMap::new());
        }
        let known = |(location, key): Delivery<'e>| {
            let id = stored.get(&(location.to_owned(), key.clone()))?.clone();
            Some(((location, key), id))
        };
        Ok(deliveries.into_iter().filter_map(known).collect())
    }

    /// Returns how many were inserted.
    async fn insert(&self, tx: &mut Tx<'_>, new: &[New<'_>]) -> Result<usize> {
        let query = sqlx::query(INSERT.on(&self.db)).bind(given(new.iter().map(Row::from)));
        let inserted = query.execute(&mut **tx).await?.rows_affected();
        usize::try_from(inserted).map_err(|_| Error::Corrupt("more rows than were sent".to_owned()))
    }
}

fn delivery(event: &Accept) -> Option<Delivery<'_>> {
    Some((event.location.as_str(), plain(event.delivery_key.as_deref()?)))
}

/// One mark a contact, however many of the events are about it, in the order of locations and ids.
fn marks<'n>(new: &'n [New<'_>]) -> Vec<Mark<'n>> {
    let mut marks = BTreeMap::<_, Mark<'_>>::new();
    for mark in new.iter().filter_map(New::mark) {
        let whole = marks.entry((mark.location, mark.contact)).or_insert(mark);
        whole.facets = whole.facets.iter().chain(mark.facets.iter()).collect::<Facets>();
        whole.deleted |= mark.deleted;
    }
    marks.into_values().collect()
}

/// The status that a new event starts with.
fn status(event: &Accept, connected: bool) -> (Status, Option<String>) {
    let location = &event.location;
    match &event.subject {
        Subject::Nothing(reason) => (Status::Ignored, Some(reason.clone())),
        _ if !connected => (
            Status::Parked,
            Some(format!("location `{location}` is not connected; it is kept until it is: see `connections list`")),
        ),
        _ if event.stale => (
            Status::Stale,
            Some("older than `FRESHNESS_SECONDS`, or from the future; its contact is read again".to_owned()),
        ),
        Subject::Object { .. } => (Status::Unresolved, Some("the event does not name its contact".to_owned())),
        _ => (Status::Queued, None),
    }
}
