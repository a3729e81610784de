//! Whether a contact is still there in GHL, as far as GHL itself has said.

use jiff::Timestamp;

/// Is the contact there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// As far as anybody knows.
    Present,
    /// GHL has said once that there is no such contact. It is asked again before that is believed.
    Missing {
        /// When it said so first.
        since: Timestamp,
    },
    /// GHL has said so twice, a settle time apart.
    Gone {
        /// When that was believed.
        at: Timestamp,
    },
}

impl Presence {
    /// When the contact was found to be gone.
    pub fn gone_at(self) -> Option<Timestamp> {
        if let Self::Gone { at } = self { Some(at) } else { None }
    }
}
