//! What HighLevel lets us into: installs, and their tokens, sealed.
//!
//! How a pair of tokens is renewed is in `renewals.rs`.

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::FromRow;

use super::columns::{corrupt, id, strip_nul, time};
use super::{Error, Result, Signal, Store, Tx};
use crate::model::{CompanyId, Installer, LocationId, Scopes, Tokens};

/// How an install stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstallStatus {
    /// Usable.
    Active,
    /// Its tokens are lost: a person has to authorise the app again.
    Lost,
    /// The app was uninstalled there.
    Uninstalled,
}

/// An install, opened.
#[derive(Debug, Clone)]
pub struct Install {
    /// Whose.
    pub installer: Installer,
    /// Of a location: its agency, where known.
    pub company: Option<CompanyId>,
    /// How it stands.
    pub status: InstallStatus,
    /// Its scopes; none: not known.
    pub scopes: Option<Scopes>,
    /// None yet, or dropped.
    pub tokens: Option<Tokens>,
    /// Of the access token; none: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Fences new pairs.
    pub generation: i64,
}

/// A new pair of tokens.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The pair.
    pub tokens: Tokens,
    /// Of the access token; none: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// What it may do, where that was said.
    pub scopes: Option<Scopes>,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    id: String,
    company_id: Option<String>,
    status: String,
    scopes: Option<String>,
    tokens: Option<String>,
    expires_at: Option<i64>,
    generation: i64,
}

const LOAD: &str = "SELECT kind, id, company_id, status, scopes, tokens, expires_at, generation FROM installs
    WHERE kind = $1 AND id = $2";
const GRANT: &str = "INSERT INTO installs (kind, id, company_id, status, own, scopes, tokens, expires_at, installed_at)
    VALUES ($1, $2, $3, 'active', 1, $4, $5, $6, $7)
    ON CONFLICT (kind, id) DO UPDATE SET company_id = COALESCE(excluded.company_id, installs.company_id),
        status = 'active', own = 1, scopes = excluded.scopes, tokens = excluded.tokens,
        expires_at = excluded.expires_at, installed_at = excluded.installed_at, generation = installs.generation + 1,
        renewer = NULL";
// A location whose tokens are its own keeps them. What was told before it was uninstalled does not
// bring it back.
const INCLUDE: &str = "INSERT INTO installs (kind, id, company_id, name, status, installed_at)
    VALUES ('location', $1, $2, $3, 'active', $4)
    ON CONFLICT (kind, id) DO UPDATE SET company_id = excluded.company_id,
        name = COALESCE(excluded.name, installs.name), status = 'active',
        own = CASE WHEN installs.status = 'active' THEN installs.own ELSE 0 END,
        generation = CASE WHEN installs.status = 'active' THEN installs.generation ELSE installs.generation + 1 END,
        installed_at = CASE WHEN installs.status = 'active' THEN installs.installed_at ELSE excluded.installed_at END
    WHERE installs.status <> 'uninstalled' OR excluded.installed_at > installs.installed_at";
const NAME: &str = "UPDATE installs SET name = $2 WHERE kind = 'location' AND id = $1";
const AGENCY: &str = "SELECT id FROM installs WHERE kind = 'company' AND id = $1 AND status = 'active'";
const AGENCIES: &str = "SELECT id FROM installs WHERE kind = 'company' AND status = 'active' LIMIT 2";
// What is older than the install was about an earlier one. An agency's takes those locations with
// it that are installed by it alone; a private token (the one that never expires) is no part of the
// app.
const UNINSTALL: &str =
    "UPDATE installs SET status = 'uninstalled', tokens = NULL, expires_at = NULL, installed_at = $3,
        generation = generation + 1
    WHERE status <> 'uninstalled' AND installed_at <= $3 AND (tokens IS NULL OR expires_at IS NOT NULL)
        AND ((kind = $1 AND id = $2) OR ($1 = 'company' AND kind = 'location' AND company_id = $2 AND own = 0))";
// The account has taken a new version of the app. A private token (the one that never expires) is
// no part of it.
const OUTDATE: &str = "UPDATE installs SET expires_at = $3 WHERE status = 'active' AND expires_at > $3
    AND ((kind = $1 AND id = $2) OR ($1 = 'company' AND kind = 'location' AND company_id = $2 AND own = 0))";
const TOUCH: &str = "UPDATE connections SET revision = revision + 1 WHERE location_id IN
    (SELECT id FROM installs WHERE kind = 'location' AND (($1 = 'location' AND id = $2) OR ($1 = 'company' AND company_id = $2)))";
// What HighLevel refused with the former tokens says nothing about the new ones.
const END_TROUBLE: &str = "DELETE FROM troubles WHERE vendor = 'ghl' AND location_id IN
    (SELECT id FROM installs WHERE kind = 'location' AND (($1 = 'location' AND id = $2) OR ($1 = 'company' AND company_id = $2)))";
const SEALED: &str = "SELECT kind, id, tokens FROM installs WHERE tokens IS NOT NULL";
const RESEAL: &str = "UPDATE installs SET tokens = $3 WHERE kind = $1 AND id = $2 AND tokens = $4";

impl Store {
    /// An install, its tokens opened.
    pub async fn install(&self, installer: &Installer) -> Result<Option<Install>> {
        let query = sqlx::query_as::<_, Row>(LOAD).bind(installer.kind()).bind(installer.id());
        let row = query.fetch_optional(&self.db.read).await?;
        row.map(|row| self.opened(row)).transpose()
    }

    fn opened(&self, row: Row) -> Result<Install> {
        let installer = installer(&row.kind, &row.id)?;
        let tokens = row.tokens.as_deref().map(|sealed| self.unsealed(&installer, sealed)).transpose()?;
        Ok(Install {
            installer,
            company: row.company_id.map(|company| id("installs.company_id", company)).transpose()?,
            status: status(&row.status)?,
            scopes: row.scopes.as_deref().map(Scopes::parse),
            tokens,
            expires_at: row.expires_at.map(|at| time("installs.expires_at", at)).transpose()?,
            generation: row.generation,
        })
    }

    pub(super) fn sealed(&self, installer: &Installer, tokens: &Tokens) -> Result<String> {
        let refresh = tokens.refresh.as_ref().map(|token| token.expose_secret());
        let text = json!({ "access": tokens.access.expose_secret(), "refresh": refresh }).to_string();
        self.keys.seal(&installer.to_string(), &text)
    }

    fn unsealed(&self, installer: &Installer, sealed: &str) -> Result<Tokens> {
        let text = self.keys.open(&installer.to_string(), sealed)?;
        let mut tokens: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
        let mut take = |name: &str| match tokens[name].take() {
            Value::String(token) => Some(token.into()),
            _ => None,
        };
        let access = take("access");
        let refresh = take("refresh");
        let access = access.ok_or_else(|| Error::Corrupt(format!("tokens of {installer} without an access token")))?;
        Ok(Tokens { access, refresh })
    }

    /// A person authorised the app there, or gave a private token: what was stored before is
    /// replaced. `at`: the time by HighLevel's clock. Its events about installs carry the same
    /// clock, so the order of the two is right even if our clock is wrong. (No event is about a
    /// private token.)
    pub async fn granted(
        &self,
        installer: &Installer,
        company: Option<&CompanyId>,
        pair: &Pair,
        at: Timestamp,
    ) -> Result<()> {
        let tokens = self.sealed(installer, &pair.tokens)?;
        let mut tx = self.db.begin().await?;
        sqlx::query(GRANT)
            .bind(installer.kind())
            .bind(installer.id())
            .bind(company.map(CompanyId::as_str))
            .bind(pair.scopes.as_ref().map(Scopes::to_string))
            .bind(tokens)
            .bind(pair.expires_at.map(|at| at.as_millisecond()))
            .bind(at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        // In the order in which an owner takes them, or two that write at once would wait for each
        // other.
        self.touched(&mut tx, installer).await?;
        sqlx::query(END_TROUBLE).bind(installer.kind()).bind(installer.id()).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// These locations are covered by their agency's install, since `at` by HighLevel's clock.
    pub async fn include(
        &self,
        company: &CompanyId,
        locations: &[(LocationId, Option<String>)],
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for (location, name) in locations {
            include(&mut tx, company, location, name.as_deref(), at).await?;
        }
        self.touched(&mut tx, &Installer::Company(company.clone())).await?;
        tx.commit().await
    }

    /// What people call an installed location.
    pub async fn name_location(&self, location: &LocationId, name: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(NAME).bind(location.as_str()).bind(strip_nul(name)).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// An INSTALL event of a location (G §8.5). A location of an agency that we know is added by
    /// it; any other waits for the browser. An event that names no agency means the only one that
    /// is known. Returns whether the location was added.
    pub(super) async fn installed(
        &self,
        tx: &mut Tx,
        location: &LocationId,
        company: Option<&CompanyId>,
        at: Timestamp,
    ) -> Result<bool> {
        let known: Vec<String> = match company {
            Some(company) => sqlx::query_scalar(AGENCY).bind(company.as_str()).fetch_all(&mut **tx).await?,
            None => sqlx::query_scalar(AGENCIES).fetch_all(&mut **tx).await?,
        };
        let [agency] = &known[..] else { return Ok(false) };
        include(tx, &id("installs.company_id", agency.clone())?, location, None, at).await?;
        self.touched(tx, &Installer::Location(location.clone())).await?;
        Ok(true)
    }

    /// An UNINSTALL event: tokens are dropped, links are kept for a return. `at`: when it was sent.
    pub(super) async fn uninstalled(&self, tx: &mut Tx, installer: &Installer, at: Timestamp) -> Result<bool> {
        let query = sqlx::query(UNINSTALL).bind(installer.kind()).bind(installer.id()).bind(at.as_millisecond());
        let changed = query.execute(&mut **tx).await?.rows_affected() > 0;
        if changed {
            self.touched(tx, installer).await?;
        }
        Ok(changed)
    }

    /// An UPDATE event: the account has taken a new version of the app, which may have other scopes
    /// (G §8.5). Its token counts as expired, because only a new token tells the scopes. Returns
    /// whether there was a token.
    pub(super) async fn outdated(&self, tx: &mut Tx, installer: &Installer, at: Timestamp) -> Result<bool> {
        let query = sqlx::query(OUTDATE).bind(installer.kind()).bind(installer.id()).bind(at.as_millisecond());
        let changed = query.execute(&mut **tx).await?.rows_affected() > 0;
        if changed {
            self.touched(tx, installer).await?;
        }
        Ok(changed)
    }

    /// The owners of the locations of this install have to look again.
    async fn touched(&self, tx: &mut Tx, installer: &Installer) -> Result<()> {
        sqlx::query(TOUCH).bind(installer.kind()).bind(installer.id()).execute(&mut **tx).await?;
        self.signal(tx, &Signal::Free).await
    }

    /// Seals every token with the first key. Returns how many were sealed with another.
    pub(super) async fn reseal_installs(&self) -> Result<u64> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(SEALED).fetch_all(&self.db.read).await?;
        let mut resealed = 0;
        for (kind, id, old) in rows.into_iter().filter(|(_, _, sealed)| self.keys.is_old(sealed)) {
            let installer = installer(&kind, &id)?;
            let new = self.sealed(&installer, &self.unsealed(&installer, &old)?)?;
            let mut tx = self.db.begin().await?;
            let query = sqlx::query(RESEAL).bind(kind).bind(id).bind(new).bind(old);
            resealed += query.execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
        }
        Ok(resealed)
    }
}

async fn include(
    tx: &mut Tx,
    company: &CompanyId,
    location: &LocationId,
    name: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    let query = sqlx::query(INCLUDE).bind(location.as_str()).bind(company.as_str()).bind(name.map(strip_nul));
    query.bind(at.as_millisecond()).execute(&mut **tx).await?;
    Ok(())
}

impl InstallStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Lost => "lost",
            Self::Uninstalled => "uninstalled",
        }
    }
}

pub(super) fn status(name: &str) -> Result<InstallStatus> {
    match name {
        "active" => Ok(InstallStatus::Active),
        "lost" => Ok(InstallStatus::Lost),
        "uninstalled" => Ok(InstallStatus::Uninstalled),
        unknown => Err(corrupt("installs.status", unknown)),
    }
}

pub(super) fn installer(kind: &str, id: &str) -> Result<Installer> {
    Installer::new(kind, id).ok_or_else(|| corrupt("installs.kind and installs.id", (kind, id)))
}
