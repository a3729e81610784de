//! Tasks, notes and appointments as last read: the mirror that is projected, and the timeline that is shown.

use jiff::Timestamp;
use sqlx::FromRow;

use super::contacts::{id, time};
use super::{ContactKey, Error, Result, Store, Tx};
use crate::model::{ContactId, Facet, LocationId, ObjectId};

/// All objects of one facet of one contact, as just read.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// Tasks, notes or appointments.
    pub facet: Facet,
    /// What was read.
    pub objects: Vec<MirroredObject>,
}

/// One task, note or appointment, as just read.
#[derive(Debug, Clone)]
pub struct MirroredObject {
    /// Its id in GHL.
    pub id: ObjectId,
    /// Its place in time: when a note was written, a task is due, an appointment starts.
    pub at: Option<Timestamp>,
    /// The object as GHL gave it, as JSON.
    pub object: String,
}

/// A task, note or appointment in the mirror.
#[derive(Debug, Clone)]
pub struct Activity {
    /// What it is.
    pub facet: Facet,
    /// Its id in GHL.
    pub id: ObjectId,
    /// The object as GHL gave it, as JSON.
    pub object: String,
    /// Its place in time, if GHL says so.
    pub at: Option<Timestamp>,
    /// When we first saw it.
    pub first_seen: Timestamp,
    /// When it last differed from what we had.
    pub changed_at: Timestamp,
    /// When it was no longer there.
    pub gone_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    facet: String,
    object_id: String,
    object: String,
    at: Option<i64>,
    first_seen: i64,
    changed_at: i64,
    gone_at: Option<i64>,
}

impl TryFrom<Row> for Activity {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let facet = Facet::ALL.into_iter().find(|known| known.name() == row.facet);
        Ok(Self {
            facet: facet.ok_or_else(|| Error::Corrupt("a facet that is none".to_owned()))?,
            id: id(row.object_id)?,
            object: row.object,
            at: row.at.map(time).transpose()?,
            first_seen: time(row.first_seen)?,
            changed_at: time(row.changed_at)?,
            gone_at: row.gone_at.map(time).transpose()?,
        })
    }
}

const PUT: &str = "INSERT INTO activities (location_id, facet, object_id, contact_id, object, at, first_seen, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
    ON CONFLICT (location_id, facet, object_id) DO UPDATE SET
        contact_id = excluded.contact_id, object = excluded.object, at = excluded.at, changed_at = excluded.changed_at, gone_at = NULL
    WHERE activities.object <> excluded.object OR activities.contact_id <> excluded.contact_id
        OR activities.gone_at IS NOT NULL";
const PRESENT: &str = "SELECT object_id FROM activities
    WHERE location_id = $1 AND contact_id = $2 AND facet = $3 AND gone_at IS NULL";
const GONE: &str = "UPDATE activities SET gone_at = $4, changed_at = $4
    WHERE location_id = $1 AND facet = $2 AND object_id = $3";
pub(super) const OF_CONTACT: &str =
    "SELECT facet, object_id, object, at, first_seen, changed_at, gone_at FROM activities
    WHERE location_id = $1 AND contact_id = $2 ORDER BY facet, object_id";
const CONTACT_OF: &str = "SELECT contact_id FROM activities WHERE location_id = $1 AND facet = $2 AND object_id = $3";
const PRESENT_OBJECT: &str = "SELECT contact_id, object FROM activities
    WHERE location_id = $1 AND facet = $2 AND object_id = $3 AND gone_at IS NULL";

/// Makes the mirror of one facet equal to what was read; what is no longer there is kept, with the time it went.
pub(super) async fn mirror(tx: &mut Tx<'_>, key: &ContactKey, mirrored: &Mirrored, now: Timestamp) -> Result<()> {
    let (location, contact, facet) = (key.location.as_str(), key.contact.as_str(), mirrored.facet.name());
    let before: Vec<String> =
        sqlx::query_scalar(PRESENT).bind(location).bind(contact).bind(facet).fetch_all(&mut **tx).await?;
    let now = now.as_millisecond();
    for read in &mirrored.objects {
        sqlx::query(PUT)
            .bind(location)
            .bind(facet)
            .bind(read.id.as_str())
            .bind(contact)
            .bind(&read.object)
            .bind(read.at.map(|at| at.as_millisecond()))
            .bind(now)
            .execute(&mut **tx)
            .await?;
    }
    for object in before.iter().filter(|id| mirrored.objects.iter().all(|read| read.id.as_str() != id.as_str())) {
        sqlx::query(GONE).bind(location).bind(facet).bind(object).bind(now).execute(&mut **tx).await?;
    }
    Ok(())
}

impl Store {
    /// Everything that the mirror holds of a contact, also what is gone.
    pub async fn activities(&self, key: &ContactKey) -> Result<Vec<Activity>> {
        let query = sqlx::query_as::<_, Row>(OF_CONTACT).bind(key.location.as_str()).bind(key.contact.as_str());
        query.fetch_all(&self.db.read).await?.into_iter().map(Activity::try_from).collect()
    }

    /// Whose task, note or appointment this is, if the mirror ever held it.
    pub async fn contact_of(
        &self,
        location: &LocationId,
        facet: Facet,
        object: &ObjectId,
    ) -> Result<Option<ContactId>> {
        let query = sqlx::query_scalar::<_, String>(CONTACT_OF).bind(location.as_str()).bind(facet.name());
        query.bind(object.as_str()).fetch_optional(&self.db.read).await?.map(id).transpose()
    }

    /// One task, note or appointment that is there as far as the mirror knows: whose it is, and the object as JSON.
    pub async fn activity(
        &self,
        location: &LocationId,
        facet: Facet,
        object: &ObjectId,
    ) -> Result<Option<(ContactId, String)>> {
        let query = sqlx::query_as(PRESENT_OBJECT).bind(location.as_str()).bind(facet.name()).bind(object.as_str());
        let row: Option<(String, String)> = query.fetch_optional(&self.db.read).await?;
        row.map(|(contact, object)| Ok((id(contact)?, object))).transpose()
    }
}
