//! Events that wait to be told (G §8).

use serde::Serialize;
use serde_json::Value;

/// One webhook, as it will travel.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// The exact bytes; signatures are over these.
    #[serde(serialize_with = "as_text")]
    pub body: Vec<u8>,
    /// `type`, such as `ContactUpdate`.
    pub kind: String,
    /// `webhookId`; the same on every retry.
    pub webhook_id: String,
    /// Location it is about.
    pub location_id: String,
    /// Contact it is about, even where the body does not say (G §8.5, #332).
    pub contact_id: Option<String>,
    /// When it happened.
    pub at_ms: i64,
}

impl Event {
    /// The body, parsed.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn as_text<S: serde::Serializer>(body: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&String::from_utf8_lossy(body))
}
