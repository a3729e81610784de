//! The command line: parse it, hand over.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ghl_trafft_sync::cli::main(ghl_trafft_sync::cli::Cli::parse())
}
