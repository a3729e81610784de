//! Random histories: what people do in GoHighLevel and Trafft, each from one number, so that it can be played again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::World;

/// One group of contacts that nobody else shares an e-mail or phone with.
pub struct History {
    pub seed: u64,
    dice: StdRng,
    contacts: Vec<Member>,
    /// Customers that staff made before.
    pub staffs: Vec<i64>,
    /// What was done, to be read when it went wrong.
    pub log: Vec<String>,
    left: usize,
}

/// A contact while it is there, and the ids of what it has.
struct Member {
    id: String,
    number: usize,
    tasks: Vec<String>,
    notes: Vec<String>,
    appointments: Vec<String>,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let left = dice.random_range(6..=16);
        Self { seed, dice, contacts: Vec::new(), staffs: Vec::new(), log: Vec::new(), left }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// How long until its next act.
    pub fn pause(&mut self) -> Duration {
        Duration::from_secs(self.dice.random_range(0..900))
    }

    /// Which way a delivery goes: lost, once or twice, and how late each is.
    pub fn deliveries(&mut self) -> Vec<Duration> {
        let times = match self.dice.random_range(0..10) {
            0 | 1 => 0,
            2 | 3 => 2,
            _ => 1,
        };
        let late = |dice: &mut StdRng| match dice.random_range(0..3) {
            0 => Duration::from_secs(dice.random_range(0..70 * 60)),
            _ => Duration::from_secs(dice.random_range(0..5)),
        };
        (0..times).map(|_| late(&mut self.dice)).collect()
    }

    /// Ids of the contacts that are there.
    pub fn contacts(&self) -> impl Iterator<Item = &str> {
        self.contacts.iter().map(|member| member.id.as_str())
    }

    fn email(&self, number: usize) -> String {
        format!("s{}n{number}@example.com", self.seed)
    }

    /// Does the next thing.
    pub fn act(&mut self, world: &World) {
        self.left = self.left.saturating_sub(1);
        if self.contacts.is_empty() || self.contacts.len() < 3 && self.dice.random_ratio(1, 6) {
            return self.create(world);
        }
        let at = self.dice.random_range(0..self.contacts.len());
        match self.dice.random_range(0..20) {
            0..=4 => self.edit(world, at),
            5..=7 => self.task(world, at),
            8..=9 => self.note(world, at),
            10..=11 => self.appointment(world, at),
            12 if self.contacts.len() > 1 => self.merge(world, at),
            13 => self.delete(world, at),
            14..=16 => self.staff_edits(world, at),
            17 => self.staff_deletes(world, at),
            _ => self.edit(world, at),
        }
    }

    fn create(&mut self, world: &World) {
        let number = self.dice.random_range(0..1_000_000);
        let email = self.email(number);
        // Sometimes the person has long been a customer.
        if self.dice.random_ratio(1, 4) {
            let customer = json!({ "first_name": "Ada", "last_name": format!("N{number}"), "email": email, "description": "staff only" });
            self.staffs.push(world.sandbox.trafft.staff_create(customer));
            self.log.push(format!("staff made customer {}", self.staffs.last().unwrap()));
        }
        let phone = self.dice.random_ratio(1, 2).then(|| format!("+1212{:07}", 2_000_000 + number));
        let contact = json!({ "firstName": "Ada", "lastName": format!("N{number}"), "email": email, "phone": phone });
        let id = world.sandbox.ghl.create_contact(contact);
        self.log.push(format!("created {id} {email} {phone:?}"));
        self.contacts.push(Member { id, number, tasks: Vec::new(), notes: Vec::new(), appointments: Vec::new() });
    }

    fn edit(&mut self, world: &World, at: usize) {
        let changes = match self.dice.random_range(0..5) {
            0 => {
                let names = ["Ada", "Augusta", "A."];
                json!({ "firstName": names.choose(&mut self.dice) })
            }
            1 => json!({ "lastName": format!("N{}", self.dice.random_range(0..100)) }),
            2 => {
                let tags = ["vip", "regular", "new"];
                json!({ "tags": [tags.choose(&mut self.dice)] })
            }
            3 => json!({ "phone": format!("+1312{:07}", 2_000_000 + self.dice.random_range(0..1_000_000)) }),
            _ => {
                let number = self.contacts[at].number + 1_000_000 * self.dice.random_range(1..9);
                json!({ "email": self.email(number) })
            }
        };
        self.log.push(format!("edited {} {changes}", self.contacts[at].id));
        world.sandbox.ghl.edit_contact(&self.contacts[at].id, changes);
    }

    fn task(&mut self, world: &World, at: usize) {
        let (ghl, title) = (&world.sandbox.ghl, format!("task {}", self.dice.random_range(0..100)));
        let member = &mut self.contacts[at];
        let chosen = self.dice.random_range(0..4);
        if member.tasks.is_empty() || chosen == 0 {
            let task = ghl.add_task(&member.id, json!({ "title": title, "dueDate": "2026-09-20T09:00:00Z" }));
            self.log.push(format!("{}: added task {task} {title}", member.id));
            return member.tasks.push(task);
        }
        let which = self.dice.random_range(0..member.tasks.len());
        let task = member.tasks[which].clone();
        self.log.push(format!("{}: task {task}: {chosen} (1 edit, 2 complete, 3 delete) {title}", member.id));
        match chosen {
            1 => ghl.edit_task(&member.id, &task, json!({ "title": title })),
            2 => ghl.complete_task(&member.id, &task),
            _ => {
                ghl.delete_task(&member.id, &task);
                member.tasks.remove(which);
            }
        }
    }

    fn note(&mut self, world: &World, at: usize) {
        let (ghl, body) = (&world.sandbox.ghl, format!("note {}", self.dice.random_range(0..100)));
        let member = &mut self.contacts[at];
        let chosen = self.dice.random_range(0..3);
        if member.notes.is_empty() || chosen == 0 {
            let note = ghl.add_note(&member.id, json!({ "body": body }));
            self.log.push(format!("{}: added note {note} {body}", member.id));
            return member.notes.push(note);
        }
        let note = member.notes[0].clone();
        self.log.push(format!("{}: note {note}: {chosen} (1 edit, 2 delete) {body}", member.id));
        match chosen {
            1 => ghl.edit_note(&member.id, &note, json!({ "body": body })),
            _ => {
                ghl.delete_note(&member.id, &note);
                member.notes.remove(0);
            }
        }
    }

    fn appointment(&mut self, world: &World, at: usize) {
        let ghl = &world.sandbox.ghl;
        let member = &mut self.contacts[at];
        let day = self.dice.random_range(10..28);
        let times =
            json!({ "startTime": format!("2026-09-{day} 11:00:00"), "endTime": format!("2026-09-{day} 11:30:00") });
        if member.appointments.is_empty() || self.dice.random_ratio(1, 3) {
            let mut fields = times;
            fields["title"] = json!("Massage");
            fields["appointmentStatus"] = json!("confirmed");
            let appointment = ghl.add_appointment(&member.id, fields);
            self.log.push(format!("{}: added appointment {appointment} on {day}", member.id));
            return member.appointments.push(appointment);
        }
        let appointment = member.appointments[0].clone();
        if self.dice.random_ratio(1, 2) {
            self.log.push(format!("{}: moved appointment {appointment} to {day}", member.id));
            ghl.edit_appointment(&member.id, &appointment, times);
        } else {
            self.log.push(format!("{}: deleted appointment {appointment}", member.id));
            ghl.delete_appointment(&member.id, &appointment);
            member.appointments.remove(0);
        }
    }

    fn merge(&mut self, world: &World, at: usize) {
        let mut gone = self.contacts.remove(at);
        let kept = &mut self.contacts[0];
        self.log.push(format!("merged {} into {}", gone.id, kept.id));
        world.sandbox.ghl.merge_contacts(&kept.id, &gone.id);
        kept.tasks.append(&mut gone.tasks);
        kept.notes.append(&mut gone.notes);
        kept.appointments.append(&mut gone.appointments);
    }

    fn delete(&mut self, world: &World, at: usize) {
        let gone = self.contacts.remove(at);
        self.log.push(format!("deleted {}", gone.id));
        world.sandbox.ghl.delete_contact(&gone.id);
    }

    /// Of whoever has the contact's e-mail in Trafft.
    fn customer(&self, world: &World, at: usize) -> Option<i64> {
        let email = world.sandbox.ghl.contact(&self.contacts[at].id)?["email"].as_str()?.to_owned();
        let customers = world.sandbox.trafft.customers();
        customers.into_iter().find(|customer| customer.email.as_deref() == Some(&email)).map(|customer| customer.id)
    }

    fn staff_edits(&mut self, world: &World, at: usize) {
        let Some(customer) = self.customer(world, at) else { return };
        let changes = match self.dice.random_range(0..3) {
            0 => json!({ "last_name": "Staff" }),
            1 => json!({ "first_name": "Typo" }),
            _ => json!({ "phone_number": format!("+1415{:07}", 2_000_000 + self.dice.random_range(0..1_000_000)) }),
        };
        self.log.push(format!("staff edited customer {customer} {changes}"));
        world.sandbox.trafft.staff_edit(customer, changes);
    }

    fn staff_deletes(&mut self, world: &World, at: usize) {
        let Some(customer) = self.customer(world, at) else { return };
        self.log.push(format!("staff deleted customer {customer}"));
        world.sandbox.trafft.staff_delete(customer);
        self.staffs.retain(|made| *made != customer);
    }
}
