//! Odd records: parts of good answers, written as a test wants them, valid JSON or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::front::Answer;

/// One part of the answers that is written differently.
#[derive(Clone)]
struct Override {
    path: String,
    id: String,
    key: Option<String>,
    text: String,
}

/// What an emulator writes differently from what it means. It applies to 2xx answers with JSON,
/// until it is taken back.
#[derive(Clone, Default)]
pub struct Raw(Arc<Mutex<Vec<Override>>>);

impl Raw {
    fn overrides(&self) -> MutexGuard<'_, Vec<Override>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In answers to calls whose path begins with `path`, the record with this id is written as
    /// `text`, wherever it stands: alone or in a list. The text need not be JSON.
    pub fn record(&self, path: &str, id: impl ToString, text: &str) {
        self.set(path, id.to_string(), None, text);
    }

    /// The same for the value of one key of that record. Whatever follows a comma in `text` becomes
    /// further keys: `"a","firstName":"b"` for `firstName` makes the key occur twice.
    pub fn field(&self, path: &str, id: impl ToString, key: &str, text: &str) {
        self.set(path, id.to_string(), Some(key.to_owned()), text);
    }

    /// Everything is written as it is meant again.
    pub fn clear(&self) {
        self.overrides().clear();
    }

    fn set(&self, path: &str, id: String, key: Option<String>, text: &str) {
        self.overrides().push(Override { path: path.to_owned(), id, key, text: text.to_owned() });
    }

    pub(crate) fn apply(&self, path: &str, mut answer: Answer) -> Answer {
        let overrides: Vec<_> = self.overrides().iter().filter(|one| path.starts_with(&one.path)).cloned().collect();
        if overrides.is_empty() || !(200..300).contains(&answer.status) {
            return answer;
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
        for (number, one) in overrides.iter().enumerate() {
            mark(&mut body, one, &Value::from(marker(number)));
        }
        let mut text = body.to_string();
        for (number, one) in overrides.iter().enumerate() {
            text = text.replace(&Value::from(marker(number)).to_string(), &one.text);
        }
        answer.body = text.into_bytes();
        answer
    }
}

/// A text that no record holds.
fn marker(number: usize) -> String {
    format!("\u{1}raw {number}\u{1}")
}

/// Puts the marker where the override belongs.
fn mark(value: &mut Value, one: &Override, marker: &Value) {
    let is_it = |id: &Value| match id {
        Value::String(text) => *text == one.id,
        Value::Number(number) => number.as_i64().is_some_and(|number| one.id.parse() == Ok(number)),
        _ => false,
    };
    match value {
        Value::Object(record) if ["id", "_id"].iter().any(|key| record.get(*key).is_some_and(is_it)) => {
            match &one.key {
                Some(key) => {
                    record.insert(key.clone(), marker.clone());
                }
                None => *value = marker.clone(),
            }
        }
        Value::Object(record) => record.values_mut().for_each(|value| mark(value, one, marker)),
        Value::Array(list) => list.iter_mut().for_each(|value| mark(value, one, marker)),
        _ => {}
    }
}
