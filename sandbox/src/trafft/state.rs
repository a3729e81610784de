//! What this Trafft remembers (T §5, §6).

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::forms::Forms;
use super::register::Customers;

/// What happens when an e-mail is taken already; nobody knows which is true (T §10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// A second customer.
    #[default]
    Allow,
    /// 422.
    Refuse,
    /// The one there is.
    ReturnExisting,
}

/// A customer with everything staff see, the hidden description included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Stable id.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail.
    pub email: Option<String>,
    /// Country of the number, such as `us`.
    pub phone_country_code: Option<String>,
    /// E.164.
    pub phone_number: Option<String>,
    /// `YYYY-MM-DD`.
    pub birthday: Option<String>,
    /// Free text.
    pub gender: Option<String>,
    /// Internal note: taken by POST and PATCH, never shown by GET (T §5.1).
    pub description: Option<String>,
}

impl Customer {
    /// The eight keys of T §5.1.
    pub(crate) fn shown(&self) -> Value {
        let mut value = json!(self);
        if let Some(object) = value.as_object_mut() {
            object.remove("description");
        }
        value
    }

    /// Takes over `phone` or `phone_number`, and whatever else is named; null and the empty string
    /// clear.
    pub(crate) fn apply(&mut self, changes: &Map<String, Value>) {
        for (key, value) in changes {
            let text = value.as_str().map(str::to_owned).filter(|text| !text.is_empty());
            match key.as_str() {
                "first_name" => self.first_name = text.unwrap_or_default(),
                "last_name" => self.last_name = text.unwrap_or_default(),
                "email" => self.email = text,
                "phone" | "phone_number" => {
                    self.phone_number = text.map(|text| plain(&text));
                    self.phone_country_code = self.phone_number.as_deref().and_then(country).map(str::to_owned);
                }
                "birthday" => self.birthday = text,
                "gender" => self.gender = text,
                "description" => self.description = text,
                _ => {}
            }
        }
    }

    pub(crate) fn has_email(&self, email: &str) -> bool {
        !email.is_empty() && self.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email))
    }
}

/// `+1 (415) 555-0142` is accepted (T §5.2) and shown as E.164.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

fn country(number: &str) -> Option<&'static str> {
    const PREFIXES: [(&str, &str); 8] = [
        ("+44", "gb"),
        ("+49", "de"),
        ("+33", "fr"),
        ("+34", "es"),
        ("+39", "it"),
        ("+61", "au"),
        ("+381", "rs"),
        ("+1", "us"),
    ];
    PREFIXES.iter().find(|(prefix, _)| number.starts_with(prefix)).map(|(_, country)| *country)
}

/// One booking of an appointment; some have no customer (T §6).
#[derive(Clone)]
pub(crate) struct Booking {
    pub(crate) id: i64,
    pub(crate) customer: Option<i64>,
}

#[derive(Clone)]
pub(crate) struct Appointment {
    pub(crate) id: i64,
    pub(crate) status: String,
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) created: String,
    pub(crate) service: i64,
    pub(crate) employee: i64,
    pub(crate) bookings: Vec<Booking>,
}

/// Something that staff do between two pages of a scan (T §2 "Paging hazard").
pub(crate) enum Meanwhile {
    Create(Map<String, Value>),
    Delete(i64),
}

pub(crate) struct State {
    pub(crate) customers: Customers,
    pub(crate) appointments: BTreeMap<i64, Appointment>,
    pub(crate) next_id: i64,
    /// Token and when it ends.
    pub(crate) tokens: HashMap<String, i64>,
    pub(crate) token_lifetime: i64,
    pub(crate) duplicates: Duplicates,
    pub(crate) email_required: bool,
    pub(crate) max_limit: usize,
    pub(crate) refuse_unknown_query: bool,
    pub(crate) between_pages: VecDeque<Meanwhile>,
    pub(crate) forms: Forms,
}

impl Default for State {
    fn default() -> Self {
        Self {
            customers: Customers::default(),
            appointments: BTreeMap::new(),
            next_id: 1,
            tokens: HashMap::new(),
            token_lifetime: 3600,
            duplicates: Duplicates::default(),
            email_required: false,
            max_limit: 50,
            refuse_unknown_query: false,
            between_pages: VecDeque::new(),
            forms: Forms::default(),
        }
    }
}

impl State {
    pub(crate) fn id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn create(&mut self, fields: &Map<String, Value>) -> i64 {
        let id = self.id();
        let mut customer = Customer { id, ..Customer::default() };
        customer.apply(fields);
        self.customers.insert(customer);
        id
    }

    pub(crate) fn edit(&mut self, id: i64, changes: &Map<String, Value>) -> bool {
        self.customers.edit(id, changes)
    }

    pub(crate) fn delete(&mut self, id: i64) -> bool {
        self.customers.remove(id)
    }

    /// So many customers, no two alike in name, e-mail or phone.
    pub(crate) fn seed(&mut self, count: usize) {
        const FIRST: [&str; 10] =
            ["Ada", "Blaise", "Chien", "Dorothy", "Emmy", "Fatima", "Grace", "Hedy", "Ines", "Jordan"];
        const LAST: [&str; 10] =
            ["Alvarez", "Brandt", "Chow", "Dubois", "Eze", "Fischer", "Gupta", "Haddad", "Ivanova", "Jensen"];
        for _ in 0..count {
            let id = self.id();
            let number = usize::try_from(id).unwrap_or(0);
            let customer = Customer {
                id,
                first_name: FIRST[number % 10].to_owned(),
                last_name: format!("{} {id}", LAST[number / 10 % 10]),
                email: Some(format!("customer{id}@example.com")),
                phone_country_code: Some("us".to_owned()),
                phone_number: Some(format!("+1212{:07}", 2_000_000 + id)),
                ..Customer::default()
            };
            self.customers.insert(customer);
        }
    }

    pub(crate) fn meanwhile(&mut self) {
        match self.between_pages.pop_front() {
            Some(Meanwhile::Create(fields)) => {
                self.create(&fields);
            }
            Some(Meanwhile::Delete(id)) => {
                self.delete(id);
            }
            None => {}
        }
    }
}
