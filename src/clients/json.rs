//! JSON as other programs write it.
//!
//! A strict parser refuses a whole document for one odd text in it, and with it every other record
//! of the list. JavaScript cuts texts between the two halves of an emoji and writes the half as
//! `\ud83d`; PHP and Python write other things that no parser takes. Here only that place is
//! replaced, and everything around it is read.

use serde_json::Value;

/// Levels of nesting that are kept; what is deeper becomes `null`. serde_json refuses a document
/// with 128.
const DEEPEST: usize = 100;

/// Reads a document. The last of several equal keys counts. Half a surrogate pair and bytes that
/// are not UTF-8 become U+FFFD, a raw control character a space; a number beyond the range of
/// `f64`, and what is nested more than 100 levels deep, become `null`. `None`: not a JSON document
/// at all.
///
/// Documents without these cost one parse and no copy.
pub fn read(document: &[u8]) -> Option<Value> {
    match serde_json::from_slice(document) {
        Ok(value) => Some(value),
        Err(_) if matches!(document.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) => {
            serde_json::from_slice(&repaired(document)).ok()
        }
        Err(_) => None,
    }
}

/// The same document with its unreadable places replaced. What is no JSON for other reasons stays
/// no JSON.
fn repaired(document: &[u8]) -> Vec<u8> {
    let document = String::from_utf8_lossy(document);
    let mut rest = document.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    let mut depth = 0_usize;
    // Where the value begins that is nested too deep.
    let mut cut = 0;
    while let Some(&first) = rest.first() {
        let (token, after) = rest.split_at(token_length(first, rest));
        match first {
            b'"' => repair_string(token, &mut out),
            b'-' | b'0'..=b'9' if is_infinite(token) => out.extend_from_slice(b"null"),
            b'{' | b'[' => {
                depth += 1;
                if depth == DEEPEST + 1 {
                    cut = out.len();
                }
                out.push(first);
            }
            b'}' | b']' => {
                out.push(first);
                if depth == DEEPEST + 1 {
                    out.truncate(cut);
                    out.extend_from_slice(b"null");
                }
                depth = depth.saturating_sub(1);
            }
            _ => out.extend_from_slice(token),
        }
        rest = after;
    }
    out
}

/// Bytes of the string or the number that `rest` begins with; else 1.
fn token_length(first: u8, rest: &[u8]) -> usize {
    match first {
        b'"' => {
            let mut end = 1;
            loop {
                match rest.get(end) {
                    Some(b'"') => return end + 1,
                    Some(b'\\') => end += 2,
                    Some(_) => end += 1,
                    None => return rest.len(),
                }
            }
        }
        b'-' | b'0'..=b'9' => {
            rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count()
        }
        _ => 1,
    }
}

fn is_infinite(number: &[u8]) -> bool {
    std::str::from_utf8(number).is_ok_and(|text| text.parse().is_ok_and(f64::is_infinite))
}

fn repair_string(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let Some(&first) = rest.first() {
        let length = match (first, code_unit(rest)) {
            (b'\\', Some(0xD800..=0xDBFF)) if matches!(rest.get(6..).and_then(code_unit), Some(0xDC00..=0xDFFF)) => 12,
            (b'\\', Some(0xD800..=0xDFFF)) => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                rest = &rest[6..];
                continue;
            }
            (b'\\', _) => rest.len().min(2),
            (0..=0x1f, _) => {
                out.push(b' ');
                rest = &rest[1..];
                continue;
            }
            _ => 1,
        };
        let (kept, after) = rest.split_at(length);
        out.extend_from_slice(kept);
        rest = after;
    }
}

/// The UTF-16 code unit, if `text` begins with an escape such as `\ud83d`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_odd_place_does_not_spoil_the_document() {
        for (document, want) in [
            (r#"{"a":"half \ud83d","b":1}"#, json!({ "a": "half \u{fffd}", "b": 1 })),
            (r#"["\uD83D","\uDE00x","\udE00\uD83d"]"#, json!(["\u{fffd}", "\u{fffd}x", "\u{fffd}\u{fffd}"])),
            (r#"["\ud83d\ud83d\ude00","\ud83d\u0041","\ud83d\n"]"#, json!(["\u{fffd}😀", "\u{fffd}A", "\u{fffd}\n"])),
            (r#"{"\ud83d":{"\ud83d\ude00":"\ud83d\ude00"}}"#, json!({ "\u{fffd}": { "😀": "😀" } })),
            // A backslash and five letters, not an escape.
            (r#"["\\ud83d","\\\ud83d","\ud83d\\"]"#, json!([r"\ud83d", "\\\u{fffd}", "\u{fffd}\\"])),
            (
                r#"{"a":1e999,"b":-1e999,"c":[1.5,-2],"d":"1e999"}"#,
                json!({ "a": null, "b": null, "c": [1.5, -2], "d": "1e999" }),
            ),
            ("[\"a\nb\",\"\\ud83d\"]", json!(["a b", "\u{fffd}"])),
            (r#"{"a":1,"b":2,"a":3}"#, json!({ "a": 3, "b": 2 })),
            (r#""\ud83d""#, json!("\u{fffd}")),
            (" 7 ", json!(7)),
        ] {
            assert_eq!(read(document.as_bytes()), Some(want), "{document}");
        }
        assert_eq!(read(b"[\"a\xff\",\"\xed\xa0\xbd\"]"), Some(json!(["a\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}"])));
    }

    #[test]
    fn what_is_no_json_stays_so() {
        for document in [
            "",
            "<html>",
            "{",
            "[",
            "\"",
            "{\"a\":",
            "[\"\\",
            "[\"\\u",
            "[\"\\ud8",
            "[\"\\ud83d",
            "]]",
            "[1e999",
            "{\"a\":\"\\uzzzz\"}",
            "not json",
            "[NaN]",
        ] {
            assert_eq!(read(document.as_bytes()), None, "{document}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_left_out_and_the_rest_is_read() {
        for levels in [127, 128, 1_000, 1_000_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                let document = format!(r#"{{"before":[1,2],"deep":{deep},"after":{{"x":"\ud83d"}}}}"#);
                let read = read(document.as_bytes()).unwrap();
                assert_eq!(
                    (&read["before"], &read["after"]),
                    (&json!([1, 2]), &json!({ "x": "\u{fffd}" })),
                    "{levels}"
                );
            }
        }
        assert_eq!(read("[".repeat(1_000_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn whatever_is_valid_is_read_as_serde_json_reads_it(text in ".*", number: f64) {
            let written = json!({ &text: [&text, number], "x": { "y": &text } }).to_string();
            let want: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read(written.as_bytes()), Some(want));
            // Where one place is repaired, the others stay as they are.
            prop_assert_eq!(String::from_utf8(repaired(written.as_bytes())).unwrap(), written);
        }

        #[test]
        fn any_row_of_code_units_is_read_as_the_lossy_decoding_of_utf16(units: Vec<u16>) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let document = format!("[\"{escaped}\"]");
            prop_assert_eq!(read(document.as_bytes()), Some(json!([String::from_utf16_lossy(&units)])));
        }

        #[test]
        fn no_bytes_make_it_fail(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let _ = read(&[b"[\"".as_slice(), &bytes].concat());
        }
    }
}
