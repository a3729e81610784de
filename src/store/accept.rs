//! A batch of events stored in one transaction, with as few statements as it takes: known
//! deliveries are found, contacts marked, events inserted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use super::activities::{Belonging, Elsewhere, elsewhere};
use super::columns::{id, strip_nul};
use super::engine::{Ahead, Cell, Script, Text, soon};
use super::marks::{MARK, Mark, in_order};
use super::{Error, IncomingEvent, Receipt, Result, Signal, Store, Subject, Tx};
use crate::model::{Facets, Lane, LocationId, Status};

const ANY_LOCATION: &str = "SELECT location_id FROM connections LIMIT 1";
const INSTALLED: &str = "SELECT COUNT(*) FROM installs WHERE status <> 'uninstalled'
    AND (kind = 'company' OR kind = 'location' AND id = $1)";
pub(super) const CONNECTED: &str = "SELECT COUNT(*) FROM connections WHERE location_id = $1";
// Returns which of the locations are connected, and which of the deliveries are stored, as which
// event. A cross join, because SQLite then keeps the order of the tables: it looks up each
// delivery, however many events are stored.
pub(super) static KNOWN: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &["location", "delivery"],
        "SELECT location_id, delivery_key, id FROM given CROSS JOIN events
            WHERE location_id = given.location AND delivery_key = given.delivery
        UNION ALL SELECT location_id, NULL, NULL FROM connections WHERE location_id IN (SELECT location FROM given)",
    )
});
// An event takes `sequence` and `contact_since` from the mark just made: the contact's row stays
// locked until the transaction ends, so no other writer can have changed it.
const INSERT_NEW: &str =
    "INSERT INTO events (id, location_id, delivery_key, source, type, contact_id, object_id, facets, sequence,
        contact_since, sent_at, received_at, body, status, reason, due_at)
    SELECT given.id, given.location, given.delivery, given.source, given.type, given.contact, given.object,
        given.facets, contacts.sequence, COALESCE(contacts.known_since, 0), given.sent, given.received, given.body,
        given.status, given.reason, given.due
    FROM given LEFT JOIN contacts
        ON given.marked = 1 AND contacts.location_id = given.location AND contacts.contact_id = given.contact
    WHERE TRUE ON CONFLICT (location_id, delivery_key) DO NOTHING";
const NEW: &[&str] = &[
    "location", "id", "delivery", "source", "type", "contact", "object", "facets", "marked", "sent", "received",
    "body", "status", "reason", "due",
];
static INSERT: LazyLock<Text> = LazyLock::new(|| Text::new(NEW, INSERT_NEW));
// `RETURNING` tells which rows are stored, because a trigger may have dropped one silently. If this
// role may not see a row, the statement fails.
static INSERT_BESIDE: LazyLock<Text> = LazyLock::new(|| Text::new(NEW, &format!("{INSERT_NEW} RETURNING id")));

/// What makes a delivery recognisable: its location, and its key.
type Delivery<'a> = (&'a str, &'a str);

/// An event that is new, and the status that it starts with.
struct New<'a> {
    event: &'a IncomingEvent,
    status: Status,
    reason: Option<String>,
}

impl New<'_> {
    fn is_acted_on(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Unresolved)
    }

    /// The mark that the event makes, if it makes one.
    fn mark(&self) -> Option<Mark<'_>> {
        match &self.event.subject {
            Subject::Contact { id, facets, deleted, .. } if self.is_acted_on() => Some(Mark {
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

    /// The object that the event says is its contact's.
    fn belonging(&self) -> Option<Belonging<'_>> {
        match &self.event.subject {
            Subject::Contact { id, object: Some((facet, object)), .. } if self.is_acted_on() => {
                Some((self.event.location.as_str(), *facet, object, id.as_str()))
            }
            _ => None,
        }
    }

    /// As the statement takes it.
    fn row(&self) -> [Cell<'_>; 15] {
        let Self { event, status, reason } = self;
        let (contact, object, facets) = match &event.subject {
            Subject::Contact { id, facets, .. } => (Some(id.as_str()), None, *facets),
            Subject::Object { facet, id } => (None, Some(id.as_str()), Facets::from(*facet)),
            Subject::Installed { .. } | Subject::Uninstalled(_) | Subject::Updated(_) | Subject::Nothing(_) => {
                (None, None, Facets::NONE)
            }
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
            // The body of an ignored event is not used, and it may hold data of people that no
            // erasure would find, since it names no contact.
            Cell::from(if *status == Status::Ignored { "" } else { event.body.as_str() }),
            Cell::from(status.name()),
            Cell::from(reason.as_deref().map(strip_nul)),
            Cell::from((self.is_acted_on() && object.is_some()).then_some(received)),
        ]
    }
}

/// What [`KNOWN`] brings.
struct Known(Vec<(String, Option<String>, Option<String>)>);

impl Known {
    /// The locations that are connected.
    fn connected(&self) -> HashSet<&str> {
        self.0.iter().filter(|(_, key, _)| key.is_none()).map(|(location, ..)| location.as_str()).collect()
    }

    /// The deliveries that are stored already, each with the id of its event.
    fn deliveries(&self) -> HashMap<Delivery<'_>, &str> {
        let rows = self.0.iter();
        rows.filter_map(|(location, key, event)| Some(((location.as_str(), key.as_deref()?), event.as_deref()?)))
            .collect()
    }
}

impl Store {
    /// All of them or none; they are stored when the commit is on the disk. With PostgreSQL it is
    /// done, or given up, soon: the network may have gone away.
    pub(super) async fn accept_all(&self, events: &[IncomingEvent]) -> Result<(Vec<Receipt>, Ahead)> {
        match self.db.is_shared() {
            true => soon(self.accept_in_time(events)).await?,
            false => self.accept_in_time(events).await,
        }
    }

    async fn accept_in_time(&self, events: &[IncomingEvent]) -> Result<(Vec<Receipt>, Ahead)> {
        let mut tx = self.db.begin_first().await?;
        let known = self.known(&mut tx, events).await?;
        let connected = known.connected();
        let mut first = known.deliveries();
        let mut accepted = Vec::with_capacity(events.len());
        let mut new = Vec::with_capacity(events.len());
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
                None => {
                    let connected = connected.contains(event.location.as_str());
                    let is_awaited =
                        connected || event.may_wait || self.may_be_connected(&mut tx, &event.location).await?;
                    status(event, connected, is_awaited)
                }
            };
            accepted.push(Receipt { event: event.id.clone(), status, reason: reason.clone() });
            new.push(New { event, status, reason });
        }
        // Always in the same order: two processes that store the same deliveries must not wait for
        // each other in a circle.
        new.sort_by_cached_key(|new| (&new.event.location, new.event.contact(), &new.event.delivery_key));
        let belonging: Vec<_> = new.iter().filter_map(New::belonging).collect();
        let elsewhere = elsewhere(&belonging, self.db.dialect(), &mut *tx).await?;
        let commit = match self.db.is_shared() {
            true => self.store_beside(tx, events, &new, &elsewhere, &mut accepted).await?,
            false => self.store_alone(tx, &new, &elsewhere).await?,
        };
        // A write into a file that was deleted or moved does not count as stored.
        self.db.is_there()?;
        Ok((accepted, commit))
    }

    /// Without other writers (SQLite), in one round trip.
    async fn store_alone(&self, tx: Tx, new: &[New<'_>], elsewhere: &[Elsewhere]) -> Result<Ahead> {
        let marks = marks(new, elsewhere);
        let mut script = Script::new(new.len().max(marks.len()));
        let dialect = self.db.dialect();
        script.add(&MARK, marks.iter().map(Mark::row).collect(), dialect)?;
        script.add(&INSERT, new.iter().map(New::row).collect(), dialect)?;
        tx.commit_after(script).await
    }

    /// Stores them while other processes may store the same deliveries.
    async fn store_beside(
        &self,
        mut tx: Tx,
        events: &[IncomingEvent],
        new: &[New<'_>],
        elsewhere: &[Elsewhere],
        accepted: &mut [Receipt],
    ) -> Result<Ahead> {
        let stored = self.store_new(&mut tx, new, elsewhere).await?;
        if stored.len() < new.len() {
            // Another process stored one of these deliveries at the same moment. Its contact has a
            // mark too many, which costs one needless read.
            let known = self.known(&mut tx, events).await?;
            let first = known.deliveries();
            for (event, accepted) in events.iter().zip(accepted) {
                match delivery(event).and_then(|delivery| first.get(&delivery)) {
                    Some(first) if *first != accepted.event => *accepted = duplicate(first),
                    Some(_) => {}
                    None if accepted.status == Status::Duplicate || stored.contains(&accepted.event) => {}
                    None => return Err(Error::Swallowed("events")),
                }
            }
        }
        for location in locations(events) {
            self.signal(&mut tx, &Signal::Due(location.to_string())).await?;
        }
        tx.commit_ahead().await
    }

    /// Applies an event that changes something by itself. `None`: the event is about a contact, or
    /// about nothing.
    async fn apply(&self, tx: &mut Tx, event: &IncomingEvent) -> Result<Option<(Status, Option<String>)>> {
        let at = event.sent_at.unwrap_or(event.received_at);
        let (applied, otherwise) = match &event.subject {
            Subject::Installed { location, company } => (
                self.installed(tx, location, company.as_ref(), at).await?,
                "nothing to do: the tokens come with the browser that installs the app",
            ),
            // An event without a time can be an old one, sent again after the app was installed
            // again. HighLevel can tell: it refuses a new pair of tokens where the app is not
            // installed.
            Subject::Uninstalled(installer) if event.sent_at.is_none() => {
                if self.outdated(tx, installer, event.received_at).await? {
                    let reason = format!(
                        "`{}` without a time: HighLevel is asked for new tokens, and refuses them if the app is uninstalled",
                        event.kind
                    );
                    return Ok(Some((Status::Applied, Some(reason))));
                }
                (false, "no token of that install is stored, so HighLevel cannot be asked whether this is true")
            }
            Subject::Uninstalled(installer) => {
                (self.uninstalled(tx, installer, at).await?, "it is not installed here, or was installed again since")
            }
            Subject::Updated(installer) => {
                (self.outdated(tx, installer, event.received_at).await?, "no token of that install is stored to renew")
            }
            _ => return Ok(None),
        };
        Ok(Some(if applied {
            (Status::Applied, None)
        } else {
            (Status::Ignored, Some(format!("`{}`: {otherwise}", event.kind)))
        }))
    }

    /// Is there an install of the location, or an agency that may cover it?
    async fn may_be_connected(&self, tx: &mut Tx, location: &LocationId) -> Result<bool> {
        let installs: i64 = sqlx::query_scalar(INSTALLED).bind(location.as_str()).fetch_one(&mut **tx).await?;
        Ok(installs > 0)
    }

    async fn known(&self, tx: &mut Tx, events: &[IncomingEvent]) -> Result<Known> {
        let rows = events.iter();
        let rows = rows.map(|event| [Cell::from(event.location.as_str()), Cell::from(event.delivery_key.as_deref())]);
        let (statement, rows) = KNOWN.with(rows.collect(), self.db.dialect())?;
        Ok(Known(sqlx::query_as_with(statement, rows).fetch_all(&mut **tx).await?))
    }

    /// Marks their contacts and inserts them; returns the ids of those that are there now.
    async fn store_new(&self, tx: &mut Tx, new: &[New<'_>], elsewhere: &[Elsewhere]) -> Result<HashSet<String>> {
        self.mark_all(tx, &marks(new, elsewhere)).await?;
        if new.is_empty() {
            return Ok(HashSet::new());
        }
        let (statement, rows) = INSERT_BESIDE.with(new.iter().map(New::row).collect(), self.db.dialect())?;
        let stored: Vec<String> = sqlx::query_scalar_with(statement, rows).fetch_all(&mut **tx).await?;
        Ok(stored.into_iter().collect())
    }

    /// Stores an event as [`Store::accept_all`] does where other processes do the same, and takes
    /// it back.
    pub(super) async fn try_accepting(&self) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let location: Option<String> = sqlx::query_scalar(ANY_LOCATION).fetch_optional(&mut *tx).await?;
        if let Some(location) = location {
            let event = IncomingEvent::rehearsal(id("connections.location_id", location)?)?;
            let new = [New { event: &event, status: Status::Queued, reason: None }];
            if self.store_new(&mut tx, &new, &[]).await?.is_empty() {
                return Err(Error::Swallowed("events"));
            }
        }
        tx.roll_back().await
    }
}

/// The locations of the events, each once.
pub(super) fn locations(events: &[IncomingEvent]) -> BTreeSet<&LocationId> {
    events.iter().map(|event| &event.location).collect()
}

fn delivery(event: &IncomingEvent) -> Option<Delivery<'_>> {
    Some((event.location.as_str(), event.delivery_key.as_deref()?))
}

fn duplicate(first: &str) -> Receipt {
    Receipt { event: first.to_owned(), status: Status::Duplicate, reason: None }
}

/// The marks of the events, and of contacts that what they name may have moved away from.
fn marks<'n>(new: &'n [New<'_>], elsewhere: &'n [Elsewhere]) -> Vec<Mark<'n>> {
    let now = new.first().map(|new| new.event.received_at).unwrap_or_default();
    in_order(new.iter().filter_map(New::mark).chain(elsewhere.iter().map(|one| one.mark(Lane::Live, now))).collect())
}

/// The status that a new event starts with.
fn status(event: &IncomingEvent, connected: bool, is_awaited: bool) -> (Status, Option<String>) {
    let location = &event.location;
    match &event.subject {
        Subject::Nothing(reason) => (Status::Ignored, Some(reason.clone())),
        _ if !is_awaited => (
            Status::Ignored,
            Some(format!(
                "location `{location}` is not connected, and neither an install nor `GHL_APP_ID` says that it may be"
            )),
        ),
        _ if !connected => (
            Status::Parked,
            Some(format!("location `{location}` is not connected; it is kept until it is: see `connections list`")),
        ),
        Subject::Object { .. } => (Status::Unresolved, Some("the event does not name its contact".to_owned())),
        _ => (Status::Queued, None),
    }
}
