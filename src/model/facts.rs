//! What is known of a location, and decides how it stands.

use jiff::Timestamp;

use super::{LocationId, Vendor};

/// What kind of trouble a location has with a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// It does not answer as it should.
    Down,
    /// It refuses the credentials, what they are for, or the account.
    Refused,
    /// The tokens are lost.
    Lost,
}

impl TroubleKind {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }

    /// The reverse of it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Down, Self::Refused, Self::Lost].into_iter().find(|kind| kind.name() == name)
    }
}

/// What keeps a location from working with a vendor. Holds our own words only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Of which kind.
    pub kind: TroubleKind,
    /// What came back.
    pub found: String,
    /// What to do.
    pub fix: String,
}

/// How the app stands in a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppInstall {
    /// It was never installed: the location is worked by a private token in the settings, if any.
    None,
    /// Usable.
    Active,
    /// Its tokens were lost then.
    Lost(Option<Timestamp>),
    /// It was taken away then.
    Uninstalled(Option<Timestamp>),
}

/// Why a location of the settings cannot be worked by the Trafft account that they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// The account of the settings.
    pub asked: String,
    /// What is against it.
    pub because: Because,
}

/// What is against an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The location's links belong to this one.
    Links(String),
    /// It is this location's.
    Taken(String),
}

/// Everything that a location's states are derived from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Which location.
    pub location: LocationId,
    /// Do the settings connect it?
    pub in_settings: bool,
    /// Set if the settings name an account that the location cannot be worked by.
    pub apart: Option<Apart>,
    /// How the app stands in it.
    pub install: AppInstall,
    /// Were its Trafft credentials entered by a person?
    pub entered: bool,
    /// Does it rest, and since when? The time is not known of what was paused by an older version.
    pub paused: Option<Option<Timestamp>>,
    /// Does a living process work it?
    pub worked: bool,
    /// Have Trafft's customers been indexed?
    pub indexed: bool,
    /// Trouble with a vendor, and since when.
    pub troubles: Vec<(Vendor, Trouble, Timestamp)>,
    /// Since when another app's events are refused, if the last one came lately and none of ours
    /// has ever come.
    pub other_app_since: Option<Timestamp>,
    /// When the last event came, and how many changes sweeps have found since, if that is taken for
    /// a pause.
    pub events_paused: Option<(Timestamp, i64)>,
    /// Since when deletions are held.
    pub deletions_held_since: Option<Timestamp>,
    /// Contacts that are behind, and since when the oldest of them waits.
    pub behind: Option<(i64, Timestamp)>,
}
