//! Trafft's records: tolerant when read, exact when written. The names differ between the two
//! directions (T §5).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::clients::{Listed, lenient};
use crate::model::CustomerId;

/// A customer, as it is read (T §5.1). Times of creation or change, `description` and custom fields
/// are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// A positive integer; text in webhooks, and read in either form.
    #[serde(deserialize_with = "customer_id")]
    pub id: CustomerId,
    /// Given name.
    #[serde(default, deserialize_with = "lenient::identity")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default, deserialize_with = "lenient::identity")]
    pub last_name: Option<String>,
    /// May be `null` or empty.
    #[serde(default, deserialize_with = "lenient::identity")]
    pub email: Option<String>,
    /// E.164 in the accounts seen; `-` and empty mean none (T §5.5). Absent from customers inside
    /// appointments.
    #[serde(default, deserialize_with = "lenient::identity")]
    pub phone_number: Option<String>,
    /// Country or prefix, nobody knows; to be read only (T §5.1).
    #[serde(default, deserialize_with = "lenient::text")]
    pub phone_country_code: Option<String>,
    /// Probably `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub birthday: Option<String>,
    /// In words that nobody recorded.
    #[serde(default, deserialize_with = "lenient::text")]
    pub gender: Option<String>,
}

/// Body of `POST /customers` (T §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCustomer {
    /// Required.
    pub first_name: String,
    /// Perhaps required.
    pub last_name: String,
    /// Whether it may be left out is not known for sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// An internal note that can never be read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Body of `PATCH /customers/{id}`. The four are always there, or Trafft answers 500 (T §5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustomerPatch {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Whether an empty one clears it is not known (T §10).
    pub email: String,
    /// E.164, or empty.
    pub phone: String,
    /// Overwrites what is there; left out, it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A page of a list (T §2). Newest first, so pages shift while they are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
pub struct Page<T> {
    /// The records. `null` is no list of none: an answer that brings no data is no page.
    #[serde(deserialize_with = "records")]
    pub data: Listed<T>,
    /// Where in the list this is.
    #[serde(default)]
    pub pagination: Pagination,
}

fn records<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Listed<T>, D::Error> {
    Vec::deserialize(from).map(Listed::of)
}

impl<T> Page<T> {
    /// Is this the last page, read as number `number`? The answer's own paging is the truth, not
    /// what was asked for (T §10).
    pub fn is_last(&self, number: u32) -> bool {
        self.data.given() == 0 || self.pagination.pages.is_some_and(|pages| i64::from(number) >= pages)
    }
}

/// Where in a list a page is (T §2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Pagination {
    /// Records on all pages.
    #[serde(default, deserialize_with = "lenient::number")]
    pub total: Option<i64>,
    /// This page, from 1.
    #[serde(default, deserialize_with = "lenient::number")]
    pub page: Option<i64>,
    /// Records a page, as Trafft sees it.
    #[serde(default, deserialize_with = "lenient::number")]
    pub limit: Option<i64>,
    /// How many pages there are.
    #[serde(default, deserialize_with = "lenient::number")]
    pub pages: Option<i64>,
}

/// An appointment (T §6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Appointment {
    /// A positive integer.
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// `approved`, `pending`, `canceled`, `rejected`, `no-show` or `no_show`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub status: Option<String>,
    /// RFC 3339 with the account's offset.
    #[serde(default, deserialize_with = "lenient::text")]
    pub start_date_time: Option<String>,
    /// RFC 3339 with the account's offset.
    #[serde(default, deserialize_with = "lenient::text")]
    pub end_date_time: Option<String>,
    /// RFC 3339. Moving or cancelling does not change it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub created_at: Option<String>,
    /// Free text.
    #[serde(default, deserialize_with = "lenient::text")]
    pub note: Option<String>,
    /// What was booked.
    #[serde(default, deserialize_with = "lenient::part")]
    pub service: Option<Named>,
    /// Where; an empty object is none.
    #[serde(default, deserialize_with = "lenient::part")]
    pub location: Option<Named>,
    /// One for each customer.
    #[serde(default, deserialize_with = "lenient::parts")]
    pub bookings: Vec<Booking>,
}

/// A service or a place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// A positive integer.
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// What people call it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
}

/// A customer's part in an appointment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Booking {
    /// A positive integer.
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// As for appointments.
    #[serde(default, deserialize_with = "lenient::text")]
    pub status: Option<String>,
    /// How many more people the customer brings along.
    #[serde(default, deserialize_with = "lenient::number")]
    pub additional_persons: Option<i64>,
    /// Without phone; some have no customer at all.
    #[serde(default, deserialize_with = "lenient::part")]
    pub customer: Option<Customer>,
}

/// The answer to a create or an update: an object with at least `id` (T §5.2, §5.3).
#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(deserialize_with = "customer_id")]
    pub(super) id: CustomerId,
}

fn customer_id<'de, D: Deserializer<'de>>(from: D) -> Result<CustomerId, D::Error> {
    number(from).map(CustomerId)
}

/// An id: a positive integer, as a number or as its text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let id = lenient::as_number(&Value::deserialize(from)?);
    id.filter(|id| *id > 0).ok_or_else(|| D::Error::custom("a positive integer is expected"))
}
