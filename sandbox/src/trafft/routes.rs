//! Paths, tokens, and what every call is checked for (T §2, §3).

use serde_json::json;

use super::{Shared, refusal};
use crate::front::{Answer, Call, Desk, Vendor, form};
use crate::journal::Class;

impl Shared {
    pub(super) fn complain(&self, call: &Call, why: &str) {
        self.desk.journal.complain(format!("{}: {why}", call.name()));
    }

    /// Refuses what a correct client never sends.
    pub(super) fn refuse(&self, call: &Call, status: u16, message: &str) -> Answer {
        self.complain(call, message);
        refusal(status, message)
    }

    /// Form-encoded client credentials in, a token for an hour out (T §3).
    fn token(&self, call: &Call) -> Answer {
        let kind = call.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return self.refuse(call, 400, "the token request is form-encoded");
        }
        let pairs = form(&String::from_utf8_lossy(&call.body));
        let field = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        if field("grant_type") != "client_credentials" {
            return self.refuse(call, 400, "unsupported grant_type");
        }
        if field("client_id") != self.client_id || field("client_secret") != self.client_secret {
            return self.refuse(call, 401, "invalid client credentials");
        }
        let token = format!("sandbox.{}", uuid::Uuid::new_v4().simple());
        let mut state = self.state();
        let lifetime = state.token_lifetime;
        state.tokens.insert(token.clone(), self.desk.clock.now_ms() + lifetime * 1000);
        Answer::json(200, &json!({ "token_type": "Bearer", "expires_in": lifetime, "access_token": token }))
    }

    /// 401 for a token that ended; to a token that never was, or none, a complaint as well.
    fn unauthorised(&self, call: &Call) -> Option<Answer> {
        let ends = call.bearer().and_then(|token| self.state().tokens.get(token).copied());
        match ends {
            Some(ends) if self.desk.clock.now_ms() < ends => None,
            Some(_) => Some(refusal(401, "The access token expired")),
            None => Some(self.refuse(call, 401, "Unauthenticated")),
        }
    }

    /// Ignored or refused, as the switch has it, and never right (T §2).
    fn odd_query(&self, call: &Call, documented: &[&str]) -> Option<Answer> {
        let odd = call.query.iter().map(|(key, _)| key).find(|key| !documented.contains(&key.as_str()))?;
        let answer = self.refuse(call, 400, &format!("unknown parameter {odd}"));
        self.state().refuse_unknown_query.then_some(answer)
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
        match (call.method.as_str(), call.segments().get(2..).unwrap_or_default()) {
            (_, ["token"]) => Class::Token,
            ("GET", ["customers"]) => Class::CustomersPage,
            ("GET", ["customers", _]) => Class::Customer,
            (_, ["customers", ..]) => Class::CustomerWrite,
            (_, ["appointments", ..]) => Class::Appointments,
            (_, ["bookings"]) => Class::Booking,
            _ => Class::Other,
        }
    }

    fn admit(&self, call: &Call) -> Option<Answer> {
        let segments = call.segments();
        let rest = match &segments[..] {
            ["api", "v2", rest @ ..] => rest,
            _ => return Some(self.refuse(call, 404, "Not found")),
        };
        match (call.method.as_str(), rest) {
            ("POST", ["token"]) => None,
            (_, ["token"]) => Some(self.refuse(call, 405, "Method not allowed")),
            _ => self.unauthorised(call),
        }
    }

    fn carry_out(&self, call: &Call) -> Answer {
        let segments = call.segments();
        let rest = segments.get(2..).unwrap_or_default();
        let documented: &[&str] = match rest {
            ["customers"] if call.method == "GET" => &["page", "limit"],
            ["appointments"] if call.method == "GET" => &["page", "limit", "status"],
            _ => &[],
        };
        if let Some(refused) = self.odd_query(call, documented) {
            return refused;
        }
        match (call.method.as_str(), rest) {
            ("POST", ["token"]) => self.token(call),
            ("GET", ["customers"]) => self.page_of_customers(call),
            ("POST", ["customers"]) => self.create_customer(call),
            ("GET", ["customers", id]) => self.get_customer(id),
            ("PATCH", ["customers", id]) => self.update_customer(call, id),
            ("DELETE", ["customers", id]) => self.delete_customer(id),
            ("GET", ["appointments"]) => self.page_of_appointments(call),
            ("DELETE", ["appointments", id]) => self.cancel_appointment(id),
            ("POST", ["bookings"]) => self.create_booking(call),
            (_, ["customers" | "appointments" | "bookings"] | ["customers" | "appointments", _]) => {
                self.refuse(call, 405, "Method not allowed")
            }
            _ => self.refuse(call, 404, "Not found"),
        }
    }

    fn failure(&self, status: u16) -> Answer {
        refusal(
            status,
            match status {
                422 => "The given data was invalid.",
                429 => "Too Many Requests",
                500 => "Server Error",
                _ => "Request failed",
            },
        )
    }

    fn decorate(&self, _: &Call, answer: Answer) -> Answer {
        answer
    }
}
