//! Identifiers as both vendors hand them out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier. Does not repeat the text: it comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 1 to 100 letters, digits, `-` or `_` are expected")]
pub struct InvalidId;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        /// GHL's ids are opaque, letters and digits as far as anybody has seen (G §2). Holding them to a safe
        /// alphabet keeps them out of trouble in paths, logs and SQL alike.
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                if (1..=100).contains(&text.len()) && text.bytes().all(safe) { Ok(Self(text)) } else { Err(InvalidId) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A GoHighLevel location (sub-account).
    LocationId
}
text_id! {
    /// A contact in GoHighLevel.
    ContactId
}
text_id! {
    /// A task, note or appointment in GoHighLevel.
    ObjectId
}

/// A customer in Trafft: a positive integer (T §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CustomerId(pub i64);

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_to_the_safe_alphabet() {
        for good in ["seD4PfOuKoVMLkEZqohJ", "641c094001436dbc2081e642", "a", "a-b_c"] {
            assert_eq!(good.parse::<ContactId>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "../x", "ä", "a\u{0}", "a/b", &"x".repeat(101)] {
            assert_eq!(bad.parse::<ContactId>(), Err(InvalidId), "{bad:?}");
        }
    }
}
