//! Where each sweep is, what it found, and what came of that: one transaction a step, so that a
//! sweep goes on where it was, whatever happens.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::accept::CONNECTED;
use super::columns::{corrupt, time};
use super::contacts::{Drift, rare};
use super::deletions::confirm_by_sweep;
use super::marks::Mark;
use super::owners::fence;
use super::{Error, Result, Store, Tx};
use crate::model::{ContactId, Facets, LocationId, Sweep};

/// A sweep that is under way, or about to begin.
#[derive(Debug, Clone)]
pub struct Sweeping {
    /// Which.
    pub kind: Sweep,
    /// Where it goes on; none at the beginning.
    pub cursor: Option<String>,
    /// Changes before this time, by GHL's clock, are known. For the customers' pass: when the pass
    /// before it began.
    pub since: Option<Timestamp>,
    /// When it began; none at the beginning.
    pub started_at: Option<Timestamp>,
    /// Since when this step is due.
    pub due_at: Timestamp,
    /// Calls since then.
    pub calls: i64,
    /// Records met since then.
    pub seen: i64,
    /// Findings since then.
    pub found: i64,
}

/// Something that a sweep found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Whose.
    pub contact: ContactId,
    /// What to read again.
    pub facets: Facets,
    /// How it is told; none: too common to be told.
    pub what: Option<&'static str>,
    /// What was seen of its customer.
    pub drift: Drift,
}

impl Finding {
    /// Its customer in Trafft was seen to be different, or was not seen.
    pub fn drifted(contact: ContactId, drift: Drift, what: &'static str) -> Self {
        Self { contact, facets: Facets::NONE, what: Some(what), drift }
    }
}

/// A contact that a backfill read.
#[derive(Debug)]
pub struct Import {
    /// Which.
    pub contact: ContactId,
    /// The record, as JSON.
    pub fields: String,
    /// Its `dateUpdated`.
    pub updated: Option<Timestamp>,
}

/// One step of a sweep, to be recorded whole.
#[derive(Debug, Default)]
pub struct Step {
    /// What is to be looked at.
    pub found: Vec<Finding>,
    /// What was found, told and marked already.
    pub told: i64,
    /// Contacts to take over.
    pub imports: Vec<Import>,
    /// Contacts that are still there.
    pub met: Vec<ContactId>,
    /// Records met.
    pub seen: i64,
    /// Calls made.
    pub calls: i64,
    /// How many records there are in all, if the vendor says so.
    pub total: Option<i64>,
    /// Where the next step goes on; none: this was the last.
    pub cursor: Option<String>,
    /// When there is a next step or a next sweep.
    pub due_at: Option<Timestamp>,
    /// The new [`Sweeping::since`], at the end.
    pub since: Option<Timestamp>,
    /// What is to be said about it.
    pub reason: Option<String>,
    /// The last step of an id sweep that has read every page and every id: what it has not met is
    /// not there.
    pub is_whole: bool,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    cursor: Option<String>,
    since: Option<i64>,
    started_at: Option<i64>,
    due_at: i64,
    calls: i64,
    seen: i64,
    found: i64,
}

impl TryFrom<Row> for Sweeping {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let kind = Sweep::from_name(&row.kind).ok_or_else(|| corrupt("sweeps.kind", &row.kind))?;
        let since = row.since.map(|at| time("sweeps.since", at)).transpose()?;
        let due_at = time("sweeps.due_at", row.due_at)?;
        if row.cursor.is_none() {
            // What the last one counted is not this one's.
            return Ok(Self { kind, since, cursor: None, started_at: None, due_at, calls: 0, seen: 0, found: 0 });
        }
        let Row { cursor, calls, seen, found, .. } = row;
        let started_at = row.started_at.map(|at| time("sweeps.started_at", at)).transpose()?;
        Ok(Self { kind, since, cursor, started_at, due_at, calls, seen, found })
    }
}

// One that is due later than a whole round from now was planned by a clock that ran ahead, or by
// another setting.
const PLAN: &str = "INSERT INTO sweeps (location_id, kind, due_at, since) VALUES ($1, $2, $3, $4)
    ON CONFLICT (location_id, kind) DO UPDATE SET due_at = CASE
        WHEN $3 IS NULL AND sweeps.cursor IS NULL THEN NULL
        WHEN $5 = 1 OR sweeps.due_at IS NULL OR sweeps.due_at > $3 THEN $3
        ELSE sweeps.due_at END";
const DUE: &str = "SELECT kind, cursor, since, started_at, due_at, calls, seen, found FROM sweeps
    WHERE location_id = $1 AND due_at <= $2 ORDER BY due_at LIMIT 1";
const START: &str = "UPDATE sweeps SET started_at = $3, seen = 0, found = 0, calls = 0, total = NULL, reason = NULL
    WHERE location_id = $1 AND kind = $2";
const ADVANCE: &str = "UPDATE sweeps SET cursor = $3, due_at = $4, seen = seen + $5, found = found + $6,
        calls = calls + $7, total = COALESCE($8, total), reason = $9,
        finished_at = CASE WHEN $3 IS NULL THEN $10 ELSE finished_at END, since = COALESCE($11, since)
    WHERE location_id = $1 AND kind = $2 AND due_at = $12";
const PUT_OFF: &str = "UPDATE sweeps SET due_at = $3, reason = $4 WHERE location_id = $1 AND kind = $2 AND due_at = $5";
const ASK: &str = "INSERT INTO sweeps (location_id, kind, due_at) VALUES ($1, $2, $3)
    ON CONFLICT (location_id, kind) DO UPDATE SET due_at = $3";
const STOP: &str = "UPDATE sweeps SET due_at = NULL, cursor = NULL, reason = 'stopped by hand'
    WHERE location_id = $1 AND kind = $2 AND due_at IS NOT NULL";
const FOUND: &str =
    "INSERT INTO findings (id, location_id, kind, contact_id, what, at) VALUES ($1, $2, $3, $4, $5, $6)";
const DRIFT: &str = "UPDATE contacts SET drifted = $3 WHERE location_id = $1 AND contact_id = $2";
const ROTATED: &str = "UPDATE contacts SET rotated_at = $3 WHERE location_id = $1 AND contact_id = $2";
const MET: &str = "UPDATE contacts SET met_at = $3 WHERE location_id = $1 AND contact_id = $2";
// A contact that is known is as it is: events and sweeps see to it.
const IMPORT: &str =
    "INSERT INTO contacts (location_id, contact_id, sequence, contact_wanted, tasks_wanted, notes_wanted,
        appointments_wanted, contact_read, lane, due_at, status, marked_at, known_since, fields,
        updated_at, met_at)
    VALUES ($1, $2, 1, 1, 0, 0, 0, 1, 3, $3, 'queued', $3, $3, $4, $5, $3)
    ON CONFLICT (location_id, contact_id) DO NOTHING";

const REVIVE_ALL: &str = concat!(
    "UPDATE contacts SET due_at = $2, lane = 2
    WHERE location_id = $1 AND status = 'conflict' AND decision IS NULL AND ",
    rare!()
);
const REVIVE_SKIPPED: &str = concat!(
    "UPDATE contacts SET due_at = $2, lane = 2
    WHERE location_id = $1 AND status = 'skipped' AND gone_at IS NULL AND ",
    rare!()
);

/// Keeps something for the report of a sweep.
pub(super) async fn tell(
    tx: &mut Tx,
    location: &str,
    kind: Sweep,
    contact: &str,
    what: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(FOUND)
        .bind(Uuid::now_v7().to_string())
        .bind(location)
        .bind(kind.name())
        .bind(contact)
        .bind(what)
        .bind(now.as_millisecond())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Marks what was found, and keeps it for the report. Returns how many are told there.
    pub(super) async fn found(
        &self,
        tx: &mut Tx,
        location: &LocationId,
        kind: Sweep,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<i64> {
        let location = location.as_str();
        let contact = finding.contact.as_str();
        let facets = finding.facets;
        self.mark_all(tx, &[Mark { location, contact, facets, deleted: false, lane: kind.lane(), now }]).await?;
        if finding.drift != Drift::None {
            let query = sqlx::query(DRIFT).bind(location).bind(contact).bind(finding.drift.number());
            query.execute(&mut **tx).await?;
        }
        if kind == Sweep::Rotation {
            let query = sqlx::query(ROTATED).bind(location).bind(contact).bind(now.as_millisecond());
            query.execute(&mut **tx).await?;
        }
        let Some(what) = finding.what else { return Ok(0) };
        tell(tx, location, kind, contact, what, now).await?;
        Ok(1)
    }

    /// The same for what was found beside the steps of a sweep, a batch at a time.
    pub async fn found_beside(
        &self,
        location: &LocationId,
        epoch: i64,
        kind: Sweep,
        findings: &[Finding],
        now: Timestamp,
    ) -> Result<()> {
        for batch in findings.chunks(200) {
            let mut tx = self.db.begin().await?;
            fence(&mut tx, location.as_str(), epoch).await?;
            for finding in batch {
                self.found(&mut tx, location, kind, finding, now).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Doubts can end without anybody telling: after a whole look at Trafft they are looked at
    /// again.
    pub async fn revive_conflicts(&self, location: &LocationId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(REVIVE_ALL).bind(location.as_str()).bind(now.as_millisecond()).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Contacts that could not become customers may be able to now, because phones are read
    /// otherwise: they are looked at again.
    pub async fn revive_skipped(&self, location: &LocationId, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(REVIVE_SKIPPED).bind(location.as_str()).bind(now.as_millisecond()).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Sees to it that every sweep that has a pace comes round, and that none without one does.
    /// `at_once`: it does not wait for its turn. `since`: what the first one looks back to.
    pub async fn plan(
        &self,
        location: &LocationId,
        kind: Sweep,
        due_at: Option<Timestamp>,
        at_once: bool,
        since: Option<Timestamp>,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(PLAN)
            .bind(location.as_str())
            .bind(kind.name())
            .bind(due_at.map(|at| at.as_millisecond()))
            .bind(since.map(|at| at.as_millisecond()))
            .bind(i64::from(at_once))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Makes a sweep due now. `false`: the location is not connected.
    pub async fn ask_for_sweep(&self, location: &LocationId, kind: Sweep, now: Timestamp) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        if sqlx::query_scalar::<_, i64>(CONNECTED).bind(location.as_str()).fetch_one(&mut *tx).await? == 0 {
            return Ok(false);
        }
        let query = sqlx::query(ASK).bind(location.as_str()).bind(kind.name()).bind(now.as_millisecond());
        query.execute(&mut *tx).await?;
        self.signal(&mut tx, &super::Signal::Due(location.to_string())).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends a sweep before its end; what it has done stays.
    pub async fn stop_sweep(&self, location: &LocationId, kind: Sweep) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(STOP).bind(location.as_str()).bind(kind.name()).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// The sweep of the location that has waited longest for its next step.
    pub async fn due_sweep(&self, location: &LocationId, now: Timestamp) -> Result<Option<Sweeping>> {
        loop {
            let query = sqlx::query_as::<_, Row>(DUE).bind(location.as_str()).bind(now.as_millisecond());
            let Some(row) = query.fetch_optional(&self.db.read).await? else { return Ok(None) };
            let kind = row.kind.clone();
            match Sweeping::try_from(row) {
                Ok(sweeping) => return Ok(Some(sweeping)),
                Err(error) => self.set_sweep_aside(location.as_str(), &kind, &error).await?,
            }
        }
    }

    /// Records a step: marks, findings and place in one transaction. A step whose sweep was
    /// stopped, asked for or put off since it was read is not recorded: `false`.
    pub async fn advance(
        &self,
        location: &LocationId,
        epoch: i64,
        sweeping: &Sweeping,
        step: &Step,
        now: Timestamp,
    ) -> Result<bool> {
        let at = now.as_millisecond();
        let name = location.as_str();
        let mut tx = self.db.begin().await?;
        fence(&mut tx, name, epoch).await?;
        let started = match sweeping.started_at {
            Some(started) => started.as_millisecond(),
            None => {
                let query = sqlx::query(START).bind(name).bind(sweeping.kind.name()).bind(at);
                query.execute(&mut *tx).await?;
                at
            }
        };
        let mut told = step.told;
        for finding in &step.found {
            told += self.found(&mut tx, location, sweeping.kind, finding, now).await?;
        }
        for import in &step.imports {
            sqlx::query(IMPORT)
                .bind(name)
                .bind(import.contact.as_str())
                .bind(at)
                .bind(&import.fields)
                .bind(import.updated.map(|at| at.as_millisecond()))
                .execute(&mut *tx)
                .await?;
        }
        for contact in &step.met {
            sqlx::query(MET).bind(name).bind(contact.as_str()).bind(started).execute(&mut *tx).await?;
        }
        if step.is_whole {
            confirm_by_sweep(&mut tx, name, started, now).await?;
        }
        let advanced = sqlx::query(ADVANCE)
            .bind(name)
            .bind(sweeping.kind.name())
            .bind(&step.cursor)
            .bind(step.due_at.map(|at| at.as_millisecond()))
            .bind(step.seen)
            .bind(told)
            .bind(step.calls)
            .bind(step.total)
            .bind(&step.reason)
            .bind(at)
            .bind(step.since.map(|at| at.as_millisecond()))
            .bind(sweeping.due_at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        if advanced.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The step could not be made: again then.
    pub async fn put_off(
        &self,
        location: &LocationId,
        sweeping: &Sweeping,
        until: Timestamp,
        reason: &str,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(PUT_OFF)
            .bind(location.as_str())
            .bind(sweeping.kind.name())
            .bind(until.as_millisecond())
            .bind(reason)
            .bind(sweeping.due_at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
