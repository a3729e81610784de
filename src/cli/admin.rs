//! `contacts` and `events`: a front to the admin API of the running service, which alone holds the
//! store.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::Failure;
use super::server::{Page, Server, ago};
use crate::clients::admin::Request;
use crate::clock::Clock;
use crate::config::Sources;
use crate::model::{ContactId, CustomerId, LocationId, ObjectId};

#[derive(Debug, Args)]
pub(super) struct Contacts {
    #[command(flatten)]
    server: Server,
    /// The location; needed only where several have a contact of this id, or none has yet
    #[arg(long, global = true, value_name = "ID")]
    location: Option<LocationId>,
    #[command(subcommand)]
    command: ContactsCommand,
}

#[derive(Debug, Subcommand)]
enum ContactsCommand {
    /// List contacts, by location and id
    List(Page),
    /// Show a contact and what was written to Trafft for it
    Show { id: ContactId },
    /// Show a contact's notes, tasks and appointments, the latest first
    Timeline { id: ContactId },
    /// Read a contact from GoHighLevel and make Trafft match, now
    Sync { id: ContactId },
    /// Decide a conflict: this contact is that customer
    Link {
        id: ContactId,
        /// The customer in Trafft
        #[arg(value_parser = customer)]
        customer: CustomerId,
    },
    /// Take a contact and its customer apart, until `link` or `create`
    Unlink { id: ContactId },
    /// Decide a conflict: this contact becomes a customer of its own
    Create { id: ContactId },
    /// Forget a contact and everything that is kept about it here; neither vendor is told
    Erase {
        id: ContactId,
        /// Yes: it cannot be undone
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Try contacts again that were given up on
    Retry {
        /// Those that were given up on (`failed`): there is nothing else to retry
        #[arg(long, required = true)]
        dead: bool,
        /// Only those given up within this time, such as `2h` or `3d`
        #[arg(long, value_name = "TIME", value_parser = ago)]
        since: Option<Duration>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// List events, the newest first
    List {
        #[command(flatten)]
        page: Page,
        /// Only of this type, such as `ContactUpdate`
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only about this contact
        #[arg(long, value_name = "ID")]
        contact: Option<ContactId>,
        /// Only of this location
        #[arg(long, value_name = "ID")]
        location: Option<LocationId>,
    },
    /// Show an event
    Show { id: ObjectId },
    /// Send an event round again, as if it had just arrived
    Replay { id: ObjectId },
}

fn customer(text: &str) -> Result<CustomerId, &'static str> {
    text.parse().ok().filter(|&id| id > 0).map(CustomerId).ok_or("write the customer's number")
}

impl Contacts {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        match self.command {
            ContactsCommand::List(_) => self.server.list("contacts", self.request(), sources).await,
            _ => self.server.call(self.request(), sources).await,
        }
    }

    fn request(&self) -> Request {
        use ContactsCommand::{Create, Erase, Link, List, Retry, Show, Sync, Timeline, Unlink};
        let request = match &self.command {
            List(page) => page.add_to(Request::get(&["contacts"])),
            Show { id } => Request::get(&["contacts", id.as_str()]),
            Timeline { id } => Request::get(&["contacts", id.as_str(), "timeline"]),
            Sync { id } => Request::post(&["contacts", id.as_str(), "sync"]),
            Link { id, customer } => {
                Request::post(&["contacts", id.as_str(), "link"]).body(json!({ "trafft_customer_id": customer }))
            }
            Unlink { id } => Request::post(&["contacts", id.as_str(), "unlink"]),
            Create { id } => Request::post(&["contacts", id.as_str(), "create"]),
            Erase { id, .. } => Request::delete(&["contacts", id.as_str()]),
            Retry { since, .. } => {
                let since = since.map(|ago| Clock::system().now() - ago);
                Request::post(&["retry"]).query("since", since)
            }
        };
        request.query("location_id", self.location.as_ref())
    }
}

impl Events {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        match self.command {
            EventsCommand::List { .. } => self.server.list("events", self.request(), sources).await,
            _ => self.server.call(self.request(), sources).await,
        }
    }

    fn request(&self) -> Request {
        match &self.command {
            EventsCommand::List { page, kind, contact, location } => page
                .add_to(Request::get(&["events"]))
                .query("type", kind.as_ref())
                .query("contact_id", contact.as_ref())
                .query("location_id", location.as_ref()),
            EventsCommand::Show { id } => Request::get(&["events", id.as_str()]),
            EventsCommand::Replay { id } => Request::post(&["events", id.as_str(), "replay"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn request(line: &str) -> Result<Request, clap::Error> {
        let cli = Cli::try_parse_from(format!("ghl-trafft-sync {line}").split(' '))?;
        match cli.command {
            Command::Contacts(contacts) => Ok(contacts.request()),
            Command::Events(events) => Ok(events.request()),
            command => panic!("{command:?} is no call to the service"),
        }
    }

    #[test]
    fn each_command_is_one_call() {
        let list = Request::get(&["contacts"]);
        for (line, want) in [
            ("contacts list", Request::get(&["contacts"])),
            (
                "contacts list --status conflict --limit 5 --cursor c1",
                list.query("status", Some("conflict")).query("limit", Some(5)).query("cursor", Some("c1")),
            ),
            ("contacts show c1", Request::get(&["contacts", "c1"])),
            ("contacts timeline c1 --url x", Request::get(&["contacts", "c1", "timeline"])),
            (
                "contacts sync c1 --location l1",
                Request::post(&["contacts", "c1", "sync"]).query("location_id", Some("l1")),
            ),
            ("contacts link c1 7", Request::post(&["contacts", "c1", "link"]).body(json!({ "trafft_customer_id": 7 }))),
            ("contacts erase c1 --yes", Request::delete(&["contacts", "c1"])),
            ("contacts retry --dead", Request::post(&["retry"])),
            ("contacts unlink c1", Request::post(&["contacts", "c1", "unlink"])),
            ("contacts create c1", Request::post(&["contacts", "c1", "create"])),
            (
                "events list --type ContactUpdate --contact c1",
                Request::get(&["events"]).query("type", Some("ContactUpdate")).query("contact_id", Some("c1")),
            ),
            ("events show e1", Request::get(&["events", "e1"])),
            ("events replay e1", Request::post(&["events", "e1", "replay"])),
        ] {
            assert_eq!(request(line).unwrap(), want, "{line}");
        }
    }

    #[test]
    fn a_list_goes_on_from_the_page_before() {
        let first = request("contacts list --status conflict --cursor c1").unwrap();
        let next = first.from_page("c2").from_page("c3");
        assert_eq!(next, request("contacts list --status conflict --cursor c3").unwrap());
    }

    #[test]
    fn what_the_service_would_refuse_is_not_sent() {
        for line in [
            "contacts show ../x",
            "contacts link c1 0",
            "contacts link c1 ada",
            "contacts list --limit 201",
            "contacts list --status gone",
            "events show",
            "contacts erase c1",
            "contacts retry",
            "contacts retry --dead --since 2",
            "contacts retry --dead --since h",
            "contacts retry --dead --since 2ä",
        ] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
