//! What can come of a call, named by what the caller has to do about it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::ContactId;

/// Why a call brought no result.
///
/// What it prints holds our own words and a status only; the vendor's words may hold personal data, and stay behind
/// [`Error::vendor_message`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Certainly not carried out: the request never left, or reached nobody.
    #[error("not sent: {reason}")]
    NotSent {
        /// What kept it.
        reason: &'static str,
    },
    /// Sent, and no usable answer came: it may have been carried out.
    #[error("no usable answer, it may have been carried out: {reason}")]
    Unanswered {
        /// What became of the answer.
        reason: &'static str,
    },
    /// We kept it back ourselves, so as not to run into the vendor's limit.
    #[error("not sent, our share of calls is used up until {until}")]
    BudgetUsedUp {
        /// When there is room again.
        until: Timestamp,
    },
    /// 429: not carried out.
    #[error("the vendor asks us to slow down (429)")]
    RateLimited {
        /// How long the vendor wants to be left alone, if it says so; a day at most.
        retry_after: Option<Duration>,
    },
    /// The vendor or a gateway before it is in trouble: it may have been carried out.
    #[error("the vendor is in trouble, it may have been carried out ({status})")]
    Unavailable {
        /// The status of the answer.
        status: u16,
        /// How long the vendor wants to be left alone, if it says so; a day at most.
        retry_after: Option<Duration>,
    },
    /// The vendor does not take our credentials; nothing gets better by itself.
    #[error("the vendor refuses our credentials; check that they are right, current, and for this account")]
    CredentialsRefused {
        /// The vendor's words.
        message: VendorMessage,
    },
    /// The credentials are good, but not for this.
    #[error("the credentials lack the scope `{scope}`; add it at the vendor's")]
    ScopeMissing {
        /// The scope that the operation needs.
        scope: String,
    },
    /// The refresh token or code is used up, unknown or too old (G §3.2): only a new authorisation helps.
    #[error("GoHighLevel does not know this authorisation any more")]
    GrantInvalid,
    /// The location is paused or unpaid at GoHighLevel; the tokens stay good (G §3.2).
    #[error("the location is not active in GoHighLevel (paused or unpaid); it goes on by itself once it is")]
    LocationInactive,
    /// A person has to authorise the app again.
    #[error("the app's authorisation is lost: open `/oauth/install` on this service and choose the location again")]
    Reauthorise,
    /// GHL has a contact with this e-mail or phone, and its location allows no second (G §4). A lookup result, in a way.
    #[error("a contact with this e-mail address or phone number exists already")]
    Duplicate {
        /// The contact that is there.
        contact_id: Option<ContactId>,
    },
    /// The object is gone, or never was.
    #[error("not found")]
    NotFound,
    /// The vendor understood and said no. Sending the same again will bring the same.
    #[error("refused ({status}){}", hint(*.status))]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The vendor's words.
        message: VendorMessage,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "; the address points elsewhere, configure the final one",
        _ => "",
    }
}

impl Error {
    /// Could the vendor have done what was asked, though we have no result? Then look before asking again: neither
    /// vendor knows idempotency keys.
    ///
    /// A refusal counts as "no", although one GHL create was seen to answer 422 and to have created (G §4, #64):
    /// whoever creates contacts there looks for a duplicate first in any case.
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Unavailable { .. })
    }

    /// Did something answer that does not speak as the vendor's API does? As a rule, the address is wrong then.
    pub fn is_of_another(&self) -> bool {
        match self {
            Self::NotFound | Self::Refused { .. } => true,
            Self::NotSent { reason } | Self::Unanswered { reason } => reason.ends_with("not the JSON expected"),
            _ => false,
        }
    }

    /// What the vendor wrote, at most 300 characters. May hold personal data: for the operator's screen, not for logs.
    pub fn vendor_message(&self) -> Option<&str> {
        match self {
            Self::CredentialsRefused { message } | Self::Refused { message, .. } => message.text(),
            _ => None,
        }
    }

    /// The kind of error as one word, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::Unanswered { .. } => "unanswered",
            Self::BudgetUsedUp { .. } => "budget_used_up",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::CredentialsRefused { .. } => "credentials_refused",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::GrantInvalid => "grant_invalid",
            Self::LocationInactive => "location_inactive",
            Self::Reauthorise => "reauthorise",
            Self::Duplicate { .. } => "duplicate",
            Self::NotFound => "not_found",
            Self::Refused { .. } => "refused",
        }
    }

    /// A 2xx whose body is not what the contract says: whatever was asked may well have been done.
    pub(super) const UNEXPECTED_BODY: Self = Self::Unanswered { reason: "the answer is not the JSON expected" };
}

/// The vendor's own words, short, and kept out of `Debug`: they may repeat what we sent.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct VendorMessage(Option<Box<str>>);

impl VendorMessage {
    const LONGEST: usize = 300;

    /// Keeps the first 300 characters; blank is nothing.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let short = || text.chars().take(Self::LONGEST).collect::<String>().into();
        Self((!text.is_empty()).then(short))
    }

    /// The words, if there are any.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for VendorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "[vendor's words]" } else { "[none]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_leaves_the_vendors_words_out() {
        let message = VendorMessage::new("ada@example.com is taken");
        for error in [
            Error::Refused { status: 422, message: message.clone() },
            Error::CredentialsRefused { message: message.clone() },
        ] {
            assert_eq!(error.vendor_message(), Some("ada@example.com is taken"));
            assert!(!format!("{error} {error:?}").contains("ada@"));
        }
        let redirect = Error::Refused { status: 302, message };
        assert_eq!(redirect.to_string(), "refused (302); the address points elsewhere, configure the final one");
    }

    #[test]
    fn the_vendors_words_are_cut_by_characters() {
        assert_eq!(VendorMessage::new(&"ä".repeat(999)).text().map(|text| text.chars().count()), Some(300));
        assert_eq!(VendorMessage::new(" \n").text(), None);
    }
}
