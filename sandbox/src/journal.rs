//! What an emulator was asked, and what it holds against whoever asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// What a call is about; the unit in which tests count calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// GHL: one contact, or a write to one.
    Contact,
    /// GHL: tasks of a contact.
    Tasks,
    /// GHL: notes of a contact.
    Notes,
    /// Appointments of a GHL contact, or of a Trafft account.
    Appointments,
    /// GHL: search, duplicate search, lists of contacts.
    Search,
    /// GHL: the location record and its custom fields.
    Metadata,
    /// GHL: tasks of a whole location.
    TaskSearch,
    /// Trafft: a token.
    Token,
    /// Trafft: a page of customers.
    CustomersPage,
    /// Trafft: one customer read.
    Customer,
    /// Trafft: a customer created, changed or deleted.
    CustomerWrite,
    /// Trafft: a booking made.
    Booking,
    /// Anything else, unknown paths included.
    Other,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it arrived, on the sandbox clock.
    pub at_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// What it is about.
    pub class: Class,
    /// The status answered; 0 while there is none, and for good when the connection was dropped.
    pub status: u16,
    /// The body, where it was JSON.
    pub body: Option<Value>,
}

impl Entry {
    fn is_read(&self) -> bool {
        self.method == "GET" || matches!(self.class, Class::Search | Class::TaskSearch)
    }
}

#[derive(Default)]
struct Book {
    next: u64,
    entries: Vec<(u64, Entry)>,
    in_flight: usize,
    max_in_flight: usize,
    complaints: Vec<String>,
}

/// The record of an emulator's calls.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Book>>);

impl Journal {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call, in the order of arrival.
    pub fn entries(&self) -> Vec<Entry> {
        self.book().entries.iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// How many calls of that class.
    pub fn count(&self, class: Class) -> usize {
        self.book().entries.iter().filter(|(_, entry)| entry.class == class).count()
    }

    /// Calls that only read, without metadata and tokens. A search is a read though it is a POST.
    pub fn reads(&self) -> usize {
        self.counted(|entry| entry.is_read() && entry.class != Class::Metadata)
    }

    /// Calls that meant to change something.
    pub fn writes(&self) -> usize {
        self.counted(|entry| !entry.is_read() && entry.class != Class::Token)
    }

    fn counted(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.book().entries.iter().filter(|(_, entry)| wanted(entry)).count()
    }

    /// The most calls that were waiting for their answers at one moment, since the last [`Journal::clear`].
    pub fn max_in_flight(&self) -> usize {
        self.book().max_in_flight
    }

    /// Forgets the calls; complaints stay.
    pub fn clear(&self) {
        let mut book = self.book();
        book.entries.clear();
        book.max_in_flight = book.in_flight;
    }

    pub(crate) fn begin(&self, entry: Entry) -> Ticket {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        book.entries.push((number, entry));
        book.in_flight += 1;
        book.max_in_flight = book.max_in_flight.max(book.in_flight);
        Ticket { journal: self.clone(), number }
    }

    pub(crate) fn complain(&self, text: String) {
        self.book().complaints.push(text);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.book().complaints.clone()
    }

    pub(crate) fn forgive(&self) {
        self.book().complaints.clear();
    }
}

/// A call that is being answered. Dropped when the answer leaves, or when the caller hangs up.
pub(crate) struct Ticket {
    journal: Journal,
    number: u64,
}

impl Ticket {
    pub(crate) fn answered(&self, status: u16) {
        let mut book = self.journal.book();
        if let Some((_, entry)) = book.entries.iter_mut().rev().find(|(number, _)| *number == self.number) {
            entry.status = status;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.journal.book().in_flight -= 1;
    }
}
