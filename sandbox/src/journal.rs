//! The calls that an emulator got, and its complaints about them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// So many calls are kept whole, and so many complaints; of older calls only the counts.
pub const KEPT: usize = 10_000;

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
    /// A token, or what leads to one.
    Token,
    /// Trafft: a page of customers.
    CustomersPage,
    /// Trafft: one customer read.
    Customer,
    /// Trafft: a customer created, changed or deleted.
    CustomerWrite,
    /// Trafft: a booking made.
    Booking,
    /// GHL: a page for a person's browser, or what was chosen on it.
    Screen,
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

/// Calls since the last [`Journal::clear`].
#[derive(Default)]
struct Counts {
    all: usize,
    by_class: HashMap<Class, usize>,
    reads: usize,
    writes: usize,
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        self.all += 1;
        *self.by_class.entry(entry.class).or_default() += 1;
        self.reads += usize::from(entry.is_read() && !matches!(entry.class, Class::Metadata | Class::Screen));
        self.writes += usize::from(!entry.is_read() && !matches!(entry.class, Class::Token | Class::Screen));
    }
}

#[derive(Default)]
struct Book {
    /// Number of the first entry that is kept.
    first: u64,
    entries: VecDeque<Entry>,
    counts: Counts,
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

    /// The calls, in the order of arrival; the last [`KEPT`] of them.
    pub fn entries(&self) -> Vec<Entry> {
        self.book().entries.iter().cloned().collect()
    }

    /// How many calls, those no longer kept included.
    pub fn calls(&self) -> usize {
        self.book().counts.all
    }

    /// How many calls of that class, those no longer kept included; as in [`Journal::reads`] and
    /// [`Journal::writes`].
    pub fn count(&self, class: Class) -> usize {
        self.book().counts.by_class.get(&class).copied().unwrap_or(0)
    }

    /// Calls that only read, without metadata, tokens and pages. A search is a read though it is a
    /// POST.
    pub fn reads(&self) -> usize {
        self.book().counts.reads
    }

    /// Calls that meant to change something.
    pub fn writes(&self) -> usize {
        self.book().counts.writes
    }

    /// The most calls that were waiting for their answers at one moment, since the last
    /// [`Journal::clear`].
    pub fn max_in_flight(&self) -> usize {
        self.book().max_in_flight
    }

    /// Forgets the calls; complaints stay.
    pub fn clear(&self) {
        let mut book = self.book();
        book.first += book.entries.len() as u64;
        book.entries.clear();
        book.counts = Counts::default();
        book.max_in_flight = book.in_flight;
    }

    pub(crate) fn begin(&self, entry: Entry) -> Ticket {
        let mut book = self.book();
        if book.entries.len() == KEPT {
            book.entries.pop_front();
            book.first += 1;
        }
        let number = book.first + book.entries.len() as u64;
        book.counts.add(&entry);
        book.entries.push_back(entry);
        book.in_flight += 1;
        book.max_in_flight = book.max_in_flight.max(book.in_flight);
        Ticket { journal: self.clone(), number }
    }

    pub(crate) fn complain(&self, text: String) {
        let mut book = self.book();
        if book.complaints.len() < KEPT {
            book.complaints.push(text);
        }
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
        let at = self.number.checked_sub(book.first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| book.entries.get_mut(at)) {
            entry.status = status;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.journal.book().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Entry, Journal, KEPT};

    fn call(method: &str, class: Class) -> Entry {
        let (method, path) = (method.to_owned(), "/".to_owned());
        Entry { at_ms: 0, method, path, query: Vec::new(), class, status: 0, body: None }
    }

    #[test]
    fn counts_more_than_it_keeps() {
        let journal = Journal::default();
        let first = journal.begin(call("PUT", Class::Contact));
        let slow = journal.begin(call("POST", Class::Search));
        for _ in 1..KEPT {
            journal.begin(call("GET", Class::Metadata)).answered(200);
        }
        first.answered(500);
        slow.answered(201);
        let entries = journal.entries();
        assert_eq!((journal.calls(), entries.len()), (KEPT + 1, KEPT));
        assert_eq!((journal.count(Class::Metadata), journal.count(Class::Contact)), (KEPT - 1, 1));
        assert_eq!((journal.reads(), journal.writes(), journal.max_in_flight()), (1, 1, 3));
        assert_eq!((entries[0].class, entries[0].status, entries[1].status), (Class::Search, 201, 200));
        let late = journal.begin(call("GET", Class::Notes));
        journal.clear();
        assert_eq!((journal.calls(), journal.reads(), journal.entries().len()), (0, 0, 0));
        let next = journal.begin(call("GET", Class::Tasks));
        late.answered(404);
        next.answered(200);
        assert_eq!((journal.entries().len(), journal.entries()[0].status), (1, 200));
        (0..KEPT + 3).for_each(|_| journal.complain("again".to_owned()));
        assert_eq!(journal.complaints().len(), KEPT);
    }
}
