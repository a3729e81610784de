//! Lists of a vendor's records, read record by record.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The longest id that is shown of a record that could not be read.
const LONGEST_ID: usize = 100;

/// A list of which every record was read by itself.
///
/// A record that could not be read is *there*: code that concludes from the list that something is
/// absent has to look at [`Listed::odd`] as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The records that could be read, in the vendor's order.
    pub items: Vec<T>,
    /// The records that could not be read.
    pub odd: Vec<Odd>,
}

/// A record of a list that could not be read: `null`, no object, without an id, or with one that
/// cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its id as the vendor wrote it, without control characters and at most 100 characters long.
    /// `None`: it has none, or a number that is no id, such as 0.
    pub id: Option<String>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), odd: Vec::new() }
    }
}

impl<T> Listed<T> {
    /// How many records the vendor gave, readable or not.
    pub fn given(&self) -> usize {
        self.items.len() + self.odd.len()
    }

    /// Could the record with this id be among those that were not read? One whose id cannot be read
    /// could be any record.
    pub fn may_hold(&self, id: &str) -> bool {
        self.odd.iter().any(|odd| odd.id.as_deref().is_none_or(|odd| odd == id))
    }
}

impl<T: DeserializeOwned> Listed<T> {
    /// Reads the records one by one.
    pub(super) fn of(records: Vec<Value>) -> Self {
        let mut list = Self::default();
        for record in records {
            let odd = Odd::of(&record);
            match serde_json::from_value(record) {
                Ok(item) => list.items.push(item),
                Err(_) => list.odd.push(odd),
            }
        }
        list
    }
}

impl Odd {
    fn of(record: &Value) -> Self {
        let id = ["id", "_id"].into_iter().find_map(|key| match record.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => number.as_u64().filter(|number| *number > 0).map(|number| number.to_string()),
            _ => None,
        });
        let shown = |id: String| id.chars().filter(|c| !c.is_control()).take(LONGEST_ID).collect::<String>();
        Self { id: id.map(shown).filter(|id| !id.trim().is_empty()) }
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id.as_deref().unwrap_or("(without an id)"))
    }
}

/// `null` is an empty list; anything else that is no list is an error, since an empty list would
/// read as "all deleted".
impl<'de, T: DeserializeOwned> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Null => Ok(Self::default()),
            Value::Array(records) => Ok(Self::of(records)),
            _ => Err(D::Error::custom("not the list expected")),
        }
    }
}

/// The records that could be read.
impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ObjectId;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Record {
        id: ObjectId,
    }

    #[test]
    fn one_odd_record_leaves_the_others_as_they_are() {
        let list = json!([
            { "id": "a" }, null, { "id": 7 }, {}, [], "b", { "id": "x y" }, { "id": null }, { "id": "" }, { "id": 0 },
            { "id": "a=b@c:1" }, { "id": "../x" }, { "id": "a\u{0}\u{1b}b" }, { "id": { "a": 1 } }, { "id": 1e20 }
        ]);
        let list: Listed<Record> = serde_json::from_value(list).unwrap();
        let ids: Vec<_> = list.items.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, ["a", "7", "a=b@c:1"]);
        let odd: Vec<_> = list.odd.iter().map(|odd| odd.id.as_deref()).collect();
        let named = |id| Some(id);
        assert_eq!(
            odd,
            [None, None, None, None, named("x y"), None, None, None, named("../x"), named("ab"), None, None]
        );
        assert_eq!((list.given(), list.may_hold("c")), (15, true), "one without an id may be any");
        let list: Listed<Record> = serde_json::from_value(json!([{ "id": "a" }, { "id": "x y" }])).unwrap();
        assert_eq!((list.may_hold("x y"), list.may_hold("c")), (true, false));
        assert_eq!(serde_json::from_value::<Listed<Record>>(json!(null)).unwrap(), Listed::default());
        for no_list in [json!({}), json!("a"), json!(7)] {
            assert!(serde_json::from_value::<Listed<Record>>(no_list.clone()).is_err(), "{no_list}");
        }
    }
}
