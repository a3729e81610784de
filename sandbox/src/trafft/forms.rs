//! Values in Trafft's own form: what a service may make of what it was sent before it shows it.
//! Which of them the real one does is not known (T §10).

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// How values are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// E-mails in lower case.
    pub lower_email: bool,
    /// Names cut after so many characters.
    pub longest_name: Option<usize>,
    /// Phones as they are dialled at home, such as `(415) 555-0142`, beside their country. The
    /// countries are those that `phone_country_code` knows.
    pub national_phone: bool,
    /// An apostrophe in names as `&#039;`, an ampersand as `&amp;`.
    pub escaped: bool,
    /// Names in capitals.
    pub upper_name: bool,
    /// Names with their accents composed (NFC), and without what MySQL's `utf8` cannot hold: emoji.
    pub stored: bool,
}

impl Forms {
    /// The record as it is shown.
    pub(super) fn of(self, mut shown: Value) -> Value {
        for key in ["first_name", "last_name"] {
            if let Some(name) = shown[key].as_str() {
                shown[key] = Value::from(self.name(name));
            }
        }
        if self.lower_email
            && let Some(email) = shown["email"].as_str()
        {
            shown["email"] = Value::from(email.to_lowercase());
        }
        if self.national_phone
            && let Some(national) = shown["phone_number"].as_str().and_then(national)
        {
            shown["phone_number"] = Value::from(national);
        }
        shown
    }
}

impl Forms {
    fn name(self, name: &str) -> String {
        let stored: String =
            if self.stored { name.nfc().filter(|c| *c <= '\u{ffff}').collect() } else { name.to_owned() };
        let cased = if self.upper_name { stored.to_uppercase() } else { stored };
        let cut: String = cased.chars().take(self.longest_name.unwrap_or(usize::MAX)).collect();
        if self.escaped { cut.replace('&', "&amp;").replace('\'', "&#039;") } else { cut }
    }
}

/// As the number is dialled in its own country.
fn national(e164: &str) -> Option<String> {
    if let Some(rest) = e164.strip_prefix("+1").filter(|rest| rest.len() == 10) {
        let (area, rest) = rest.split_at(3);
        let (exchange, line) = rest.split_at(3);
        return Some(format!("({area}) {exchange}-{line}"));
    }
    let with_zero = ["+44", "+49", "+33", "+61"].into_iter().find_map(|code| e164.strip_prefix(code));
    let as_it_is = ["+34", "+39"].into_iter().find_map(|code| e164.strip_prefix(code));
    with_zero.map(|rest| format!("0{rest}")).or_else(|| as_it_is.map(str::to_owned))
}
