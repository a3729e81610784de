//! One history's people: its contacts in GoHighLevel, what is known of their tasks, notes and
//! appointments, and the customers that staff made. Every history has e-mails and phones of its
//! own, so many can share a world.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::Customer;
use sandbox::Event;

use crate::dice::Dice;
use crate::ledger::Ever;
use crate::numbers;
use crate::weather::is_friendly;

#[derive(Clone)]
pub struct Task {
    pub id: String,
    pub word: String,
    pub done: bool,
}

#[derive(Clone)]
pub struct Note {
    pub id: String,
    pub word: String,
}

#[derive(Clone)]
pub struct Appointment {
    pub id: String,
    pub word: String,
    /// On the sandbox clock.
    pub start_ms: i64,
    pub cancelled: bool,
}

/// A contact as the person who works with it knows it.
#[derive(Clone, Default)]
pub struct Person {
    pub id: String,
    pub gone: bool,
    /// It was deleted, and that can be taken back.
    pub is_restorable: bool,
    /// When it was last there.
    pub there_ms: i64,
    /// What it ever was.
    pub ever: Ever,
    pub tasks: Vec<Task>,
    pub notes: Vec<Note>,
    pub appointments: Vec<Appointment>,
}

/// A delivery on its way.
pub struct Delivery {
    pub at_ms: i64,
    pub event: Event,
}

pub struct Group {
    pub seed: u64,
    pub people: Vec<Person>,
    /// Customers that staff made, with the description that they typed.
    pub staff: Vec<(i64, String)>,
    /// Customers that staff deleted.
    pub deleted: Vec<i64>,
    /// Customers that staff made into something else.
    pub touched: Vec<i64>,
    /// Customers that the service wrote to after they were made.
    pub written: BTreeSet<i64>,
    /// What was done to customers without cause.
    pub wrong: Vec<String>,
    pub trace: Vec<String>,
    pub dice: Dice,
    pub words: usize,
    /// What phone numbers are, by how they were written.
    meanings: BTreeMap<String, Option<String>>,
}

/// E-mails and phones that a history may use.
pub const ADDRESSES: u64 = 8;

impl Group {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            people: Vec::new(),
            staff: Vec::new(),
            deleted: Vec::new(),
            touched: Vec::new(),
            written: BTreeSet::new(),
            wrong: Vec::new(),
            trace: Vec::new(),
            dice: Dice::new(seed, 2),
            words: 0,
            meanings: BTreeMap::new(),
        }
    }

    pub fn email(&self, number: u64) -> String {
        format!("e{number}@{}", self.domain())
    }

    fn domain(&self) -> String {
        format!("s{}.example.com", self.seed)
    }

    /// In E.164; in the hostile world every second one is a foreign number.
    pub fn phone(&self, number: u64) -> String {
        match self.foreign(number) {
            Some(place) => numbers::foreign(place).to_owned(),
            None => format!("+1212{}", 2_000_000 + (self.seed * ADDRESSES + number) % 7_999_999),
        }
    }

    /// A way to write it, of which is remembered what it means.
    pub fn written_phone(&mut self, dice: &mut Dice, number: u64) -> String {
        let (text, means) = match self.foreign(number) {
            Some(place) => numbers::written_foreign(place, dice),
            None if is_friendly() => return self.phone(number),
            None => numbers::written_at_home(&self.phone(number), dice),
        };
        self.meanings.insert(text.clone(), means);
        text
    }

    /// What number a text is that stands in a contact: empty if that cannot be known.
    pub fn meaning<'a>(&'a self, text: &'a str) -> &'a str {
        self.meanings.get(text).map_or(text, |means| means.as_deref().unwrap_or_default())
    }

    /// Histories that share a world follow each other: their places differ.
    fn foreign(&self, number: u64) -> Option<u64> {
        (!is_friendly() && number % 2 == 1).then_some(self.seed * (ADDRESSES / 2) + number / 2)
    }

    /// A word that occurs nowhere else in the history.
    pub fn word(&mut self, what: &str) -> String {
        self.words += 1;
        format!("{what}{}", self.words)
    }

    /// Is it a customer of this history?
    pub fn knows(&self, email: Option<&str>, phone: Option<&str>) -> bool {
        email.is_some_and(|email| email.to_lowercase().ends_with(&format!("@{}", self.domain())))
            || phone.is_some_and(|phone| (0..ADDRESSES).any(|number| self.phone(number) == phone))
    }

    /// Its customers, the oldest first.
    pub fn customers(&self, all: &[Customer]) -> Vec<Customer> {
        let known = |one: &&Customer| self.knows(one.email.as_deref(), one.phone_number.as_deref());
        let mut own: Vec<_> = all.iter().filter(known).cloned().collect();
        own.sort_by_key(|customer| customer.id);
        own
    }

    /// What becomes of an event on its way: dropped 20 %, doubled 20 %, many a little late and out
    /// of order, some by up to 70 minutes.
    pub fn send(&mut self, now_ms: i64, event: Event) -> Vec<Delivery> {
        let lateness = |dice: &mut Dice| match dice.roll(4) {
            0 => dice.roll(4200),
            1 => dice.roll(120),
            _ => dice.roll(3),
        };
        let times = match self.dice.roll(100) {
            0..20 => 0,
            20..40 => 2,
            _ => 1,
        };
        let late: Vec<u64> = (0..times).map(|_| lateness(&mut self.dice)).collect();
        self.trace.push(match late.as_slice() {
            [] => format!("         {}: dropped", event.kind),
            late => format!("         {}: after {late:?} s", event.kind),
        });
        let at = |late: &u64| now_ms + i64::try_from(*late * 1000).unwrap();
        late.iter().map(|late| Delivery { at_ms: at(late), event: event.clone() }).collect()
    }
}
