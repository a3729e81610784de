//! GHL's records as they are read: tolerant, since nearly everything is optional, and unknown keys
//! pass (G §2).

mod activities;
mod answers;
mod bodies;
mod contact;
mod grants;
mod hooks;
mod location;
mod search;

pub use activities::{Appointment, Note, Task};
pub(super) use answers::{
    AppointmentsAnswer, ContactAnswer, CustomFieldsAnswer, LocationAnswer, NoteAnswer, NotesAnswer, Success,
    TagsAnswer, TaskAnswer, TasksAnswer,
};
pub(super) use bodies::{Completed, NewContactBody, Tags};
pub use bodies::{
    ContactPatch, DndSetting, DndSettings, InboundDnd, InboundDndSettings, NewContact, NewTask, TaskPatch,
    WrittenCustomField,
};
pub use contact::{Contact, ContactList, CustomField, CustomFieldValue, ListMeta};
pub use grants::{Granted, InstalledLocation, InstalledLocations, Reconnected};
pub use hooks::{Envelope, EnvelopeAppointment, WorkflowDocument};
pub use location::{LocationRecord, LocationSettings};
pub(super) use search::ContactSearchBody;
pub use search::{ContactPage, ContactSearch, Cursor, Filter, Sort, TaskSearch, TasksFound};

#[cfg(test)]
mod tests;
