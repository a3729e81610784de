//! `connections` and `keys`: a front to the admin API of the running service, which alone holds the
//! store.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::output::{Failure, print, print_json};
use super::server::Server;
use crate::clients::admin::Request;
use crate::config::{MAPPING, Sources};
use crate::model::{ContactId, LocationId};

#[derive(Debug, Args)]
pub(super) struct Connections {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every location that is connected, or could be
    List,
    /// Show a location
    Show { location: LocationId },
    /// Enter what it takes to work a location, or replace it; it is tried first
    Add(Box<Add>),
    /// Pause a location: what comes is stored, nothing is read or written
    Pause { location: LocationId },
    /// Let it go on
    Resume { location: LocationId },
    /// Say that the contacts which vanished at once were deleted on purpose: held deletions go on
    ConfirmDeletions { location: LocationId },
    /// Test everything that a location needs
    Test {
        location: LocationId,
        /// Show what this contact would become
        #[arg(long, value_name = "ID")]
        contact: Option<ContactId>,
    },
    /// Forget a location: its secrets, links, events, everything; neither vendor is told
    Remove {
        location: LocationId,
        /// Yes: it cannot be undone
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// Secrets come from files: what stands in an argument is seen by everybody on the machine.
#[derive(Debug, Args)]
struct Add {
    location: LocationId,
    /// A private integration token of the location; not needed where the app is installed
    #[arg(long, value_name = "FILE")]
    ghl_token_file: Option<PathBuf>,
    /// The URL on Trafft's API card
    #[arg(long, value_name = "URL")]
    trafft_url: String,
    /// The client id on the same card
    #[arg(long, value_name = "ID")]
    trafft_client_id: String,
    /// The client secret on the same card
    #[arg(long, value_name = "FILE")]
    trafft_client_secret_file: PathBuf,
    /// A mapping for this location alone
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// A setting for this location alone, such as `DELETE_POLICY=ignore`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = named)]
    set: Vec<(String, String)>,
}

fn named(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write it as in `DELETE_POLICY=ignore`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Connections {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let answer = self.server.ask(self.request()?, sources).await?;
        match self.command {
            Command::Test { .. } => told(&answer),
            _ if answer.is_null() => Ok(()),
            _ => print_json(&answer),
        }
    }

    fn request(&self) -> Result<Request, Failure> {
        let at = |location: &LocationId| ["connections".to_owned(), location.to_string()];
        let get = |location: &LocationId| Request::get(&at(location).each_ref().map(String::as_str));
        let post = |location: &LocationId, verb: &str| Request::post(&["connections", location.as_str(), verb]);
        Ok(match &self.command {
            Command::List => Request::get(&["connections"]),
            Command::Show { location } => get(location),
            Command::Add(add) => Request::put(&["connections", add.location.as_str()]).body(add.body()?),
            Command::Pause { location } => post(location, "pause"),
            Command::ConfirmDeletions { location } => post(location, "confirm-deletions"),
            Command::Resume { location } => post(location, "resume"),
            Command::Test { location, contact } => post(location, "test").query("contact_id", contact.as_ref()),
            Command::Remove { location, .. } => Request::delete(&["connections", location.as_str()]),
        })
    }
}

impl Add {
    fn body(&self) -> Result<Value, Failure> {
        let mut options: Map<String, Value> =
            self.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        if let Some(mapping) = &self.mapping {
            options.insert(MAPPING.to_owned(), json!(read(mapping)?));
        }
        let mut body = json!({
            "trafft_api_url": self.trafft_url,
            "trafft_client_id": self.trafft_client_id,
            "trafft_client_secret": read(&self.trafft_client_secret_file)?.trim(),
            "options": options,
        });
        if let Some(token) = &self.ghl_token_file {
            body["ghl_access_token"] = json!(read(token)?.trim());
        }
        Ok(body)
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let told = |error| Failure::new(format!("the file `{}` cannot be read: {error}", path.display()));
    std::fs::read_to_string(path).map_err(told)
}

/// What was tried, for people; fails if a check failed.
fn told(answer: &Value) -> Result<(), Failure> {
    for check in answer["checks"].as_array().into_iter().flatten() {
        print(super::doctor::line(check))?;
    }
    match answer["ok"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(Failure::new("a check failed")),
    }
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Seal every secret with the first key of `ENCRYPTION_KEY`; then the others are not needed any
    /// more
    Rotate,
}

impl Keys {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let KeysCommand::Rotate = self.command;
        print_json(&self.server.ask(Request::post(&["keys", "rotate"]), sources).await?)
    }
}
