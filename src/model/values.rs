//! What people write in e-mail fields, made comparable.

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

/// Why a text is not taken as an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEmail {
    /// It is none.
    NoAddress,
    /// It is more than one: which of them is the contact's own nobody can tell.
    Several,
}

impl NoEmail {
    /// For the person who looks after the contact.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoAddress => "the e-mail is no address",
            Self::Several => "the e-mail field holds several addresses: leave one in GoHighLevel",
        }
    }
}

/// The address in what people paste into e-mail fields: `mailto:` before it, a name, brackets or
/// quotes around it, punctuation after it.
///
/// # Errors
/// Why there is none that is certain.
pub fn email_in(text: &str) -> Result<String, NoEmail> {
    if text.matches('@').count() > 1 {
        return Err(NoEmail::Several);
    }
    let text = match text.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((address, _)) => address,
        None => text,
    };
    let text = text.trim().trim_start_matches(['(', '[', '<', '\'', '"']);
    let text = match text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")) {
        // A link may say what the mail is about.
        Some(scheme) => text[scheme.len()..].split('?').next().unwrap_or_default(),
        None => text,
    };
    let text = text.trim_end_matches([',', ';', '.', ')', ']', '>', '\'', '"']).trim();
    let is_of_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let has_domain = text.rsplit_once('@').is_some_and(|(_, domain)| domain.chars().all(is_of_domain));
    EmailKey::new(text).filter(|_| has_domain).map(|_| text.to_owned()).ok_or(NoEmail::NoAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_what_people_paste() {
        for (text, address) in [
            ("ada@example.com", Ok("ada@example.com")),
            ("Ada@Example.com ", Ok("Ada@Example.com")),
            ("tc@example.com,", Ok("tc@example.com")),
            ("<ang@example.com>", Ok("ang@example.com")),
            ("Ang Example <ang@example.com>", Ok("ang@example.com")),
            ("mailto:a@example.com", Ok("a@example.com")),
            ("MAILTO:a@example.com.", Ok("a@example.com")),
            ("a@x.example,b@x.example", Err(NoEmail::Several)),
            ("a@x.example; b@x.example", Err(NoEmail::Several)),
            ("a@x.example b@x.example", Err(NoEmail::Several)),
            ("a@x.example/b@x.example", Err(NoEmail::Several)),
            ("mailto:a@example.com?subject=Hi", Ok("a@example.com")),
            ("(ada@example.com)", Ok("ada@example.com")),
            ("'ada@example.com'", Ok("ada@example.com")),
            ("ada@example.com>", Ok("ada@example.com")),
            ("ada@example.com|", Err(NoEmail::NoAddress)),
            ("ada", Err(NoEmail::NoAddress)),
            ("ada at@example.com", Err(NoEmail::NoAddress)),
            ("", Err(NoEmail::NoAddress)),
        ] {
            assert_eq!(email_in(text).as_deref().map_err(|why| *why), address, "{text:?}");
        }
    }

    #[test]
    fn emails_compare_without_case_and_space() {
        assert_eq!(EmailKey::new(" Ada@Example.COM "), EmailKey::new("ada@example.com"));
        for nothing in ["", " ", "-", "ada", "@example.com", "ada@", "a da@example.com", "a\u{0}@example.com"] {
            assert_eq!(EmailKey::new(nothing), None, "{nothing:?}");
        }
    }
}
