//! Locations, the Trafft accounts they are paired with, and what is kept for those that were
//! connected by a person rather than by the settings: sealed credentials, and where they differ
//! from the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::error::DatabaseError;

use super::columns::{corrupt, readable, set_event_aside};
use super::installs::{InstallStatus, status};
use super::marks::Mark;
use super::states::END;
use super::{Error, Result, Signal, Store, Tx};
use crate::model::{Facets, Lane, LocationId, TrafftAccess, Vendor};

/// Settings that a connection has for itself, by name.
pub type Options = BTreeMap<String, String>;

/// What a person entered for a location.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its account in Trafft.
    pub trafft: TrafftAccess,
    /// Where it differs from the settings.
    pub options: Options,
}

/// A location as an operator sees it: no secret is in it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConnectionView {
    /// The GHL location.
    pub location_id: String,
    /// As its agency calls it.
    pub name: Option<String>,
    /// Its agency, where known.
    pub company_id: Option<String>,
    /// The origin of its Trafft account; none: credentials have not been entered yet.
    pub trafft_account: Option<String>,
    /// How the app's install stands; none: the settings hold a private token.
    pub install: Option<InstallStatus>,
    /// The token's scopes, separated by spaces; none: not known.
    pub scopes: Option<String>,
    /// Does it rest because a person said so?
    pub paused: bool,
    /// Were its credentials entered by a person, rather than by the settings?
    pub entered: bool,
    /// Where it differs from the settings.
    #[schema(inline)]
    pub options: Option<Options>,
    /// The process that works it.
    pub owner: Option<String>,
}

#[derive(FromRow, Default)]
struct Row {
    location_id: String,
    name: Option<String>,
    company_id: Option<String>,
    trafft_account: Option<String>,
    install: Option<String>,
    scopes: Option<String>,
    paused: Option<i64>,
    trafft: Option<String>,
    options: Option<String>,
    owner: Option<String>,
}

impl From<Row> for ConnectionView {
    fn from(row: Row) -> Self {
        let Row { location_id, name, company_id, trafft_account, install, scopes, .. } = row;
        let install = install.as_deref().and_then(|install| readable([status(install)]).pop());
        let options = row.options.and_then(|options| serde_json::from_str(&options).ok());
        let paused = row.paused == Some(1);
        let entered = row.trafft.is_some();
        let owner = row.owner;
        Self { location_id, name, company_id, trafft_account, install, scopes, paused, entered, options, owner }
    }
}

impl ConnectionView {
    /// One that only the settings know.
    pub fn of_settings(location: &LocationId) -> Self {
        Row { location_id: location.to_string(), ..Row::default() }.into()
    }
}

// A process that was silent for longer than the longest lease (`LEASE_SECONDS`), counted from the
// newest heartbeat of all, works nothing.
const LIST: &str =
    "SELECT COALESCE(connections.location_id, installs.id) AS location_id, name, company_id, trafft_account,
        installs.status AS install, scopes, paused, trafft, options,
        (SELECT id FROM processes WHERE processes.id = owner
            AND heartbeat_at > (SELECT MAX(heartbeat_at) FROM processes) - 300000) AS owner
    FROM connections FULL OUTER JOIN (SELECT * FROM installs WHERE kind = 'location') AS installs
        ON installs.id = connections.location_id";
// The epoch starts at the current time, which no earlier connection of this location can have
// reached. So a process that still works a removed connection cannot mistake the new one for it.
const CONNECT: &str = "INSERT INTO connections (location_id, trafft_account, created_at, epoch) VALUES ($1, $2, $3, $3)
    ON CONFLICT DO NOTHING";
const ACCOUNT: &str = "SELECT trafft_account FROM connections WHERE location_id = $1";
const HOLDER: &str = "SELECT location_id FROM connections WHERE trafft_account = $1 AND location_id <> $2";
const ENTER: &str = "UPDATE connections SET trafft = $2, options = $3, revision = revision + 1 WHERE location_id = $1";
const STORED: &str = "SELECT trafft, options FROM connections WHERE location_id = $1 AND trafft IS NOT NULL";
const PAUSE: &str = "UPDATE connections SET paused = $2,
        paused_at = CASE WHEN $2 = 1 THEN COALESCE(paused_at, $3) END, revision = revision + 1 WHERE location_id = $1";
const PARKED: &str = "SELECT id, type, contact_id, facets FROM events WHERE location_id = $1 AND status = 'parked'
    ORDER BY id LIMIT 200";
const RELEASE: &str =
    "UPDATE events SET sequence = $2, contact_since = $3, status = 'queued', reason = NULL WHERE id = $1";
const RELEASE_UNRESOLVED: &str = "UPDATE events SET due_at = $2, status = 'unresolved', reason = NULL WHERE id = $1";
const SEALED: &str = "SELECT location_id, trafft FROM connections WHERE trafft IS NOT NULL";
const RESEAL: &str = "UPDATE connections SET trafft = $2 WHERE location_id = $1 AND trafft = $3";

#[derive(FromRow)]
struct Parked {
    id: String,
    r#type: String,
    contact_id: Option<String>,
    facets: i64,
}

/// How often a location is tried to be removed while its owner still adds rows.
const DISCONNECT_TRIES: usize = 5;

fn is_foreign_key_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation)
}

/// [`Error::AccountTaken`] if another location has the account.
async fn not_taken(tx: &mut Tx, location: &LocationId, account: &str) -> Result<()> {
    let query = sqlx::query_scalar(HOLDER).bind(account).bind(location.as_str());
    match query.fetch_optional(&mut **tx).await? {
        Some(holder) => Err(Error::AccountTaken { account: account.to_owned(), holder }),
        None => Ok(()),
    }
}

impl Store {
    /// The location that has the account, if it is another.
    pub(super) async fn account_holder(&self, account: &str, but: &LocationId) -> Result<Option<String>> {
        Ok(sqlx::query_scalar(HOLDER).bind(account).bind(but.as_str()).fetch_optional(&self.db.read).await?)
    }

    /// Pairs the location with the account, if it is not yet.
    ///
    /// `account` is the origin of the Trafft account. Another account than before is an error,
    /// because the stored links would point at strangers; so is an account that another location
    /// has.
    pub async fn connect(&self, location: &LocationId, account: &str, now: Timestamp) -> Result<()> {
        self.pair(location, account, now).await?.commit().await
    }

    /// The same, for one that a person enters: the credentials are sealed. Trafft has just accepted
    /// them.
    pub async fn enter(&self, location: &LocationId, account: &str, stored: &Stored, now: Timestamp) -> Result<()> {
        let trafft = self.sealed_trafft(location, &stored.trafft)?;
        let options = (!stored.options.is_empty()).then(|| json!(stored.options).to_string());
        let mut tx = self.pair(location, account, now).await?;
        sqlx::query(ENTER).bind(location.as_str()).bind(trafft).bind(options).execute(&mut *tx).await?;
        sqlx::query(END).bind(location.as_str()).bind(Vendor::Trafft.label()).execute(&mut *tx).await?;
        self.signal(&mut tx, &Signal::Free).await?;
        tx.commit().await
    }

    /// Pairs them in a transaction that is still open.
    async fn pair(&self, location: &LocationId, account: &str, now: Timestamp) -> Result<Tx> {
        let mut tx = self.db.begin().await?;
        // The second of two inserts, even a moment later, finds a row: of the location, or of
        // another location with this account.
        let query = sqlx::query(CONNECT).bind(location.as_str()).bind(account).bind(now.as_millisecond());
        query.execute(&mut *tx).await?;
        not_taken(&mut tx, location, account).await?;
        let known: String = sqlx::query_scalar(ACCOUNT).bind(location.as_str()).fetch_one(&mut *tx).await?;
        if known != account {
            return Err(Error::OtherAccount { location: location.to_string(), known, asked: account.to_owned() });
        }
        Ok(tx)
    }

    /// Parked events mark their contacts now. Called when an owner begins to work the location, and
    /// regularly while other processes may still park an event because they do not know yet that
    /// the location is connected.
    pub async fn release_parked(&self, location: &LocationId, now: Timestamp) -> Result<()> {
        loop {
            let mut tx = self.db.begin().await?;
            let parked: Vec<Parked> = sqlx::query_as(PARKED).bind(location.as_str()).fetch_all(&mut *tx).await?;
            if parked.is_empty() {
                return tx.commit().await;
            }
            for Parked { id, r#type, contact_id, facets } in parked {
                let Some(contact) = contact_id else {
                    sqlx::query(RELEASE_UNRESOLVED).bind(id).bind(now.as_millisecond()).execute(&mut *tx).await?;
                    continue;
                };
                let deleted = r#type == "ContactDelete";
                let Some(facets) = Facets::from_bits(facets) else {
                    set_event_aside(&mut tx, &id, &corrupt("events.facets", facets), now).await?;
                    continue;
                };
                let location = location.as_str();
                let mark = Mark { location, contact: &contact, facets, deleted, lane: Lane::Retry, now };
                let (sequence, since) = self.mark(&mut tx, &mark).await?;
                sqlx::query(RELEASE).bind(id).bind(sequence).bind(since).execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
    }

    /// What a person entered for a location; none: it stands in the settings, if anywhere.
    pub async fn entered(&self, location: &LocationId) -> Result<Option<Stored>> {
        let query = sqlx::query_as(STORED).bind(location.as_str());
        let row: Option<(String, Option<String>)> = query.fetch_optional(&self.db.read).await?;
        let Some((trafft, options)) = row else { return Ok(None) };
        let options = match options {
            Some(text) => serde_json::from_str(&text).map_err(|_| corrupt("connections.options", &text))?,
            None => Options::default(),
        };
        Ok(Some(Stored { trafft: self.opened_trafft(location, &trafft)?, options }))
    }

    /// Pauses a location, or resumes it; what comes meanwhile is stored. `false`: there is no such
    /// connection.
    pub async fn pause(&self, location: &LocationId, paused: bool, now: Timestamp) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let query = sqlx::query(PAUSE).bind(location.as_str()).bind(i64::from(paused)).bind(now.as_millisecond());
        let changed = query.execute(&mut *tx).await?.rows_affected() == 1;
        self.signal(&mut tx, &Signal::Free).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Forgets a location: tokens, credentials, links, events, everything. Neither vendor is told.
    pub async fn disconnect(&self, location: &LocationId) -> Result<bool> {
        for _ in 1..DISCONNECT_TRIES {
            match self.disconnect_once(location).await {
                // With PostgreSQL an owner that is just beginning can add a row behind the
                // statement that deletes such rows: a sweep that is planned, a customer that is
                // indexed. The next try sees it.
                Err(Error::Database(error)) if is_foreign_key_violation(&error) => {}
                settled => return settled,
            }
        }
        self.disconnect_once(location).await
    }

    async fn disconnect_once(&self, location: &LocationId) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let mut gone = 0;
        for statement in [
            // This statement comes first: it fences off the owner, and takes the locks in the same
            // order as a settle does.
            "UPDATE connections SET epoch = epoch + 1, owner = NULL WHERE location_id = $1",
            "DELETE FROM events WHERE location_id = $1",
            "DELETE FROM activities WHERE location_id = $1",
            "DELETE FROM writes WHERE location_id = $1",
            "DELETE FROM findings WHERE location_id = $1",
            "DELETE FROM sweeps WHERE location_id = $1",
            "DELETE FROM troubles WHERE location_id = $1",
            "DELETE FROM customers WHERE location_id = $1",
            "DELETE FROM contacts WHERE location_id = $1",
            "DELETE FROM connections WHERE location_id = $1",
            "DELETE FROM installs WHERE kind = 'location' AND id = $1",
        ] {
            gone += sqlx::query(statement).bind(location.as_str()).execute(&mut *tx).await?.rows_affected();
        }
        self.signal(&mut tx, &Signal::Free).await?;
        tx.commit().await?;
        Ok(gone > 0)
    }

    /// Every location that is connected, or could be, by id.
    pub async fn connections(&self) -> Result<Vec<ConnectionView>> {
        let rows: Vec<Row> = sqlx::query_as(LIST).fetch_all(&self.db.read).await?;
        let mut views: Vec<_> = rows.into_iter().map(ConnectionView::from).collect();
        views.sort_by(|one, other| one.location_id.cmp(&other.location_id));
        Ok(views)
    }

    /// One of them.
    pub async fn connection(&self, location: &LocationId) -> Result<Option<ConnectionView>> {
        let one = format!("SELECT * FROM ({LIST}) AS listed WHERE location_id = $1");
        let query = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(one)).bind(location.as_str());
        Ok(query.fetch_optional(&self.db.read).await?.map(ConnectionView::from))
    }

    /// Seals everything with the first key. Returns how much was sealed with another.
    pub async fn reseal(&self) -> Result<u64> {
        let rows: Vec<(String, String)> = sqlx::query_as(SEALED).fetch_all(&self.db.read).await?;
        let mut resealed = self.reseal_installs().await?;
        for (id, old) in rows.into_iter().filter(|(_, sealed)| self.keys.is_old(sealed)) {
            let location: LocationId = super::columns::id("connections.location_id", id)?;
            let new = self.sealed_trafft(&location, &self.opened_trafft(&location, &old)?)?;
            let mut tx = self.db.begin().await?;
            let query = sqlx::query(RESEAL).bind(location.as_str()).bind(new).bind(old);
            resealed += query.execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
        }
        Ok(resealed)
    }

    /// Every sealed record opens with the keys that there are.
    ///
    /// # Errors
    /// [`Error::NoKey`] or [`Error::KeyMissing`], with what to do.
    pub(super) async fn check_keys(&self) -> Result<()> {
        const RECORDS: &str = "SELECT tokens FROM installs WHERE tokens IS NOT NULL
            UNION ALL SELECT trafft FROM connections WHERE trafft IS NOT NULL";
        let records: Vec<String> = sqlx::query_scalar(RECORDS).fetch_all(&self.db.read).await?;
        records.iter().try_for_each(|record| self.keys.knows(record))
    }

    fn sealed_trafft(&self, location: &LocationId, access: &TrafftAccess) -> Result<String> {
        let text = json!({
            "url": access.url, "client_id": access.client_id, "client_secret": access.client_secret.expose_secret(),
        });
        self.keys.seal(&format!("trafft of {location}"), &text.to_string())
    }

    fn opened_trafft(&self, location: &LocationId, sealed: &str) -> Result<TrafftAccess> {
        let text = self.keys.open(&format!("trafft of {location}"), sealed)?;
        let mut access: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
        let mut take = |name: &str| match access[name].take() {
            Value::String(text) => Ok(text),
            _ => Err(Error::Corrupt(format!("Trafft credentials of {location} without `{name}`"))),
        };
        Ok(TrafftAccess {
            url: take("url")?,
            client_id: take("client_id")?,
            client_secret: take("client_secret")?.into(),
        })
    }
}
