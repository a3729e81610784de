//! Who gets in: path, then version, then token, then allowance (G §2, §3, §5), then what the body
//! may hold.

use serde_json::{Map, Value, json};

use super::Shared;
use super::catalogue::{self, Operation};
use super::checks;
use super::oauth::{self, Bearer};
use super::person::object;
use crate::front::{Answer, Call, Desk, Vendor};
use crate::journal::Class;

/// The one value that the contacts file allows (G §2).
const VERSION: &str = "2021-07-28";
/// Values that the live service accepted (G §2).
const PUBLISHED: [&str; 4] = ["v3", "2023-02-21", VERSION, "2021-04-15"];

/// `{statusCode, message}` with `error` where the shared schemas have it (G §4).
pub(super) fn refusal(status: u16, message: &Value) -> Answer {
    let mut body = json!({ "statusCode": status, "message": message });
    let error = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        422 => "Unprocessable Entity",
        _ => "",
    };
    if !error.is_empty() {
        body["error"] = json!(error);
    }
    Answer::json(status, &body)
}

/// A call that passed every gate.
pub(super) struct Admitted<'a> {
    pub(super) operation: &'static Operation,
    /// Variable parts of the path.
    pub(super) path: Vec<&'a str>,
    pub(super) location: String,
    pub(super) body: Map<String, Value>,
    pub(super) call: &'a Call,
}

impl Admitted<'_> {
    pub(super) fn at(&self, index: usize) -> &str {
        self.path.get(index).copied().unwrap_or_default()
    }
}

impl Shared {
    /// Refuses, and writes down that a correct client would not have come to this.
    pub(super) fn complain(&self, call: &Call, why: &str) {
        self.desk.journal.complain(format!("{}: {why}", call.name()));
    }

    /// Path, version, token, allowance: what is refused whatever the call wants.
    fn gate(&self, call: &Call) -> Option<Answer> {
        let refuse = |status: u16, message: &str| {
            self.complain(call, message);
            Some(refusal(status, &json!(message)))
        };
        if catalogue::find(&call.method, &call.segments()).is_none() {
            return refuse(404, &format!("Cannot {}", call.name()));
        }
        self.gate_bearer(call)
    }

    /// Version, token, allowance.
    pub(super) fn gate_bearer(&self, call: &Call) -> Option<Answer> {
        let refuse = |status: u16, message: &str| {
            self.complain(call, message);
            Some(refusal(status, &json!(message)))
        };
        match call.header("version") {
            None => return refuse(401, "version header was not found."),
            Some(version) if !PUBLISHED.contains(&version) => {
                return refuse(401, "version header is invalid");
            }
            Some(VERSION) => {}
            Some(other) => {
                self.complain(call, &format!("Version {other}, where the contacts file allows {VERSION} only"))
            }
        }
        let token = call.bearer().unwrap_or_default();
        let message = match (token.is_empty(), token.starts_with("pit-")) {
            (true, _) => "Invalid JWT",
            (_, true) => "Invalid Private Integration token",
            _ => "Invalid token: access token is invalid",
        };
        let now = self.now();
        let bearer = self.state().bearer(token, now);
        match bearer {
            Bearer::Location(..) | Bearer::Company(_) => {}
            // It was good once. That a day is over, or that an admin uninstalls, is nobody's
            // mistake.
            Bearer::Ended => return Some(refusal(401, &json!("Invalid JWT"))),
            Bearer::Unknown => return refuse(401, message),
        }
        if !self.state().spend(token, now) {
            return refuse(429, "Too Many Requests");
        }
        None
    }

    /// Scope, location, body: what is refused for what the call wants.
    fn inspect<'a>(&self, call: &'a Call) -> Result<Admitted<'a>, Answer> {
        let refuse = |status: u16, message: Value| {
            self.complain(call, message.as_str().map_or_else(|| message.to_string(), str::to_owned).as_str());
            Err(refusal(status, &message))
        };
        let Some((operation, path)) = catalogue::find(&call.method, &call.segments()) else {
            return refuse(404, json!(format!("Cannot {}", call.name())));
        };
        let bearer = self.state().bearer(call.bearer().unwrap_or_default(), self.now());
        let (location, scopes) = match bearer {
            Bearer::Location(location, scopes) => (location, scopes),
            // Contacts need a location's token (G §3). The text is that of a missing scope:
            // refreshing does not help.
            Bearer::Company(_) => return refuse(401, json!("The token is not authorized for this scope.")),
            // A token that ended between the gate and here.
            Bearer::Ended => return Err(refusal(401, &json!("Invalid JWT"))),
            Bearer::Unknown => return refuse(401, json!("Invalid token: access token is invalid")),
        };
        if !scopes.iter().any(|scope| scope == operation.scope) {
            return refuse(401, json!("The token is not authorized for this scope."));
        }
        if call.header("location-id").is_some() {
            return refuse(403, json!("The token does not have access to this location"));
        }
        let body = match (operation.shape, call.body.is_empty()) {
            (Some(_), false) => match call.json() {
                Some(Value::Object(body)) => body,
                _ => return refuse(400, json!("Unexpected token in JSON at position 0")),
            },
            (None, false) if !object(call.json().unwrap_or_default()).is_empty() => {
                return refuse(422, json!(["this operation takes no body"]));
            }
            _ => Map::new(),
        };
        if let Some(shape) = operation.shape {
            let problems = checks::problems(shape, &body);
            if !problems.is_empty() {
                return refuse(422, json!(problems));
            }
        }
        let named = [
            body.get("locationId").and_then(Value::as_str),
            call.query("locationId"),
            operation.path.starts_with("/locations/").then(|| path[0]),
        ];
        if named.into_iter().flatten().any(|named| named != location) {
            return refuse(403, json!("The token does not have access to this location"));
        }
        Ok(Admitted { operation, path, location, body, call })
    }
}

impl Vendor for Shared {
    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn about(&self) -> String {
        super::control::about(&self.url)
    }

    fn control(&self, call: &Call) -> Answer {
        super::control::answer(self, call)
    }

    fn classify(&self, call: &Call) -> Class {
        let found = catalogue::find(&call.method, &call.segments()).map(|(operation, _)| operation.class);
        found.or_else(|| oauth::classify(call)).unwrap_or(Class::Other)
    }

    fn admit(&self, call: &Call) -> Option<Answer> {
        self.admit_oauth(call).unwrap_or_else(|| self.gate(call))
    }

    fn carry_out(&self, call: &Call) -> Answer {
        if let Some(answer) = self.answer_oauth(call) {
            return answer;
        }
        match self.inspect(call) {
            Ok(admitted) => self.answer(&admitted),
            Err(refused) => refused,
        }
    }

    fn failure(&self, status: u16) -> Answer {
        let message = match status {
            422 => json!(["Unprocessable Entity"]),
            429 => json!("Too Many Requests"),
            500 => json!("Internal server error"),
            _ => json!("Request failed"),
        };
        refusal(status, &message)
    }

    fn decorate(&self, call: &Call, answer: Answer) -> Answer {
        // Without a token there is nobody whose allowance could be told.
        match call.bearer() {
            None if oauth::classify(call).is_some() => answer,
            token => self.state().left(token.unwrap_or_default(), self.now()).onto(answer),
        }
    }
}
