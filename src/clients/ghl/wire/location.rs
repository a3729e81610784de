//! The location's own record.

use serde::{Deserialize, Serialize};

use crate::clients::lenient;
use crate::model::LocationId;

/// A location's record (G §7.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationRecord {
    /// The location's id.
    #[serde(default, deserialize_with = "lenient::id")]
    pub id: Option<LocationId>,
    /// What people call it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// The agency it belongs to.
    #[serde(default, deserialize_with = "lenient::text")]
    pub company_id: Option<String>,
    /// A name such as `America/New_York`: the zone of appointments.
    #[serde(default, deserialize_with = "lenient::text")]
    pub timezone: Option<String>,
    /// Two letters: the region of phone numbers without `+`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub country: Option<String>,
    /// How creating contacts behaves.
    #[serde(default, deserialize_with = "lenient::part")]
    pub settings: Option<LocationSettings>,
}

/// The part of a location's settings that matters here (G §7.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationSettings {
    /// May two contacts share an e-mail address or a phone number?
    #[serde(default, deserialize_with = "lenient::flag")]
    pub allow_duplicate_contact: Option<bool>,
}
