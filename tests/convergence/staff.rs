//! What staff do at Trafft's screens.

use sandbox::{Customer, Sandbox};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::group::Group;
use crate::person::{FIRST, LAST};
use crate::weather::is_friendly;

impl Group {
    /// Staff at Trafft. They never type into the description of a customer that is not theirs:
    /// nobody could see that.
    pub fn staff(&mut self, sandbox: &Sandbox, dice: &mut Dice) -> Option<String> {
        let (trafft, own) = (&sandbox.trafft, self.customers(&sandbox.trafft.customers()));
        let deed = dice.roll(10);
        if deed < 2 {
            let typed = self.word("typed by staff ");
            // The birthday keeps clear of an edge that is documented: a customer that looks exactly
            // like a create without an answer is taken for ours, unless it has something that we
            // never send.
            let mut customer = json!({
                "birthday": "1990-09-25",
                "first_name": dice.pick(&FIRST), "last_name": dice.pick(&LAST), "description": typed,
            });
            let (key, value) = match dice.roll(3) {
                0 => ("phone_number", self.phone(dice.roll(5))),
                _ => ("email", self.email(dice.roll(5))),
            };
            customer[key] = json!(value);
            let id = trafft.staff_create(customer.clone());
            self.staff.push((id, typed));
            return Some(format!("staff create customer {id}: {customer}"));
        }
        let id = own.get(dice.index(own.len()))?.id;
        if deed < 3 {
            trafft.staff_delete(id);
            self.deleted.push(id);
            return Some(format!("staff delete customer {id}"));
        }
        if deed < 5 && !is_friendly() {
            let other = own.get(dice.index(own.len()))?;
            let one = own.iter().find(|customer| customer.id == id)?;
            trafft.staff_edit(id, person(other));
            trafft.staff_edit(other.id, person(one));
            self.touched.extend([id, other.id]);
            return Some(format!("staff swap customers {id} and {}", other.id));
        }
        if deed == 5 && !is_friendly() {
            trafft.delete_between_pages(id);
            self.deleted.push(id);
            return Some(format!("staff delete customer {id} between two pages of a pass"));
        }
        let changes = match dice.roll(4) {
            0 => json!({ "first_name": self.word("Staff") }),
            1 => json!({ "last_name": self.word("Staff") }),
            2 => json!({ "phone_number": self.phone(dice.roll(7)) }),
            _ => json!({ "email": self.email(dice.roll(7)) }),
        };
        trafft.staff_edit(id, changes.clone());
        self.touched.push(id);
        Some(format!("staff edit customer {id}: {changes}"))
    }
}

/// Who a customer is.
fn person(customer: &Customer) -> Value {
    json!({
        "first_name": customer.first_name, "last_name": customer.last_name, "email": customer.email,
        "phone_number": customer.phone_number,
    })
}
