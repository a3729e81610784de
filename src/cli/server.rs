//! Calls to the admin API of the running service, for the commands that need it, and what they
//! share.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::output::{Failure, print_json, strip_control};
use crate::clients::admin::{Admin, Error, Request};
use crate::clients::{CallCounts, Http, NoConnection, NotSent, Timeouts};
use crate::config::{self, Sources};
use crate::model::Status;

/// Where the service is.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// URL of the service; by default this machine and the port of `BIND_ADDR`
    #[arg(long, global = true, env = "SERVICE_URL", value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Page {
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
    pub(super) fn add_to(&self, request: Request) -> Request {
        request.query("status", self.status).query("limit", self.limit).query("cursor", self.cursor.as_ref())
    }
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

impl Server {
    /// Prints the answer, if there is one.
    pub(super) async fn call(&self, request: Request, sources: &Sources) -> Result<(), Failure> {
        match self.ask(request, sources).await? {
            Value::Null => Ok(()),
            answer => print_json(&answer),
        }
    }

    /// The next page that has `rows`, or the last one: what is filtered for may be further away
    /// than one page looks.
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
    use super::*;

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
