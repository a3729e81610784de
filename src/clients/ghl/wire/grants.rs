//! What the token endpoints answer (G §3.2, §3.4, §3.5, §3.6): nearly all of it optional.

use std::fmt;
use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};

use crate::clients::{Listed, lenient};
use crate::model::{CompanyId, LocationId};

/// Tokens, and whose they are.
#[derive(Debug, Serialize, Deserialize)]
pub struct Granted {
    access_token: AccessToken,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(default, deserialize_with = "lenient::number")]
    expires_in: Option<i64>,
    /// The scopes, with spaces between.
    #[serde(default, deserialize_with = "lenient::text")]
    pub scope: Option<String>,
    /// `Location` or `Company`.
    #[serde(default, rename = "userType", deserialize_with = "lenient::text")]
    pub user_type: Option<String>,
    /// Absent from a company's.
    #[serde(default, rename = "locationId", deserialize_with = "lenient::id")]
    pub location_id: Option<LocationId>,
    /// The agency.
    #[serde(default, rename = "companyId", deserialize_with = "lenient::id")]
    pub company_id: Option<CompanyId>,
}

impl TokenResponse for Granted {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }
    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// A page of the locations in which an agency has installed the app (G §3.5).
#[derive(Debug, Deserialize)]
pub struct InstalledLocations {
    /// On this page.
    #[serde(default)]
    pub locations: Listed<InstalledLocation>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub struct InstalledLocation {
    /// The key is `_id` here and nowhere else.
    #[serde(rename = "_id")]
    pub id: LocationId,
    /// As the agency calls it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Absent: it is, since it is on this list.
    #[serde(default, rename = "isInstalled", deserialize_with = "lenient::flag")]
    pub is_installed: Option<bool>,
}

/// A code as from a browser, for an app that has lost its tokens (G §3.6).
#[derive(Deserialize)]
pub struct Reconnected {
    /// Good for one exchange.
    #[serde(rename = "authorizationCode")]
    pub authorization_code: String,
}

impl fmt::Debug for Reconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reconnected")
    }
}
