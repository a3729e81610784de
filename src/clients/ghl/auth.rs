//! Whose permission a call carries, and how far it goes.

use std::collections::BTreeSet;

use secrecy::SecretString;

use crate::clients::Error;
use crate::model::Secret;

/// What a connection to GHL authenticates with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A private integration token: static, replaced by hand (G §3.7).
    PrivateToken(Secret),
}

impl Credential {
    /// The token for the next call. Async, and fallible, for credentials that renew themselves.
    pub async fn bearer(&self) -> Result<Secret, Error> {
        match self {
            Self::PrivateToken(token) => Ok(SecretString::clone(token)),
        }
    }
}

pub(super) const CONTACTS_READ: &str = "contacts.readonly";
pub(super) const CONTACTS_WRITE: &str = "contacts.write";
pub(super) const LOCATIONS_READ: &str = "locations.readonly";
pub(super) const CUSTOM_FIELDS_READ: &str = "locations/customFields.readonly";
pub(super) const TASKS_READ: &str = "locations/tasks.readonly";

/// The scopes that a connection holds (G §3.8). One does not imply another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// From the `scope` text of a token answer: names with spaces between (G §3.2).
    pub fn parse(text: &str) -> Self {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Is the scope among them?
    pub fn holds(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }
}

impl FromIterator<String> for Scopes {
    fn from_iter<I: IntoIterator<Item = String>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_token_stays_out_of_debug() {
        let credential = Credential::PrivateToken("pit-hush".into());
        assert!(!format!("{credential:?} {:?}", credential.bearer().await).contains("hush"));
    }

    #[test]
    fn writing_does_not_imply_reading() {
        let scopes = Scopes::parse("contacts.write  locations.readonly");
        assert!(scopes.holds(CONTACTS_WRITE) && scopes.holds(LOCATIONS_READ) && !scopes.holds(CONTACTS_READ));
    }
}
