//! Events that go round again, and events whose contact has to be found first.

use jiff::Timestamp;
use sqlx::FromRow;

use super::accept::CONNECTED;
use super::columns::{corrupt, id, set_event_aside, strip_nul};
use super::marks::Mark;
use super::{Receipt, Result, Signal, Store};
use crate::model::{ContactId, Facet, Facets, Lane, LocationId, ObjectId, Status};

/// An event whose contact has to be found.
#[derive(Debug, Clone)]
pub struct Unresolved {
    /// The event.
    pub event: String,
    /// Whose it is.
    pub location: LocationId,
    /// Tasks, notes or appointments.
    pub facet: Facet,
    /// Which.
    pub object: ObjectId,
    /// How often it was looked for.
    pub attempt: i64,
}

#[derive(FromRow)]
struct Stored {
    location_id: String,
    contact_id: Option<String>,
    object_id: Option<String>,
    facets: i64,
    status: String,
}

const STORED: &str = "SELECT location_id, contact_id, object_id, facets, status FROM events WHERE id = $1";
const REQUEUE: &str =
    "UPDATE events SET contact_id = $2, sequence = $3, contact_since = $4, due_at = NULL, settled_at = NULL,
        status = 'queued', reason = NULL
    WHERE id = $1";
const REPLAY: &str =
    "UPDATE events SET sequence = $2, contact_since = $3, settled_at = NULL, status = 'queued', reason = NULL
    WHERE id = $1";
const LOOK_AGAIN: &str = "UPDATE events SET status = 'unresolved', attempt = 0, due_at = $2 WHERE id = $1";
const DUE_UNRESOLVED: &str = "SELECT id, facets, object_id, attempt FROM events
    WHERE location_id = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3";
// One that is given up keeps no body: it may hold data of a person, and no erasure would find it.
const LEAVE: &str = "UPDATE events SET reason = $2, due_at = $3, attempt = $4,
        body = CASE WHEN $3 IS NULL THEN '' ELSE body END WHERE id = $1";

impl Store {
    /// Sends a stored event round again: its contact is marked as it was then. `None`: no such
    /// event.
    pub async fn replay(&self, event: &str, now: Timestamp) -> Result<Option<(LocationId, Receipt)>> {
        let mut tx = self.db.begin().await?;
        let row = sqlx::query_as::<_, Stored>(STORED).bind(strip_nul(event)).fetch_optional(&mut *tx).await?;
        let Some(Stored { location_id: location, contact_id, object_id, facets, status }) = row else {
            return Ok(None);
        };
        let facets = Facets::from_bits(facets).ok_or_else(|| corrupt("events.facets", facets))?;
        let connected: i64 = sqlx::query_scalar(CONNECTED).bind(&location).fetch_one(&mut *tx).await?;
        let status = match (contact_id, object_id) {
            (Some(contact), _) if connected == 1 => {
                let mark =
                    Mark { location: &location, contact: &contact, facets, deleted: false, lane: Lane::Live, now };
                let (sequence, since) = self.mark(&mut tx, &mark).await?;
                sqlx::query(REPLAY).bind(event).bind(sequence).bind(since).execute(&mut *tx).await?;
                Status::Queued
            }
            (None, Some(_)) if connected == 1 => {
                sqlx::query(LOOK_AGAIN).bind(event).bind(now.as_millisecond()).execute(&mut *tx).await?;
                Status::Unresolved
            }
            _ => status.parse().map_err(|_| corrupt("events.status", &status))?,
        };
        self.signal(&mut tx, &Signal::Due(location.clone())).await?;
        tx.commit().await?;
        Ok(Some((id("events.location_id", location)?, Receipt { event: event.to_owned(), status, reason: None })))
    }

    /// Events of a location whose contact has to be found, and whose time has come. One that cannot
    /// be read is set aside.
    pub async fn due_unresolved(&self, location: &LocationId, now: Timestamp, limit: i64) -> Result<Vec<Unresolved>> {
        let query = sqlx::query_as(DUE_UNRESOLVED).bind(location.as_str()).bind(now.as_millisecond()).bind(limit);
        let rows: Vec<(String, i64, Option<String>, i64)> = query.fetch_all(&self.db.read).await?;
        let mut due = Vec::with_capacity(rows.len());
        for (event, facets, object, attempt) in rows {
            let facet = Facets::from_bits(facets).and_then(|facets| facets.iter().next());
            let facet = facet.ok_or_else(|| corrupt("events.facets", facets));
            match (facet, id("events.object_id", object.unwrap_or_default())) {
                (Ok(facet), Ok(object)) => {
                    due.push(Unresolved { event, location: location.clone(), facet, object, attempt });
                }
                (Err(error), _) | (_, Err(error)) => {
                    let mut tx = self.db.begin().await?;
                    set_event_aside(&mut tx, &event, &error, now).await?;
                    tx.commit().await?;
                }
            }
        }
        Ok(due)
    }

    /// The contact of an unresolved event was found: from here on it is an event like any other.
    pub async fn resolve(&self, event: &Unresolved, contact: &ContactId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let location = event.location.as_str();
        let contact = contact.as_str();
        let wanted = Mark { location, contact, facets: event.facet.into(), deleted: false, lane: Lane::Live, now };
        let (sequence, since) = self.mark(&mut tx, &wanted).await?;
        let query = sqlx::query(REQUEUE).bind(&event.event).bind(contact).bind(sequence).bind(since);
        if query.execute(&mut *tx).await?.rows_affected() == 0 {
            // The person was erased while their contact was looked for.
            return Ok(());
        }
        tx.commit().await
    }

    /// The contact of the event was not found. `again`: when to look once more; none: never.
    /// `attempt`: how often it was looked for by then.
    pub async fn leave_unresolved(
        &self,
        event: &Unresolved,
        reason: &str,
        again: Option<Timestamp>,
        attempt: i64,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(LEAVE)
            .bind(&event.event)
            .bind(reason)
            .bind(again.map(|at| at.as_millisecond()))
            .bind(attempt)
            .execute(&mut *tx)
            .await?;
        self.signal(&mut tx, &Signal::Told(vec![event.event.clone()])).await?;
        tx.commit().await?;
        self.notices.tell(std::slice::from_ref(&event.event));
        Ok(())
    }
}
