//! Whose a token is, and what it may be used for (G §3.2, §3.4, §3.8).

use crate::ghl::state::Scopes;

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A location's, by its own install.
    Location(String),
    /// The agency's.
    Company,
    /// A location's, by the agency's install.
    Through(String),
}

impl Holder {
    pub(super) fn location(&self) -> Option<&str> {
        match self {
            Self::Location(id) | Self::Through(id) => Some(id),
            Self::Company => None,
        }
    }

    pub(super) fn hangs_on_company(&self) -> bool {
        !matches!(self, Self::Location(_))
    }
}

/// Scopes as they are passed around.
pub(crate) fn scopes<T: AsRef<str>>(names: &[T]) -> Scopes {
    names.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().into()
}

/// What of a company's scopes its location tokens have: those about the app itself are the
/// company's own.
pub(super) fn passed_on(scopes: &Scopes) -> Scopes {
    scopes.iter().filter(|scope| !scope.starts_with("oauth.")).cloned().collect::<Vec<_>>().into()
}
