//! The states that a location can be in, as metrics and the API call them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Vendor;

/// The states, the worst first. Several can hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Only a new authorisation gives tokens again.
    TokensLost,
    /// The settings name another Trafft account than the one that the location's links belong to.
    OtherAccount,
    /// GoHighLevel refuses the token, the scope, or the account.
    GhlRefused,
    /// Trafft refuses the credentials or the account.
    TrafftRefused,
    /// GoHighLevel does not answer as it should.
    GhlDown,
    /// Trafft does not answer as it should.
    TrafftDown,
    /// Events come for another app than ours, and are refused.
    OtherAppRefused,
    /// No event comes any more, though contacts change.
    EventsPaused,
    /// Too many contacts vanished at once.
    DeletionsHeld,
    /// The app is installed, and its Trafft account has not been entered.
    NoTrafftAccount,
    /// The settings connected it once.
    NotInSettings,
    /// The app was taken away.
    Uninstalled,
    /// A person lets it rest.
    Paused,
    /// Contacts wait for longer than they should.
    Behind,
    /// No process works it yet.
    Starting,
    /// Nothing of all that.
    Working,
}

/// What a state asks of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Well,
    /// To be known; it was wanted, or passes by itself.
    Note,
    /// Something does not work.
    Ill,
}

impl StateName {
    /// Every state, the worst first.
    pub const ALL: [Self; 16] = [
        Self::TokensLost,
        Self::OtherAccount,
        Self::GhlRefused,
        Self::TrafftRefused,
        Self::GhlDown,
        Self::TrafftDown,
        Self::OtherAppRefused,
        Self::EventsPaused,
        Self::DeletionsHeld,
        Self::NoTrafftAccount,
        Self::NotInSettings,
        Self::Uninstalled,
        Self::Paused,
        Self::Behind,
        Self::Starting,
        Self::Working,
    ];

    /// The word in metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokensLost => "tokens_lost",
            Self::OtherAccount => "other_account",
            Self::GhlRefused => "ghl_refused",
            Self::TrafftRefused => "trafft_refused",
            Self::GhlDown => "ghl_down",
            Self::TrafftDown => "trafft_down",
            Self::OtherAppRefused => "other_app_refused",
            Self::EventsPaused => "events_paused",
            Self::DeletionsHeld => "deletions_held",
            Self::NoTrafftAccount => "no_trafft_account",
            Self::NotInSettings => "not_in_settings",
            Self::Uninstalled => "uninstalled",
            Self::Paused => "paused",
            Self::Behind => "behind",
            Self::Starting => "starting",
            Self::Working => "working",
        }
    }

    /// What it asks of a person.
    pub fn level(self) -> Level {
        match self {
            Self::Working => Level::Well,
            Self::NotInSettings | Self::Uninstalled | Self::Paused | Self::Behind | Self::Starting => Level::Note,
            _ => Level::Ill,
        }
    }

    /// The vendor whose next good answer ends it.
    pub fn vendor(self) -> Option<Vendor> {
        match self {
            Self::TokensLost | Self::GhlRefused | Self::GhlDown => Some(Vendor::Ghl),
            Self::TrafftRefused | Self::TrafftDown => Some(Vendor::Trafft),
            _ => None,
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
