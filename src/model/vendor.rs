//! The two services that this one stands between.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose API a call goes to, or an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// GoHighLevel: where contacts are read.
    Ghl,
    /// Trafft: where customers are written.
    Trafft,
}

impl Vendor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ghl, Self::Trafft];

    /// For metric labels and stored rows: `ghl` or `trafft`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ghl => "ghl",
            Self::Trafft => "trafft",
        }
    }
}

/// As people call it.
impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ghl => "GoHighLevel",
            Self::Trafft => "Trafft",
        })
    }
}
