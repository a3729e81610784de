//! Where the app is installed, and what that lets us do.

use std::collections::BTreeSet;
use std::fmt;

use super::{LocationId, Secret};

/// What holds the permission: one location, or an agency with many.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Installer {
    /// A location, by its own install or its agency's.
    Location(LocationId),
    /// An agency (company): its token makes tokens for its locations (G §3.4).
    Company(CompanyId),
}

/// An agency. Its ids look like a location's.
pub type CompanyId = LocationId;

impl Installer {
    /// `location` or `company`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Location(_) => "location",
            Self::Company(_) => "company",
        }
    }

    /// The id alone.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) | Self::Company(id) => id.as_str(),
        }
    }

    /// The reverse of the two. `None`: an unknown kind, or the id is none.
    pub fn new(kind: &str, id: &str) -> Option<Self> {
        let id = id.parse().ok()?;
        match kind {
            "company" => Some(Self::Company(id)),
            "location" => Some(Self::Location(id)),
            _ => None,
        }
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

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

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl FromIterator<String> for Scopes {
    fn from_iter<I: IntoIterator<Item = String>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// A pair of tokens, or one that nothing renews.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For calls.
    pub access: Secret,
    /// For the next pair; good once (G §3.3).
    pub refresh: Option<Secret>,
}

/// How a Trafft account is entered.
#[derive(Debug, Clone)]
pub struct TrafftAccess {
    /// The account's origin.
    pub url: String,
    /// From the API card.
    pub client_id: String,
    /// From the API card.
    pub client_secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_does_not_imply_reading() {
        let scopes = Scopes::parse("contacts.write  locations.readonly");
        assert!(scopes.holds("contacts.write") && scopes.holds("locations.readonly"));
        assert!(!scopes.holds("contacts.readonly"));
        assert_eq!(scopes.to_string(), "contacts.write locations.readonly");
    }
}
