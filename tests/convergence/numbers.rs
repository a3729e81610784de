//! Phone numbers of all countries as people write them in a US location, and what each is. Made
//! from the table of libphonenumber's example numbers; nothing here shares anything with the
//! service.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::dice::Dice;

/// A number, and how it is printed.
struct Example {
    e164: &'static str,
    international: &'static str,
    national: &'static str,
    /// What its national form is in the US; empty: nothing.
    national_in_us: &'static str,
}

/// Of countries other than those of North America, each number once.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let mut known = BTreeSet::new();
    let lines = include_str!("../data/phones.tsv").lines().filter(|line| !line.starts_with('#'));
    let examples = lines.map(|line| {
        let fields: Vec<&'static str> = line.split('\t').collect();
        let [_, e164, international, national, _, abroad] = fields[..] else { panic!("six fields: {line}") };
        let national_in_us = abroad.split(' ').find_map(|answer| answer.strip_prefix("US=")).unwrap_or_default();
        Example { e164, international, national, national_in_us }
    });
    examples.filter(|example| !example.e164.starts_with("+1") && known.insert(example.e164)).collect()
});

/// The foreign number of that place, in E.164; places next to each other have different ones.
pub fn foreign(place: u64) -> &'static str {
    example(place).e164
}

fn example(place: u64) -> &'static Example {
    // From country to country.
    &EXAMPLES[usize::try_from(place * 37 % EXAMPLES.len() as u64).unwrap()]
}

/// A way to write the foreign number of that place, and what it is: none, if that cannot be known.
pub fn written_foreign(place: u64, dice: &mut Dice) -> (String, Option<String>) {
    let Example { e164, international, national, national_in_us } = example(place);
    let digits = &e164[1..];
    let is = |text: String| (text, Some((*e164).to_owned()));
    match dice.roll(12) {
        0 | 1 => is((*international).to_owned()),
        2 => is(format!("tel:{e164}")),
        3 => is(international.replace([' ', '-'], "\u{a0}")),
        4 => is(format!("\u{202a}{international}\u{202c}")),
        5 => is(wide(e164)),
        6 => {
            let home = Some(*national_in_us).filter(|answer| !answer.is_empty()).map(str::to_owned);
            ((*national).to_owned(), home)
        }
        7 => (format!("00{digits}"), None),
        8 => (format!("{e164} ext. 12"), None),
        9 => (format!("{e164} (home)"), None),
        _ => is((*e164).to_owned()),
    }
}

/// The same for a number of the US.
pub fn written_at_home(e164: &str, dice: &mut Dice) -> (String, Option<String>) {
    let (area, rest) = e164[2..].split_at(3);
    let (exchange, line) = rest.split_at(3);
    let is = |text: String| (text, Some(e164.to_owned()));
    match dice.roll(8) {
        0 => is(format!("({area}) {exchange}-{line}")),
        1 => is(format!("1 {area} {exchange} {line}")),
        2 => is(format!("{area}.{exchange}.{line}")),
        3 => is(format!("+1 {area}-{exchange}-{line}")),
        4 => (format!("{exchange}-{line}"), None),
        5 => (format!("{area}{exchange}{line}.0"), None),
        _ => is(e164.to_owned()),
    }
}

fn wide(e164: &str) -> String {
    let one = |c: char| if c == '+' { '＋' } else { c.to_digit(10).and_then(|d| char::from_u32(0xff10 + d)).unwrap() };
    e164.chars().map(one).collect()
}
