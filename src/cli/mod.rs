//! The command line. Data goes to standard output, everything else to standard error.

mod admin;
mod connections;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod ghl;
mod output;
#[cfg(feature = "demo")]
mod sandbox;
mod serve;
mod server;
mod sweeps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Sources;

use output::Failure;

/// Keeps Trafft customers equal to their GoHighLevel contacts.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// A TOML file with settings; the environment wins over it
    #[arg(long, global = true, env = "CONFIG_FILE", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve,
    /// Watch signed events become customers, on this machine, without accounts
    #[cfg(feature = "demo")]
    Demo(demo::Play),
    /// Run a GoHighLevel and a Trafft on this machine, for trying things without accounts
    #[cfg(feature = "demo")]
    Sandbox(sandbox::Addresses),
    /// Check everything that a set-up needs, and say what to change
    Doctor(doctor::Doctor),
    /// See, connect, pause and remove locations, through the running service
    Connections(connections::Connections),
    /// Look after the keys that seal secrets, through the running service
    Keys(connections::Keys),
    /// See and decide about contacts, through the running service
    Contacts(admin::Contacts),
    /// See events and send them round again, through the running service
    Events(admin::Events),
    /// Take all contacts of a location over, or count what that would do, through the running
    /// service
    Backfill(sweeps::Backfill),
    /// See what is looked for without any event, and what was found, through the running service
    Sweeps(sweeps::Sweeps),
    /// Try GoHighLevel's API with the service's settings
    #[command(subcommand)]
    Ghl(ghl::Ghl),
    /// Print every setting as the documentation has it
    Settings,
    /// Print the API's description as `openapi.yaml` has it
    Openapi,
}

/// Runs a command; says how it went.
pub fn main(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&Failure::new(format!("the runtime does not start: {error}"))),
    };
    let sources = Sources::new(std::env::vars_os(), cli.config);
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::serve(&sources).await,
            #[cfg(feature = "demo")]
            Command::Demo(play) => demo::demo(play).await,
            #[cfg(feature = "demo")]
            Command::Sandbox(addresses) => sandbox::sandbox(addresses).await,
            Command::Settings => output::print(crate::config::markdown()),
            Command::Openapi => output::print(crate::http::openapi_yaml()),
            Command::Doctor(doctor) => doctor.run(&sources).await,
            Command::Connections(connections) => connections.run(&sources).await,
            Command::Keys(keys) => keys.run(&sources).await,
            Command::Contacts(contacts) => contacts.run(&sources).await,
            Command::Events(events) => events.run(&sources).await,
            Command::Backfill(backfill) => backfill.run(&sources).await,
            Command::Sweeps(sweeps) => sweeps.run(&sources).await,
            Command::Ghl(command) => command.run(&sources).await,
        }
    });
    crate::telemetry::flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::fail(&failure),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
