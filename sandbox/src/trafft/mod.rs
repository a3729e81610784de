//! A Trafft: customers, appointments, its public API v2, and the staff at its dashboard. It sends
//! no webhooks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

mod appointments;
mod control;
mod customers;
mod forms;
mod register;
mod routes;
mod state;

pub use forms::Forms;
pub use state::{Customer, Duplicates};

use crate::clock::Clock;
use crate::faults::Faults;
use crate::front::Desk;
use crate::journal::Journal;
use crate::raw::Raw;
use state::{Meanwhile, State};

/// Everything behind a [`Trafft`].
pub(crate) struct Shared {
    url: String,
    client_id: String,
    client_secret: String,
    pub(crate) desk: Desk,
    state: Mutex<State>,
}

impl Shared {
    /// Held for moments only, never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on the Trafft that is being played. Clones share it.
#[derive(Clone)]
pub struct Trafft(pub(crate) Arc<Shared>);

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Trafft {
    pub(crate) fn new(url: String, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            url,
            client_id: uuid::Uuid::new_v4().simple().to_string(),
            client_secret: uuid::Uuid::new_v4().simple().to_string(),
            desk: Desk::new(clock),
            state: Mutex::default(),
        }))
    }

    /// Origin, without a slash at the end; the API is under `/api/v2` (T §2).
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// Client id of the API card (T §2).
    pub fn client_id(&self) -> String {
        self.0.client_id.clone()
    }

    /// Its secret.
    pub fn client_secret(&self) -> String {
        self.0.client_secret.clone()
    }

    /// All customers, newest first.
    pub fn customers(&self) -> Vec<Customer> {
        self.0.state().customers.newest().cloned().collect()
    }

    /// One customer.
    pub fn customer(&self, id: i64) -> Option<Customer> {
        self.0.state().customers.get(id).cloned()
    }

    /// What the API shows of a customer.
    pub fn shown(&self, id: i64) -> Option<Value> {
        let state = self.0.state();
        state.customers.get(id).map(|customer| state.forms.of(customer.shown()))
    }

    /// Staff add a customer in the dashboard, by the keys of [`Customer`].
    pub fn staff_create(&self, fields: Value) -> i64 {
        self.0.state().create(&object(fields))
    }

    /// Staff change a customer; no webhook tells of it (T §8).
    ///
    /// # Panics
    /// When there is no such customer.
    #[track_caller]
    pub fn staff_edit(&self, id: i64, changes: Value) {
        let found = self.0.state().edit(id, &object(changes));
        assert!(found, "the sandbox has no customer {id}");
    }

    /// Staff delete a customer.
    ///
    /// # Panics
    /// When there is no such customer.
    #[track_caller]
    pub fn staff_delete(&self, id: i64) {
        let found = self.0.state().delete(id);
        assert!(found, "the sandbox has no customer {id}");
    }

    /// Many customers at once, no two alike.
    pub fn seed(&self, count: usize) {
        self.0.state().seed(count);
    }

    /// Staff book an appointment, for a customer or for nobody (T §6).
    pub fn staff_book(&self, customer: Option<i64>, start: &str, end: &str) -> i64 {
        self.0.book(customer, start, end, 12, 5).0
    }

    /// Right after the next page of customers is answered, staff create this one (T §2 "Paging
    /// hazard").
    pub fn create_between_pages(&self, fields: Value) {
        self.0.state().between_pages.push_back(Meanwhile::Create(object(fields)));
    }

    /// Right after the next page of customers is answered, staff delete this one.
    pub fn delete_between_pages(&self, id: i64) {
        self.0.state().between_pages.push_back(Meanwhile::Delete(id));
    }

    /// What a taken e-mail leads to (T §10).
    pub fn set_duplicates(&self, duplicates: Duplicates) {
        self.0.state().duplicates = duplicates;
    }

    /// 422 on a customer without e-mail; whether the real one does is unknown (T §5.2).
    pub fn set_email_required(&self, required: bool) {
        self.0.state().email_required = required;
    }

    /// In which form values are shown; as they were sent at first.
    pub fn set_forms(&self, forms: Forms) {
        self.0.state().forms = forms;
    }

    /// How long tokens made from now on live; 3600 seconds at first (T §3).
    pub fn set_token_lifetime(&self, seconds: i64) {
        self.0.state().token_lifetime = seconds;
    }

    /// Every token there is stops working.
    pub fn revoke_tokens(&self) {
        // They stay known, so that meeting one again is no complaint.
        self.0.state().tokens.values_mut().for_each(|ends| *ends = i64::MIN);
    }

    /// The client secret and every access token there ever was: what no log and no database may
    /// show.
    pub fn tokens_seen(&self) -> Vec<String> {
        std::iter::once(&self.0.client_secret).chain(self.0.state().tokens.keys()).cloned().collect()
    }

    /// The largest page; 50 at first. The answer's `pagination.limit` tells the truth (T §10).
    pub fn set_max_limit(&self, limit: usize) {
        self.0.state().max_limit = limit.max(1);
    }

    /// 400 on query parameters nobody documents, instead of ignoring them (T §2).
    pub fn set_refuse_unknown_query(&self, refuse: bool) {
        self.0.state().refuse_unknown_query = refuse;
    }

    /// Failures to come. Paths begin with `/api/v2`.
    pub fn faults(&self) -> Faults {
        self.0.desk.faults.clone()
    }

    /// Records that are written oddly. Paths begin with `/api/v2`.
    pub fn raw(&self) -> Raw {
        self.0.desk.raw.clone()
    }

    /// Calls that came.
    pub fn journal(&self) -> Journal {
        self.0.desk.journal.clone()
    }

    /// What a correct client would never have done, in order.
    pub fn complaints(&self) -> Vec<String> {
        self.0.desk.journal.complaints()
    }

    /// Forgets the complaints.
    pub fn forgive(&self) {
        self.0.desk.journal.forgive();
    }
}

/// `{"message": …}`, the one error body anybody has seen (T §4).
pub(crate) fn refusal(status: u16, message: &str) -> crate::front::Answer {
    crate::front::Answer::json(status, &json!({ "message": message }))
}
