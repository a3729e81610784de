//! A batch of events stored in one transaction, with as few statements as it takes: known deliveries are found, contacts
//! marked, events inserted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use super::contacts::{Mark, mark_all};
use super::db::plain;
use super::rows::Texts;
use super::{Accept, Accepted, Error, Result, Signal, Store, Subject, Tx};
use crate::model::{Facets, Lane, Status};

pub(super) const CONNECTED: &str = "SELECT COUNT(*) FROM connections WHERE location_id = $1";
static WHICH_CONNECTED: LazyLock<Texts> =
    LazyLock::new(|| Texts::new("SELECT location_id FROM connections WHERE location_id IN (", "$1", ")"));
static DELIVERED: LazyLock<Texts> = LazyLock::new(|| {
    Texts::new(
        "SELECT location_id, delivery_key, id FROM events WHERE (location_id, delivery_key) IN (VALUES",
        "($1, $2)",
        ")",
    )
});
// The sequence is that of the mark just made: its row is ours until the transaction ends.
static INSERT: LazyLock<Texts> = LazyLock::new(|| {
    Texts::new(
        "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
            sent_at, received_at, body, status, reason, due_at)
        VALUES",
        "($1, $2, $3, $4, $5, $6, $7, $8,
            (SELECT sequence FROM contacts WHERE contacts.location_id = $2 AND contacts.contact_id = $9),
            $10, $11, $12, $13, $14, $15)",
        "ON CONFLICT (location_id, delivery_key) DO NOTHING",
    )
});

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

impl Store {
    /// All of them or none.
    pub(super) async fn accept_all(&self, events: &[Accept]) -> Result<Vec<Accepted>> {
        let mut tx = self.db.begin().await?;
        let locations: BTreeSet<&str> = events.iter().map(|event| event.location.as_str()).collect();
        let connected = connected(&mut tx, &locations).await?;
        let mut first = delivered(&mut tx, events).await?;
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            // The second of two in one batch is a duplicate of the first.
            if let Some(delivery) = delivery(event) {
                if first.contains_key(&delivery) {
                    continue;
                }
                first.insert(delivery, event.id.clone());
            }
            let (status, reason) = status(event, connected.contains(event.location.as_str()));
            new.push(New { event, status, reason });
        }
        // Always in the same order: two processes that store the same deliveries must not wait for each other in a circle.
        new.sort_by_cached_key(|new| (&new.event.location, new.event.contact(), &new.event.delivery_key));
        mark_all(&mut tx, &marks(&new)).await?;
        if insert(&mut tx, &new).await? < new.len() {
            // Another process took a delivery in at this very moment; the mark costs one read too many.
            first.extend(delivered(&mut tx, events).await?);
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

async fn connected(tx: &mut Tx, locations: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    let (locations, mut connected): (Vec<_>, _) = (locations.iter().copied().collect(), BTreeSet::new());
    for (text, locations) in WHICH_CONNECTED.pieces(&locations) {
        let query = locations.iter().fold(sqlx::query_scalar(text), |query, location| query.bind(*location));
        connected.extend(query.fetch_all(&mut **tx).await?);
    }
    Ok(connected)
}

/// Which of the deliveries are stored, and as which events.
async fn delivered<'e>(tx: &mut Tx, events: &'e [Accept]) -> Result<HashMap<Delivery<'e>, String>> {
    let deliveries: Vec<_> = events.iter().filter_map(delivery).collect();
    let mut stored = HashMap::<(String, String), String>::new();
    for (text, deliveries) in DELIVERED.pieces(&deliveries) {
        let query = sqlx::query_as(text);
        let query = deliveries.iter().fold(query, |query, (location, key)| query.bind(*location).bind(key));
        let rows: Vec<(String, String, String)> = query.fetch_all(&mut **tx).await?;
        stored.extend(rows.into_iter().map(|(location, key, id)| ((location, key), id)));
    }
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
async fn insert(tx: &mut Tx, new: &[New<'_>]) -> Result<usize> {
    let mut inserted = 0;
    for (text, new) in INSERT.pieces(new) {
        let query = new.iter().fold(sqlx::query(text), |query, new| {
            let New { event, status, reason } = new;
            let (contact, object, facets) = match &event.subject {
                Subject::Contact { id, facets, .. } => (Some(id.as_str()), None, *facets),
                Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet)),
                Subject::Nothing(_) => (None, None, Facets::NONE),
            };
            let now = event.received_at.as_millisecond();
            query
                .bind(&event.id)
                .bind(event.location.as_str())
                .bind(event.delivery_key.as_deref().map(plain))
                .bind(event.source.name())
                .bind(plain(&event.kind))
                .bind(contact)
                .bind(object)
                .bind(facets.bits())
                .bind(contact.filter(|_| new.is_acted_on()))
                .bind(event.sent_at.map(|at| at.as_millisecond()))
                .bind(now)
                .bind(&event.body)
                .bind(status.name())
                .bind(reason.as_deref().map(plain))
                .bind((new.is_acted_on() && object.is_some()).then_some(now))
        });
        inserted += query.execute(&mut **tx).await?.rows_affected();
    }
    usize::try_from(inserted).map_err(|_| Error::Corrupt("more rows than were sent".to_owned()))
}

/// The status that a new event starts with.
fn status(event: &Accept, connected: bool) -> (Status, Option<String>) {
    let location = &event.location;
    match &event.subject {
        Subject::Nothing(reason) => (Status::Ignored, Some(reason.clone())),
        _ if !connected => {
            (Status::Parked, Some(format!("location `{location}` is not connected: check `GHL_LOCATION_ID`")))
        }
        _ if event.stale => (
            Status::Stale,
            Some("older than `FRESHNESS_SECONDS`, or from the future; its contact is read again".to_owned()),
        ),
        Subject::Object { .. } => (Status::Unresolved, Some("the event does not name its contact".to_owned())),
        _ => (Status::Queued, None),
    }
}
