//! What people do at GoHighLevel's screens: one random deed after another.

use sandbox::Sandbox;
use serde_json::{Value, json};

use crate::climate;
use crate::dice::Dice;
use crate::group::{Appointment, Group, Note, Person, Task};
use crate::weather::is_friendly;

/// Contacts that a history has at most.
const CONTACTS: usize = 4;
const HOUR: i64 = 3_600_000;
/// Zoë is among them twice, written in two ways that look the same.
pub const FIRST: [&str; 6] = ["Ada", "Bob", "Chloe", "D'Arcy", "Zo\u{eb}", "Zoe\u{308}"];
pub const LAST: [&str; 4] = ["Example", "Sample", "O'Third", "Wolfeschlegelsteinhausenbergerdorff"];

/// A name as everybody reads it, in whichever of the two ways it is written.
pub fn as_read(name: &str) -> String {
    name.replace(FIRST[5], FIRST[4])
}

impl Group {
    /// One deed, chosen by `dice`. Returns what it was; none: there was nothing to do it to.
    pub fn act(&mut self, sandbox: &Sandbox, dice: &mut Dice) -> Option<String> {
        let there: Vec<usize> = (0..self.people.len()).filter(|who| !self.people[*who].gone).collect();
        let deed = dice.roll(100);
        let trash: Vec<usize> = (0..self.people.len()).filter(|who| self.people[*who].is_restorable).collect();
        if !is_friendly() && !trash.is_empty() && deed < 4 {
            let who = dice.pick(&trash);
            // Nobody told us what they did to its customer while it was gone.
            let staff = if dice.chance(50) { self.staff(sandbox, dice) } else { None };
            let restored = self.restore(sandbox, who);
            return Some(staff.map_or(restored.clone(), |deed| format!("{deed}; {restored}")));
        }
        if there.is_empty() || deed < 12 {
            return if self.people.len() < CONTACTS { Some(self.create(sandbox, dice)) } else { None };
        }
        let who = dice.pick(&there);
        match deed {
            12..32 => Some(self.edit(sandbox, dice, who)),
            32..37 => Some(self.delete(sandbox, who)),
            37..41 => {
                let other = dice.pick(&there);
                if other == who { None } else { Some(self.merge(sandbox, dice, who, other)) }
            }
            41..43 => Some(self.burst(sandbox, dice, who)),
            43..58 => self.task(sandbox, dice, who),
            58..70 => self.note(sandbox, dice, who),
            70..82 => self.appointment(sandbox, dice, who),
            _ => self.staff(sandbox, dice),
        }
    }

    /// Mostly an address of its own, at times the family's, at times none.
    fn address(dice: &mut Dice, own: usize, none: u64) -> Option<u64> {
        match dice.roll(100) {
            roll if roll < none => None,
            roll if roll < none + 8 => Some(7),
            _ => Some(own as u64),
        }
    }

    /// An address as somebody types it: at times with capitals.
    fn written_email(&self, dice: &mut Dice, number: u64) -> String {
        let email = self.email(number);
        if dice.chance(25) { email.to_uppercase() } else { email }
    }

    fn create(&mut self, sandbox: &Sandbox, dice: &mut Dice) -> String {
        let own = self.people.len();
        let mut contact = json!({ "firstName": dice.pick(&FIRST), "lastName": dice.pick(&LAST) });
        if let Some(email) = Self::address(dice, own, 6) {
            contact["email"] = json!(self.written_email(dice, email));
        }
        if let Some(phone) = Self::address(dice, own, 30) {
            contact["phone"] = json!(self.written_phone(dice, phone));
        }
        if dice.chance(30) {
            contact["tags"] = json!(["vip"]);
        }
        let id = sandbox.ghl.create_contact(contact.clone());
        let told = format!("contact {own} ({id}) is created: {contact}");
        self.people.push(Person { id, ..Person::default() });
        told
    }

    fn edit(&mut self, sandbox: &Sandbox, dice: &mut Dice, who: usize) -> String {
        let other = |dice: &mut Dice| if dice.chance(70) { who as u64 } else { 4 + dice.roll(4) };
        let changes = match dice.roll(7) {
            0 => json!({ "firstName": dice.pick(&FIRST) }),
            1 => json!({ "lastName": self.word("Name") }),
            2 => {
                let number = other(dice);
                json!({ "email": self.written_email(dice, number) })
            }
            3 => {
                let number = other(dice);
                json!({ "phone": self.written_phone(dice, number) })
            }
            4 => json!({ "tags": [self.word("tag")] }),
            5 => json!({ dice.pick(&["email", "phone", "lastName", "tags"]): Value::Null }),
            _ => json!({ "companyName": self.word("Company") }),
        };
        sandbox.ghl.edit_contact(&self.people[who].id, changes.clone());
        format!("contact {who} is edited: {changes}")
    }

    /// A campaign, or a workflow that runs wild: many changes of one contact in one moment.
    fn burst(&mut self, sandbox: &Sandbox, dice: &mut Dice, who: usize) -> String {
        let count = 8 + dice.roll(24);
        for _ in 0..count {
            let company = self.word("Company");
            sandbox.ghl.edit_contact(&self.people[who].id, json!({ "companyName": company }));
        }
        format!("contact {who} is edited {count} times at once")
    }

    fn delete(&mut self, sandbox: &Sandbox, who: usize) -> String {
        sandbox.ghl.delete_contact(&self.people[who].id);
        let person = &mut self.people[who];
        (person.gone, person.is_restorable) = (true, true);
        format!("contact {who} is deleted")
    }

    fn restore(&mut self, sandbox: &Sandbox, who: usize) -> String {
        sandbox.ghl.restore_contact(&self.people[who].id);
        let person = &mut self.people[who];
        (person.gone, person.is_restorable) = (false, false);
        format!("contact {who} is restored")
    }

    fn merge(&mut self, sandbox: &Sandbox, dice: &mut Dice, keep: usize, gone: usize) -> String {
        let silent = dice.chance(50);
        let usual = sandbox.ghl.switches();
        sandbox.ghl.set_switches(sandbox::ghl::WebhookSwitches { silent_merge: silent, ..usual.clone() });
        sandbox.ghl.merge_contacts(&self.people[keep].id, &self.people[gone].id);
        sandbox.ghl.set_switches(usual);
        let lost = self.people[gone].clone();
        self.people[gone] =
            Person { id: lost.id, gone: true, ever: lost.ever, there_ms: lost.there_ms, ..Person::default() };
        self.people[keep].tasks.extend(lost.tasks);
        self.people[keep].notes.extend(lost.notes);
        self.people[keep].appointments.extend(lost.appointments);
        format!("contact {gone} is merged into contact {keep}{}", if silent { ", silently" } else { "" })
    }

    /// Somebody else who is there.
    fn another(&self, dice: &mut Dice, who: usize) -> Option<usize> {
        let is_other = |other: &usize| *other != who && !self.people[*other].gone;
        let others: Vec<usize> = (0..self.people.len()).filter(is_other).collect();
        (!others.is_empty()).then(|| dice.pick(&others))
    }

    fn task(&mut self, sandbox: &Sandbox, dice: &mut Dice, who: usize) -> Option<String> {
        let (ghl, contact) = (&sandbox.ghl, self.people[who].id.clone());
        if self.people[who].tasks.is_empty() || dice.chance(35) {
            let (word, thin) = (self.word("task"), dice.chance(20));
            let usual = ghl.switches();
            ghl.set_switches(sandbox::ghl::WebhookSwitches { thin_task_create: thin, ..usual.clone() });
            let id = ghl.add_task(&contact, json!({ "title": word, "dueDate": climate::DUE }));
            ghl.set_switches(usual);
            self.people[who].tasks.push(Task { id, word: word.clone(), done: false });
            return Some(format!("contact {who} gets {word}{}", if thin { ", told without its contact" } else { "" }));
        }
        let at = dice.index(self.people[who].tasks.len());
        let Task { id, word, done } = self.people[who].tasks[at].clone();
        match dice.roll(5) {
            0 => {
                let new = self.word("task");
                ghl.edit_task(&contact, &id, json!({ "title": new }));
                self.people[who].tasks[at].word = new.clone();
                Some(format!("contact {who}: {word} becomes {new}"))
            }
            1 => {
                ghl.delete_task(&contact, &id);
                self.people[who].tasks.remove(at);
                Some(format!("contact {who}: {word} is deleted"))
            }
            2 => {
                let to = self.another(dice, who)?;
                ghl.move_task(&contact, &self.people[to].id, &id);
                let task = self.people[who].tasks.remove(at);
                self.people[to].tasks.push(task);
                Some(format!("contact {who}: {word} goes to contact {to}"))
            }
            _ if done => {
                ghl.reopen_task(&contact, &id);
                self.people[who].tasks[at].done = false;
                Some(format!("contact {who}: {word} is reopened"))
            }
            _ => {
                ghl.complete_task(&contact, &id);
                self.people[who].tasks[at].done = true;
                Some(format!("contact {who}: {word} is done"))
            }
        }
    }

    fn note(&mut self, sandbox: &Sandbox, dice: &mut Dice, who: usize) -> Option<String> {
        let (ghl, contact) = (&sandbox.ghl, self.people[who].id.clone());
        if self.people[who].notes.is_empty() || dice.chance(50) {
            let word = self.word("note");
            // What people type as it is, and HTML would have escaped.
            let signs = ["", "x<y ", "pain <b4 surgery ", "?id=5&region=eu&section=2 ", "a<b "][self.words % 5];
            let id = ghl.add_note(&contact, json!({ "body": format!("<p>{signs}{word}</p>") }));
            self.people[who].notes.push(Note { id, word: word.clone() });
            return Some(format!("contact {who} gets {word}"));
        }
        let at = dice.index(self.people[who].notes.len());
        let Note { id, word } = self.people[who].notes[at].clone();
        if dice.chance(50) {
            let new = self.word("note");
            ghl.edit_note(&contact, &id, json!({ "body": new }));
            self.people[who].notes[at].word = new.clone();
            return Some(format!("contact {who}: {word} becomes {new}"));
        }
        ghl.delete_note(&contact, &id);
        self.people[who].notes.remove(at);
        Some(format!("contact {who}: {word} is deleted"))
    }

    fn appointment(&mut self, sandbox: &Sandbox, dice: &mut Dice, who: usize) -> Option<String> {
        let (ghl, contact) = (&sandbox.ghl, self.people[who].id.clone());
        // Over before the histories are looked at, or long after.
        let start_ms = sandbox.clock.now_ms() + dice.pick(&[HOUR / 2, 3 * HOUR, 20 * HOUR, 240 * HOUR, 300 * HOUR]);
        let start = jiff::Timestamp::from_millisecond(start_ms).unwrap().to_string();
        if self.people[who].appointments.is_empty() || dice.chance(50) {
            let word = self.word("visit");
            let id = ghl.add_appointment(&contact, json!({ "title": word, "startTime": start }));
            self.people[who].appointments.push(Appointment { id, word: word.clone(), start_ms, cancelled: false });
            return Some(format!("contact {who} gets {word} at {start}"));
        }
        let at = dice.index(self.people[who].appointments.len());
        let Appointment { id, word, .. } = self.people[who].appointments[at].clone();
        match dice.roll(4) {
            0 => {
                ghl.edit_appointment(&contact, &id, json!({ "startTime": start }));
                self.people[who].appointments[at].start_ms = start_ms;
                Some(format!("contact {who}: {word} moves to {start}"))
            }
            1 => {
                ghl.edit_appointment(&contact, &id, json!({ "appointmentStatus": "cancelled" }));
                self.people[who].appointments[at].cancelled = true;
                Some(format!("contact {who}: {word} is cancelled"))
            }
            2 => {
                let to = self.another(dice, who)?;
                ghl.move_appointment(&contact, &self.people[to].id, &id);
                let appointment = self.people[who].appointments.remove(at);
                self.people[to].appointments.push(appointment);
                Some(format!("contact {who}: {word} goes to contact {to}"))
            }
            _ => {
                ghl.delete_appointment(&contact, &id);
                self.people[who].appointments.remove(at);
                Some(format!("contact {who}: {word} is deleted"))
            }
        }
    }
}
