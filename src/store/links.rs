//! What a contact is linked with in Trafft, and what both sides last agreed on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::CustomerId;

/// What a contact is linked with.
#[derive(Debug, Clone)]
pub enum Link {
    /// Nothing yet.
    None,
    /// A customer that we meant to create, and whose id we have not seen.
    Creating(CreateIntent),
    /// A customer.
    Linked(Linked),
}

/// A link with a customer.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Its id.
    pub customer: CustomerId,
    /// Did our own POST make it? Only then may we delete it.
    pub ours: bool,
    /// What identifies the projection that Trafft was last told; none: unknown, it has to be
    /// written.
    pub fingerprint: Option<String>,
    /// The values that both sides last agreed on.
    pub agreed: Agreed,
}

/// A customer that we meant to create, and whose id we have not seen yet.
#[derive(Debug, Clone)]
pub struct CreateIntent {
    /// Whatever is written back about this create must name it.
    pub id: String,
    /// What was sent, as JSON.
    pub customer: String,
    /// Customers up to this id were there before.
    pub newest: i64,
    /// When it was sent; when it ended without an answer.
    pub at: Timestamp,
}

/// The four fields as we last sent them, each beside the form in which Trafft shows it.
///
/// Trafft may keep a value in its own form: an e-mail in lower case, a name cut or re-cased. Such a
/// form is no edit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agreed {
    /// Given name.
    pub first_name: Agreement,
    /// Family name.
    pub last_name: Agreement,
    /// E-mail address.
    pub email: Agreement,
    /// Phone number.
    pub phone: Agreement,
}

/// One value, as either side has it; both empty before the first write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// As we sent it.
    pub ours: String,
    /// As Trafft shows it.
    pub theirs: String,
}

impl Agreement {
    /// Is `theirs` known to be Trafft's form of `ours`?
    pub fn holds(&self, ours: &str, theirs: &str) -> bool {
        self.ours == ours && self.theirs == theirs
    }

    /// How Trafft shows `ours`, as far as we know.
    pub fn shown(&self, ours: &str) -> String {
        if self.ours == ours { self.theirs.clone() } else { ours.to_owned() }
    }
}

impl Link {
    /// The link, if there is one.
    pub fn linked(&self) -> Option<&Linked> {
        if let Self::Linked(linked) = self { Some(linked) } else { None }
    }

    /// The customer, if it is linked with one.
    pub fn customer(&self) -> Option<CustomerId> {
        self.linked().map(|linked| linked.customer)
    }

    /// Trafft holds what this fingerprint is of.
    pub fn believe(&mut self, fingerprint: String) {
        if let Self::Linked(linked) = self {
            linked.fingerprint = Some(fingerprint);
        }
    }

    /// What Trafft was last told is no longer known.
    pub fn distrust(&mut self) {
        if let Self::Linked(linked) = self {
            linked.fingerprint = None;
        }
    }
}
