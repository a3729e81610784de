//! Projects every known contact anew when the rules have changed: the mapping with its filter, a
//! policy, the zone, the region, the custom fields, or the projection itself. Nothing is read that
//! was read before, and only what differs is written.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tracing::info;

use super::super::custom::meanings;
use super::super::metadata::{FRESH, Metadata};
use super::super::project;
use super::super::{Connection, DescriptionPolicy, Mapping, Policy, VendorClients, phones};
use super::backfill::wait_for_room;
use super::{FINDINGS, Failure};
use crate::clients::Error;
use crate::clients::ghl::Ghl;
use crate::clock::Clock;
use crate::model::{Facets, LocationId, Region, Sweep};
use crate::store::{self, Drift, Finding, Step, Store, Sweeping};

/// A contact that is worked just now is projected by what was told before, and a pass leaves out
/// what is queued. So a pass waits for this long, until that contact is at rest.
const WORKED: Duration = Duration::from_mins(5);

/// What stands for what HighLevel does not tell for now.
const UNTOLD: &str = "?";

/// What decides what a contact becomes. Two equal ones project alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Revision {
    /// Each one word. First what is ours: the mapping, a policy, this program. Then what HighLevel
    /// tells, or [`UNTOLD`]: the zone and the region; the custom fields, if the mapping uses any.
    words: Vec<String>,
}

impl Revision {
    async fn of(
        mapping: &Mapping,
        policy: &Policy,
        metadata: &Metadata,
        ghl: &Ghl,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut words = vec![ours(mapping, policy)];
        let locale = metadata.locale(ghl, now).await?;
        let zone = locale.zone.map(|zone| zone.iana_name().map_or_else(|| format!("{zone:?}"), str::to_owned));
        let region = locale.region.map(Region::letters).unwrap_or_default();
        words.push(match locale.is_told {
            true => word([&zone.unwrap_or_default(), &region.to_string()]),
            false => UNTOLD.to_owned(),
        });
        if mapping.uses_custom {
            let told = metadata.told_custom_fields(ghl, now).await?;
            words.push(told.map_or_else(|| UNTOLD.to_owned(), |definitions| word(&meanings(&definitions))));
        }
        Ok(Self { words })
    }

    /// Were all contacts projected by these rules before? What HighLevel does not tell for now is
    /// as it was; as long as it had told it, no pass begins for what else it tells.
    fn holds(&self, before: Option<&str>) -> bool {
        let Some(before) = before else { return false };
        let before: Vec<_> = before.split('/').collect();
        let mut both = self.words.iter().zip(&before);
        let is_ours = both.next().is_some_and(|(now, before)| now == before);
        is_ours
            && (both.clone().any(|(now, before)| now == UNTOLD && *before != UNTOLD)
                || self.words.len() == before.len() && both.all(|(now, before)| now == before))
    }

    fn is_untold(&self) -> bool {
        self.words.iter().any(|word| word == UNTOLD)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join("/"))
    }
}

/// What is ours, as one word. Every setting of a location stands here, so that nobody forgets to
/// decide about a new one: does it change what a contact becomes?
fn ours(mapping: &Mapping, policy: &Policy) -> String {
    let Policy {
        description,
        escape,
        // With what HighLevel tells.
        zone: _,
        region: _,
        // When and whether something is done, not what a contact becomes.
        delete: _,
        missing: _,
        settle_time: _,
        page_pause: _,
        pace: _,
    } = policy;
    rules(project::VERSION, mapping, *description, *escape)
}

/// `version` is the projection's own.
fn rules(version: u32, mapping: &Mapping, description: DescriptionPolicy, escape: bool) -> String {
    let description = match description {
        DescriptionPolicy::Created => "created",
        DescriptionPolicy::All => "all",
        DescriptionPolicy::AtCreation => "at creation",
    };
    let own = [version.to_string(), phones::RULE.to_string(), description.to_owned(), escape.to_string()];
    word(own.iter().chain(&mapping.sources))
}

/// The parts as one word: equal only for equal parts.
fn word<'a>(parts: impl IntoIterator<Item = &'a String>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // With their lengths: no two lists of parts are written alike.
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The next contacts, by id. The cursor holds for which revision the pass is: with another one it
/// begins anew.
pub(super) async fn step(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let Connection { location, metadata, ghl, .. } = connection;
    let now = connection.clock.now();
    let revision =
        Revision::of(&connection.mapping, &connection.policy, metadata, ghl, now).await.map_err(Failure::Ghl)?;
    let was_unsettled = metadata.take_unsettled();
    // What HighLevel does not tell yet may be granted later.
    let end = Step { due_at: revision.is_untold().then(|| now + FRESH), ..Step::default() };
    let before = store.projection(location).await?;
    if revision.holds(before.as_deref()) && (revision.is_untold() || !was_unsettled) {
        if was_unsettled {
            // Contacts that are worked meanwhile may be projected without what is untold. Once
            // HighLevel tells it again, all contacts are projected anew.
            store.projected(location, connection.epoch, Some(&revision.to_string())).await?;
        }
        return Ok(end);
    }
    let revision = revision.to_string();
    let place_of_pass = at.cursor.as_deref().and_then(|cursor| cursor.strip_prefix(&revision)?.strip_prefix(' '));
    let mut total = None;
    if place_of_pass.is_none() {
        // Until the pass has ended, some contacts are projected by these rules and some by others,
        // so no revision holds for all, whichever rules come next.
        store.projected(location, connection.epoch, None).await?;
        let contacts = store.count_projectable(location).await?;
        total = Some(contacts);
        if contacts > 0 {
            info!(
                contacts,
                "the mapping, a policy, the zone, the region, the custom fields or this program project contacts otherwise than before: \
                 {contacts} are looked at anew, and written where they differ"
            );
        }
    }
    let after = place_of_pass.unwrap_or_default();
    let begun = Sweeping { cursor: Some(format!("{revision} {after}")), ..at.clone() };
    let room = match wait_for_room(store, connection, &begun).await? {
        Err(wait) => return Ok(Step { total, ..wait }),
        Ok(room) => room.min(FINDINGS as i64),
    };
    let contacts = store.projectable(location, after, room).await?;
    let Some(last) = contacts.last() else {
        store.projected(location, connection.epoch, Some(&revision)).await?;
        return Ok(Step { total, ..end });
    };
    Ok(Step {
        cursor: Some(format!("{revision} {last}")),
        due_at: Some(now),
        seen: contacts.len() as i64,
        total,
        found: contacts
            .into_iter()
            .map(|contact| Finding { contact, facets: Facets::NONE, what: None, drift: Drift::None })
            .collect(),
        ..Step::default()
    })
}

/// Before the first contact is worked by these rules: if others were in force, no revision holds
/// for all any more, also if these are taken back before the pass begins.
pub(in crate::sync) async fn forget_other(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    let Connection { location, epoch, mapping, policy, .. } = connection;
    let ours = ours(mapping, policy);
    match store.projection(location).await? {
        Some(before) if !before.starts_with(&ours) => store.projected(location, *epoch, None).await,
        _ => Ok(()),
    }
}

/// Asks for a pass if HighLevel tells something else than before: no event says so.
pub(super) async fn look(store: &Store, connection: &Connection) -> Result<(), store::Error> {
    let Connection { location, mapping, policy, metadata, ghl, .. } = connection;
    let now = connection.clock.now();
    // None: a pass is under way, or was stopped by hand. What cannot be told now is told at another
    // time.
    let Some(before) = store.projection(location).await? else { return Ok(()) };
    metadata.renew_locale(ghl, now).await;
    let Ok(revision) = Revision::of(mapping, policy, metadata, ghl, now).await else { return Ok(()) };
    if metadata.is_unsettled() || !revision.holds(Some(&before)) {
        store.ask_for_sweep(location, Sweep::Projection, now + WORKED).await?;
    }
    Ok(())
}

/// How many contacts of a location will be projected anew, because the rules have changed since.
/// Writes nothing.
///
/// # Errors
/// In words: the store's, or the vendor's.
pub async fn to_be_projected(
    store: &Store,
    location: &LocationId,
    reached: &VendorClients,
    clock: &Clock,
) -> Result<i64, String> {
    let VendorClients { ghl, mapping, policy, .. } = reached;
    let metadata = Metadata::new(policy.zone.clone(), policy.region, None);
    let revision =
        Revision::of(mapping, policy, &metadata, ghl, clock.now()).await.map_err(|error| error.to_string())?;
    let before = store.projection(location).await.map_err(|error| error.to_string())?;
    if revision.holds(before.as_deref()) {
        return Ok(0);
    }
    store.count_projectable(location).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_the_projection_is_another_revision() {
        let of = |version| rules(version, &Mapping::default(), DescriptionPolicy::Created, true);
        assert_ne!(of(project::VERSION), of(project::VERSION - 1));
    }
}
