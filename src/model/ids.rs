//! Identifiers as both vendors hand them out.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// Why a text is not an identifier. Does not repeat the text: it comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 1 to 100 letters, digits or any of `-_.=@:` are expected, the first of them no dot")]
pub struct InvalidId;

/// GHL's ids are opaque, letters and digits as far as anybody has seen (G §2). `-_.=@:` may stand
/// in a path segment as they are (RFC 3986), and mean nothing in SQL parameters, headers, JSON or
/// logs. `/` and `..` would lead to another path, spaces and control characters break lines.
fn is_safe(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=@:".contains(&byte);
    (1..=100).contains(&text.len()) && !text.starts_with('.') && !text.contains("..") && text.bytes().all(safe)
}

/// Reads the text of an id. A number that JSON has as `7.0` is 7.
struct IdText;

impl Visitor<'_> for IdText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<String, E> {
        if number == 0 { Err(E::invalid_value(Unexpected::Unsigned(0), &self)) } else { Ok(number.to_string()) }
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<String, E> {
        let positive = u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
        self.visit_u64(positive)
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<String, E> {
        match whole(number) {
            Some(number) => self.visit_i64(number),
            None => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

/// A float that is a whole number, and exactly so.
pub fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and below 2^53")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(into = "String")]
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

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                if is_safe(&text) { Ok(Self(text)) } else { Err(InvalidId) }
            }
        }

        /// From a text, or from a positive whole number.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::try_from(from.deserialize_any(IdText)?).map_err(D::Error::custom)
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
        for good in
            ["seD4PfOuKoVMLkEZqohJ", "641c094001436dbc2081e642", "a", "a-b_c", "YQ==", "ada@example.com", "a:b", "a."]
        {
            assert_eq!(good.parse::<ContactId>().map(String::from), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "a b",
            "..",
            ".",
            ".a",
            "a..b",
            "../x",
            "ä",
            "a\u{0}",
            "a/b",
            "a\\b",
            "a%2fb",
            "a?b",
            "a#b",
            "a+b",
            &"x".repeat(101),
        ] {
            assert_eq!(bad.parse::<ContactId>(), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn ids_come_as_texts_or_as_positive_whole_numbers() {
        let read = |json: &str| serde_json::from_str::<ContactId>(json).map(String::from).ok();
        for (json, want) in [
            (r#""a""#, Some("a")),
            ("7", Some("7")),
            ("7.0", Some("7")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("0", None),
            ("-1", None),
            ("7.5", None),
            ("1e20", None),
            ("null", None),
            ("true", None),
            ("[]", None),
            (r#""a b""#, None),
        ] {
            assert_eq!(read(json).as_deref(), want, "{json}");
        }
    }
}
