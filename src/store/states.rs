//! What a location's states are derived from, and what its owner writes down for that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::FromRow;

use super::columns::{corrupt, id, readable, strip_nul, time};
use super::installs::status;
use super::owners::fence;
use super::{InstallStatus, Result, Store};
use crate::model::{
    Apart, AppInstall, Because, ConnectionState, Facts, LocationId, Trouble, TroubleKind, Vendor, states,
};

/// What the settings say, and the database does not know.
#[derive(Debug, Clone, Default)]
pub struct BySettings {
    /// The locations that they connect, each with its Trafft account.
    pub accounts: BTreeMap<LocationId, String>,
    /// The marketplace app (`GHL_APP_ID`).
    pub app: Option<String>,
}

/// The states of each location, by its id.
pub type States = BTreeMap<String, Vec<ConnectionState>>;

/// A contact that waits for longer is behind.
const BEHIND: Duration = Duration::from_mins(5);

/// Another app's events that were refused longer ago say nothing any more. HighLevel repeats each
/// "from seconds to minutes" (G §8.6).
const REFUSED_LATELY: Duration = Duration::from_hours(24);

/// How precise the stored time of the last of these events is.
const NOTED_EVERY: Duration = Duration::from_mins(10);

#[derive(FromRow, Default)]
struct Row {
    location_id: String,
    trafft_account: Option<String>,
    install: Option<String>,
    lost_at: Option<i64>,
    installed_at: Option<i64>,
    entered: i64,
    paused: Option<i64>,
    paused_at: Option<i64>,
    customers_seen: Option<i64>,
    deletions_held_at: Option<i64>,
    worked: i64,
    other_app_since: Option<i64>,
    silent_since: Option<i64>,
    untold: Option<i64>,
    waiting: i64,
    oldest: Option<i64>,
}

#[derive(FromRow)]
struct TroubleRow {
    location_id: String,
    vendor: String,
    kind: String,
    since: i64,
    found: String,
    fix: String,
}

// Two kinds of waiting contacts count: those that are due and not worked, and those that wait for a
// vendor. Contacts of sweeps and backfills do not count as due, because a sweep may find a hundred
// thousand in one location. A process that was silent for longer than the longest lease works
// nothing.
const FACTS: &str =
    "SELECT COALESCE(connections.location_id, installs.id) AS location_id, trafft_account, installs.status AS install, lost_at, installed_at,
        CASE WHEN trafft IS NULL THEN 0 ELSE 1 END AS entered, paused, paused_at, customers_seen, deletions_held_at,
        (SELECT COUNT(*) FROM processes WHERE processes.id = owner
            AND heartbeat_at > (SELECT MAX(heartbeat_at) FROM processes) - 300000) AS worked,
        CASE WHEN other_app = $1 AND other_app_at > $2 AND NOT EXISTS (SELECT 1 FROM apps WHERE app_id = $1)
            THEN other_app_since END AS other_app_since,
        CASE WHEN events_paused_at IS NOT NULL THEN silent_since END AS silent_since, untold,
        (SELECT COUNT(*) FROM contacts WHERE contacts.location_id = connections.location_id AND lane IN (0, 1)
            AND due_at <= $3)
        + (SELECT COUNT(*) FROM contacts WHERE contacts.location_id = connections.location_id AND waits_for IS NOT NULL
            AND marked_at <= $3 AND (due_at > $3 OR lane NOT IN (0, 1))) AS waiting,
        (SELECT MIN(since) FROM (
            SELECT MIN(due_at) AS since FROM contacts WHERE contacts.location_id = connections.location_id
                AND lane IN (0, 1) AND due_at <= $3
            UNION ALL SELECT MIN(marked_at) FROM contacts WHERE contacts.location_id = connections.location_id
                AND waits_for IS NOT NULL AND marked_at <= $3) AS since) AS oldest
    FROM connections FULL OUTER JOIN (SELECT * FROM installs WHERE kind = 'location') AS installs
        ON installs.id = connections.location_id";
const TROUBLES: &str = "SELECT location_id, vendor, kind, since, found, fix FROM troubles";
const KNOWN: &str = "SELECT COUNT(*) FROM troubles WHERE location_id = $1 AND vendor = $2";
const BEGIN: &str =
    "INSERT INTO troubles (location_id, vendor, kind, since, found, fix) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (location_id, vendor) DO UPDATE SET kind = excluded.kind, found = excluded.found, fix = excluded.fix,
        since = CASE WHEN troubles.kind = excluded.kind THEN troubles.since ELSE excluded.since END";
pub(super) const END: &str = "DELETE FROM troubles WHERE location_id = $1 AND vendor = $2";
const IS_NOTED: &str = "SELECT COUNT(*) FROM connections
    WHERE location_id = $1 AND (other_app IS NULL OR other_app <> $2 OR other_app_at < $3 OR other_app_at > $4)";
const NOTE: &str = "UPDATE connections SET other_app = $2, other_app_at = $3,
        other_app_since = CASE WHEN other_app = $2 AND other_app_at > $4 THEN other_app_since ELSE $3 END
    WHERE location_id = $1";

impl Store {
    /// How each location stands, or only this one.
    pub async fn states(&self, settings: &BySettings, location: Option<&LocationId>, now: Timestamp) -> Result<States> {
        let ago = |time: Duration| (now - time).as_millisecond();
        let facts = format!("SELECT * FROM ({FACTS}) AS listed WHERE location_id = $4 OR $4 IS NULL");
        let query = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(facts))
            .bind(settings.app.as_deref().map(strip_nul))
            .bind(ago(REFUSED_LATELY))
            .bind(ago(BEHIND))
            .bind(location.map(LocationId::as_str));
        let rows = query.fetch_all(&self.db.read).await?;
        let troubles: Vec<TroubleRow> = sqlx::query_as(TROUBLES).fetch_all(&self.db.read).await?;
        let mut by_location: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for trouble in troubles {
            let location = trouble.location_id.clone();
            by_location.entry(location).or_default().extend(readable([trouble.read()]));
        }
        let mut all = States::new();
        for row in rows {
            let troubles = by_location.remove(&row.location_id).unwrap_or_default();
            let apart = settings.apart(&row.location_id, row.trafft_account.as_deref());
            for facts in readable([row.facts(settings, apart, troubles)]) {
                all.insert(facts.location.to_string(), states(&facts));
            }
        }
        let is_asked = |known: &LocationId| location.is_none_or(|location| location == known);
        for (unknown, account) in settings.accounts.iter().filter(|(known, _)| is_asked(known)) {
            if !all.contains_key(unknown.as_str())
                && let Some(holder) = self.account_holder(account, unknown).await?
            {
                let row = Row { location_id: unknown.to_string(), ..Row::default() };
                let apart = Apart { asked: account.clone(), because: Because::Taken(holder) };
                all.insert(unknown.to_string(), states(&row.facts(settings, Some(apart), Vec::new())?));
            }
        }
        Ok(all)
    }

    /// Is trouble with this vendor written down?
    pub async fn has_trouble(&self, location: &LocationId, vendor: Vendor) -> Result<bool> {
        let query = sqlx::query_scalar(KNOWN).bind(location.as_str()).bind(vendor.label());
        let known: i64 = query.fetch_one(&self.db.read).await?;
        Ok(known > 0)
    }

    /// The owner of a location writes down that it cannot work with a vendor; `None`: that it can.
    ///
    /// # Errors
    /// [`super::Error::NotOwner`]: another process has taken over, and knows better.
    pub async fn note_trouble(
        &self,
        location: &LocationId,
        epoch: i64,
        vendor: Vendor,
        trouble: Option<&Trouble>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        fence(&mut tx, location.as_str(), epoch).await?;
        let query = match trouble {
            None => sqlx::query(END).bind(location.as_str()).bind(vendor.label()),
            Some(Trouble { kind, found, fix }) => sqlx::query(BEGIN)
                .bind(location.as_str())
                .bind(vendor.label())
                .bind(kind.name())
                .bind(now.as_millisecond())
                .bind(strip_nul(found))
                .bind(strip_nul(fix)),
        };
        query.execute(&mut *tx).await?;
        tx.commit().await
    }

    /// An event of another app was refused, because none of `app` has ever come. Written when it is
    /// news, so that a flood of them costs reads only. A location that is not connected is not told
    /// of.
    pub async fn refused_other_app(&self, location: &LocationId, app: &str, now: Timestamp) -> Result<()> {
        let app = strip_nul(app);
        let ago = |time: Duration| (now - time).as_millisecond();
        let query = sqlx::query_scalar(IS_NOTED).bind(location.as_str()).bind(&app);
        let is_news: i64 = query.bind(ago(NOTED_EVERY)).bind(now.as_millisecond()).fetch_one(&self.db.read).await?;
        if is_news == 0 {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(NOTE).bind(location.as_str()).bind(&app).bind(now.as_millisecond());
        query.bind(ago(REFUSED_LATELY)).execute(&mut *tx).await?;
        tx.commit().await
    }
}

impl BySettings {
    /// Is the location kept from working because its links belong to another account than the
    /// settings name?
    fn apart(&self, location: &str, account: Option<&str>) -> Option<Apart> {
        let asked = self.accounts.get(&location.parse::<LocationId>().ok()?)?;
        let links = account?;
        let because = Because::Links(links.to_owned());
        (asked != links).then(|| Apart { asked: asked.clone(), because })
    }
}

impl Row {
    fn facts(
        self,
        settings: &BySettings,
        apart: Option<Apart>,
        troubles: Vec<(Vendor, Trouble, Timestamp)>,
    ) -> Result<Facts> {
        let at = |column, value: Option<i64>| value.map(|value| time(column, value)).transpose();
        let location: LocationId = id("connections.location_id", self.location_id)?;
        let install = match self.install.as_deref().map(status).transpose()? {
            None => AppInstall::None,
            Some(InstallStatus::Active) => AppInstall::Active,
            Some(InstallStatus::Lost) => AppInstall::Lost(at("installs.lost_at", self.lost_at)?),
            Some(InstallStatus::Uninstalled) => {
                AppInstall::Uninstalled(at("installs.installed_at", self.installed_at)?)
            }
        };
        let paused_at = at("connections.paused_at", self.paused_at)?;
        let oldest = at("contacts.marked_at", self.oldest)?;
        Ok(Facts {
            in_settings: settings.accounts.contains_key(&location),
            apart,
            install,
            entered: self.entered == 1,
            paused: (self.paused == Some(1)).then_some(paused_at),
            worked: self.worked > 0,
            indexed: self.customers_seen.is_some(),
            troubles,
            other_app_since: at("connections.other_app_since", self.other_app_since)?,
            events_paused: at("connections.silent_since", self.silent_since)?.zip(self.untold),
            deletions_held_since: at("connections.deletions_held_at", self.deletions_held_at)?,
            behind: oldest.filter(|_| self.waiting > 0).map(|oldest| (self.waiting, oldest)),
            location,
        })
    }
}

impl TroubleRow {
    fn read(self) -> Result<(Vendor, Trouble, Timestamp)> {
        let vendor = Vendor::ALL.into_iter().find(|vendor| vendor.label() == self.vendor);
        let vendor = vendor.ok_or_else(|| corrupt("troubles.vendor", &self.vendor))?;
        let kind = TroubleKind::from_name(&self.kind).ok_or_else(|| corrupt("troubles.kind", &self.kind))?;
        let trouble = Trouble { kind, found: self.found, fix: self.fix };
        Ok((vendor, trouble, time("troubles.since", self.since)?))
    }
}
