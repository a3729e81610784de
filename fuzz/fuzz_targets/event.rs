//! Whatever arrives, reading it as an event ends in an event or an error, never in a panic. Run:
//!
//! ```console
//! cargo install cargo-fuzz
//! RUSTC_BOOTSTRAP=1 cargo fuzz run event fuzz/seeds/event -- -max_total_time=60
//! ```

#![no_main]

use ghl_trafft_sync::clients::ghl::wire::{Appointment, Contact, Envelope, Note, Task, WorkflowDocument};
use ghl_trafft_sync::model::{EmailKey, Phone, Region};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = serde_json::from_slice::<Envelope>(body);
    let _ = serde_json::from_slice::<WorkflowDocument>(body);
    // What is read back comes from the same people.
    let _ = serde_json::from_slice::<Task>(body);
    let _ = serde_json::from_slice::<Note>(body);
    let _ = serde_json::from_slice::<Appointment>(body);
    if let Ok(contact) = serde_json::from_slice::<Contact>(body) {
        let _ = contact.email.as_deref().map(EmailKey::new);
        let _ = contact.phone.as_deref().map(|phone| Phone::new(phone, Region::new("US")));
    }
});
