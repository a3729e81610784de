//! A batch of events stored in one transaction, with as few statements as it takes: known deliveries are found, contacts
//! marked, events inserted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use super::contacts::{MARK, Mark};
use super::db::plain;
use super::log::Ahead;
use super::rows::{Cell, Script, Text};
use super::{Accept, Accepted, Error, Result, Signal, Store, Subject, Tx};
use crate::model::{Facets, Lane, LocationId, Status};

pub(super) const CONNECTED: &str = "SELECT COUNT(*) FROM connections WHERE location_id = $1";
// Of each location, whether it is connected; of each delivery, as which event it is stored. A cross join, because SQLite keeps its
// order: each delivery is looked up, however many events there are.
pub(super) static KNOWN: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &["location", "delivery"],
        "SELECT location_id, delivery_key, id FROM given CROSS JOIN events
            WHERE location_id = given.location AND delivery_key = given.delivery
        UNION ALL SELECT location_id, NULL, NULL FROM connections WHERE location_id IN (SELECT location FROM given)",
    )
});
// What it says of the contact is that of the mark just made: its row is ours until the transaction ends.
static INSERT: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &[
            "location", "id", "delivery", "source", "type", "contact", "object", "facets", "marked", "sent",
            "received", "body", "status", "reason", "due",
        ],
        "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
            contact_since, sent_at, received_at, body, status, reason, due_at)
        SELECT given.id, given.location, given.delivery, given.source, given.type, given.contact, given.object,
            given.facets, contacts.sequence, COALESCE(contacts.known_since, 0), given.sent, given.received, given.body,
            given.status, given.reason, given.due
        FROM given LEFT JOIN contacts
            ON given.marked = 1 AND contacts.location_id = given.location AND contacts.contact_id = given.contact
        WHERE TRUE ON CONFLICT (location_id, delivery_key) DO NOTHING",
    )
});

/// What makes a delivery recognisable: its location, and its key.
type Delivery<'a> = (&'a str, &'a str);

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

    /// As the statement takes it.
    fn row(&self) -> [Cell<'_>; 15] {
        let Self { event, status, reason } = self;
        let (contact, object, facets) = match &event.subject {
            Subject::Contact { id, facets, .. } => (Some(id.as_str()), None, *facets),
            Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet)),
            Subject::Installed { .. } | Subject::Uninstalled(_) | Subject::Nothing(_) => (None, None, Facets::NONE),
        };
        let received = event.received_at.as_millisecond();
        [
            Cell::from(event.location.as_str()),
            Cell::from(event.id.as_str()),
            Cell::from(event.delivery_key.as_deref()),
            Cell::from(event.source.name()),
            Cell::from(event.kind.as_str()),
            Cell::from(contact),
            Cell::from(object),
            Cell::from(facets.bits()),
            Cell::from(i64::from(self.is_acted_on())),
            Cell::from(event.sent_at.map(|at| at.as_millisecond())),
            Cell::from(received),
            Cell::from(event.body.as_str()),
            Cell::from(status.name()),
            Cell::from(reason.as_deref().map(plain)),
            Cell::from((self.is_acted_on() && object.is_some()).then_some(received)),
        ]
    }
}

/// What [`KNOWN`] brings.
struct Known(Vec<(String, Option<String>, Option<String>)>);

impl Known {
    /// The locations that are.
    fn connected(&self) -> HashSet<&str> {
        self.0.iter().filter(|(_, key, _)| key.is_none()).map(|(location, ..)| location.as_str()).collect()
    }

    /// Those that are stored, and as which events.
    fn deliveries(&self) -> HashMap<Delivery<'_>, &str> {
        let rows = self.0.iter();
        rows.filter_map(|(location, key, event)| Some(((location.as_str(), key.as_deref()?), event.as_deref()?)))
            .collect()
    }
}

impl Store {
    /// All of them or none; they are stored when the commit is on the disk.
    pub(super) async fn accept_all(&self, events: &[Accept]) -> Result<(Vec<Accepted>, Ahead)> {
        let mut tx = self.db.begin_first().await?;
        let known = self.known(&mut tx, events).await?;
        let (connected, mut first) = (known.connected(), known.deliveries());
        let (mut accepted, mut new) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for event in events {
            // The second of two in one batch is a duplicate of the first.
            match delivery(event).map(|delivery| first.entry(delivery)) {
                Some(Entry::Occupied(first)) => {
                    accepted.push(duplicate(first.get()));
                    continue;
                }
                Some(Entry::Vacant(unknown)) => _ = unknown.insert(&event.id),
                None => {}
            }
            let (status, reason) = match self.apply(&mut tx, event).await? {
                Some(applied) => applied,
                None => status(event, connected.contains(event.location.as_str())),
            };
            accepted.push(Accepted { event: event.id.clone(), status, reason: reason.clone() });
            new.push(New { event, status, reason });
        }
        // Always in the same order: two processes that store the same deliveries must not wait for each other in a circle.
        new.sort_by_cached_key(|new| (&new.event.location, new.event.contact(), &new.event.delivery_key));
        let commit = match self.db.is_shared() {
            true => self.store_beside(tx, events, &new, &mut accepted).await?,
            false => self.store_alone(tx, &new).await?,
        };
        // What went into a file that nobody will open again was not stored.
        self.db.is_there()?;
        Ok((accepted, commit))
    }

    /// Where nobody else writes, with one round trip.
    async fn store_alone(&self, tx: Tx<'_>, new: &[New<'_>]) -> Result<Ahead> {
        let mut script = Script::new(new.len());
        script.add(&MARK, marks(new).iter().map(Mark::row).collect(), &self.db)?;
        script.add(&INSERT, new.iter().map(New::row).collect(), &self.db)?;
        tx.commit_after(script).await
    }

    /// Where other processes do the same.
    async fn store_beside(
        &self,
        mut tx: Tx<'_>,
        events: &[Accept],
        new: &[New<'_>],
        accepted: &mut [Accepted],
    ) -> Result<Ahead> {
        self.mark_all(&mut tx, &marks(new)).await?;
        if self.insert(&mut tx, new).await? < new.len() {
            // Another process took a delivery in at this very moment; the mark costs one read too many.
            let known = self.known(&mut tx, events).await?;
            let first = known.deliveries();
            for (event, accepted) in events.iter().zip(accepted) {
                if let Some(first) = delivery(event).and_then(|delivery| first.get(&delivery))
                    && *first != accepted.event
                {
                    *accepted = duplicate(first);
                }
            }
        }
        for location in locations(events) {
            self.signal(&mut tx, &Signal::Due(location.to_string())).await?;
        }
        tx.commit_ahead().await
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

    async fn known(&self, tx: &mut Tx<'_>, events: &[Accept]) -> Result<Known> {
        let rows = events.iter();
        let rows = rows.map(|event| [Cell::from(event.location.as_str()), Cell::from(event.delivery_key.as_deref())]);
        let (statement, rows) = KNOWN.with(rows.collect(), &self.db)?;
        Ok(Known(sqlx::query_as_with(statement, rows).fetch_all(&mut **tx).await?))
    }

    /// Returns how many were inserted.
    async fn insert(&self, tx: &mut Tx<'_>, new: &[New<'_>]) -> Result<usize> {
        if new.is_empty() {
            return Ok(0);
        }
        let (statement, rows) = INSERT.with(new.iter().map(New::row).collect(), &self.db)?;
        let inserted = sqlx::query_with(statement, rows).execute(&mut **tx).await?.rows_affected();
        usize::try_from(inserted).map_err(|_| Error::Corrupt("more rows than were sent".to_owned()))
    }
}

/// Those that the events are about, each once.
pub(super) fn locations(events: &[Accept]) -> BTreeSet<&LocationId> {
    events.iter().map(|event| &event.location).collect()
}

fn delivery(event: &Accept) -> Option<Delivery<'_>> {
    Some((event.location.as_str(), event.delivery_key.as_deref()?))
}

fn duplicate(first: &str) -> Accepted {
    Accepted { event: first.to_owned(), status: Status::Duplicate, reason: None }
}

/// One mark a contact, however many of the events are about it; they are in the order of locations and contacts.
fn marks<'n>(new: &'n [New<'_>]) -> Vec<Mark<'n>> {
    let mut marks = Vec::<Mark<'_>>::with_capacity(new.len());
    for mark in new.iter().filter_map(New::mark) {
        match marks.last_mut() {
            Some(last) if (last.location, last.contact) == (mark.location, mark.contact) => {
                last.facets = last.facets.iter().chain(mark.facets.iter()).collect::<Facets>();
                last.deleted |= mark.deleted;
            }
            _ => marks.push(mark),
        }
    }
    marks
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
