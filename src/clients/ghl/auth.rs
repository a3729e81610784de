//! Whose permission a call carries.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::clients::Error;
use crate::model::Secret;

/// What a connection to GHL authenticates with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A private integration token: static, replaced by hand (G §3.7).
    PrivateToken(Secret),
    /// The token of an install, kept and renewed by a [`TokenSource`].
    Kept(TokenSource),
}

impl Credential {
    /// The token for the next call; `refused`: the one that GHL has just not taken. None: there is
    /// no other one.
    pub(super) async fn bearer(&self, refused: Option<Secret>) -> Result<Option<Secret>, Error> {
        match self {
            Self::PrivateToken(token) => Ok(refused.is_none().then(|| token.clone())),
            Self::Kept(keeper) => keeper.0(refused).await.map(Some),
        }
    }
}

type Bearer = Pin<Box<dyn Future<Output = Result<Secret, Error>> + Send>>;

/// Hands out the token for the next call, and another one for that which was refused.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn(Option<Secret>) -> Bearer + Send + Sync>);

impl TokenSource {
    /// Asks `bearer` for each call.
    pub fn new<F>(bearer: impl Fn(Option<Secret>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Secret, Error>> + Send + 'static,
    {
        Self(Arc::new(move |refused| Box::pin(bearer(refused))))
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

pub(super) const CONTACTS_READ: &str = "contacts.readonly";
pub(super) const CONTACTS_WRITE: &str = "contacts.write";
pub(super) const LOCATIONS_READ: &str = "locations.readonly";
pub(super) const CUSTOM_FIELDS_READ: &str = "locations/customFields.readonly";
pub(super) const TASKS_READ: &str = "locations/tasks.readonly";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_token_stays_out_of_debug() {
        let credential = Credential::PrivateToken("pit-hush".into());
        assert!(!format!("{credential:?}").contains("hush"));
    }
}
