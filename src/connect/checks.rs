//! Tries everything that working a location needs, and says for each what was tried, what came
//! back, and what to change.

use std::time::Duration;

use crate::clients::Error;
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::{ContactSearch, TaskSearch};
use crate::clients::trafft::Trafft;
use crate::clock::Clock;
use crate::model::{Check, ContactId, Scopes, Vendor};
use crate::sync::advice::{HOW_TO_GRANT, ghl_fix, told, trafft_fix};
use crate::sync::{VendorClients, preview, unknown_fields, unknown_locale};

/// Scopes that a sync can do without, each with what it cannot do then.
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

/// With a larger clock difference, due times and the expiry of tokens are noticeably wrong.
const SKEW: Duration = Duration::from_mins(2);

/// All checks of one location; `contact`: shows what that contact would become.
pub async fn location(reached: &VendorClients, contact: Option<&ContactId>, clock: &Clock) -> Vec<Check> {
    let VendorClients { ghl, trafft, .. } = reached;
    let mut checks = vec![contacts(ghl).await.of(Vendor::Ghl)];
    let is_open = checks[0].ok;
    if is_open {
        checks.extend(lesser_reads(reached).await.into_iter().map(|check| check.of(Vendor::Ghl)));
    }
    checks.extend(skew(ghl));
    checks.push(customers(trafft).await.of(Vendor::Trafft));
    // Where contacts cannot be read, the first check says why, and a preview would only repeat it.
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
async fn lesser_reads(reached: &VendorClients) -> Vec<Check> {
    let VendorClients { ghl, mapping, policy, .. } = reached;
    let record = ghl.location().await;
    let unread = record.as_ref().map(|record| unknown_locale(policy, record));
    let unread = unread.unwrap_or_default().into_iter();
    let unread = unread.map(|(what, fix)| Check::lesser("HighLevel: the location's time zone and country", what, fix));
    let fields = ghl.custom_fields().await;
    let unknown = fields.as_ref().ok().and_then(|fields| unknown_fields(mapping, &fields.items));
    let unknown = unknown.map(|(found, fix)| Check::lesser("mapping: custom fields", found, fix));
    let reads = [
        record.map(drop),
        fields.map(drop),
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
    checks.chain(unread).chain(unknown).collect()
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
