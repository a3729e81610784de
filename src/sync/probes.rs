//! Tries everything that working a location needs, and says for each what was tried, what came back, and what to change.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::Reached;
use super::project::{Place, State, project, values};
use crate::clients::Error;
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::{ContactSearch, TaskSearch};
use crate::clients::trafft::Trafft;
use crate::clock::Clock;
use crate::model::{ContactId, Region, Scopes};

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// What was tried.
    pub tried: String,
    /// Is it as it must be?
    pub ok: bool,
    /// What came back.
    pub found: String,
    /// What to change; none: nothing.
    pub fix: Option<String>,
}

impl Check {
    /// It is as it must be.
    pub fn good(tried: impl Into<String>, found: impl Into<String>) -> Self {
        Self { tried: tried.into(), ok: true, found: found.into(), fix: None }
    }

    /// It is not; `fix` says what to do.
    pub fn bad(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { tried: tried.into(), ok: false, found: found.into(), fix: Some(fix.into()) }
    }

    /// It works without it, but not all of it.
    pub fn lesser(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: true, ..Self::bad(tried, found, fix) }
    }
}

/// Scopes that something can be done without, and what.
const LESSER: [(&str, &str); 3] = [
    ("locations.readonly", "time zone and country of the location; or set `TIME_ZONE` and `PHONE_REGION`"),
    ("locations/customFields.readonly", "custom fields by name in the mapping"),
    ("locations/tasks.readonly", "edited tasks, which no event tells of"),
];

/// Scopes that a grant lacks, each with what it is for.
pub fn missing(scopes: &Scopes) -> Vec<(&'static str, &'static str)> {
    let needed = [("contacts.readonly", "everything: without it nothing can be synced")];
    needed.into_iter().chain(LESSER).filter(|(scope, _)| !scopes.holds(scope)).collect()
}

/// More than this and fresh webhooks look stale or from the future.
const SKEW: Duration = Duration::from_mins(2);

/// Everything of one location; `contact`: shows what that one would become.
pub async fn location(reached: &Reached, contact: Option<&ContactId>, clock: &Clock) -> Vec<Check> {
    let Reached { ghl, trafft, .. } = reached;
    let mut checks = vec![contacts(ghl).await];
    let is_open = checks[0].ok;
    if is_open {
        checks.extend(lesser_reads(ghl).await);
    }
    checks.extend(skew(ghl));
    checks.push(customers(trafft).await);
    // What keeps us from reading contacts is told once.
    if let Some(contact) = contact.filter(|_| is_open) {
        checks.push(preview(reached, contact, clock).await);
    }
    checks
}

/// The read without which nothing can be synced.
pub(super) async fn contacts(ghl: &Ghl) -> Check {
    const TRIED: &str = "HighLevel: read contacts (`contacts.readonly`)";
    match ghl.search_contacts(&ContactSearch { page_limit: 1, ..Default::default() }).await {
        Ok(page) => Check::good(TRIED, format!("works, {} in all", page.total.unwrap_or_default())),
        Err(error) => Check::bad(TRIED, told(&error), ghl_fix(&error)),
    }
}

/// A sample of each other read that a sync makes, so that every scope is known to be there.
async fn lesser_reads(ghl: &Ghl) -> Vec<Check> {
    let reads = [
        ghl.location().await.map(drop),
        ghl.custom_fields().await.map(drop),
        ghl.search_tasks(&TaskSearch { limit: Some(1), ..Default::default() }).await.map(drop),
    ];
    let checks = reads.into_iter().zip(LESSER).map(|(read, (scope, what))| {
        let tried = format!("HighLevel: a read that needs `{scope}`");
        match read {
            Ok(()) => Check::good(tried, "works"),
            Err(Error::ScopeMissing { .. }) => {
                Check::lesser(tried, "the scope is missing", format!("grant it, for: {what}"))
            }
            Err(error) => Check::bad(tried, told(&error), ghl_fix(&error)),
        }
    });
    checks.collect()
}

fn skew(ghl: &Ghl) -> Option<Check> {
    const TRIED: &str = "clock: this machine's against HighLevel's";
    let skew = ghl.clock_skew()?;
    let seconds = skew.as_secs();
    Some(if skew.unsigned_abs() <= SKEW {
        Check::good(TRIED, "less than two minutes apart")
    } else {
        let way = if seconds > 0 { "ahead" } else { "behind" };
        let found = format!("it is {} s {way}", seconds.unsigned_abs());
        Check::bad(
            TRIED,
            found,
            "set this machine's clock by NTP: with a wrong clock fresh webhooks look stale, and tokens expired",
        )
    })
}

/// A sample read in Trafft.
pub(super) async fn customers(trafft: &Trafft) -> Check {
    const TRIED: &str = "Trafft: get a token and read customers";
    match trafft.customers(1, 1).await {
        Ok(page) => Check::good(TRIED, format!("works, {} in all", page.pagination.total.unwrap_or_default())),
        Err(error) => Check::bad(TRIED, told(&error), trafft_fix(&error)),
    }
}

/// What the preview of a contact is called.
pub fn preview_of(contact: &ContactId) -> String {
    format!("mapping: contact {contact}")
}

/// What a contact would become. Holds personal data: for the screen of whoever asked.
async fn preview(reached: &Reached, contact: &ContactId, clock: &Clock) -> Check {
    let tried = preview_of(contact);
    let Reached { ghl, mapping, policy, .. } = reached;
    let record = match ghl.contact(contact).await {
        Ok(record) => record,
        Err(Error::NotFound) => {
            return Check::bad(tried, "there is no such contact", "give the id of a contact of this location");
        }
        Err(error) => return Check::bad(tried, told(&error), ghl_fix(&error)),
    };
    let theirs = ghl.location().await.ok();
    let zone = theirs.as_ref().and_then(|place| TimeZone::get(place.timezone.as_deref()?).ok());
    let region = theirs.as_ref().and_then(|place| Region::new(place.country.as_deref()?));
    let zone = policy.zone.clone().or(zone).unwrap_or(TimeZone::UTC);
    let place = Place { zone, region: policy.region.or(region) };
    let definitions = ghl.custom_fields().await.unwrap_or_default();
    let bare = values(&State::of(&record, &definitions), &place, mapping, clock.now());
    let projected = mapping.keeps(&bare.0).and_then(|kept| Ok((kept, project(mapping, &bare, &place, policy.escape)?)));
    match projected {
        Err(error) => Check::bad(tried, error.to_string(), "mend the mapping"),
        Ok((false, _)) => Check::good(tried, "the mapping's `only` leaves it out"),
        Ok((true, customer)) => Check::good(tried, serde_json::to_string(&customer.new_customer()).unwrap_or_default()),
    }
}

fn told(error: &Error) -> String {
    let what = match error {
        // What to check is told by the fix.
        Error::CredentialsRefused { .. } => "the credentials are refused".to_owned(),
        other => other.to_string(),
    };
    match error.vendor_message() {
        Some(said) => format!("{what}; it said: {said}"),
        None => what,
    }
}

/// What to do when HighLevel does not answer as it should.
pub(super) fn ghl_fix(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => {
            "make a new private integration token in this location (Settings, Private Integrations) and enter it; an app that was installed is installed again".to_owned()
        }
        Error::ScopeMissing { scope } => format!("grant `{scope}`: private token: edit the integration's scopes; app: tick it in the app's settings and install it again"),
        Error::Reauthorise | Error::GrantInvalid => "open `/oauth/install` on this service and choose the location again".to_owned(),
        Error::LocationInactive => "reactivate the location in HighLevel; nothing else is lost".to_owned(),
        error if error.is_of_another() => "check `GHL_API_URL` (leave it out to use HighLevel's own) and the location's id".to_owned(),
        other => on_the_way(other),
    }
}

/// What to do when Trafft does not answer as it should.
pub(super) fn trafft_fix(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => {
            "copy client id and client secret again from Trafft, Features & Integrations, API: they belong to the URL on the same card".to_owned()
        }
        error if error.is_of_another() => {
            "use the URL on Trafft's API card, as in `https://name.admin.trafft.com`: at this one there is no Trafft API".to_owned()
        }
        other => on_the_way(other),
    }
}

fn on_the_way(error: &Error) -> String {
    match error {
        Error::NotSent { reason } if reason.contains("plain http") => {
            "write `https://` instead of `http://`".to_owned()
        }
        Error::NotSent { .. } => {
            "check the spelling of the URL, this machine's DNS, and its way out (firewall, proxy)".to_owned()
        }
        Error::BudgetUsedUp { .. } | Error::RateLimited { .. } => {
            "try again in a minute: too many calls just now".to_owned()
        }
        _ => "try again in a few minutes; if it stays so, look at the vendor's status page".to_owned(),
    }
}
