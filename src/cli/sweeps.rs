//! `sweeps`, `findings` and `backfill`: what is looked for without any event, through the running
//! service.

use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Deserialize;

use super::output::{Failure, print, print_json, say};
use super::server::{Server, ago};
use crate::clients::admin::Request;
use crate::clock::Clock;
use crate::config::Sources;
use crate::model::LocationId;

#[derive(Debug, Args)]
pub(super) struct Sweeps {
    #[command(flatten)]
    server: Server,
    /// Only of this location
    #[arg(long, global = true, value_name = "ID")]
    location: Option<LocationId>,
    #[command(subcommand)]
    command: SweepsCommand,
}

#[derive(Debug, Subcommand)]
enum SweepsCommand {
    /// Show how far each sweep is, and how the last one went
    List,
    /// Begin a sweep now: contacts, tasks, rotation, ids or customers
    Run { kind: String },
    /// List what sweeps found that no event had told, the newest first
    Findings {
        /// Only of this sweep
        #[arg(long)]
        sweep: Option<String>,
        /// Only those found within this time, such as `2h` or `3d`
        #[arg(long, value_name = "TIME", value_parser = ago)]
        since: Option<Duration>,
        /// Rows at most: 1 to 200, by default 50
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: Option<u32>,
        /// `next` of the page before
        #[arg(long)]
        cursor: Option<String>,
    },
}

impl Sweeps {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let location = self.location.as_ref();
        let request = match self.command {
            SweepsCommand::List => Request::get(&["sweeps"]),
            SweepsCommand::Run { kind } => Request::post(&["sweeps", &kind]),
            SweepsCommand::Findings { sweep, since, limit, cursor } => {
                let request = Request::get(&["findings"])
                    .query("sweep", sweep)
                    .query("since", since.map(|ago| Clock::system().now() - ago))
                    .query("limit", limit)
                    .query("cursor", cursor);
                return self.server.list("findings", request.query("location_id", location), sources).await;
            }
        };
        print_json(&self.server.ask(request.query("location_id", location), sources).await?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Backfill {
    #[command(flatten)]
    server: Server,
    /// The location; by default that of `GHL_LOCATION_ID`, or the only one that is connected
    #[arg(long, value_name = "ID")]
    location: Option<LocationId>,
    /// Only count what would be created, updated, asked about and left
    #[arg(long)]
    dry_run: bool,
    /// Do not watch: it goes on in the service
    #[arg(long)]
    detach: bool,
    /// End it where it is; what it took over stays
    #[arg(long, conflicts_with_all = ["detach"])]
    stop: bool,
}

/// As far as the bar shows it.
#[derive(Debug, Deserialize)]
struct Sweep {
    location_id: String,
    kind: String,
    due_at: Option<Timestamp>,
    seen: i64,
    total: Option<i64>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    sweeps: Vec<Sweep>,
}

/// How often the bar looks.
const LOOK: Duration = Duration::from_millis(500);

impl Backfill {
    pub(super) async fn run(self, sources: &Sources) -> Result<(), Failure> {
        let kind = if self.dry_run { "dry-run" } else { "backfill" };
        let path = ["sweeps", kind];
        if self.stop {
            return print_json(&self.ask(Request::delete(&path), sources).await?);
        }
        // One that is under way goes on where it is.
        let begun = read(self.ask(Request::post(&path), sources).await?, kind)?;
        let location = begun.location_id;
        if self.detach {
            return print("it goes on in the service; `backfill` shows how far it is, `backfill --stop` ends it");
        }
        say("watching; Ctrl-C leaves it to the service, `backfill --stop` ends it");
        let bar = ProgressBar::no_length();
        let style = "{bar:40} {pos} of {len} contacts, {per_sec}, {eta} left  {msg}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let clock = Clock::system();
        let mut told = None;
        loop {
            clock.sleep(LOOK).await;
            let request = Request::get(&["sweeps"]).query("location_id", Some(&location));
            let sweep = read(self.server.ask(request, sources).await?, kind)?;
            if let Some(total) = sweep.total {
                bar.set_length(total.unsigned_abs());
            }
            bar.set_position(sweep.seen.unsigned_abs());
            bar.set_message(sweep.reason.clone().unwrap_or_default());
            // Without a terminal there is no bar.
            if bar.is_hidden() && sweep.due_at.is_some() && told != sweep.reason {
                say(sweep.reason.as_deref().unwrap_or("it goes on"));
                told.clone_from(&sweep.reason);
            }
            if sweep.due_at.is_none() {
                bar.finish_and_clear();
                let said = sweep
                    .reason
                    .unwrap_or_else(|| "all are taken over; their tasks, notes and appointments follow".to_owned());
                return print(format!("{} contacts: {said}", sweep.seen));
            }
        }
    }

    async fn ask(&self, request: Request, sources: &Sources) -> Result<serde_json::Value, Failure> {
        self.server.ask(request.query("location_id", self.location.as_ref()), sources).await
    }
}

fn read(answer: serde_json::Value, kind: &str) -> Result<Sweep, Failure> {
    let Answer { sweeps } = serde_json::from_value(answer)?;
    let found = sweeps.into_iter().find(|sweep| sweep.kind == kind);
    found.ok_or_else(|| Failure::new(format!("the service does not list the sweep `{kind}` any more")))
}
