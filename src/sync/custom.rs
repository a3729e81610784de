//! Custom fields, as the mapping's templates see them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::Value;
use serde_json::Value as Json;

use super::mapping::Mapping;
use super::text::one_line;
use crate::clients::ghl::wire::{Contact, CustomField};

/// By id, by key with and without its `contact.`, and by name.
pub(super) fn custom(contact: &Contact, definitions: &[CustomField]) -> Value {
    let mut custom = BTreeMap::new();
    for field in &contact.custom_fields {
        let definition = definitions.iter().find(|definition| definition.id == field.id);
        let value = typed(&field.value, definition.and_then(|definition| definition.data_type.as_deref()));
        for name in definition.into_iter().flat_map(names) {
            custom.insert(name.to_owned(), value.clone());
        }
        custom.insert(field.id.clone(), value);
    }
    Value::from(custom)
}

/// What a mapping may call a field.
fn names(definition: &CustomField) -> [&str; 4] {
    let key = definition.field_key.as_deref().unwrap_or_default();
    let name = definition.name.as_deref().unwrap_or_default();
    [key.strip_prefix("contact.").unwrap_or(key), key, name, &definition.id]
}

/// What the definitions mean for a mapping, in whatever order they came. A list's options are no
/// part of it.
pub(super) fn meanings(definitions: &[CustomField]) -> Vec<String> {
    let meaning = |one: &CustomField| format!("{:?}", (&one.id, &one.field_key, &one.name, &one.data_type));
    let mut meanings: Vec<_> = definitions.iter().map(meaning).collect();
    meanings.sort_unstable();
    meanings
}

/// What is wrong with the custom fields that a mapping names, and what to do: those that the
/// location does not have are empty for every contact, which no contact shows.
pub fn unknown_fields(mapping: &Mapping, definitions: &[CustomField]) -> Option<(String, String)> {
    let is_known = |named: &&String| definitions.iter().any(|one| names(one).contains(&named.as_str()));
    let unknown: Vec<_> =
        mapping.custom.iter().filter(|named| !is_known(named)).map(|name| format!("`{name}`")).collect();
    let has: Vec<_> = definitions.iter().map(|one| names(one)[0]).filter(|key| !key.is_empty()).take(20).collect();
    let found = format!(
        "the mapping names what is empty for every contact: no custom field is called {}",
        unknown.join(" or ")
    );
    let fix = match has.is_empty() {
        true => "make the field in HighLevel, or take it out of the mapping".to_owned(),
        false => format!("correct its name in the mapping; the location has: {}", has.join(", ")),
    };
    (!unknown.is_empty()).then_some((found, fix))
}

/// The value in its field's type (G §7.2). If a number field holds no number, the value is missing:
/// as a text it would be greater than any number.
fn typed(value: &Json, kind: Option<&str>) -> Value {
    match kind {
        Some("NUMERICAL" | "MONETORY" | "MONETARY") => match value {
            Json::String(text) => number_in(text.trim()),
            number => plain_number(number),
        },
        Some("DATE") => Value::from(date(value).unwrap_or_else(|| words(value))),
        Some("FILE_UPLOAD" | "SIGNATURE") => Value::from(files(value).unwrap_or_else(|| words(value))),
        _ if value.is_number() => plain_number(value),
        _ => Value::from(words(value)),
    }
}

fn plain_number(number: &Json) -> Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => Value::from(whole),
        (None, Some(broken)) => Value::from(broken),
        (None, None) => Value::UNDEFINED,
    }
}

fn number_in(text: &str) -> Value {
    let broken = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::from);
    text.parse::<i64>().ok().map(Value::from).or_else(broken).unwrap_or(Value::UNDEFINED)
}

/// A day given in milliseconds since 1970, also one before it: many are birthdays. A number with
/// only a few digits is no date.
fn date(value: &Json) -> Option<String> {
    let number: i64 = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    let day = Timestamp::from_millisecond(number).ok().filter(|_| number.unsigned_abs() >= 100_000_000)?;
    Some(day.strftime("%Y-%m-%d").to_string())
}

/// The names of uploaded files, which come as an object with one entry a file.
fn files(value: &Json) -> Option<String> {
    let parsed;
    let value = match value {
        Json::String(text) => {
            parsed = serde_json::from_str(text).ok()?;
            &parsed
        }
        value => value,
    };
    let files: Vec<&Json> = match value {
        Json::Object(files) => files.values().collect(),
        Json::Array(files) => files.iter().collect(),
        _ => return None,
    };
    let names: Vec<_> = files.into_iter().filter_map(file_name).map(|name| one_line(&name)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn file_name(file: &Json) -> Option<String> {
    let named = |of: &Json| ["originalname", "name"].iter().find_map(|key| of[*key].as_str().map(str::to_owned));
    let from_url = || file["url"].as_str()?.rsplit('/').next().map(str::to_owned);
    named(&file["meta"]).or_else(|| named(file)).or_else(from_url)
}

/// As text; a list's parts with commas (G §8.5: string, number, array or object).
fn words(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => one_line(text),
        Json::Array(parts) => parts.iter().map(words).collect::<Vec<_>>().join(", "),
        other => one_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_told_by_their_type() {
        for (value, kind, shown) in [
            (json!("75"), Some("NUMERICAL"), "75"),
            (json!(75.5), None, "75.5"),
            (json!("n/a"), Some("NUMERICAL"), ""),
            (json!("01234"), Some("TEXT"), "01234"),
            (json!(1_915_747_200_000_i64), Some("DATE"), "2030-09-16"),
            (json!("1915747200000"), Some("DATE"), "2030-09-16"),
            (json!("2030-09-16"), Some("DATE"), "2030-09-16"),
            (json!(86_400_000_000_i64), Some("DATE"), "1972-09-27"),
            (json!("-86400000000"), Some("DATE"), "1967-04-07"),
            (json!("20300916"), Some("DATE"), "20300916"),
            (json!("007"), Some("NUMERICAL"), "7"),
            (json!(".5"), Some("NUMERICAL"), "0.5"),
            (json!(["a", "b"]), Some("MULTIPLE_OPTIONS"), "a, b"),
            (
                json!({ "0b9c": { "meta": { "originalname": "consent.pdf" }, "url": "https://example.com/x" } }),
                Some("FILE_UPLOAD"),
                "consent.pdf",
            ),
            (json!([{ "url": "https://example.com/files/plan.png" }]), Some("FILE_UPLOAD"), "plan.png"),
            (json!(r#"{"0b9c":{"meta":{"name":"a.pdf"}}}"#), Some("FILE_UPLOAD"), "a.pdf"),
            (json!(null), Some("DATE"), ""),
        ] {
            assert_eq!(typed(&value, kind).to_string(), shown, "{value} as {kind:?}");
        }
    }
}
