//! Settings that a connection may have for itself, by name. Where it has none of its own, the
//! setting of the same name holds.

use std::collections::BTreeMap;

use super::name;
use super::policy::{DELETE, DESCRIPTION, ESCAPE, MISSING};
use super::values::{choice, region, zone};
use crate::model::Policy;

/// Settings that a connection has for itself, by name.
pub type Options = BTreeMap<String, String>;

/// The text of its mapping, where `MAPPING_FILE` names a file.
pub const MAPPING: &str = "MAPPING";

/// The names.
pub const OWN: [&str; 7] = [
    MAPPING,
    name::PHONE_REGION,
    name::TIME_ZONE,
    name::DESCRIPTION_POLICY,
    name::DESCRIPTION_ESCAPE,
    name::DELETE_POLICY,
    name::MISSING_CUSTOMER_POLICY,
];

impl Policy {
    /// The policy with the connection's own settings. Another module handles the mapping.
    ///
    /// # Errors
    /// Which of them is wrong, and what to write.
    pub fn with(mut self, options: &Options) -> Result<Self, String> {
        for (option, text) in options {
            let wrong = |what: String| format!("`{option}`: {what}");
            match option.as_str() {
                MAPPING => {}
                name::PHONE_REGION => self.region = Some(region(text).map_err(wrong)?),
                name::TIME_ZONE => self.zone = Some(zone(text).map_err(wrong)?),
                name::DESCRIPTION_POLICY => self.description = choice(text, &DESCRIPTION).map_err(wrong)?,
                name::DESCRIPTION_ESCAPE => self.escape = choice(text, &ESCAPE).map_err(wrong)?,
                name::DELETE_POLICY => self.delete = choice(text, &DELETE).map_err(wrong)?,
                name::MISSING_CUSTOMER_POLICY => self.missing = choice(text, &MISSING).map_err(wrong)?,
                _ => return Err(format!("`{option}` is no setting of a connection; there are: {}", OWN.join(", "))),
            }
        }
        Ok(self)
    }
}
