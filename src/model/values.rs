//! What people write in e-mail and phone fields, made comparable.

use std::fmt;

use phonenumber::{Mode, country};

/// An e-mail address in the form that we compare: trimmed, lower case (G §13 "Email case").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl EmailKey {
    /// `None` when there is nothing to compare: empty, blank, or no address at all.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let plain =
            !local.is_empty() && !domain.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        plain.then(|| Self(text.to_lowercase()))
    }

    /// The comparable text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A phone number in E.164 form, `+14155550142`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// A country that numbers without `+` belong to: two letters, ISO 3166.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// `None` when the two letters name no country.
    pub fn new(letters: &str) -> Option<Self> {
        letters.trim().to_ascii_uppercase().parse().ok().map(Self)
    }
}

impl Phone {
    /// `None` for the empty forms (`""`, `-`, T §5.5), and for what is no number, or has no `+` while no region is known.
    ///
    /// *Possible* rather than *valid* numbers pass: numbering plans grow faster than any table of them.
    pub fn new(text: &str, region: Option<Region>) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "-" || text.len() > 64 || (region.is_none() && !text.starts_with('+')) {
            return None;
        }
        let number = phonenumber::parse(region.map(|r| r.0), text).ok()?;
        let e164 = number.format().mode(Mode::E164).to_string();
        (8..=16).contains(&e164.len()).then_some(Self(e164))
    }

    /// The E.164 text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_compare_without_case_and_space() {
        assert_eq!(EmailKey::new(" Ada@Example.COM "), EmailKey::new("ada@example.com"));
        for nothing in ["", " ", "-", "ada", "@example.com", "ada@", "a da@example.com", "a\u{0}@example.com"] {
            assert_eq!(EmailKey::new(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn phones_become_e164_or_nothing() {
        let us = Region::new("us");
        for (text, region, want) in [
            ("+14155550142", None, Some("+14155550142")),
            ("+1 (415) 555-0142", None, Some("+14155550142")),
            ("(415) 555-0142", us, Some("+14155550142")),
            ("(415) 555-0142", None, None),
            ("020 7946 0018", Region::new("GB"), Some("+442079460018")),
            ("-", us, None),
            ("", us, None),
            ("call me", us, None),
            ("+1", us, None),
            ("\u{0}", us, None),
        ] {
            assert_eq!(Phone::new(text, region).as_ref().map(Phone::as_str), want, "{text:?}");
        }
        assert_eq!(Region::new("Atlantis"), None);
    }
}
