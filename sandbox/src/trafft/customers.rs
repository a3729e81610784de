//! Customers over the API (T §5).

use serde_json::{Map, Value, json};

use super::state::Duplicates;
use super::{Shared, refusal};
use crate::front::{Answer, Call};

/// What may be written. `birthday` and `gender` are not documented as writable (T §5.3).
const WRITABLE: [&str; 5] = ["first_name", "last_name", "email", "phone", "description"];
/// What a PATCH must carry (T §5.3).
const FOUR: [&str; 4] = ["first_name", "last_name", "email", "phone"];

pub(super) struct Page {
    number: usize,
    limit: usize,
}

impl Page {
    /// Of all rows those on this page: there may be tens of thousands, and the others are passed
    /// over unread.
    pub(super) fn of<T>(&self, rows: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        rows.skip((self.number - 1).saturating_mul(self.limit)).take(self.limit)
    }
}

impl Shared {
    /// `page` from 1, `limit` cut down to what is served (T §2, §10).
    pub(super) fn page(&self, call: &Call) -> Result<Page, Answer> {
        let most = self.state().max_limit;
        let read = |name: &str, default: usize| match call.query(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| self.refuse(call, 422, &format!("{name} must be a positive number"))),
        };
        Ok(Page { number: read("page", 1)?, limit: read("limit", most)?.min(most) })
    }

    /// The rows of one page, as [`Page::of`] picked them, of so many in all.
    pub(super) fn paged(page: &Page, total: usize, rows: impl Iterator<Item = Value>) -> Answer {
        let data: Vec<Value> = rows.collect();
        let pagination =
            json!({ "total": total, "page": page.number, "limit": page.limit, "pages": total.div_ceil(page.limit) });
        Answer::json(200, &json!({ "data": data, "pagination": pagination }))
    }

    /// Newest first, no filter (T §5.1).
    pub(super) fn page_of_customers(&self, call: &Call) -> Answer {
        let page = match self.page(call) {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        let mut state = self.state();
        let customers = &state.customers;
        let shown = |customer: &super::Customer| state.forms.of(customer.shown());
        let answer = Self::paged(&page, customers.len(), page.of(customers.newest()).map(shown));
        state.meanwhile();
        answer
    }

    /// Not wrapped (T §2).
    pub(super) fn get_customer(&self, id: &str) -> Answer {
        let state = self.state();
        let shown = |customer: &super::Customer| state.forms.of(customer.shown());
        let shown = id.parse().ok().and_then(|id: i64| state.customers.get(id).map(shown));
        shown.map_or_else(|| refusal(404, "Customer not found"), |shown| Answer::json(200, &shown))
    }

    /// The body as an object of known keys with text; what the real service does with others is
    /// unknown.
    fn fields(&self, call: &Call) -> Result<Map<String, Value>, Answer> {
        let Some(Value::Object(body)) = call.json() else {
            return Err(self.refuse(call, 400, "the body is not a JSON object"));
        };
        if !call.header("content-type").unwrap_or_default().starts_with("application/json") {
            self.complain(call, "Content-Type is not application/json");
        }
        for (key, value) in &body {
            if !WRITABLE.contains(&key.as_str()) {
                self.complain(call, &format!("unknown key {key}"));
            } else if !value.is_string() && !value.is_null() {
                return Err(self.refuse(call, 422, &format!("{key} must be a string")));
            }
        }
        Ok(body.into_iter().filter(|(key, _)| WRITABLE.contains(&key.as_str())).collect())
    }

    pub(super) fn create_customer(&self, call: &Call) -> Answer {
        let fields = match self.fields(call) {
            Ok(fields) => fields,
            Err(refused) => return refused,
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
        if let Some(lacking) = ["first_name", "last_name"].into_iter().find(|key| text(key).is_empty()) {
            return self.refuse(call, 422, &format!("The {lacking} field is required."));
        }
        if !text("email").is_empty() && !text("email").contains('@') {
            return self.refuse(call, 422, "The email must be a valid email address.");
        }
        let mut state = self.state();
        if state.email_required && text("email").is_empty() {
            // A matter of the account, not a mistake: no complaint.
            return refusal(422, "The email field is required.");
        }
        match (state.duplicates, state.customers.by_email(text("email"), 0)) {
            (Duplicates::Refuse, Some(_)) => refusal(422, "The email has already been taken."),
            (Duplicates::ReturnExisting, Some(id)) => Answer::json(200, &json!({ "id": id })),
            _ => Answer::json(201, &json!({ "id": state.create(&fields) })),
        }
    }

    /// 500 unless the four fields are there; an empty phone is fine (T §5.3).
    pub(super) fn update_customer(&self, call: &Call, id: &str) -> Answer {
        let fields = match self.fields(call) {
            Ok(fields) => fields,
            Err(refused) => return refused,
        };
        if let Some(lacking) = FOUR.into_iter().find(|key| !fields.get(*key).is_some_and(Value::is_string)) {
            self.complain(call, &format!("PATCH without {lacking}"));
            return refusal(500, "Server Error");
        }
        let id: i64 = id.parse().unwrap_or(0);
        let email = fields["email"].as_str().unwrap_or_default();
        let mut state = self.state();
        let Some(customer) = state.customers.get(id) else {
            return refusal(404, "Customer not found");
        };
        // Clearing an e-mail is not known to work (T §10); leaving it empty is no change.
        if email.is_empty() && customer.email.is_some() {
            return self.refuse(call, 422, "The email field is required.");
        }
        let taken = !customer.has_email(email) && state.customers.by_email(email, id).is_some();
        if state.duplicates != Duplicates::Allow && taken {
            return refusal(422, "The email has already been taken.");
        }
        // A value sent back as it was shown is no change.
        let shown = state.forms.of(customer.shown());
        let is_as_shown = |key: &str, value: &Value| *value == shown[if key == "phone" { "phone_number" } else { key }];
        let changes = fields.into_iter().filter(|(key, value)| !is_as_shown(key, value)).collect();
        state.edit(id, &changes);
        Answer::json(200, &json!({ "id": id }))
    }

    pub(super) fn delete_customer(&self, id: &str) -> Answer {
        if id.parse().is_ok_and(|id| self.state().delete(id)) {
            Answer::empty(204)
        } else {
            refusal(404, "Customer not found")
        }
    }
}
