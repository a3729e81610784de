//! Tasks, notes and appointments as last read: the mirror that is projected, and the timeline that
//! is shown.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use sqlx::{Any, Executor, FromRow};

use super::columns::{corrupt, id, readable, time};
use super::contacts::not_erased;
use super::engine::{Cell, Dialect, Text};
use super::marks::{Mark, in_order};
use super::owners::fence;
use super::{Contact, ContactKey, Error, Result, Store, Tx};
use crate::model::{ContactId, Facet, Facets, Lane, LocationId, ObjectId};

/// All objects of one facet of one contact, as just read.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// Tasks, notes or appointments.
    pub facet: Facet,
    /// What was read.
    pub objects: Vec<MirroredObject>,
    /// Objects that are there and could not be read: their ids, where they have one.
    pub unread: Vec<Option<String>>,
}

impl Mirrored {
    /// Does the mirror keep this object as it is? It was not among the objects read, but it may be
    /// one of those that could not be read: one without an id could be any.
    pub fn leaves(&self, id: &str) -> bool {
        let may_be_unread = self.unread.iter().any(|unread| unread.as_deref().is_none_or(|unread| unread == id));
        may_be_unread && self.objects.iter().all(|read| read.id.as_str() != id)
    }
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

fn facet(name: &str) -> Result<Facet> {
    let facet = Facet::ALL.into_iter().find(|known| known.name() == name);
    facet.ok_or_else(|| corrupt("activities.facet", name))
}

impl TryFrom<Row> for Activity {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            facet: facet(&row.facet)?,
            id: id("activities.object_id", row.object_id)?,
            object: row.object,
            at: row.at.map(|at| time("activities.at", at)).transpose()?,
            first_seen: time("activities.first_seen", row.first_seen)?,
            changed_at: time("activities.changed_at", row.changed_at)?,
            gone_at: row.gone_at.map(|at| time("activities.gone_at", at)).transpose()?,
        })
    }
}

static PUT: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &["location", "facet", "id", "contact", "object", "at", "now"],
        "INSERT INTO activities (location_id, facet, object_id, contact_id, object, at, first_seen, changed_at)
        SELECT location, facet, id, contact, object, at, now, now FROM given WHERE TRUE
        ON CONFLICT (location_id, contact_id, facet, object_id) DO UPDATE SET
            object = excluded.object, at = excluded.at, changed_at = excluded.changed_at, gone_at = NULL
        WHERE activities.object <> excluded.object OR activities.gone_at IS NOT NULL",
    )
});
const PRESENT: &str = "SELECT object_id FROM activities
    WHERE location_id = $1 AND contact_id = $2 AND facet = $3 AND gone_at IS NULL";
pub(super) static GONE: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &["location", "contact", "facet", "id", "now"],
        "UPDATE activities SET gone_at = given.now, changed_at = given.now FROM given
        WHERE activities.location_id = given.location AND activities.contact_id = given.contact
            AND activities.facet = given.facet AND activities.object_id = given.id",
    )
});
pub(super) const OF_CONTACT: &str =
    "SELECT facet, object_id, object, at, first_seen, changed_at, gone_at FROM activities
    WHERE location_id = $1 AND contact_id = $2 ORDER BY facet, object_id";
// The contact whose copy of it changed last, of those that still have it.
const CONTACT_OF: &str = "SELECT contact_id FROM activities WHERE location_id = $1 AND facet = $2 AND object_id = $3
    ORDER BY CASE WHEN gone_at IS NULL THEN 0 ELSE 1 END, changed_at DESC LIMIT 1";
pub(super) const HOLDERS: &str = "SELECT contact_id, object FROM activities
    WHERE location_id = $1 AND facet = $2 AND object_id = $3 AND gone_at IS NULL";
// Contacts that are gone are left out: they keep their mirror in case they come back.
pub(super) static ELSEWHERE: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        &["location", "facet", "id", "contact"],
        "SELECT activities.location_id, activities.contact_id, activities.facet FROM given CROSS JOIN activities
        WHERE activities.location_id = given.location AND activities.facet = given.facet
            AND activities.object_id = given.id AND activities.contact_id <> given.contact AND activities.gone_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM contacts WHERE contacts.location_id = activities.location_id
                AND contacts.contact_id = activities.contact_id AND contacts.gone_at IS NOT NULL)",
    )
});

/// Rows of the mirror that one transaction writes: a webhook waits behind one at most, however many
/// notes a contact has.
const BATCH: usize = 256;

/// An object, and the contact that it is said to belong to.
pub(super) type Belonging<'a> = (&'a str, Facet, &'a ObjectId, &'a str);

/// A contact whose mirror holds an object that is now said to belong to another contact.
pub(super) struct Elsewhere {
    location: String,
    contact: String,
    facet: Facet,
}

impl Elsewhere {
    /// Marks this contact to be read again, because the object may have moved away from it.
    pub(super) fn mark(&self, lane: Lane, now: Timestamp) -> Mark<'_> {
        let Self { location, contact, facet } = self;
        Mark { location, contact, facets: (*facet).into(), deleted: false, lane, now }
    }
}

/// Contacts, not gone, that the mirror has these objects of, although they are said to be
/// another's.
pub(super) async fn elsewhere<'e>(
    objects: &[Belonging<'_>],
    dialect: Dialect,
    from: impl Executor<'e, Database = Any>,
) -> Result<Vec<Elsewhere>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let rows = objects.iter().map(|(location, facet, id, contact)| {
        [Cell::from(*location), Cell::from(facet.name()), Cell::from(id.as_str()), Cell::from(*contact)]
    });
    let (statement, rows) = ELSEWHERE.with(rows.collect(), dialect)?;
    let found: Vec<(String, String, String)> = sqlx::query_as_with(statement, rows).fetch_all(from).await?;
    let found =
        found.into_iter().map(|(location, contact, name)| Ok(Elsewhere { location, contact, facet: facet(&name)? }));
    Ok(readable(found))
}

/// What has to be written for the mirror of a contact to equal what was read.
pub(super) struct Changes<'r> {
    key: &'r ContactKey,
    /// The objects just read. The statement itself does not write again what the mirror already
    /// has.
    present: Vec<(Facet, &'r MirroredObject)>,
    /// No longer there. They are kept, with the time they went. What could not be read is left as
    /// it was.
    gone: Vec<(Facet, String)>,
    /// Facets with an object that is new here while another contact still has it: one of the two
    /// contacts was read before the object moved.
    pub(super) contested: Facets,
    now: Timestamp,
}

impl<'r> Changes<'r> {
    fn is_large(&self) -> bool {
        self.present.len() + self.gone.len() > BATCH
    }

    /// Writes all of it, in the transaction of the settle, if that is a bounded number of rows.
    pub(super) async fn write(self, tx: &mut Tx, dialect: Dialect) -> Result<()> {
        if self.is_large() {
            return Ok(());
        }
        self.put(tx, dialect, &self.present).await?;
        self.take_out(tx, dialect, &self.gone).await
    }

    async fn put(&self, tx: &mut Tx, dialect: Dialect, objects: &[(Facet, &MirroredObject)]) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let location = self.key.location.as_str();
        let contact = self.key.contact.as_str();
        let rows = objects.iter().map(|(facet, read)| {
            [
                Cell::from(location),
                Cell::from(facet.name()),
                Cell::from(read.id.as_str()),
                Cell::from(contact),
                Cell::from(read.object.as_str()),
                Cell::from(read.at.map(|at| at.as_millisecond())),
                Cell::from(self.now.as_millisecond()),
            ]
        });
        let (statement, rows) = PUT.with(rows.collect(), dialect)?;
        sqlx::query_with(statement, rows).execute(&mut **tx).await?;
        Ok(())
    }

    async fn take_out(&self, tx: &mut Tx, dialect: Dialect, gone: &[(Facet, String)]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let location = self.key.location.as_str();
        let contact = self.key.contact.as_str();
        let rows = gone.iter().map(|(facet, id)| {
            [
                Cell::from(location),
                Cell::from(contact),
                Cell::from(facet.name()),
                Cell::from(id.as_str()),
                Cell::from(self.now.as_millisecond()),
            ]
        });
        let (statement, rows) = GONE.with(rows.collect(), dialect)?;
        sqlx::query_with(statement, rows).execute(&mut **tx).await?;
        Ok(())
    }
}

impl Store {
    /// Compares what was read with the mirror, and returns the changes. Changes that are too many
    /// for one transaction are written at once, in several: nothing counts as read before the
    /// settle, so after a crash in between it is read and compared again. Contacts that a new
    /// object may have moved away from are marked before anything is written, so that none is
    /// forgotten.
    ///
    /// # Errors
    /// [`Error::NotOwner`]: another process has taken over. [`Error::Erased`]: the contact was
    /// erased meanwhile.
    pub(super) async fn changes<'r>(
        &self,
        epoch: i64,
        of: &'r Contact,
        mirrored: &'r [Mirrored],
        now: Timestamp,
    ) -> Result<Changes<'r>> {
        let key = &of.key;
        let location = key.location.as_str();
        let contact = key.contact.as_str();
        let mut present = Vec::new();
        let mut gone = Vec::new();
        let mut new = Vec::new();
        for one in mirrored {
            let Mirrored { facet, objects, .. } = one;
            let query = sqlx::query_scalar(PRESENT).bind(location).bind(contact).bind(facet.name());
            let before: HashSet<String> = query.fetch_all(&self.db.read).await?.into_iter().collect();
            // One statement must not meet an object twice; the last of two counts.
            let read: HashMap<_, _> = objects.iter().map(|object| (object.id.as_str(), object)).collect();
            let is_gone = |id: &String| !read.contains_key(id.as_str()) && !one.leaves(id);
            let is_new = |object: &&&MirroredObject| !before.contains(object.id.as_str());
            new.extend(read.values().filter(is_new).map(|object| (location, *facet, &object.id, contact)));
            gone.extend(before.iter().filter(|id| is_gone(id)).map(|id| (*facet, id.clone())));
            present.extend(read.into_values().map(|object| (*facet, object)));
        }
        let mut others = Vec::new();
        for new in new.chunks(BATCH) {
            others.extend(elsewhere(new, self.db.dialect(), &self.db.read).await?);
        }
        let contested = others.iter().map(|one| one.facet).collect();
        if !others.is_empty() {
            let mut tx = self.db.begin().await?;
            let marks = others.iter().map(|one| one.mark(of.lane, now)).collect();
            self.mark_all(&mut tx, &in_order(marks)).await?;
            tx.commit().await?;
        }
        let changes = Changes { key, present, gone, contested, now };
        if changes.is_large() {
            for objects in changes.present.chunks(BATCH) {
                let mut tx = self.db.begin().await?;
                fence(&mut tx, location, epoch).await?;
                not_erased(&mut tx, of).await?;
                changes.put(&mut tx, self.db.dialect(), objects).await?;
                tx.commit().await?;
            }
            for gone in changes.gone.chunks(BATCH) {
                let mut tx = self.db.begin().await?;
                fence(&mut tx, location, epoch).await?;
                not_erased(&mut tx, of).await?;
                changes.take_out(&mut tx, self.db.dialect(), gone).await?;
                tx.commit().await?;
            }
        }
        Ok(changes)
    }

    /// Everything that the mirror holds of a contact, also what is gone.
    pub async fn activities(&self, key: &ContactKey) -> Result<Vec<Activity>> {
        self.activity_rows(key).await?.collect()
    }

    /// The same for people: what cannot be read is left out, and logged.
    pub async fn timeline(&self, key: &ContactKey) -> Result<Vec<Activity>> {
        Ok(readable(self.activity_rows(key).await?))
    }

    async fn activity_rows(&self, key: &ContactKey) -> Result<impl Iterator<Item = Result<Activity>>> {
        let query = sqlx::query_as::<_, Row>(OF_CONTACT).bind(key.location.as_str()).bind(key.contact.as_str());
        Ok(query.fetch_all(&self.db.read).await?.into_iter().map(Activity::try_from))
    }

    /// The contact that this task, note or appointment belongs to, if the mirror ever held it. A
    /// contact that still has it comes before those that had it.
    pub async fn contact_of(
        &self,
        location: &LocationId,
        facet: Facet,
        object: &ObjectId,
    ) -> Result<Option<ContactId>> {
        let query = sqlx::query_scalar::<_, String>(CONTACT_OF).bind(location.as_str()).bind(facet.name());
        query
            .bind(object.as_str())
            .fetch_optional(&self.db.read)
            .await?
            .map(|contact| id("activities.contact_id", contact))
            .transpose()
    }

    /// Who has a task, note or appointment of this id, as far as the mirror knows: the contact, and
    /// the object as JSON.
    pub async fn holders(
        &self,
        location: &LocationId,
        facet: Facet,
        object: &ObjectId,
    ) -> Result<Vec<(ContactId, String)>> {
        let query = sqlx::query_as(HOLDERS).bind(location.as_str()).bind(facet.name()).bind(object.as_str());
        let rows: Vec<(String, String)> = query.fetch_all(&self.db.read).await?;
        rows.into_iter().map(|(contact, object)| Ok((id("activities.contact_id", contact)?, object))).collect()
    }
}
