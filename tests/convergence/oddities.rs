//! Records that cannot be read, or only in part, wherever they stand: alone or in a list.

use sandbox::Sandbox;

use crate::dice::Dice;
use crate::group::Group;

/// What stands in the place of a whole record.
const RECORDS: [&str; 6] = ["null", "7", r#""odd""#, "[]", "{}", r#"{"id":{"a":1},"_id":[]}"#];
/// What stands in the place of one value: nothing that could be taken for another value.
const VALUES: [&str; 4] = ["{}", "[[]]", r#"{"a":null}"#, "[{}]"];

/// From now on some record of one of the histories is odd.
pub fn begin(sandbox: &Sandbox, groups: &[Group], dice: &mut Dice) {
    let group = &groups[dice.index(groups.len())];
    let (record, value) = (dice.pick(&RECORDS), dice.pick(&VALUES));
    let kind = dice.roll(7);
    let (ghl, trafft) = (sandbox.ghl.raw(), sandbox.trafft.raw());
    if kind < 2 {
        let customers = group.customers(&sandbox.trafft.customers());
        let Some(customer) = customers.get(dice.index(customers.len())) else { return };
        match kind {
            0 => trafft.record("/api/v2/customers", customer.id, record),
            _ => trafft.field("/api/v2/customers", customer.id, dice.pick(&["email", "phone_number", "id"]), value),
        }
        return;
    }
    let Some(person) = group.people.get(dice.index(group.people.len())) else { return };
    let activities = person.tasks.iter().map(|task| &task.id).chain(person.notes.iter().map(|note| &note.id));
    match kind {
        // What JavaScript's `substring` leaves of an emoji; the words before it are told.
        6 => person.notes.iter().for_each(|note| {
            ghl.field("/contacts/", &note.id, "body", &format!(r#""{} \ud83d""#, note.word));
        }),
        2 => ghl.record("/contacts/", &person.id, record),
        3 => ghl.field("/contacts/", &person.id, dice.pick(&["email", "phone", "lastName", "tags", "id"]), value),
        _ => activities.for_each(|id| ghl.record("/", id, record)),
    }
}

/// Everything can be read again.
pub fn end(sandbox: &Sandbox) {
    sandbox.ghl.raw().clear();
    sandbox.trafft.raw().clear();
}
