//! Our own index of a Trafft account's customers, since Trafft has no search: built once by paging, kept warm from the
//! newest page.

use std::collections::HashSet;

use tokio::sync::{Mutex, MutexGuard};
use tracing::info;

use super::{Connection, Failure};
use crate::clients::trafft::wire;
use crate::model::{Phone, Region};
use crate::store::{Customer, Store};

/// The page size that is known to work (T §2).
const PAGE: u32 = 50;

/// A deletion while we page pulls one customer over the page edge, unseen (T §2): then the pass is made again.
const PASSES: u32 = 3;

/// Whoever finds or creates a customer holds its turn: two creates for one person cannot pass each other.
#[derive(Debug)]
pub(super) struct Directory {
    /// Every customer up to this id is in the index; none until the first pass has ended.
    seen: Mutex<Option<i64>>,
}

/// The right to find or create customers of one account.
#[derive(Debug)]
pub(super) struct Turn<'a>(MutexGuard<'a, Option<i64>>);

impl Turn<'_> {
    /// Customers up to this id were there before.
    pub(super) fn seen(&self) -> i64 {
        self.0.unwrap_or_default()
    }
}

impl Directory {
    pub(super) fn new(seen: Option<i64>) -> Self {
        Self { seen: Mutex::new(seen) }
    }

    /// The right to find or create a customer. Nobody asks before the first full pass has ended: no contact of a
    /// location is worked until then.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn(self.seen.lock().await)
    }
}

impl Connection {
    /// The first full pass, when there has not been one.
    ///
    /// # Errors
    /// What stopped it; it begins anew at the next call.
    pub(super) async fn build_directory(&self, store: &Store) -> Result<(), Failure> {
        let mut seen = self.directory.seen.lock().await;
        if seen.is_some() {
            return Ok(());
        }
        let mut newest = 0;
        for pass in 1..=PASSES {
            let mut met = HashSet::new();
            let total = self.page_through(store, |page| {
                met.extend(page.iter().map(|customer| customer.id.0));
                false
            });
            let (total, _) = total.await?;
            newest = met.iter().copied().max().unwrap_or_default().max(newest);
            if met.len() as i64 >= total {
                info!(location = %self.location, customers = met.len(), pass, "indexed the customers of the Trafft account");
                break;
            }
        }
        store.customers_seen(&self.location, self.epoch, newest).await?;
        *seen = Some(newest);
        Ok(())
    }

    /// Takes in what came since the last look, newest first. Returns the calls it took.
    pub(super) async fn refresh_directory(&self, store: &Store, turn: &mut Turn<'_>) -> Result<i64, Failure> {
        let (seen, mut newest) = (turn.seen(), turn.seen());
        let reached = |page: &[wire::Customer]| {
            newest = page.iter().map(|customer| customer.id.0).max().unwrap_or_default().max(newest);
            page.iter().any(|customer| customer.id.0 <= seen)
        };
        let (_, calls) = self.page_through(store, reached).await?;
        if newest > seen {
            store.customers_seen(&self.location, self.epoch, newest).await?;
            *turn.0 = Some(newest);
        }
        Ok(calls)
    }

    /// One page of Trafft's customers, newest first.
    pub(super) async fn customers_page(&self, number: u32) -> Result<wire::Page<wire::Customer>, Failure> {
        self.trafft.customers(number, PAGE).await.map_err(Failure::Trafft)
    }

    /// Reads and indexes pages, newest first, until `reached` or the end. Returns Trafft's total and the calls it took.
    async fn page_through(
        &self,
        store: &Store,
        mut reached: impl FnMut(&[wire::Customer]) -> bool,
    ) -> Result<(i64, i64), Failure> {
        let region = self.metadata.place(&self.ghl).await.map_err(Failure::Ghl)?.region;
        for number in 1.. {
            let page = self.customers_page(number).await?;
            let customers: Vec<_> = page.data.iter().map(|customer| indexed(customer, region)).collect();
            store.index_customers(&self.location, &customers, self.clock.now()).await?;
            // The answer's own paging is the truth, not what was asked for (T §10).
            let pages = page.pagination.pages.unwrap_or(i64::MAX);
            let done = reached(&page.data) || page.data.is_empty() || i64::from(number) >= pages;
            if done {
                return Ok((page.pagination.total.unwrap_or_default(), i64::from(number)));
            }
            self.clock.sleep(self.policy.page_pause).await;
        }
        Ok((0, 0))
    }
}

/// A customer as Trafft shows it, as the index keeps it.
pub(super) fn indexed(customer: &wire::Customer, region: Option<Region>) -> Customer {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let phone_number = text(&customer.phone_number);
    Customer {
        id: customer.id,
        first_name: text(&customer.first_name),
        last_name: text(&customer.last_name),
        email: text(&customer.email),
        phone: Phone::new(&phone_number, region),
        phone_number,
        held_by: None,
    }
}
