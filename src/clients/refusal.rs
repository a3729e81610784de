//! The one place where statuses and error bodies get their meaning.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::error::{About, Error, Gone, VendorMessage};
use super::http::Answer;
use super::json;
use crate::model::Vendor;

/// No vendor is left alone for longer than a day, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What was asked, as far as it decides what a refusal is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// The one record that the call is about.
    pub(super) record: Option<Record<'a>>,
    /// Does the call carry a record's content? Only then can the vendor find fault with the record.
    pub(super) writes: bool,
    /// The scope that the operation needs, where the vendor knows scopes.
    pub(super) scope: Option<&'a str>,
}

/// One record, as the vendor names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// `contact`, `task`, `note`, `customer`.
    pub(super) noun: &'static str,
    pub(super) id: &'a str,
}

/// What an answer outside 2xx means; `None` for 2xx.
///
/// | answer | about |
/// | --- | --- |
/// | the vendor's JSON says that this very record is not there | the record: [`Error::Gone`] |
/// | 400, 413, 415, 422 with JSON, after a call that carried a record; 409 if that record is there already | the record |
/// | 401, 402, 451; 403 with JSON | the account |
/// | 3xx, 405, 425; any 4xx that is not JSON | the path |
/// | 408, 5xx; 400 with a timeout's text | an outage: [`Error::Unavailable`] |
/// | everything else | unknown |
pub(super) fn refusal(vendor: Vendor, answer: &Answer, asked: Asked<'_>, now: Timestamp) -> Option<Error> {
    let status = answer.status.as_u16();
    if (200..=299).contains(&status) {
        return None;
    }
    let words = words(&answer.body);
    let json = json::read(&answer.body).filter(Value::is_object);
    let message = || VendorMessage::new(&words);
    let refused = |about| Error::Refused { about, status, message: message(), fields: Vec::new() };
    let Some(json) = json else {
        return Some(match status {
            401 => Error::CredentialsRefused { message: message() },
            402 | 451 => refused(About::Account),
            408 | 500.. => Error::Unavailable { status, retry_after: retry_after(&answer.headers, now) },
            429 => Error::RateLimited { retry_after: retry_after(&answer.headers, now) },
            _ => refused(About::Path),
        });
    };
    Some(match status {
        400 | 404 | 410 if says_gone(vendor, status, &words, asked.record) => Error::Gone(Gone::SAID),
        400 if vendor == Vendor::Ghl && says(&words, "does not allow duplicated contacts") => {
            Error::Duplicate { contact_id: json["meta"]["contactId"].as_str().and_then(|id| id.parse().ok()) }
        }
        // An incident of June 2026 (G §4): `Request Timeout after 30000ms` in a 400.
        400 if says(&words, "request timeout") => Error::Unavailable { status, retry_after: None },
        // The second: a company's token where a location's is wanted, as public code reports it.
        401 if vendor == Vendor::Ghl
            && (says(&words, "not authorized for this scope") || says(&words, "not allowed to access this scope")) =>
        {
            Error::ScopeMissing { scope: asked.scope.unwrap_or("unknown").to_owned() }
        }
        401 | 403 => Error::CredentialsRefused { message: message() },
        402 | 451 => refused(About::Account),
        429 => Error::RateLimited { retry_after: retry_after(&answer.headers, now) },
        // Named by G §4 and T §4: 500, 502, 503, 504, 520. Other 5xx, and a gateway's 408, tell us
        // just as little.
        408 | 500.. => Error::Unavailable { status, retry_after: retry_after(&answer.headers, now) },
        300..=399 | 405 | 425 => refused(About::Path),
        // A conflict on a create may be with the record that this create itself has made.
        409 if asked.record.is_none() => refused(About::Unknown),
        400 | 409 | 413 | 415 | 422 if asked.writes && !says(&words, "not found") => {
            Error::Refused { about: About::Record, status, message: message(), fields: fields(&json, &words) }
        }
        _ => refused(About::Unknown),
    })
}

/// Does the vendor itself say that this very record is not there?
///
/// GHL: `Contact not found` or `Contact with id <id> not found`, with 400 or 404 (G §4); a missing
/// location, user or session says nothing about the contact. Trafft's text is not recorded (T §4):
/// a 404 or 410 that names a customer: `Customer not found`, or as PHP frameworks say, `No query
/// results for model [App\Models\Customer]`. A bare `Not Found` is what gateways say, too, and some
/// name the route that they do not have (Fastify: `Route GET:/… not found`).
fn says_gone(vendor: Vendor, status: u16, words: &str, record: Option<Record<'_>>) -> bool {
    let Some(Record { noun, id }) = record else { return false };
    let words = words.trim().trim_end_matches('.').to_lowercase();
    match vendor {
        Vendor::Ghl => {
            status != 410
                && (words == format!("{noun} not found")
                    || words == format!("{noun} with id {} not found", id.to_lowercase()))
        }
        Vendor::Trafft => {
            let is_absence =
                ["not found", "does not exist", "no query results"].iter().any(|text| words.contains(text));
            // A `/` means a path: a service that has lost its routes reports a missing path, not a
            // record.
            status != 400 && is_absence && words.contains(noun) && !words.contains('/')
        }
    }
}

/// What HighLevel's JSON says of an install, in a 400: the app was taken away (its words for that
/// are not published), or its code or refresh token is not good any more (G §3.2, §3.3; OAuth's own
/// word: RFC 6749, section 5.2).
pub(super) fn of_install(answer: &Answer) -> Option<Error> {
    let json = json::read(&answer.body).filter(|json| json.is_object() && answer.status.as_u16() == 400)?;
    let words = words(&answer.body);
    let is_lost = ["invalid grant", "invalid_grant", "not installed"].iter().any(|part| says(&words, part));
    if says(&words, "not active") {
        Some(Error::LocationInactive)
    } else if is_lost || json["error"] == "invalid_grant" {
        Some(Error::GrantInvalid)
    } else {
        None
    }
}

fn says(words: &str, part: &str) -> bool {
    words.to_lowercase().contains(part)
}

/// What a write to Trafft carries (T §5), each field with how a text may name it.
const FIELDS: [(&str, &[&str]); 6] = [
    ("email", &["email", "e-mail"]),
    ("phone", &["phone", "telephone"]),
    ("phone_number", &[]),
    ("first_name", &["first name", "first_name"]),
    ("last_name", &["last name", "last_name"]),
    ("description", &[]),
];

/// The fields that a refusal is about: the keys of `errors`, else the one that the text names
/// (T §4: `{"message": …}` alone). Other keys of `errors` are a web framework's own, such as
/// `detail`, and may come from a gateway.
fn fields(json: &Value, words: &str) -> Vec<String> {
    let words = words.to_lowercase();
    let errors = json["errors"].as_object().filter(|errors| !errors.is_empty());
    let is_named = |(field, forms): &(&str, &[&str])| match errors {
        Some(errors) => errors.keys().any(|key| key.to_lowercase().split('.').any(|part| part == *field)),
        None => forms.iter().any(|form| words.contains(form)),
    };
    FIELDS.iter().filter(|field| is_named(field)).map(|(field, _)| (*field).to_owned()).collect()
}

/// The vendor's words: JSON `message`, else `error_description`, `error` or `errors`, each a text,
/// a list, or an object of these; else the text itself (G §4, T §4). Where `errors` names fields,
/// each is told with its text.
pub(super) fn words(body: &[u8]) -> String {
    let json = json::read(body);
    let by_field = json.as_ref().and_then(|json| json["errors"].as_object()).filter(|errors| !errors.is_empty());
    if let Some(errors) = by_field {
        return joined(errors.iter().map(|(field, what)| format!("{field}: {}", flat(what))));
    }
    let named =
        json.iter().flat_map(|json| ["message", "error_description", "error", "errors"].map(|key| flat(&json[key])));
    named.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| {
        let start = &body[..body.len().min(2048)];
        String::from_utf8_lossy(start).into_owned()
    })
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => joined(list.iter().map(flat)),
        Value::Object(map) => match map.get("message") {
            Some(message) => flat(message),
            None => joined(map.values().map(flat)),
        },
        _ => String::new(),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
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

    /// A read of one record, and a write of it.
    fn asked(writes: bool) -> Asked<'static> {
        let record = Some(Record { noun: if writes { "customer" } else { "contact" }, id: "c1" });
        Asked { record, writes, scope: Some("contacts.readonly") }
    }

    #[test]
    fn every_answer_is_about_one_thing() {
        use Vendor::{Ghl, Trafft};
        let refused = |about, status, text: &str, fields: &[&str]| {
            let fields = fields.iter().map(|name| (*name).to_owned()).collect();
            Some(Error::Refused { about, status, message: VendorMessage::new(text), fields })
        };
        let path = |status, text| refused(About::Path, status, text, &[]);
        let unknown = |status, text| refused(About::Unknown, status, text, &[]);
        let account = |status, text| refused(About::Account, status, text, &[]);
        let record = |status, text, fields| refused(About::Record, status, text, fields);
        let credentials = |text: &str| Some(Error::CredentialsRefused { message: VendorMessage::new(text) });
        let unavailable = |status| Some(Error::Unavailable { status, retry_after: None });
        let gone = Some(Error::Gone(Gone::SAID));
        let duplicate = r#"{"statusCode":400,"message":"This location does not allow duplicated contacts.","meta":{"contactId":"seD4PfOuKoVMLkEZqohJ","matchingField":"email"}}"#;
        let bare_duplicate = r#"{"message":"This location does not allow duplicated contacts."}"#;
        let scope = r#"{"statusCode":401,"message":"The token is not authorized for this scope."}"#;
        let timeout = r#"{"message":"Request Timeout after 30000ms","error":"Bad Request","statusCode":400}"#;
        let html = "<html>";
        for (vendor, writes, status, body, want) in [
            (Ghl, false, 200, "", None),
            (Trafft, true, 201, "{}", None),
            (Ghl, true, 400, duplicate, Some(Error::Duplicate { contact_id: "seD4PfOuKoVMLkEZqohJ".parse().ok() })),
            (Ghl, true, 400, bare_duplicate, Some(Error::Duplicate { contact_id: None })),
            // Gone: only in HighLevel's own words about this contact.
            (Ghl, false, 400, r#"{"message":"Contact not found"}"#, gone.clone()),
            (Ghl, false, 404, r#"{"statusCode":404,"message":"Contact not found."}"#, gone.clone()),
            (Ghl, false, 400, r#"{"message":"Contact with id C1 not found"}"#, gone.clone()),
            (
                Ghl,
                false,
                400,
                r#"{"message":"Contact with id other not found"}"#,
                unknown(400, "Contact with id other not found"),
            ),
            (Ghl, false, 400, r#"{"message":"Location not found"}"#, unknown(400, "Location not found")),
            (
                Ghl,
                false,
                400,
                r#"{"message":"Authentication failed: user not found"}"#,
                unknown(400, "Authentication failed: user not found"),
            ),
            (Ghl, false, 400, r#"{"message":"Session not found"}"#, unknown(400, "Session not found")),
            (Ghl, false, 404, r#"{"message":"Not Found"}"#, unknown(404, "Not Found")),
            (Ghl, false, 404, r#"{"message":"Cannot GET /x"}"#, unknown(404, "Cannot GET /x")),
            (Ghl, false, 404, "default backend - 404", path(404, "default backend - 404")),
            (Ghl, false, 404, html, path(404, html)),
            (Ghl, false, 404, "", path(404, "")),
            (Ghl, false, 410, r#"{"message":"Contact not found"}"#, unknown(410, "Contact not found")),
            (Ghl, false, 404, r#""Contact not found""#, path(404, r#""Contact not found""#)),
            (
                Ghl,
                false,
                400,
                r#"{"message":"Invalid field date_updated"}"#,
                unknown(400, "Invalid field date_updated"),
            ),
            (Ghl, false, 400, timeout, unavailable(400)),
            (Ghl, false, 400, html, path(400, html)),
            (Ghl, false, 401, scope, Some(Error::ScopeMissing { scope: "contacts.readonly".into() })),
            (Ghl, false, 401, r#"{"message":"Invalid JWT"}"#, credentials("Invalid JWT")),
            (Trafft, false, 401, "", credentials("")),
            (Ghl, false, 403, r#"{"message":"no"}"#, credentials("no")),
            (Ghl, false, 403, html, path(403, html)),
            (Trafft, true, 402, r#"{"message":"subscription has expired"}"#, account(402, "subscription has expired")),
            (Trafft, true, 402, html, account(402, html)),
            (Ghl, false, 451, "", account(451, "")),
            (Trafft, false, 302, "", path(302, "")),
            (Trafft, true, 302, "{}", path(302, "{}")),
            (Trafft, true, 425, r#"{"message":"early"}"#, path(425, "early")),
            (Trafft, true, 405, "", path(405, "")),
            (Trafft, true, 404, r#"{"message":"Customer not found"}"#, gone.clone()),
            (Trafft, true, 410, r#"{"error":"Customer 7 does not exist"}"#, gone.clone()),
            (Trafft, true, 404, r#"{"message":"No query results for model [Customer] 7"}"#, gone.clone()),
            (Trafft, true, 404, r#"{"message":"Not Found"}"#, unknown(404, "Not Found")),
            (Trafft, true, 404, html, path(404, html)),
            (Trafft, true, 400, r#"{"message":"Service not found"}"#, unknown(400, "Service not found")),
            (Trafft, true, 409, r#"{"error":"exists"}"#, record(409, "exists", &[])),
            (Trafft, true, 413, html, path(413, html)),
            (Trafft, true, 422, html, path(422, html)),
            (Ghl, true, 422, r#"{"message":["a","b"]}"#, record(422, "a; b", &[])),
            (Ghl, false, 422, r#"{"message":["a","b"]}"#, unknown(422, "a; b")),
            (
                Trafft,
                true,
                422,
                r#"{"message":"The email field is required."}"#,
                record(422, "The email field is required.", &["email"]),
            ),
            (
                Trafft,
                true,
                422,
                r#"{"message":"The given data was invalid.","errors":{"phone_number":["too short"],"Email":"worse"}}"#,
                record(422, "Email: worse; phone_number: too short", &["email", "phone_number"]),
            ),
            (Trafft, true, 422, r#"{"errors":{"detail":"Bad Request"}}"#, record(422, "detail: Bad Request", &[])),
            (
                Trafft,
                true,
                422,
                r#"{"message":"The first name sounds odd."}"#,
                record(422, "The first name sounds odd.", &["first_name"]),
            ),
            (Ghl, false, 408, "", unavailable(408)),
            (Ghl, false, 500, "", unavailable(500)),
            (Ghl, false, 502, html, unavailable(502)),
            (Ghl, false, 503, "{}", unavailable(503)),
            (Ghl, false, 504, "", unavailable(504)),
            (Ghl, false, 520, "", unavailable(520)),
        ] {
            let got = refusal(vendor, &answer(status, "", body), asked(writes), Timestamp::UNIX_EPOCH);
            assert_eq!(got, want, "{vendor} {status} {body}");
        }
        let no_record = Asked { record: None, ..asked(false) };
        let body = r#"{"message":"Contact not found"}"#;
        let got = refusal(Ghl, &answer(400, "", body), no_record, Timestamp::UNIX_EPOCH);
        assert_eq!(got, unknown(400, "Contact not found"), "a list that is about no one contact");
    }

    #[test]
    fn an_install_ends_only_in_highlevels_own_words() {
        for (status, body, want) in [
            (400, r#"{"message":"The location is not active"}"#, Some(Error::LocationInactive)),
            (400, r#"{"error":"invalid_grant","error_description":"Unknown token"}"#, Some(Error::GrantInvalid)),
            (400, r#"{"message":"Invalid grant: refresh token is invalid"}"#, Some(Error::GrantInvalid)),
            (400, r#"{"message":"App is not installed on this location"}"#, Some(Error::GrantInvalid)),
            (400, r#"{"message":"try later"}"#, None),
            (404, r#"{"message":"Not Found"}"#, None),
            (404, r#"{"message":"App is not installed on this location"}"#, None),
            (400, "<html>invalid grant</html>", None),
            (503, r#"{"message":"invalid_grant"}"#, None),
        ] {
            assert_eq!(of_install(&answer(status, "", body)), want, "{status} {body}");
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
            let error = refusal(Vendor::Trafft, &answer(429, text, ""), Asked::default(), now);
            assert_eq!(error, Some(Error::RateLimited { retry_after: want }), "{text:?}");
            let error = refusal(Vendor::Ghl, &answer(503, text, ""), Asked::default(), now);
            assert_eq!(error, Some(Error::Unavailable { status: 503, retry_after: want }), "{text:?}");
        }
    }
}
