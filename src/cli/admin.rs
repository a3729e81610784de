//! `contacts` and `events`: a front to the admin API of the running service, which alone holds the store.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{Failure, print_json, strip_control};
use crate::clients::admin::{Admin, Error, Request};
use crate::clients::{CallCounts, Http, NoConnection, NotSent, Timeouts};
use crate::clock::Clock;
use crate::config::{self, Sources};
use crate::model::{ContactId, CustomerId, LocationId, ObjectId, Status};

/// Where the service is.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// URL of the service; by default this machine and the port of `BIND_ADDR`
    #[arg(long, global = true, env = "SERVICE_URL", value_name = "URL")]
    url: Option<String>,
}

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
        /// It cannot be taken back
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Try contacts again that were given up on
    Retry {
        /// Those that were given up on (`failed`): there is nothing else to retry
        #[arg(long, required = true)]
        dead: bool,
        /// Only those given up so long ago at most, such as `2h` or `3d`
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

#[derive(Debug, Args)]
struct Page {
    /// Only those that ended so, such as `failed` or `conflict`
    #[arg(long)]
    status: Option<Status>,
    /// Rows at most: 1 to 200, by default 50
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
}

impl Page {
    fn add_to(&self, request: Request) -> Request {
        request.query("status", self.status).query("limit", self.limit).query("cursor", self.cursor.as_ref())
    }
}

fn customer(text: &str) -> Result<CustomerId, &'static str> {
    text.parse().ok().filter(|&id| id > 0).map(CustomerId).ok_or("write the customer's number")
}

/// A time span as people write it: `90s`, `30m`, `2h`, `3d`.
pub(super) fn ago(text: &str) -> Result<Duration, &'static str> {
    const HOW: &str = "write a number and s, m, h or d, such as `2h`";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(HOW)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(HOW),
    };
    let number: u64 = number.parse().ok().filter(|number| *number <= 36_500).ok_or(HOW)?;
    Ok(Duration::from_secs(number * seconds))
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

impl Server {
    async fn call(&self, request: Request, sources: &Sources) -> Result<(), Failure> {
        match self.ask(request, sources).await? {
            Value::Null => Ok(()),
            answer => print_json(&answer),
        }
    }

    /// The next page that has `rows`, or the last one: what is filtered for may be further away than one page looks.
    pub(super) async fn list(&self, rows: &str, request: Request, sources: &Sources) -> Result<(), Failure> {
        let mut page = request.clone();
        loop {
            let answer = self.ask(page, sources).await?;
            match answer["next"].as_str() {
                Some(next) if answer[rows] == json!([]) => page = request.clone().from_page(next),
                _ => return print_json(&answer),
            }
        }
    }

    /// The answer of the running service.
    pub(super) async fn ask(&self, request: Request, sources: &Sources) -> Result<Value, Failure> {
        let config::Admin { bind, token } = config::Admin::load(sources)?;
        // Empty counts as not set, as with every setting.
        let given = self.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let url = given.map_or_else(|| Admin::local(bind), str::to_owned);
        let base = url.parse().map_err(|error| {
            Failure::new(format!("`{url}` is no URL: {error}")).hint("write a whole one, beginning with `https://`")
        })?;
        let http = Http::new(Timeouts::default(), CallCounts::default())?;
        Admin::new(http, base, token).call(request).await.map_err(|error| failure(&error))
    }
}

fn failure(error: &Error) -> Failure {
    let failure = Failure::new(strip_control(&error.to_string()));
    match error {
        Error::NoConnection { why: NoConnection::Network, .. } => {
            failure.hint("is the service running? start it with `ghl-trafft-sync serve`").alone()
        }
        Error::NoConnection { why, .. } => {
            failure.hint(NotSent::NoConnection { why: *why, proxy: None }.fix().unwrap_or_default())
        }
        Error::NotSent(..) | Error::Foreign { .. } => {
            failure.hint("name the service with `--url`, or set `SERVICE_URL`")
        }
        Error::Refused { status: 401, .. } => {
            failure.hint("`ADMIN_TOKEN` is not the one that the service was started with")
        }
        // Each command that can be about a location has the flag.
        Error::Refused { parameter: Some(parameter), .. } if parameter == "location_id" => {
            failure.hint("add `--location ID`; `ghl-trafft-sync connections list` has the ids")
        }
        Error::Refused { .. } | Error::Unanswered(_) => failure,
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

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address_and_what_to_do() {
        // One that the system gives to nobody.
        let port = "127.0.0.1:1";
        let environment = [("BIND_ADDR", port.to_string()), ("ADMIN_TOKEN", "an-admin-token-of-tests".to_owned())];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let sources = Sources { environment, ..Default::default() };
        let told = Server { url: None }.call(Request::get(&["events"]), &sources).await.unwrap_err();
        let told = format!("{told:?}");
        assert!(
            told.contains(&format!("no connection to `http://{port}/`")) && told.contains("`ghl-trafft-sync serve`"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn only_the_token_must_be_set() {
        let told = Server { url: None }.call(Request::get(&["events"]), &Sources::default()).await.unwrap_err();
        let told = format!("{told:?}");
        assert!(told.contains("1 setting needs attention") && told.contains("`ADMIN_TOKEN`: is not set"), "{told}");
    }
}
