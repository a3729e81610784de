//! What is so in a world from its first to its last moment, settled by its first seed;
//! `WORLD=friendly` leaves it out.

use sandbox::trafft::{Duplicates, Forms};

use crate::dice::Dice;
use crate::support::World;
use crate::weather::is_friendly;

/// What the service has to ask for; the friendly world has it set.
pub fn asked_for() -> &'static [(&'static str, &'static str)] {
    if is_friendly() { &[] } else { &[("TIME_ZONE", ""), ("PHONE_REGION", "")] }
}

/// The studio moves to India; nobody tells the service.
pub fn move_away(world: &World) {
    if !is_friendly() {
        world.sandbox.ghl.set_timezone(&world.sandbox.ghl.location_id(), "Asia/Kolkata");
    }
}

/// When a task is due, in GoHighLevel and as everybody reads it in the end.
pub const DUE: &str = "2026-10-08T14:30:00.000Z";
pub fn due_as_told() -> &'static str {
    if is_friendly() { "2026-10-08 10:30" } else { "2026-10-08 20:00" }
}

/// In which form Trafft shows values.
pub fn forms(seed: u64) -> Forms {
    if is_friendly() {
        return Forms::default();
    }
    let mut dice = Dice::new(seed, 5);
    Forms {
        lower_email: dice.chance(50),
        longest_name: dice.pick(&[None, Some(6), Some(20)]),
        national_phone: dice.chance(50),
        escaped: dice.chance(50),
        upper_name: dice.chance(50),
        stored: dice.chance(50),
    }
}

/// What Trafft makes of a create with an e-mail that it knows.
pub fn duplicates(seed: u64) -> Duplicates {
    if is_friendly() {
        return Duplicates::default();
    }
    Dice::new(seed, 7).pick(&[Duplicates::Allow, Duplicates::Refuse, Duplicates::ReturnExisting])
}

/// What becomes of the customer of a deleted contact.
pub fn delete_policy(seed: u64) -> &'static str {
    if is_friendly() { "keep" } else { Dice::new(seed, 6).pick(&["keep", "delete-created", "delete-created"]) }
}

/// Is the customer of a deleted contact deleted, too?
pub fn deletes(world: &World) -> bool {
    world.settings()["DELETE_POLICY"] == "delete-created"
}

/// What operators try: a filter, another description, fewer notes. Empty: the mapping that the
/// service brings along.
pub const MAPPINGS: [&str; 4] = [
    "",
    "only = \"'vip' in tags\"",
    "[description]\ntemplate = \"{% for note in notes %}{{ note.text }} {% endfor %}\"",
    "[description]\nnotes = 1\ntasks = 2",
];

/// Takes effect at the next start.
pub fn set_mapping(world: &mut World, text: &str) {
    let path = world.path("mapping.toml");
    std::fs::write(&path, text).unwrap();
    world.set("MAPPING_FILE", if text.is_empty() { "" } else { &path });
}
