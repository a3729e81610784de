//! `sandbox`: a GoHighLevel and a Trafft on this machine, for trying things without accounts.

use std::net::SocketAddr;

use sandbox::{Clock, Options, Sandbox};

use super::output::{Failure, print, say};
use crate::lifecycle;

/// Where the two listen.
#[derive(Debug, clap::Args)]
pub(super) struct Addresses {
    /// Where the GoHighLevel listens; loopback only
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS")]
    ghl: SocketAddr,
    /// Where the Trafft listens; loopback only
    #[arg(long, default_value = "127.0.0.1:9002", value_name = "ADDRESS")]
    trafft: SocketAddr,
}

pub(super) async fn sandbox(addresses: Addresses) -> Result<(), Failure> {
    let stop = lifecycle::stop_on_signal()?;
    let sandbox =
        Sandbox::start(Options { ghl: addresses.ghl, trafft: addresses.trafft, clock: Clock::system() }).await?;
    say("A GoHighLevel and a Trafft, in memory. These settings point the service at them:\n");
    // To standard output, so that `eval` and files can have them.
    for (name, value) in sandbox.settings() {
        print(format!("export {name}='{value}'"))?;
    }
    say(
        "\nOr, to try installing the app: these instead, an `ADMIN_TOKEN`, an `ENCRYPTION_KEY`, and as `PUBLIC_URL` the service's own address:\n",
    );
    for (name, value) in sandbox.oauth_settings() {
        // As comments, because only one of the two sets can hold.
        print(format!("# export {name}='{value}'"))?;
    }
    say(format!(
        "\nWhat people do there, as JSON over HTTP, is told by `curl {}` and `curl {}`\n\
         Webhooks go where `PUT {}/_control/webhook` says; Ctrl-C ends both",
        sandbox.ghl.url(),
        sandbox.trafft.url(),
        sandbox.ghl.url(),
    ));
    stop.cancelled().await;
    Ok(())
}
