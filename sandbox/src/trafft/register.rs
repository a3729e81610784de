//! The customers of a Trafft, and who has which e-mail.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::state::Customer;

/// In the order of their ids, which is the order of their making.
#[derive(Default)]
pub(crate) struct Customers {
    all: BTreeMap<i64, Customer>,
    /// By e-mail in lower case.
    emails: HashMap<String, BTreeSet<i64>>,
}

impl Customers {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Customer> {
        self.all.get(&id)
    }

    /// Newest first (T §5.1).
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Customer> {
        self.all.values().rev()
    }

    pub(crate) fn insert(&mut self, customer: Customer) {
        self.remove(customer.id);
        if let Some(email) = &customer.email {
            self.emails.entry(email.to_ascii_lowercase()).or_default().insert(customer.id);
        }
        self.all.insert(customer.id, customer);
    }

    /// False when there is no such customer.
    pub(crate) fn remove(&mut self, id: i64) -> bool {
        self.take(id).is_some()
    }

    fn take(&mut self, id: i64) -> Option<Customer> {
        let customer = self.all.remove(&id)?;
        if let Some(email) = customer.email.as_deref().map(str::to_ascii_lowercase)
            && let Some(owners) = self.emails.get_mut(&email)
        {
            owners.remove(&id);
            if owners.is_empty() {
                self.emails.remove(&email);
            }
        }
        Some(customer)
    }

    /// False when there is no such customer.
    pub(crate) fn edit(&mut self, id: i64, changes: &Map<String, Value>) -> bool {
        let Some(mut customer) = self.take(id) else {
            return false;
        };
        customer.apply(changes);
        self.insert(customer);
        true
    }

    /// The oldest customer with this e-mail, besides `but`.
    pub(crate) fn by_email(&self, email: &str, but: i64) -> Option<i64> {
        self.emails.get(&email.to_ascii_lowercase())?.iter().copied().find(|id| *id != but)
    }
}
