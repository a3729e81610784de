//! The one place where statuses and error bodies get their meaning.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::error::{Error, VendorMessage};
use super::http::{Answer, Vendor};

/// No vendor is left alone for longer than a day, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer outside 2xx means; `None` for 2xx. `scope` is what the operation needs, where the vendor knows scopes.
pub(super) fn refusal(vendor: Vendor, answer: &Answer, scope: Option<&str>, now: Timestamp) -> Option<Error> {
    let status = answer.status.as_u16();
    let words = || words(&answer.body);
    Some(match (status, vendor) {
        (200..=299, _) => return None,
        (400, Vendor::Ghl) => ghl_bad_request(&answer.body),
        // The second: a company's token where a location's is wanted, as public code reports it.
        (401, Vendor::Ghl)
            if says(&words(), "not authorized for this scope")
                || says(&words(), "not allowed to access this scope") =>
        {
            Error::ScopeMissing { scope: scope.unwrap_or("unknown").to_owned() }
        }
        (401 | 403, _) => Error::CredentialsRefused { message: VendorMessage::new(&words()) },
        // No such route under this version (G §2): says nothing about the object.
        (404, Vendor::Ghl) if words().starts_with("Cannot ") => {
            Error::Refused { status, message: VendorMessage::new(&words()) }
        }
        (404 | 410, _) => Error::NotFound,
        (429, _) => Error::RateLimited { retry_after: retry_after(&answer.headers, now) },
        // Named by G §4 and T §4: 500, 502, 503, 504, 520. Other 5xx, and a gateway's 408, tell us just as little.
        (408 | 500.., _) => Error::Unavailable { status, retry_after: retry_after(&answer.headers, now) },
        _ => Error::Refused { status, message: VendorMessage::new(&words()) },
    })
}

/// GHL's 400 has three meanings (G §4): a duplicate, a missing object, and a bad request.
fn ghl_bad_request(body: &[u8]) -> Error {
    let words = words(body);
    if says(&words, "not found") {
        return Error::NotFound;
    }
    if says(&words, "does not allow duplicated contacts") {
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let id = json["meta"]["contactId"].as_str().and_then(|id| id.parse().ok());
        return Error::Duplicate { contact_id: id };
    }
    Error::Refused { status: 400, message: VendorMessage::new(&words) }
}

fn says(words: &str, part: &str) -> bool {
    words.to_lowercase().contains(part)
}

/// The vendor's words: JSON `message`, else `error` or `errors`, each a text, a list, or an object of these; else
/// the text itself (G §4, T §4).
pub(super) fn words(body: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(body).ok();
    let named =
        json.iter().flat_map(|json| ["message", "error_description", "error", "errors"].map(|key| flat(&json[key])));
    named.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| {
        let start = &body[..body.len().min(2048)];
        String::from_utf8_lossy(start).into_owned()
    })
}

fn flat(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => join(list.iter().map(flat).collect()),
        Value::Object(map) => match map.get("message") {
            Some(message) => flat(message),
            None => join(map.values().map(flat).collect()),
        },
        _ => String::new(),
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110), at most a day.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number: the longest wait.
        true if !text.is_empty() => text.parse().map_or(LONGEST_WAIT, Duration::from_secs),
        _ => {
            let at = DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(status: u16, retry_after: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if !retry_after.is_empty() {
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
    }

    #[test]
    fn every_status_has_one_meaning() {
        use Vendor::{Ghl, Trafft};
        let refused = |status, text: &str| Error::Refused { status, message: VendorMessage::new(text) };
        let credentials = |text: &str| Error::CredentialsRefused { message: VendorMessage::new(text) };
        let unavailable = |status| Error::Unavailable { status, retry_after: None };
        let duplicate = r#"{"statusCode":400,"message":"This location does not allow duplicated contacts.","meta":{"contactId":"seD4PfOuKoVMLkEZqohJ","matchingField":"email"}}"#;
        let bare_duplicate = r#"{"message":"This location does not allow duplicated contacts."}"#;
        let scope = r#"{"statusCode":401,"message":"The token is not authorized for this scope."}"#;
        for (vendor, status, body, want) in [
            (Ghl, 200, "", None),
            (Trafft, 201, "{}", None),
            (Ghl, 400, duplicate, Some(Error::Duplicate { contact_id: "seD4PfOuKoVMLkEZqohJ".parse().ok() })),
            (Ghl, 400, bare_duplicate, Some(Error::Duplicate { contact_id: None })),
            (Ghl, 400, r#"{"message":"Contact not found"}"#, Some(Error::NotFound)),
            (Ghl, 400, r#"{"message":"Contact with id x Not Found"}"#, Some(Error::NotFound)),
            (Trafft, 400, r#"{"message":"Service not found"}"#, Some(refused(400, "Service not found"))),
            (Ghl, 400, r#"{"message":"Invalid field date_updated"}"#, Some(refused(400, "Invalid field date_updated"))),
            (Ghl, 401, scope, Some(Error::ScopeMissing { scope: "contacts.readonly".into() })),
            (Ghl, 401, r#"{"message":"Invalid JWT"}"#, Some(credentials("Invalid JWT"))),
            (Trafft, 401, "", Some(credentials(""))),
            (Ghl, 403, r#"{"message":"no"}"#, Some(credentials("no"))),
            (Ghl, 404, "", Some(Error::NotFound)),
            (Ghl, 404, r#"{"message":"Cannot GET /x"}"#, Some(refused(404, "Cannot GET /x"))),
            (Trafft, 404, "<html>", Some(Error::NotFound)),
            (Trafft, 410, "", Some(Error::NotFound)),
            (Trafft, 405, "", Some(refused(405, ""))),
            (Trafft, 409, r#"{"error":"exists"}"#, Some(refused(409, "exists"))),
            (Ghl, 422, r#"{"message":["a","b"]}"#, Some(refused(422, "a; b"))),
            (Trafft, 422, r#"{"errors":{"email":["bad"],"phone":"worse"}}"#, Some(refused(422, "bad; worse"))),
            (Trafft, 422, "plain words", Some(refused(422, "plain words"))),
            (Trafft, 302, "", Some(refused(302, ""))),
            (Ghl, 408, "", Some(unavailable(408))),
            (Ghl, 500, "", Some(unavailable(500))),
            (Ghl, 502, "<html>", Some(unavailable(502))),
            (Ghl, 503, "", Some(unavailable(503))),
            (Ghl, 504, "", Some(unavailable(504))),
            (Ghl, 520, "", Some(unavailable(520))),
        ] {
            let got = refusal(vendor, &answer(status, "", body), Some("contacts.readonly"), Timestamp::UNIX_EPOCH);
            assert_eq!(got, want, "{vendor:?} {status} {body}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_a_day_at_most() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let day = Some(LONGEST_WAIT);
        for (text, want) in [
            ("", None),
            ("soon", None),
            ("0", Some(Duration::ZERO)),
            ("7", Some(Duration::from_secs(7))),
            ("86401", day),
            ("99999999999999999999999", day),
            ("-5", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::from_secs(37))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO)),
            ("Sun, 06 Nov 2044 08:00:00 GMT", day),
        ] {
            let error = refusal(Vendor::Trafft, &answer(429, text, ""), None, now);
            assert_eq!(error, Some(Error::RateLimited { retry_after: want }), "{text:?}");
            let error = refusal(Vendor::Ghl, &answer(503, text, ""), None, now);
            assert_eq!(error, Some(Error::Unavailable { status: 503, retry_after: want }), "{text:?}");
        }
    }
}
