//! What was tried of a set-up, and what came of it.

use serde::Serialize;

use super::Vendor;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// What was tried.
    pub tried: String,
    /// Is it as it must be?
    pub ok: bool,
    /// What came back.
    pub found: String,
    /// What to change; none: nothing.
    pub fix: Option<String>,
    /// The vendor that was asked, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
}

impl Check {
    /// It is as it must be.
    pub fn good(tried: impl Into<String>, found: impl Into<String>) -> Self {
        Self { tried: tried.into(), ok: true, found: found.into(), fix: None, vendor: None }
    }

    /// It is not; `fix` says what to do.
    pub fn bad(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: false, fix: Some(fix.into()), ..Self::good(tried, found) }
    }

    /// It works without it, but not all of it.
    pub fn lesser(tried: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: true, ..Self::bad(tried, found, fix) }
    }

    /// The same, of an answer of that vendor.
    pub fn of(self, vendor: Vendor) -> Self {
        Self { vendor: Some(vendor), ..self }
    }
}
