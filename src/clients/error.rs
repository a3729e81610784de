//! What can come of a call, named by what the caller has to do about it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::not_sent::NotSent;
use crate::model::ContactId;

/// Why a call brought no result.
///
/// What it prints holds our own words and a status only; the vendor's words may hold personal data,
/// and stay behind [`Error::vendor_message`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Certainly not carried out: the request was not sent, or did not reach a server.
    #[error("not sent: {reason}")]
    NotSent {
        /// What kept it.
        reason: NotSent,
    },
    /// Certainly not carried out: the request for the access token it needs has failed.
    #[error("not sent, there is no access token: {why}")]
    NoToken {
        /// What became of that request.
        why: Box<Error>,
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
    /// HighLevel does not take the app's client id and secret, or its redirect URL; it has not
    /// looked at the code or refresh token.
    #[error("GoHighLevel refuses the app itself: its client id, its client secret, or its redirect URL")]
    AppRefused {
        /// The vendor's words.
        message: VendorMessage,
    },
    /// The credentials are good, but not for this.
    #[error("the credentials lack the scope `{scope}`; add it at the vendor's")]
    ScopeMissing {
        /// The scope that the operation needs.
        scope: String,
    },
    /// The refresh token or code is used up, unknown or too old (G §3.2): only a new authorisation
    /// helps.
    #[error("GoHighLevel does not know this authorisation any more")]
    GrantInvalid,
    /// The location is paused or unpaid at GoHighLevel; the tokens stay good (G §3.2).
    #[error("the location is not active in GoHighLevel (paused or unpaid); it goes on by itself once it is")]
    LocationInactive,
    /// A person has to authorise the app again.
    #[error("the app's authorisation is lost: open `/oauth/install` on this service and choose the location again")]
    Reauthorise,
    /// GHL has a contact with this e-mail or phone, and its location allows no second (G §4). A
    /// lookup result, in a way.
    #[error("a contact with this e-mail address or phone number exists already")]
    Duplicate {
        /// The contact that is there.
        contact_id: Option<ContactId>,
    },
    /// The vendor itself says that there is no such record.
    #[error("the vendor says that there is no such record")]
    Gone(Gone),
    /// The answer is about another record than the one that was asked for: it must not be used.
    #[error("the vendor answered with another record than the one asked for; it is not used")]
    AnotherRecord,
    /// A 2xx whose body is not what the contract says: what was asked may well have been done.
    #[error("{}", if *.is_json { "the answer is not the JSON expected" } else { "the answer is not JSON" })]
    Unreadable {
        /// Is it JSON of another shape? Else a gateway or a maintenance page answers for the
        /// vendor.
        is_json: bool,
    },
    /// A refusal. What it is about decides whether trying again can help.
    #[error("{}", refused(*.about, *.status))]
    Refused {
        /// What it is about.
        about: About,
        /// The status of the answer.
        status: u16,
        /// The vendor's words.
        message: VendorMessage,
        /// The fields that the vendor names as wrong, in lower case; empty when it names none.
        fields: Vec<String>,
    },
    /// Not sent: this process lost the right to write just before the call would have left.
    #[error("not sent: another process may work this location now")]
    Withdrawn,
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// This record: the same again brings the same. The only kind that can be final at once.
    Record,
    /// The account or its credentials: everybody waits, until a person has acted.
    Account,
    /// The way to the vendor: a gateway, a proxy, a maintenance page, an outage. Everybody waits.
    Path,
    /// Nothing that can be known: tried again.
    Unknown,
}

/// The vendor's own word that a record is not there. Only this module's `refusal` makes one: from
/// the vendor's JSON, about the very record that was asked for. A gateway's 404 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone(());

impl Gone {
    pub(super) const SAID: Self = Self(());
}

fn refused(about: About, status: u16) -> String {
    match (about, status) {
        (_, 300..=399) => format!("refused ({status}); the address points elsewhere, configure the final one"),
        (About::Record, _) => format!("refused ({status})"),
        (About::Account, _) => format!("the vendor refuses the account ({status}); check its subscription and plan"),
        (About::Path, _) => {
            format!("the answer is not the vendor's own ({status}): a gateway, a proxy or a maintenance page")
        }
        (About::Unknown, _) => format!("refused ({status}), and it is not clear for what"),
    }
}

impl Error {
    /// Could the vendor have done what was asked, though we have no result? Then look before asking
    /// again: neither vendor knows idempotency keys.
    ///
    /// A refusal counts as "no", although one GHL create was seen to answer 422 and to have created
    /// (G §4, #64): a caller that creates contacts there looks for a duplicate first in any case.
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(
            self,
            Self::Unanswered { .. }
                | Self::Unavailable { .. }
                | Self::Unreadable { .. }
                // A gateway may give up on a call that the vendor goes on with.
                | Self::Refused { about: About::Path | About::Unknown, .. }
        )
    }

    /// What the failure is about.
    pub fn about(&self) -> About {
        match self {
            Self::Refused { about, .. } => *about,
            Self::NoToken { why } => why.about(),
            Self::Gone(_) | Self::Duplicate { .. } => About::Record,
            Self::CredentialsRefused { .. }
            | Self::AppRefused { .. }
            | Self::ScopeMissing { .. }
            | Self::GrantInvalid
            | Self::LocationInactive
            | Self::Reauthorise
            | Self::BudgetUsedUp { .. }
            | Self::RateLimited { .. } => About::Account,
            // A vendor can fail over one record for ever (T §5.3: 500 for what it does not like;
            // 504 for a record that is too slow).
            Self::Unavailable { status: 500 | 504, .. }
            | Self::Unreadable { is_json: true }
            | Self::AnotherRecord
            | Self::Withdrawn => About::Unknown,
            Self::NotSent { .. } | Self::Unanswered { .. } | Self::Unavailable { .. } | Self::Unreadable { .. } => {
                About::Path
            }
        }
    }

    /// Did the vendor itself answer as usual, only not with what was asked for? Then it is not
    /// down.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Unreadable { is_json: true } | Self::AnotherRecord)
    }

    /// Does the vendor name one of these fields as what is wrong?
    pub fn names(&self, fields: &[&str]) -> bool {
        matches!(self, Self::Refused { fields: named, .. } if named.iter().any(|name| fields.contains(&name.as_str())))
    }

    /// Did something answer that does not speak as the vendor's API does? As a rule, the address is
    /// wrong then.
    pub fn is_of_another(&self) -> bool {
        match self {
            Self::Gone(_) | Self::Refused { .. } | Self::Unreadable { .. } => true,
            Self::NoToken { why } => why.is_of_another(),
            _ => false,
        }
    }

    /// Does the vendor name any field that is wrong?
    pub fn names_any(&self) -> bool {
        matches!(self, Self::Refused { fields, .. } if !fields.is_empty())
    }

    /// A "not there" that another answer of the same vendor contradicts: it proves nothing, so it
    /// is tried again.
    pub fn contradicted(status: u16) -> Self {
        Self::Refused { about: About::Unknown, status, message: VendorMessage::default(), fields: Vec::new() }
    }

    /// What the vendor wrote, at most 300 characters. May hold personal data: for the operator's
    /// screen, not for logs.
    pub fn vendor_message(&self) -> Option<&str> {
        match self {
            Self::CredentialsRefused { message } | Self::AppRefused { message } | Self::Refused { message, .. } => {
                message.text()
            }
            Self::NoToken { why } => why.vendor_message(),
            _ => None,
        }
    }

    /// The kind of error as one word, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::NoToken { .. } => "no_token",
            Self::Unanswered { .. } => "unanswered",
            Self::BudgetUsedUp { .. } => "budget_used_up",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::CredentialsRefused { .. } => "credentials_refused",
            Self::AppRefused { .. } => "app_refused",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::GrantInvalid => "grant_invalid",
            Self::LocationInactive => "location_inactive",
            Self::Reauthorise => "reauthorise",
            Self::Duplicate { .. } => "duplicate",
            Self::Gone(_) => "gone",
            Self::AnotherRecord => "another_record",
            Self::Unreadable { .. } => "unreadable",
            Self::Refused { about: About::Record, .. } => "refused",
            Self::Refused { about: About::Account, .. } => "account_refused",
            Self::Refused { about: About::Path, .. } => "not_the_vendor",
            Self::Refused { about: About::Unknown, .. } => "refused_unclear",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// JSON of another shape than the contract says.
    pub(super) const UNEXPECTED_BODY: Self = Self::Unreadable { is_json: true };
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
            Error::Refused { about: About::Record, status: 422, message: message.clone(), fields: vec![] },
            Error::CredentialsRefused { message: message.clone() },
        ] {
            assert_eq!(error.vendor_message(), Some("ada@example.com is taken"));
            assert!(!format!("{error} {error:?}").contains("ada@"));
        }
        let redirect = Error::Refused { about: About::Path, status: 302, message, fields: vec![] };
        assert_eq!(redirect.to_string(), "refused (302); the address points elsewhere, configure the final one");
    }

    #[test]
    fn the_vendors_words_are_cut_by_characters() {
        assert_eq!(VendorMessage::new(&"ä".repeat(999)).text().map(|text| text.chars().count()), Some(300));
        assert_eq!(VendorMessage::new(" \n").text(), None);
    }
}
