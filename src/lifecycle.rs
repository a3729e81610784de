//! How a process ends: the first signal stops it softly, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::telemetry;

/// Cancelled by the first SIGTERM, SIGINT or SIGHUP (a terminal that was closed). A second SIGTERM
/// or SIGINT ends the process on the spot, which loses nothing that was acknowledged. A further
/// SIGHUP does not: shells and systemd send it beside another one.
///
/// # Errors
/// The system lets us not listen for signals.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut is_asked = false;
            loop {
                let is_hangup = tokio::select! {
                    _ = terminate.recv() => false,
                    _ = interrupt.recv() => false,
                    () = received(hangup.as_mut()) => true,
                };
                if is_asked && !is_hangup {
                    warn!("second signal: stopping at once");
                    telemetry::flush();
                    std::process::exit(130);
                }
                is_asked |= !is_hangup;
                if stop.is_cancelled() {
                    continue;
                }
                // First the stop, then the log: nothing that goes wrong with the log may keep the
                // process alive.
                stop.cancel();
                warn!("stopping: webhooks are answered 429 so that HighLevel repeats them, work in flight is finished");
            }
        }
    });
    Ok(stop)
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// A user who starts a program with `nohup` wants it to outlive the terminal. It is started with
/// SIGHUP ignored, and listening for SIGHUP would undo that. Linux tells which signals are ignored,
/// as bits.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default();
    let hangup = SignalKind::hangup().as_raw_value() - 1;
    ignored >> hangup & 1 == 1
}
