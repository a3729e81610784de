//! Fields that do not spoil a record: a value of the wrong type is read as absent, unless people
//! are identified by it.
//!
//! For `#[serde(default, deserialize_with = "…")]`. Both vendors leave keys out, send `null`, and
//! have been seen to change a type (G §2, T §2).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::model::whole;

/// A text. A number or a yes/no becomes its text; a list or an object is nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Value::deserialize(from).map(as_text)
}

/// A text by which people are known. What is a list or an object cannot be known, and must not
/// count as absent: the record is odd.
pub(super) fn identity<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::Array(_) | Value::Object(_) => Err(D::Error::custom("a list or an object where a text belongs")),
        value => Ok(as_text(value)),
    }
}

/// A time, as the text or the number that it comes as; `{ "_seconds": 1 }`, the form of HighLevel's
/// database, in milliseconds.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Value::deserialize(from).map(|value| {
        let seconds = value.get("_seconds").or_else(|| value.get("seconds")).and_then(Value::as_i64);
        match seconds.and_then(|seconds| seconds.checked_mul(1000)) {
            Some(milliseconds) => Some(milliseconds.to_string()),
            None => as_text(value),
        }
    })
}

/// Yes or no, also in words.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Value::deserialize(from).map(|value| as_text(value)?.parse().ok())
}

/// A whole number, also as text or written as `7.0`.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Value::deserialize(from).map(|value| as_number(&value))
}

/// An id that may be missing. A value that is no valid id counts as missing.
pub(super) fn id<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(from).map(as_id)
}

/// A list of texts; a single text is split at its commas, as GHL's workflow documents have their
/// tags (G §9).
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Array(list) => list.into_iter().filter_map(as_text).collect(),
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    })
}

/// A list of texts that decides something: what cannot be known must not count as absent, and the
/// record is odd.
pub(super) fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let value = Value::deserialize(from)?;
    let is_text = |value: &Value| !value.is_array() && !value.is_object();
    if value.is_object() || value.as_array().is_some_and(|list| !list.iter().all(is_text)) {
        return Err(D::Error::custom("no list of texts"));
    }
    texts(value).map_err(D::Error::custom)
}

/// An object, kept as it is.
pub(super) fn map<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    Value::deserialize(from).map(|value| if let Value::Object(map) = value { map } else { Map::new() })
}

/// A list, kept as it is.
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Value>, D::Error> {
    Value::deserialize(from).map(|value| if let Value::Array(list) = value { list } else { Vec::new() })
}

/// A record inside a record; `None` when it lacks what it must have, as an empty object does.
pub(super) fn part<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(from).map(|value| serde_json::from_value(value).ok())
}

/// A list of lesser records; those that lack what they must have are left out.
pub(super) fn parts<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    list(from).map(|list| list.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

pub(super) fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn as_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn as_id<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq, Default)]
    struct Leaves {
        #[serde(default, deserialize_with = "text")]
        text: Option<String>,
        #[serde(default, deserialize_with = "flag")]
        flag: Option<bool>,
        #[serde(default, deserialize_with = "number")]
        number: Option<i64>,
        #[serde(default, deserialize_with = "texts")]
        texts: Vec<String>,
        #[serde(default, deserialize_with = "id")]
        id: Option<crate::model::ContactId>,
    }

    #[test]
    fn wrong_types_are_read_as_nothing() {
        let read = |value| serde_json::from_value::<Leaves>(value).unwrap();
        for nothing in [json!({}), json!({"text": null, "flag": null, "number": null, "texts": null, "id": null})] {
            assert_eq!(read(nothing), Leaves::default());
        }
        for wrong in [json!({"a": 1}), json!([{}])] {
            let all = json!({"text": wrong, "flag": wrong, "number": wrong, "texts": wrong, "id": wrong});
            assert_eq!(read(all), Leaves::default());
        }
        assert_eq!(read(json!({"text": 10001})).text.as_deref(), Some("10001"));
        assert_eq!(read(json!({"flag": "true"})).flag, Some(true));
        assert_eq!(read(json!({"number": "12"})).number, Some(12));
        assert_eq!(read(json!({"texts": "vip, trafft,"})).texts, ["vip", "trafft"]);
        assert_eq!(read(json!({"texts": ["vip", 7, {}]})).texts, ["vip", "7"]);
        assert_eq!(read(json!({"id": "../x"})).id, None);
    }
}
