//! Our own index of a Trafft account's customers, since Trafft has no search: built once by reading
//! all pages, then kept current from the newest page.

use std::collections::HashSet;

use tokio::sync::{Mutex, MutexGuard};
use tracing::info;

use super::phones::is_of_older_rule;
use super::{Connection, Failure};
use crate::clients::trafft::wire;
use crate::clients::{Error, Odd};
use crate::model::{Phone, Region};
use crate::store::{Customer, Store};

/// The page size that is known to work (T §2).
pub(super) const PAGE: u32 = 50;

/// How many passes are made at most, if each may have missed a customer. The customers that any
/// pass has shown are in the index.
const PASSES: u32 = 3;

/// The index of an account's customers. A task that finds or creates a customer holds its lock, so
/// two tasks cannot create the same person.
#[derive(Debug)]
pub(super) struct Directory {
    index: Mutex<Index>,
}

#[derive(Debug)]
struct Index {
    /// Every customer up to this id is in the index; none until the first pass has ended.
    seen: Option<i64>,
    /// What the phone keys were made by.
    phone_keys: Option<String>,
}

/// The right to find or create customers of one account.
#[derive(Debug)]
pub(super) struct AccountLock<'a>(MutexGuard<'a, Index>);

impl AccountLock<'_> {
    /// Customers up to this id were there before.
    pub(super) fn seen(&self) -> i64 {
        self.0.seen.unwrap_or_default()
    }
}

impl Directory {
    pub(super) fn new(seen: Option<i64>, phone_keys: Option<String>) -> Self {
        Self { index: Mutex::new(Index { seen, phone_keys }) }
    }

    /// Waits for the right to find or create a customer. No contact is worked before the first full
    /// pass has ended.
    pub(super) async fn lock(&self) -> AccountLock<'_> {
        AccountLock(self.index.lock().await)
    }
}

impl Connection {
    /// The first full pass, when there has not been one.
    ///
    /// # Errors
    /// What stopped it; it begins anew at the next call.
    pub(super) async fn build_directory(&self, store: &Store) -> Result<(), Failure> {
        let mut index = self.directory.index.lock().await;
        if index.seen.is_some() && !is_of_older_rule(index.phone_keys.as_deref()) {
            return Ok(());
        }
        let locale = self.metadata.locale(&self.ghl, self.clock.now()).await.map_err(Failure::Ghl)?;
        if index.seen.is_some() {
            // At once, not only at the next search: it also finds numbers that an older version
            // wrote wrongly.
            return self.read_phones_anew(store, &locale, &mut index.phone_keys).await;
        }
        let mut newest = 0;
        for pass in 1..=PASSES {
            let mut met = HashSet::new();
            let mut unread = 0;
            let mut totals = HashSet::new();
            let read = self.page_through(store, locale.region, |page| {
                met.extend(page.data.items.iter().map(|customer| customer.id.0));
                unread += page.data.odd.len();
                totals.insert(page.pagination.total);
                false
            });
            read.await?;
            newest = met.iter().copied().max().unwrap_or_default().max(newest);
            // A deletion during the pass changes the total, and moves one customer across a page
            // boundary, so that no page shows it (T §2). So a pass is whole only if every page told
            // the same total, and as many customers were met.
            let shown = (met.len() + unread) as i64;
            let is_whole = totals.len() == 1 && totals.iter().all(|total| total.is_none_or(|total| shown >= total));
            if is_whole {
                info!(customers = met.len(), unread, pass, "indexed the customers of the Trafft account");
                break;
            }
        }
        store.customers_seen(&self.location, self.epoch, newest).await?;
        index.seen = Some(newest);
        Ok(())
    }

    /// Takes in what came since the last look, newest first, and whatever is newer than `back_to`.
    /// Returns the calls it took, and the records that could not be read.
    ///
    /// # Errors
    /// Also if what is known was not met again, and the account does not say that it has no more: a
    /// look at an empty list would prove that nobody is there.
    pub(super) async fn refresh_directory(
        &self,
        store: &Store,
        lock: &mut AccountLock<'_>,
        back_to: i64,
    ) -> Result<(i64, Vec<Odd>), Failure> {
        let locale = self.metadata.locale(&self.ghl, self.clock.now()).await.map_err(Failure::Ghl)?;
        self.read_phones_anew(store, &locale, &mut lock.0.phone_keys).await?;
        let seen = lock.seen();
        let mut newest = lock.seen();
        let mut calls = 0;
        let mut unread = Vec::new();
        let known = seen.min(back_to);
        for _ in 1..=PASSES {
            let mut totals = HashSet::new();
            let mut shown = 0;
            // With nobody known, all pages are read.
            let mut is_met = false;
            let reached = |page: &wire::Page<wire::Customer>| {
                newest = page.data.items.iter().map(|customer| customer.id.0).max().unwrap_or_default().max(newest);
                totals.insert(page.pagination.total);
                unread.extend(page.data.odd.iter().cloned());
                shown += page.data.given() as i64;
                is_met |= page.data.items.iter().any(|customer| customer.id.0 <= known);
                is_met
            };
            calls += self.page_through(store, locale.region, reached).await?;
            let is_all = totals.iter().all(|total| total.map_or(known <= 0, |total| shown >= total));
            if !is_met && !is_all {
                return Err(Failure::Trafft(Error::Unreadable { is_json: true }));
            }
            // Else one may have slipped over a page's edge, as in the first full pass.
            if totals.len() == 1 {
                break;
            }
        }
        if newest > seen {
            store.customers_seen(&self.location, self.epoch, newest).await?;
            lock.0.seen = Some(newest);
        }
        Ok((calls, unread))
    }

    /// One page of Trafft's customers, newest first.
    pub(super) async fn customers_page(&self, number: u32) -> Result<wire::Page<wire::Customer>, Failure> {
        self.trafft.customers(number, PAGE).await.map_err(Failure::Trafft)
    }

    /// Reads and indexes pages, newest first, until `reached` or the end. Returns the calls it
    /// took.
    async fn page_through(
        &self,
        store: &Store,
        region: Option<Region>,
        mut reached: impl FnMut(&wire::Page<wire::Customer>) -> bool,
    ) -> Result<i64, Failure> {
        for number in 1.. {
            let page = self.customers_page(number).await?;
            let customers: Vec<_> = page.data.items.iter().map(|customer| indexed(customer, region)).collect();
            store.index_customers(&self.location, &customers, self.clock.now()).await?;
            if reached(&page) || page.is_last(number) {
                return Ok(i64::from(number));
            }
            self.clock.sleep(self.policy.page_pause).await;
        }
        Ok(0)
    }
}

/// A customer in the form that the index keeps. If the country stands beside the number, which is
/// shown in its national form (T §5.1), the number is kept in E.164: alone it would be read in the
/// home region, and sent back without its country.
pub(super) fn indexed(customer: &wire::Customer, region: Option<Region>) -> Customer {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let shown = text(&customer.phone_number);
    let beside = text(&customer.phone_country_code);
    let country = Region::new(&beside);
    // Which form this field has is not recorded (T §5.1): a country, or its dialling code.
    let dialled = beside.trim_start_matches('+').parse::<u16>().ok().filter(|_| !shown.starts_with('+'));
    let (whole, is_beside) = match dialled {
        Some(code) => (format!("+{code} {shown}"), true),
        None => (shown.clone(), country.is_some()),
    };
    let phone = Phone::new(&whole, country.or(region)).ok();
    let phone_number = match &phone {
        Some(phone) if is_beside => phone.to_string(),
        _ => shown,
    };
    Customer {
        id: customer.id,
        first_name: text(&customer.first_name),
        last_name: text(&customer.last_name),
        email: text(&customer.email),
        phone,
        phone_number,
        held_by: None,
    }
}
