//! Marks a contact dirty: which facets may have changed, how urgent that is, and when it is due.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;

use super::engine::{Cell, Text};
use super::{Error, Result, Store, Tx};
use crate::model::{Facet, Facets, Lane};

/// After a settle, the same contact is not worked again for this long, so that the events of that
/// time share one read.
pub(super) const COALESCE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    pub(super) location: &'a str,
    pub(super) contact: &'a str,
    pub(super) facets: Facets,
    pub(super) deleted: bool,
    pub(super) lane: Lane,
    pub(super) now: Timestamp,
}

// A contact that is new here has every facet read: a facet that the mark does not name gets the
// mark 0, and -1 as the mark last read. A later mark makes the due time earlier, never later, but
// not earlier than the end of the pause after a settle. (A settle that lies further in the future
// was stamped by a clock that ran ahead, and does not count.) It makes a waiting contact more
// urgent, never less. A contact that was given up on gets its attempts again.
pub(super) static MARK: LazyLock<Text> = LazyLock::new(|| {
    let again = MARK_AGAIN.replace("COALESCE_MS", &COALESCE.as_millis().to_string());
    Text::new(
        &["location", "contact", "record", "tasks", "notes", "appointments", "lane", "now", "deleted"],
        &format!(
            "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
                appointments_wanted, contact_read, tasks_read, notes_read, appointments_read, lane, due_at, status,
                marked_at, known_since, deletion_told_at)
            SELECT location, contact, 1, record, tasks, notes, appointments, record - 1, tasks - 1, notes - 1,
                appointments - 1, lane, now, 'queued', now, now, deleted
            FROM given WHERE TRUE {again}"
        ),
    )
});

impl Mark<'_> {
    /// As the statement takes it.
    pub(super) fn row(&self) -> [Cell<'_>; 9] {
        let wanted = |facet| Cell::from(i64::from(self.facets.has(facet)));
        let now = self.now.as_millisecond();
        [
            Cell::from(self.location),
            Cell::from(self.contact),
            wanted(Facet::Contact),
            wanted(Facet::Tasks),
            wanted(Facet::Notes),
            wanted(Facet::Appointments),
            Cell::from(self.lane as i64),
            Cell::from(now),
            Cell::from(self.deleted.then_some(now)),
        ]
    }
}

/// One mark a contact, in the order in which every process locks them: by location and id.
pub(super) fn in_order(mut marks: Vec<Mark<'_>>) -> Vec<Mark<'_>> {
    marks.sort_by_key(|mark| (mark.location, mark.contact));
    marks.dedup_by(|next, kept| {
        let is_same = (next.location, next.contact) == (kept.location, kept.contact);
        if is_same {
            kept.facets = kept.facets.iter().chain(next.facets.iter()).collect();
            kept.deleted |= next.deleted;
        }
        is_same
    });
    marks
}

const MARK_AGAIN: &str = "ON CONFLICT (location_id, contact_id) DO UPDATE SET
    sequence = contacts.sequence + 1,
    contact_wanted = CASE WHEN excluded.contact_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.contact_wanted END,
    tasks_wanted = CASE WHEN excluded.tasks_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.tasks_wanted END,
    notes_wanted = CASE WHEN excluded.notes_wanted = 1 THEN contacts.sequence + 1 ELSE contacts.notes_wanted END,
    appointments_wanted = CASE WHEN excluded.appointments_wanted = 1 THEN contacts.sequence + 1
        ELSE contacts.appointments_wanted END,
    lane = CASE WHEN contacts.status = 'queued' AND contacts.lane < excluded.lane THEN contacts.lane
        ELSE excluded.lane END,
    due_at = CASE
        WHEN contacts.settled_at + COALESCE_MS > excluded.due_at AND contacts.settled_at <= excluded.due_at + COALESCE_MS
            THEN contacts.settled_at + COALESCE_MS
        WHEN contacts.due_at < excluded.due_at THEN contacts.due_at
        ELSE excluded.due_at END,
    attempt = CASE WHEN contacts.status = 'queued' THEN contacts.attempt ELSE 0 END,
    status = 'queued',
    marked_at = excluded.marked_at,
    deletion_told_at = COALESCE(excluded.deletion_told_at, contacts.deletion_told_at)";
const MARKED: &str = "SELECT sequence, known_since FROM contacts WHERE location_id = $1 AND contact_id = $2";

impl Store {
    /// Marks contacts dirty, each of them once, and [`in_order`].
    pub(super) async fn mark_all(&self, tx: &mut Tx, marks: &[Mark<'_>]) -> Result<()> {
        if !marks.is_empty() {
            let (statement, rows) = MARK.with(marks.iter().map(Mark::row).collect(), self.db.dialect())?;
            let marked = sqlx::query_with(statement, rows).execute(&mut **tx).await?.rows_affected();
            if marked < marks.len() as u64 {
                return Err(Error::Swallowed("contacts"));
            }
        }
        Ok(())
    }

    /// Marks a contact dirty; returns the number of the mark, and since when the contact is known.
    pub(super) async fn mark(&self, tx: &mut Tx, mark: &Mark<'_>) -> Result<(i64, i64)> {
        self.mark_all(tx, std::slice::from_ref(mark)).await?;
        Ok(sqlx::query_as(MARKED).bind(mark.location).bind(mark.contact).fetch_one(&mut **tx).await?)
    }
}
