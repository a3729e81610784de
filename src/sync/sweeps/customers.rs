//! The slow pass over Trafft's customers: what staff edited or deleted there. GoHighLevel wins on the fields it has, so what
//! differs is looked at again.

use super::super::directory::indexed;
use super::super::{Connection, Failure};
use crate::model::Sweep;
use crate::store::{Customer, Finding, Step, Store, Sweeping};

/// One page.
pub(super) async fn step(store: &Store, connection: &Connection, at: &Sweeping) -> Result<Step, Failure> {
    let (now, location) = (connection.clock.now(), &connection.location);
    let number: u32 = at.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(1);
    connection.lease.check()?;
    let place = connection.metadata.place(&connection.ghl).await.map_err(Failure::Ghl)?;
    let page = connection.customers_page(number).await?;
    let customers: Vec<Customer> = page.data.iter().map(|customer| indexed(customer, place.region)).collect();
    let told = store.index_customers(location, &customers, now).await?;
    let mut found = Vec::new();
    let pages = page.pagination.pages.unwrap_or(i64::MAX);
    let last = page.data.is_empty() || i64::from(number) >= pages;
    if last && let Some(before) = at.since {
        // A deletion while we page hides a customer from one pass (T §2), hardly from two.
        for (customer, contact) in store.unseen_customers(location, before).await? {
            match contact {
                Some(contact) => found.push(Finding::drifted(contact, "not among Trafft's customers any more")),
                None => store.forget_customer(location, customer, now).await?,
            }
        }
    }
    if last {
        store.revive_conflicts(location, now).await?;
    }
    let pace = connection.policy.pace.of(Sweep::Customers);
    Ok(Step {
        found,
        told,
        seen: customers.len() as i64,
        calls: 1,
        total: page.pagination.total,
        cursor: (!last).then(|| (number + 1).to_string()),
        due_at: if last { pace.map(|pace| now + pace) } else { Some(now + connection.policy.page_pause) },
        since: last.then(|| at.started_at.unwrap_or(now)),
        ..Step::default()
    })
}
