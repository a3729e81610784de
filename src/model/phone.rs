//! Phone numbers as people write them, read as Google's libphonenumber reads them, or not at all.

use std::fmt;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat};

/// A phone number in E.164 form, `+14155550142`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// A country that numbers without `+` belong to: two letters, ISO 3166.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(rlibphonenumber::Region);

/// Why a text is not taken as a phone number. Nothing is guessed: a wrong number that looks right
/// does more harm than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPhone {
    /// Letters, an extension, a date, a spreadsheet's decimal, or no number at all.
    NotOneNumber,
    /// It begins with `+`, and no number of that country has so many digits.
    WrongLength,
    /// It has no `+`, and the home region is not known.
    RegionUnknown,
    /// It has no `+`, and is not a valid number of the home region.
    NotValidAtHome,
}

impl Region {
    /// `None` when the two letters name no country that has phone numbers.
    pub fn new(letters: &str) -> Option<Self> {
        let letters = letters.trim().to_ascii_uppercase();
        let region = letters.parse().ok().filter(|_| letters.len() == 2)?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }

    /// The two letters.
    pub fn letters(self) -> String {
        self.0.to_string()
    }
}

impl Phone {
    /// Reads `text`. What begins with `+` is read without any region, and its length must be
    /// *possible* for its country: numbering plans grow faster than any table of them. What does
    /// not is read as dialled in `region`, and must be a *valid* number under the region's own
    /// calling code. So a Canadian number is taken in a US location, because it is dialled in the
    /// same way there; `0055 33 99123 4567` is not taken in Brazil, where libphonenumber reads
    /// `0055` as the prefix of a carrier, and the rest as a valid number of France.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn new(text: &str, region: Option<Region>) -> Result<Self, NoPhone> {
        let text = visible(text);
        if text.contains(is_letter) || is_date(&text) || is_decimal(&text) {
            return Err(NoPhone::NotOneNumber);
        }
        let library = &*PHONE_NUMBER_UTIL;
        let first = text.find(|c: char| is_plus(c) || c.is_numeric());
        let is_international = first.is_some_and(|at| text[at..].starts_with(is_plus));
        let home = region.map(|region| region.0).filter(|_| !is_international);
        if first.is_some() && !is_international && home.is_none() {
            return Err(NoPhone::RegionUnknown);
        }
        let refusal = match (first, is_international) {
            (None, _) => NoPhone::NotOneNumber,
            (Some(_), true) => NoPhone::WrongLength,
            (Some(_), false) => NoPhone::NotValidAtHome,
        };
        let number = library.parse(&text, home).map_err(|_| refusal)?;
        if number.extension.is_some() {
            return Err(NoPhone::NotOneNumber);
        }
        let is_taken = match home {
            // A length that is possible only without the area code cannot be dialled from
            // elsewhere.
            None => {
                library.is_possible_number_with_reason(&number) == Ok(NumberLengthType::IsPossible)
                    || library.is_valid_number(&number)
            }
            Some(home) => {
                library.get_country_code_for_region(home) == Some(number.country_code)
                    && library.is_valid_number(&number)
            }
        };
        let e164 = library.format(&number, PhoneNumberFormat::E164).into_owned();
        // The stored form must read as itself: each reading of `+60 000…` would drop a zero.
        let is_stable = || e164 == text || Self::new(&e164, None).is_ok_and(|again| again.0 == e164);
        if is_taken && is_stable() { Ok(Self(e164)) } else { Err(refusal) }
    }

    /// The E.164 text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text without `tel:`, its blanks plain, and without the invisible characters that come along
/// when a number is copied from an address book.
fn visible(text: &str) -> String {
    let text = text.trim();
    let text = match text.split_at_checked(4) {
        Some((scheme, number)) if scheme.eq_ignore_ascii_case("tel:") => number,
        _ => text,
    };
    let is_invisible = |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let visible = text.chars().filter(|c| !is_invisible(c));
    visible.map(|c| if c.is_whitespace() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn is_plus(c: char) -> bool {
    matches!(c, '+' | '＋')
}

/// The Japanese sound mark is a letter to Unicode, and a hyphen to who writes `03ー1234ー5678`.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && c != 'ー'
}

/// `2025-01-15`, `15.01.2025`: where numbers have eight digits, those of a date can be a valid one.
fn is_date(text: &str) -> bool {
    let is_year = |part: &str| matches!(part.as_bytes(), [b'1', b'9', _, _] | [b'2', b'0', _, _]);
    let is_short = |part: &str| matches!(part.len(), 1 | 2);
    let parts: Vec<&str> = text.split(['-', '.', '/']).collect();
    parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        && match parts[..] {
            [first, second, third] => {
                is_short(second) && (is_year(first) && is_short(third) || is_short(first) && is_year(third))
            }
            _ => false,
        }
}

/// `14155550142.0`: a number that went through a spreadsheet. With one digit more it can still be
/// one.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('+').unwrap_or(text).split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && fraction.bytes().all(|byte| byte == b'0'),
        None => false,
    }
}

impl NoPhone {
    /// What was left out, and what to do; names no number.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotOneNumber => {
                "the phone is left out: it is not one number alone (letters, an extension, a date); \
                 write only the number, with `+` and country code"
            }
            Self::WrongLength => {
                "the phone is left out: it begins with `+`, but has not as many digits as numbers of its country have; \
                 write it in full"
            }
            Self::RegionUnknown => {
                "the phone is left out: it has no `+`, and the location's country is not known; \
                 set `PHONE_REGION`, or write it with `+` and country code"
            }
            Self::NotValidAtHome => {
                "the phone is left out: it has no `+`, and is not a valid number of the location's country \
                 (`PHONE_REGION`); write it with `+` and country code"
            }
        }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use NoPhone::{NotOneNumber, NotValidAtHome, RegionUnknown, WrongLength};

    use super::*;

    fn read(text: &str, region: &str) -> Result<String, NoPhone> {
        Phone::new(text, Region::new(region)).map(|phone| phone.to_string())
    }

    #[test]
    fn what_begins_with_plus_is_the_same_in_every_region() {
        for region in ["", "US", "CA", "GB", "DE", "FR", "IT", "RU", "KZ", "BR", "UA", "JP"] {
            for (text, want) in [
                ("+4915123456789", Ok("+4915123456789")),
                ("+8613123456789", Ok("+8613123456789")),
                ("+201001234567", Ok("+201001234567")),
                ("+821023456789", Ok("+821023456789")),
                ("+60123456789", Ok("+60123456789")),
                ("+5511961234567", Ok("+5511961234567")),
                ("+33142685300", Ok("+33142685300")),
                ("+441214960018", Ok("+441214960018")),
                ("+78005553535", Ok("+78005553535")),
                ("+78125555555", Ok("+78125555555")),
                ("+44 (0)20 7946 0018", Ok("+442079460018")),
                ("(+44) 020-7946.0018", Ok("+442079460018")),
                ("tel:+44-20-7946-0018", Ok("+442079460018")),
                ("\u{202a}+44\u{a0}20\u{2011}7946\u{2011}0018\u{202c}", Ok("+442079460018")),
                ("\u{feff}+44\u{202f}20\t7946\u{ad}0018\n", Ok("+442079460018")),
                ("＋４４２０７９４６００１８", Ok("+442079460018")),
                ("+13101234", Ok("+13101234")),
                ("+1 415 555 014215", Err(WrongLength)),
                ("+1786555", Err(WrongLength)),
                ("+15550142", Err(WrongLength)),
                ("+1", Err(WrongLength)),
                ("+600000000000", Err(WrongLength)),
                ("+999 123 4567", Err(WrongLength)),
                ("+4930123456.0", Err(NotOneNumber)),
                ("+3367a829916", Err(NotOneNumber)),
                ("+1 800 FLOWERS", Err(NotOneNumber)),
                ("+1 415 555 0142 ext. 5", Err(NotOneNumber)),
                ("+1 415 555 0142 #5", Err(NotOneNumber)),
                ("tel:+1-415-555-0142;ext=5", Err(NotOneNumber)),
                ("+14155550142, +14155550143", Err(WrongLength)),
            ] {
                assert_eq!(read(text, region), want.map(str::to_owned), "{text:?} in {region:?}");
            }
        }
    }

    #[test]
    fn what_does_not_must_be_valid_at_home() {
        for (region, text, want) in [
            ("US", "(415) 555-0142", Ok("+14155550142")),
            ("US", "1 415 555 0142", Ok("+14155550142")),
            ("US", "(416) 234-5678", Ok("+14162345678")),
            ("GB", "020 7946 0018", Ok("+442079460018")),
            ("GB", "00442079460018", Ok("+442079460018")),
            ("DE", "0049 1512 3456789", Ok("+4915123456789")),
            ("JP", "03ー1234ー5678", Ok("+81312345678")),
            ("SG", "62345678", Ok("+6562345678")),
            ("DK", "20 25 01 15", Ok("+4520250115")),
            ("DK", "2025-01-15", Err(NotOneNumber)),
            ("DK", "21/01/2025", Err(NotOneNumber)),
            ("DE", "03012345678.0", Err(NotOneNumber)),
            ("FR", "00442079460018", Err(NotValidAtHome)),
            ("BR", "0055 33 99123 4567", Err(NotValidAtHome)),
            ("UA", "4155550142", Err(NotValidAtHome)),
            ("US", "00442079460018", Err(NotValidAtHome)),
            ("US", "011 44 20 7946 0018", Err(NotValidAtHome)),
            ("US", "0171 1234567", Err(NotValidAtHome)),
            ("US", "020 7946 0018", Err(NotValidAtHome)),
            ("US", "555-0142", Err(NotValidAtHome)),
            ("US", "14155550142.0", Err(NotOneNumber)),
            ("US", "415.555.0143 (cell)", Err(NotOneNumber)),
            ("US", "1-800-FLOWERS", Err(NotOneNumber)),
            ("US", "2025-01-15", Err(NotOneNumber)),
            ("US", "call me", Err(NotOneNumber)),
            ("US", "-", Err(NotOneNumber)),
            ("US", "", Err(NotOneNumber)),
            ("US", "\u{0}", Err(NotOneNumber)),
            ("", "(415) 555-0142", Err(RegionUnknown)),
            ("", "00442079460018", Err(RegionUnknown)),
        ] {
            assert_eq!(read(text, region), want.map(str::to_owned), "{text:?} in {region:?}");
        }
    }

    #[test]
    fn a_region_is_a_country_with_phone_numbers() {
        assert_eq!(Region::new(" us ").map(Region::letters).as_deref(), Some("US"));
        for none in ["", "U", "USA", "001", "ZZ", "Atlantis"] {
            assert_eq!(Region::new(none), None, "{none:?}");
        }
    }
}
