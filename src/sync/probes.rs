//! Tries everything that working a location needs, and says for each what was tried, what came back, and what to change.

use std::time::Duration;

use serde::Serialize;

use super::Reached;
use super::locale::Locale;
use super::plan::{Maker, Plan, Rules, plan};
use super::values::State;
use crate::clients::Error;
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::{ContactSearch, TaskSearch};
use crate::clients::trafft::Trafft;
use crate::clock::Clock;
use crate::model::{AUTHORISE_AGAIN, ContactId, Policy, Scopes, Vendor};

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
    /// The vendor that was asked, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
}

impl Check {
    /// It is as it must be.
    pub fn good(tried: impl Into<String>, found: impl Into<String>) -> Self {
        Self { tried: tried.into(), ok: true, found: found.into(), fix: None, vendor: None }
    }

    /// It is not; `fix` says what to do.
    pub fn bad(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: false, fix: Some(fix.into()), ..Self::good(tried, found) }
    }

    /// It works without it, but not all of it.
    pub fn lesser(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: true, ..Self::bad(tried, found, fix) }
    }

    fn of(self, vendor: Vendor) -> Self {
        Self { vendor: Some(vendor), ..self }
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

/// More than this, and due times and the ends of tokens are wrong by so much that it shows.
const SKEW: Duration = Duration::from_mins(2);

/// Everything of one location; `contact`: shows what that one would become.
pub async fn location(reached: &Reached, contact: Option<&ContactId>, clock: &Clock) -> Vec<Check> {
    let Reached { ghl, trafft, policy, .. } = reached;
    let mut checks = vec![contacts(ghl).await.of(Vendor::Ghl)];
    let is_open = checks[0].ok;
    if is_open {
        checks.extend(lesser_reads(ghl, policy).await.into_iter().map(|check| check.of(Vendor::Ghl)));
    }
    checks.extend(skew(ghl));
    checks.push(customers(trafft).await.of(Vendor::Trafft));
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
async fn lesser_reads(ghl: &Ghl, policy: &Policy) -> Vec<Check> {
    let record = ghl.location().await;
    let unread = record.as_ref().map(|record| Locale::new((policy.zone.clone(), policy.region), record).1);
    let unread = unread.unwrap_or_default().into_iter();
    let unread = unread.map(|(what, fix)| Check::lesser("HighLevel: the location's time zone and country", what, fix));
    let reads = [
        record.map(drop),
        ghl.custom_fields().await.map(drop),
        ghl.search_tasks(&TaskSearch { limit: Some(1), ..Default::default() }).await.map(drop),
    ];
    let checks = reads.into_iter().zip(LESSER).map(|(read, (scope, what))| {
        let tried = format!("HighLevel: a read that needs `{scope}`");
        match read {
            Ok(()) => Check::good(tried, "works"),
            Err(Error::ScopeMissing { .. }) => {
                Check::lesser(tried, "the scope is missing", format!("grant it, for: {what}; {HOW_TO_GRANT}"))
            }
            Err(error) => Check::bad(tried, told(&error), ghl_fix(&error)),
        }
    });
    checks.chain(unread).collect()
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
            "set this machine's clock by NTP, and with PostgreSQL the clock of its server: with a wrong clock tokens look expired, and work is done too late or too early",
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

/// What a contact would become. Holds personal data: for the screen only, not for the log.
async fn preview(reached: &Reached, contact: &ContactId, clock: &Clock) -> Check {
    let tried = preview_of(contact);
    let Reached { ghl, mapping, policy, .. } = reached;
    let record = match ghl.contact(contact).await {
        Ok(record) => record,
        Err(Error::Gone(_)) => {
            return Check::bad(tried, "there is no such contact", "give the id of a contact of this location");
        }
        Err(error) => return Check::bad(tried, told(&error), ghl_fix(&error)),
    };
    let set = (policy.zone.clone(), policy.region);
    let locale = match ghl.location().await {
        Ok(record) => Locale::new(set, &record).0,
        Err(_) => Locale { zone: set.0, region: set.1, is_told: false },
    };
    let definitions = ghl.custom_fields().await.unwrap_or_default().items;
    let rules = Rules { mapping, policy, locale: &locale, now: clock.now() };
    match plan(&State::of(&record, &definitions), Maker::Nobody, &rules) {
        Err(error) => Check::bad(tried, error.to_string(), "mend the mapping"),
        Ok(Plan::Filtered) => Check::good(tried, "the mapping's `only` leaves it out"),
        Ok(Plan::Unreachable(why)) => Check::good(tried, why),
        Ok(Plan::Customer(customer)) => {
            Check::good(tried, serde_json::to_string(&customer.new_customer()).unwrap_or_default())
        }
    }
}

fn told(error: &Error) -> String {
    match error.vendor_message() {
        Some(said) => format!("{}; it said: {said}", found(error)),
        None => found(error),
    }
}

/// What came back, in our own words. What to check is told by the fix.
pub(super) fn found(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => "the credentials are refused".to_owned(),
        Error::NoToken { why } if matches!(**why, Error::CredentialsRefused { .. }) => found(why),
        other => other.to_string(),
    }
}

/// An app's scopes are fixed once a version of it is live (G §8.5); a private token's are not (G §3.7).
const HOW_TO_GRANT: &str = "private token: edit the integration's scopes, the token stays the same; app: add it to a new version \
    of the app, release that, and have this account take the update (its settings, or the marketplace), or install the app again";

/// What to do when HighLevel refuses the app itself.
pub(super) const APP_KEYS: &str = "compare `GHL_CLIENT_ID` and `GHL_CLIENT_SECRET` with the client keys of your app, and its redirect URLs \
    with `PUBLIC_URL` and `/oauth/callback`; after a change restart the service";

/// What to do when HighLevel does not answer as it should.
pub(super) fn ghl_fix(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => {
            "make a new private integration token in this location (Settings, Private Integrations) and enter it: after a rotation the old one is good for 7 days at most; an app that was installed is installed again".to_owned()
        }
        Error::AppRefused { .. } => APP_KEYS.to_owned(),
        Error::ScopeMissing { scope } => format!("grant `{scope}`: {HOW_TO_GRANT}"),
        Error::Reauthorise | Error::GrantInvalid => AUTHORISE_AGAIN.to_owned(),
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
    if let Error::NotSent { reason } = error
        && let Some(fix) = reason.fix()
    {
        return fix.to_owned();
    }
    match error {
        Error::BudgetUsedUp { .. } | Error::RateLimited { .. } => {
            "try again in a minute: too many calls just now".to_owned()
        }
        _ => "wait a few minutes; if it stays so, look at the vendor's status page".to_owned(),
    }
}
