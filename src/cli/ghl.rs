//! `ghl`: GoHighLevel's API, tried by hand with the settings of the service.

mod calls;

use clap::{Args, Subcommand, value_parser};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clients::ghl::wire::{ContactPatch, Cursor, NewContact, NewTask, TaskPatch};
use crate::model::{ContactId, EmailKey, ObjectId, Phone};

#[derive(Debug, Subcommand)]
pub(super) enum Ghl {
    /// Read, search, create, change and delete contacts
    #[command(subcommand)]
    Contacts(Contacts),
    /// Read, search, create, change, complete and delete tasks
    #[command(subcommand)]
    Tasks(Tasks),
    /// Read the notes of a contact
    #[command(subcommand)]
    Notes(Notes),
    /// List the appointments of a contact
    Appointments { contact: ContactId },
    /// Add and remove tags of a contact
    #[command(subcommand)]
    Tags(Tags),
    /// Show the location's record
    Location,
    /// List the definitions of the contacts' custom fields
    CustomFields,
}

#[derive(Debug, Subcommand)]
pub(super) enum Contacts {
    /// Show a contact
    Get { id: ContactId },
    /// List all contacts, the newest first
    List {
        /// How many: 1 to 100
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=100))]
        limit: u32,
        /// `meta.startAfterId` of the page before
        #[arg(long, value_name = "ID")]
        after_id: Option<ContactId>,
        /// `meta.startAfter` of the page before
        #[arg(long, value_name = "MILLIS", requires = "after_id")]
        after: Option<i64>,
    },
    /// Search contacts; what was just written shows seconds later
    Search {
        /// Free text, 75 characters at most
        #[arg(long, value_name = "TEXT")]
        query: Option<String>,
        /// Only those changed since, as in `2026-09-01T00:00:00Z`
        #[arg(long, value_name = "TIME")]
        updated_since: Option<Timestamp>,
        /// How many: 1 to 500
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=500))]
        limit: u32,
        /// `next` of the page before
        #[arg(long, value_name = "CURSOR", value_parser = cursor)]
        after: Option<Cursor>,
    },
    /// List the contacts of a business
    Business {
        id: ObjectId,
        /// How many
        #[arg(long, default_value_t = 25)]
        limit: u32,
        /// How many to pass over
        #[arg(long, default_value_t = 0)]
        skip: u32,
    },
    /// Find the contact that has an e-mail address or phone number already; `null` if there is none
    #[command(group = clap::ArgGroup::new("whom").required(true).multiple(true))]
    Duplicate {
        #[arg(long, group = "whom", value_parser = email)]
        email: Option<EmailKey>,
        /// With `+` and country code
        #[arg(long, group = "whom", value_parser = phone)]
        phone: Option<Phone>,
    },
    /// Create a contact
    Create(Box<Create>),
    /// Change what the body names, and nothing else; `tags` replaces all tags
    Update {
        id: ContactId,
        /// As GoHighLevel has it, as in `{"firstName": "Ada"}`
        #[arg(long, value_name = "BODY", value_parser = body::<ContactPatch>)]
        json: Box<ContactPatch>,
    },
    /// Delete a contact
    Delete {
        id: ContactId,
        /// Yes, delete it
        #[arg(long)]
        yes: bool,
    },
}

/// A contact to be: a body, or the fields that most have, or both.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Create {
    /// As GoHighLevel has it, as in `{"firstName": "Ada"}`; the location is added
    #[arg(long, value_name = "BODY", value_parser = body::<NewContact>)]
    json: Option<Box<NewContact>>,
    #[arg(long)]
    first_name: Option<String>,
    #[arg(long)]
    last_name: Option<String>,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    phone: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Tasks {
    /// List the tasks of a contact
    List { contact: ContactId },
    /// Show a task
    Get { contact: ContactId, task: ObjectId },
    /// Create a task
    Create {
        contact: ContactId,
        /// As in `{"title": "Call", "dueDate": "2026-09-08T02:30:00Z", "completed": false}`
        #[arg(long, value_name = "BODY", value_parser = body::<NewTask>)]
        json: Box<NewTask>,
    },
    /// Change what the body names, and nothing else
    Update {
        contact: ContactId,
        task: ObjectId,
        /// As in `{"title": "Call back"}`
        #[arg(long, value_name = "BODY", value_parser = body::<TaskPatch>)]
        json: Box<TaskPatch>,
    },
    /// Tick a task off
    Complete {
        contact: ContactId,
        task: ObjectId,
        /// Open it again instead
        #[arg(long)]
        reopen: bool,
    },
    /// Delete a task
    Delete {
        contact: ContactId,
        task: ObjectId,
        /// Yes, delete it
        #[arg(long)]
        yes: bool,
    },
    /// List the tasks of the location
    Search {
        /// How many; GoHighLevel's default is 25
        #[arg(long)]
        limit: Option<u32>,
        /// How many to pass over
        #[arg(long)]
        skip: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Notes {
    /// List the notes of a contact
    List { contact: ContactId },
    /// Show a note
    Get { contact: ContactId, note: ObjectId },
}

#[derive(Debug, Subcommand)]
pub(super) enum Tags {
    /// Add tags; prints all that the contact has then
    Add {
        contact: ContactId,
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Remove tags; prints all that the contact has then
    Remove {
        contact: ContactId,
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
}

/// A body as GoHighLevel will see it: a key that it would refuse, or that would not be sent, is
/// refused here.
fn body<T: DeserializeOwned>(text: &str) -> Result<Box<T>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    if !json.is_object() {
        return Err("write an object, as in `{\"key\": \"value\"}`".to_owned());
    }
    if let Some(key) = null(&json) {
        return Err(format!("`{key}` is null: leave it out to keep it as it is, or write \"\" to clear it"));
    }
    serde_json::from_value(json).map(Box::new).map_err(|error| error.to_string())
}

/// The first key whose value is null. The value of a custom field may be.
fn null(json: &Value) -> Option<&str> {
    match json {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "field_value")
            .find_map(|(key, value)| if value.is_null() { Some(key.as_str()) } else { null(value) }),
        Value::Array(list) => list.iter().find_map(null),
        _ => None,
    }
}

fn cursor(text: &str) -> Result<Cursor, &'static str> {
    serde_json::from_str(text).map_err(|_| "copy `next` of the page before, brackets and all")
}

fn email(text: &str) -> Result<EmailKey, &'static str> {
    EmailKey::new(text).ok_or("this is no e-mail address")
}

fn phone(text: &str) -> Result<Phone, &'static str> {
    Phone::new(text, None).map_err(|_| "write a number with `+` and country code, as in `+14155550142`")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::super::{Cli, Command};
    use super::calls::failure;
    use super::*;
    use crate::clients::{About, Error, VendorMessage};

    fn parse(arguments: &[&str]) -> Result<Ghl, clap::Error> {
        let cli = Cli::try_parse_from(["ghl-trafft-sync", "ghl"].iter().chain(arguments))?;
        match cli.command {
            Command::Ghl(command) => Ok(command),
            command => panic!("{command:?} is not for GoHighLevel"),
        }
    }

    #[test]
    fn every_operation_has_its_shape() {
        for line in [
            "contacts get c1",
            "contacts list",
            "contacts list --limit 100 --after-id c1 --after 1782969506704",
            "contacts search --query ada --updated-since 2026-09-01T00:00:00Z --limit 500",
            r#"contacts search --after [1788326306704,"c1"]"#,
            "contacts business b1 --limit 5 --skip 5",
            "contacts duplicate --email ada@example.com --phone +14155550142",
            "contacts create --first-name Ada --email ada@example.com",
            r#"contacts update c1 --json {"lastName":"Byron"}"#,
            "contacts delete c1 --yes",
            "tasks list c1",
            "tasks get c1 t1",
            r#"tasks create c1 --json {"title":"Call","dueDate":"2026-09-08T02:30:00Z","completed":false}"#,
            r#"tasks update c1 t1 --json {"title":"Call"}"#,
            "tasks complete c1 t1 --reopen",
            "tasks delete c1 t1 --yes",
            "tasks search --limit 5 --skip 5",
            "notes list c1",
            "notes get c1 n1",
            "appointments c1",
            "tags add c1 vip trafft",
            "tags remove c1 vip",
            "location",
            "custom-fields",
        ] {
            let parsed = parse(&line.split(' ').collect::<Vec<_>>());
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        for line in [
            "contacts get ../x",
            "contacts list --limit 101",
            "contacts list --after 7",
            "contacts search --updated-since yesterday",
            "contacts search --after c1",
            "contacts duplicate",
            "contacts duplicate --phone 4155550142",
            "contacts create",
            "contacts update c1",
            "tasks create c1 --json {}",
            "tags add c1",
        ] {
            assert!(parse(&line.split(' ').collect::<Vec<_>>()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_body_is_sent_as_it_was_written() {
        let full = json!({
            "gender": "female", "companyName": "Example Ltd", "firstName": "Ada", "email": "", "tags": ["vip"],
            "dnd": true, "dndSettings": { "SMS": { "status": "active", "message": "asked" } },
            "inboundDndSettings": { "all": { "status": "inactive" } },
            "customFields": [{ "id": "f1", "field_value": null }, { "id": "f2", "field_value": ["a"] }],
        });
        assert_eq!(serde_json::to_value(body::<NewContact>(&full.to_string()).unwrap()).unwrap(), full);
        let task = json!({ "title": "Call", "dueDate": "2026-09-08T02:30:00Z", "completed": false, "body": "soon" });
        assert_eq!(serde_json::to_value(body::<NewTask>(&task.to_string()).unwrap()).unwrap(), task);
        assert_eq!(serde_json::to_value(body::<TaskPatch>("{}").unwrap()).unwrap(), json!({}));
    }

    #[test]
    fn a_key_that_would_be_refused_or_lost_is_named() {
        let contact = |text| body::<NewContact>(text).unwrap_err();
        let patch = |text| body::<ContactPatch>(text).unwrap_err();
        let task = |text| body::<NewTask>(text).unwrap_err();
        for (told, want) in [
            (contact(r#"{"first_name":"Ada"}"#), "unknown field `first_name`"),
            (contact(r#"{"locationId":"l1"}"#), "unknown field `locationId`"),
            (contact(r#"{"customFields":[{"id":"f","value":1}]}"#), "unknown field `value`"),
            (contact(r#"{"dndSettings":{"Sms":{"status":"active"}}}"#), "unknown field `Sms`"),
            (contact(r#"{"dndSettings":{"SMS":{"state":"active"}}}"#), "unknown field `state`"),
            // GoHighLevel takes these two when a contact is created, and never again (G §6.3).
            (patch(r#"{"gender":"female"}"#), "unknown field `gender`"),
            (patch(r#"{"companyName":"Example"}"#), "unknown field `companyName`"),
            (patch(r#"{"email":null}"#), "`email` is null"),
            (patch(r#"{"dndSettings":{"SMS":null}}"#), "`SMS` is null"),
            (patch(r#"["Ada"]"#), "write an object"),
            (patch("Ada"), "this is not JSON"),
            (task(r#"{"title":"Call","dueDate":"2026-09-08T02:30:00Z"}"#), "missing field `completed`"),
            (task(r#"{"title":"Call","dueDate":"x","completed":false,"due":1}"#), "unknown field `due`"),
        ] {
            assert!(told.contains(want), "{told}");
        }
        let told = parse(&["contacts", "update", "c1", "--json", r#"{"gendre":"x"}"#]).unwrap_err().to_string();
        assert!(told.contains("unknown field `gendre`"), "{told}");
    }

    #[test]
    fn flags_win_over_the_body() {
        let body = r#"{"firstName":"A.","lastName":"Lovelace"}"#;
        let Ok(Ghl::Contacts(Contacts::Create(create))) =
            parse(&["contacts", "create", "--json", body, "--first-name", "Ada"])
        else {
            panic!("not a create")
        };
        let sent = serde_json::to_value(create.body()).unwrap();
        assert_eq!(sent, json!({ "firstName": "Ada", "lastName": "Lovelace" }));
    }

    #[test]
    fn a_failure_has_the_vendors_words_and_a_hint() {
        let message = VendorMessage::new("Invalid JWT\u{1b}[2J");
        for (error, want) in [
            (Error::CredentialsRefused { message: message.clone() }, ["Invalid JWT [2J", "make a new token"]),
            (
                Error::Refused { about: About::Record, status: 422, message, fields: vec![] },
                ["refused (422): Invalid JWT [2J", "None"],
            ),
            (Error::ScopeMissing { scope: "contacts.write".into() }, ["contacts.write", "Private Integrations"]),
            (Error::Duplicate { contact_id: "c1".parse().ok() }, ["exists already", "contacts get c1"]),
        ] {
            let told = format!("{:?}", failure(&error));
            assert!(want.iter().all(|part| told.contains(part)), "{told}");
        }
    }
}
