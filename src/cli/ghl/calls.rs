//! What the commands ask of GoHighLevel, and how its answers are shown.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::{Contacts, Create, Ghl, Notes, Tags, Tasks};
use crate::app;
use crate::cli::output::{Failure, print_json, say, strip_control};
use crate::clients::ghl::wire::{ContactSearch, Cursor, NewContact, TaskSearch};
use crate::clients::ghl::{Ghl as Client, ListAfter};
use crate::clients::{CallCounts, Error, Http, Timeouts};
use crate::clock::Clock;
use crate::config::{self, Sources};

impl Ghl {
    pub(in crate::cli) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let config = config::ByHand::load(sources)?;
        let http = Http::new(Timeouts::default(), CallCounts::default())?;
        let ghl = app::ghl(config, http, Clock::system());
        match self {
            Self::Contacts(command) => command.run(&ghl).await,
            Self::Tasks(command) => command.run(&ghl).await,
            Self::Notes(Notes::List { contact }) => show(ghl.notes(&contact).await),
            Self::Notes(Notes::Get { contact, note }) => show(ghl.note(&contact, &note).await),
            Self::Appointments { contact } => show(ghl.appointments(&contact).await),
            Self::Tags(Tags::Add { contact, tags }) => show(ghl.add_tags(&contact, &tags).await),
            Self::Tags(Tags::Remove { contact, tags }) => show(ghl.remove_tags(&contact, &tags).await),
            Self::Location => show(ghl.location().await),
            Self::CustomFields => show(ghl.custom_fields().await),
        }
    }
}

impl Contacts {
    async fn run(self, ghl: &Client) -> Result<(), Failure> {
        match self {
            Self::Get { id } => show(ghl.contact(&id).await),
            Self::List { limit, after_id, after } => {
                let after = after_id.map(|start_after_id| ListAfter { start_after: after, start_after_id });
                show(ghl.list_contacts(limit, after.as_ref()).await)
            }
            Self::Search { query, updated_since, limit, after } => {
                show(ghl.search_contacts(&search(query, updated_since, limit, after)).await)
            }
            Self::Business { id, limit, skip } => show(ghl.contacts_of_business(&id, limit, skip).await),
            Self::Duplicate { email, phone } => show(ghl.find_duplicate(email.as_ref(), phone.as_ref()).await),
            Self::Create(create) => show(ghl.create_contact(&create.body()).await),
            Self::Update { id, json } => show(ghl.update_contact(&id, &json).await),
            Self::Delete { id, yes: true } => gone(ghl.delete_contact(&id).await, "contact", &id),
            Self::Delete { id, yes: false } => Err(unsure("contact", &id)),
        }
    }
}

impl Tasks {
    async fn run(self, ghl: &Client) -> Result<(), Failure> {
        match self {
            Self::List { contact } => show(ghl.tasks(&contact).await),
            Self::Get { contact, task } => show(ghl.task(&contact, &task).await),
            Self::Create { contact, json } => show(ghl.create_task(&contact, &json).await),
            Self::Update { contact, task, json } => show(ghl.update_task(&contact, &task, &json).await),
            Self::Complete { contact, task, reopen } => show(ghl.complete_task(&contact, &task, !reopen).await),
            Self::Delete { contact, task, yes: true } => gone(ghl.delete_task(&contact, &task).await, "task", &task),
            Self::Delete { task, yes: false, .. } => Err(unsure("task", &task)),
            Self::Search { limit, skip } => {
                show(ghl.search_tasks(&TaskSearch { limit, skip, ..TaskSearch::default() }).await)
            }
        }
    }
}

impl Create {
    /// A flag wins over its key in the body.
    pub(super) fn body(self) -> NewContact {
        let mut body = self.json.map(|body| *body).unwrap_or_default();
        let fields = &mut body.fields;
        for (field, flag) in [
            (&mut fields.first_name, self.first_name),
            (&mut fields.last_name, self.last_name),
            (&mut fields.email, self.email),
            (&mut fields.phone, self.phone),
        ] {
            if flag.is_some() {
                *field = flag;
            }
        }
        body
    }
}

fn search(query: Option<String>, since: Option<Timestamp>, limit: u32, after: Option<Cursor>) -> ContactSearch {
    let search = match since {
        Some(since) => ContactSearch { query, ..ContactSearch::updated(since, None) },
        None => ContactSearch { page_limit: limit, search_after: None, query, filters: vec![], sort: vec![] },
    };
    search.limit(limit).after(after)
}

fn show(result: Result<impl Serialize, Error>) -> Result<(), Failure> {
    print_json(&result.map_err(|error| failure(&error))?)
}

fn gone(result: Result<(), Error>, what: &str, id: &impl fmt::Display) -> Result<(), Failure> {
    result.map_err(|error| failure(&error))?;
    say(format!("{what} `{id}` is deleted"));
    Ok(())
}

fn unsure(what: &str, id: &impl fmt::Display) -> Failure {
    Failure::new(format!("{what} `{id}` is not deleted")).hint("add `--yes` to delete it in HighLevel")
}

/// The vendor's words as well: this is the operator's own screen.
pub(super) fn failure(error: &Error) -> Failure {
    let failure = Failure::new(match error.vendor_message() {
        Some(words) => format!("{error}: {}", strip_control(words)),
        None => error.to_string(),
    });
    match error {
        Error::ScopeMissing { scope } => failure.hint(format!(
            "HighLevel, Settings, Private Integrations: edit the integration and add `{scope}`; also to `GHL_SCOPES`, if that is set"
        )),
        Error::CredentialsRefused { .. } => failure.hint(
            "HighLevel, Settings, Private Integrations, in the location `GHL_LOCATION_ID`: make a new token and set `GHL_ACCESS_TOKEN`",
        ),
        Error::Duplicate { contact_id: Some(id) } => {
            failure.hint(format!("it is contact `{id}`: `ghl-trafft-sync ghl contacts get {id}`"))
        }
        _ => failure,
    }
}
