//! Takes over all contacts of a location, or says what that would do. Contacts come from the
//! search, a hundred a call; their tasks, notes and appointments follow with the rotation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::identity::{Match, find};
use super::super::plan::{Maker, Plan, Rules, claim_description, plan};
use super::super::values::State;
use super::super::{Connection, Failure};
use super::contacts::{following, search, unread, updated};
use crate::clients::ghl::wire::{Contact, ContactSearch};
use crate::model::{ContactId, Facets, Lane};
use crate::store::{self, ContactKey, Import, Step, Store, Sweeping};

/// So many contacts may wait in the last lane before more are put there.
const BACKLOG: i64 = 500;
/// Then the sweep looks again after this time.
const UNTIL_LESS: Duration = Duration::from_secs(10);

/// How many contacts may be put into the last lane now; else a step that waits for it to empty.
pub(super) async fn wait_for_room(
    store: &Store,
    connection: &Connection,
    sweeping: &Sweeping,
) -> Result<Result<i64, Step>, store::Error> {
    let waiting = store.waiting(&connection.location, Lane::Backfill).await?;
    if waiting < BACKLOG {
        return Ok(Ok(BACKLOG - waiting));
    }
    Ok(Err(Step {
        // Even before the first step: it has begun.
        cursor: Some(sweeping.cursor.clone().unwrap_or_else(|| START.to_owned())),
        due_at: Some(connection.clock.now() + UNTIL_LESS),
        reason: Some(format!("{waiting} contacts wait for their turn first")),
        ..Step::default()
    }))
}

/// The cursor of a pass that has not read its first page.
const START: &str = "null";

/// One page of all contacts, taken over.
pub(super) async fn step(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    if let Err(wait) = wait_for_room(store, connection, at).await? {
        return Ok(wait);
    }
    let page = search(connection, ContactSearch::all(), at).await?;
    let import = |contact: &Contact| {
        let fields = serde_json::to_string(contact).map_err(|error| store::Error::Corrupt(error.to_string()))?;
        Ok(Import { contact: contact.id.clone(), fields, updated: updated(contact) })
    };
    let found = unread(&page, Facets::ALL);
    let imports = page.contacts.items.iter().map(import).collect::<Result<_, store::Error>>()?;
    Ok(Step { imports, found, ..following(page, connection.clock.now(), None) })
}

/// What a backfill would do, counted; where the search goes on with it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Tally {
    create: i64,
    update: i64,
    conflict: i64,
    leave: i64,
    known: i64,
    filtered: i64,
    unreachable: i64,
    next: Option<String>,
}

impl Tally {
    fn count(&mut self, fate: Fate) {
        let counted = match fate {
            Fate::Create => &mut self.create,
            Fate::Update => &mut self.update,
            Fate::Conflict => &mut self.conflict,
            Fate::Leave => &mut self.leave,
            Fate::Known => &mut self.known,
            Fate::Filtered => &mut self.filtered,
            Fate::Unreachable => &mut self.unreachable,
        };
        *counted += 1;
    }

    fn told(&self) -> String {
        let Self { create, update, conflict, leave, known, filtered, unreachable, .. } = self;
        let told = format!(
            "would create {create}, update {update}, ask about {conflict}; {leave} match already, {known} are known already \
             (`contacts list`), {unreachable} have neither e-mail nor phone, {filtered} are left out by the mapping's `only`"
        );
        match create + update + conflict + leave + known + unreachable {
            0 if *filtered > 0 => format!("{told}: nobody passes it"),
            _ => told,
        }
    }
}

/// One page of all contacts, looked at only.
pub(super) async fn dry_run(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let mut tally: Tally =
        at.cursor.as_deref().and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
    if at.cursor.is_none() {
        // Staff add customers all the time; the ones of today are to be counted.
        let mut lock = connection.directory.lock().await;
        let seen = lock.seen();
        connection.refresh_directory(store, &mut lock, seen).await?;
    }
    let position = Sweeping { cursor: tally.next.take(), ..at.clone() };
    let page = search(connection, ContactSearch::all(), &position).await?;
    for contact in &page.contacts.items {
        tally.count(fate(store, connection, contact).await?);
    }
    let step = following(page, connection.clock.now(), None);
    tally.next = step.cursor;
    let reason = tally.told();
    let cursor = tally.next.is_some().then(|| serde_json::to_string(&tally).unwrap_or_default());
    Ok(Step { cursor, reason: Some(reason), ..step })
}

enum Fate {
    Create,
    Update,
    Conflict,
    Leave,
    /// An event told of it before.
    Known,
    Filtered,
    /// Trafft could take neither e-mail nor phone of it.
    Unreachable,
}

async fn fate(store: &Store, connection: &Connection, contact: &Contact) -> Result<Fate, Failure> {
    if is_known(store, connection, &contact.id).await? {
        return Ok(Fate::Known);
    }
    let locale = connection.metadata.locale(&connection.ghl, connection.clock.now()).await.map_err(Failure::Ghl)?;
    let now = connection.clock.now();
    let Connection { mapping, policy, .. } = connection;
    let definitions = if mapping.uses_custom {
        connection.metadata.custom_fields(&connection.ghl, contact, now).await.map_err(Failure::Ghl)?
    } else {
        Default::default()
    };
    let rules = Rules { mapping, policy, locale: &locale, now };
    let mut projection = match plan(&State::of(contact, &definitions), Maker::Nobody, &rules)? {
        Plan::Customer(projection) => projection,
        Plan::Filtered => return Ok(Fate::Filtered),
        Plan::Unreachable(_) => return Ok(Fate::Unreachable),
    };
    Ok(match find(store, connection, &projection, &locale, &contact.id).await? {
        Match::None => Fate::Create,
        Match::Own => Fate::Known,
        Match::Ambiguous { .. } => Fate::Conflict,
        Match::Unique(customer) => {
            claim_description(&mut projection, policy.description, Maker::Others);
            if projection.matches(&customer) { Fate::Leave } else { Fate::Update }
        }
    })
}

async fn is_known(store: &Store, connection: &Connection, contact: &ContactId) -> Result<bool, Failure> {
    let key = ContactKey { location: connection.location.clone(), contact: contact.clone() };
    Ok(store.contact(&key).await?.is_some())
}
