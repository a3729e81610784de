//! The slow pass over Trafft's customers: what staff edited or deleted there. GoHighLevel wins on
//! the fields it has, so what differs is looked at again.

use serde::{Deserialize, Serialize};

use super::super::directory::indexed;
use super::super::{Connection, Failure};
use super::FINDINGS;
use crate::clients::trafft::wire::{self, Page};
use crate::model::Sweep;
use crate::store::{Customer, Drift, Finding, Step, Store, Sweeping};

/// Where a pass is: its next page, and what the pages before have shown.
#[derive(Serialize, Deserialize)]
struct Pass {
    page: u32,
    /// Customers that could not be read.
    unread: usize,
    /// Customers on all pages so far, and how many there should be, as each page told it.
    #[serde(default)]
    shown: i64,
    #[serde(default)]
    total: Option<i64>,
    /// Two pages told different totals: a customer was created or deleted meanwhile, and one may
    /// have moved to a page that was read already (T §2).
    #[serde(default)]
    is_torn: bool,
    /// The last page has been read: now those are marked that no page has shown.
    #[serde(default)]
    is_read: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self { page: 1, unread: 0, shown: 0, total: None, is_torn: false, is_read: false }
    }
}

impl Pass {
    fn next(&self, page: &Page<wire::Customer>) -> Self {
        let given = page.data.given();
        let told = page.pagination.total;
        let before = self.total;
        Self {
            page: self.page + 1,
            unread: self.unread + page.data.odd.len(),
            shown: self.shown + given as i64,
            total: told.or(before),
            is_torn: self.is_torn || told.is_some() && before.is_some() && told != before,
            is_read: page.is_last(self.page),
        }
    }

    /// Why customers that were not shown do not count as deleted, if so.
    fn doubt(&self) -> Option<String> {
        if self.unread > 0 {
            Some(format!("{} customers cannot be read (the log names them), so none is taken as deleted", self.unread))
        } else if self.is_torn || self.total.is_some_and(|total| self.shown < total) {
            Some("customers were made or deleted while they were paged through, so none is taken as deleted".to_owned())
        } else {
            None
        }
    }
}

/// One page. After the last page, the customers that neither this pass nor the one before has
/// shown, a limited number in each step.
pub(super) async fn step(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let location = &connection.location;
    let pass: Pass = at.cursor.as_deref().and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
    if pass.is_read {
        return unseen(store, connection, at, pass.doubt()).await;
    }
    connection.lease.check()?;
    let locale = connection.metadata.locale(&connection.ghl, now).await.map_err(Failure::Ghl)?;
    let page = connection.customers_page(pass.page).await?;
    let customers: Vec<Customer> = page.data.items.iter().map(|customer| indexed(customer, locale.region)).collect();
    let told = store.index_customers(location, &customers, now).await?;
    let next = pass.next(&page);
    Ok(Step {
        told,
        seen: page.data.given() as i64,
        calls: 1,
        total: page.pagination.total,
        cursor: Some(serde_json::json!(next).to_string()),
        due_at: Some(if next.is_read { now } else { now + connection.policy.page_pause }),
        ..Step::default()
    })
}

/// Some of those that no page has shown. A deletion while we page hides a customer from one pass
/// (T §2), hardly from two.
async fn unseen(store: &Store, connection: &Connection, at: &Sweeping, doubt: Option<String>) -> Result<Step, Failure> {
    let now = connection.clock.now();
    let location = &connection.location;
    let unseen = match at.since {
        Some(before) if doubt.is_none() => store.unseen_customers(location, before, FINDINGS as i64).await?,
        _ => Vec::new(),
    };
    let more = unseen.len() == FINDINGS;
    let mut found = Vec::new();
    for (customer, contact) in unseen {
        match contact {
            Some(contact) => {
                found.push(Finding::drifted(contact, Drift::Unseen, "not among Trafft's customers any more"))
            }
            None => store.forget_customer(location, customer, now).await?,
        }
    }
    if !more {
        store.revive_conflicts(location, now).await?;
    }
    let pace = connection.policy.pace.of(Sweep::Customers);
    Ok(Step {
        found,
        cursor: at.cursor.clone().filter(|_| more),
        // If this pass is in doubt, the time of the pass before stays.
        since: (!more && doubt.is_none()).then(|| at.started_at.unwrap_or(now)),
        reason: doubt,
        due_at: if more { Some(now) } else { pace.map(|pace| now + pace) },
        ..Step::default()
    })
}
