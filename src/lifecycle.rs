//! How a process ends: the first signal stops it softly, the second at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Cancelled by the first SIGTERM or SIGINT; the second one ends the process on the spot, which loses nothing that
/// was acknowledged.
///
/// # Errors
/// The system lets us not listen for signals.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn({
        let stop = stop.clone();
        async move {
            for hard in [false, true] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if hard {
                    warn!("second signal: stopping at once");
                    std::process::exit(130);
                }
                warn!("stopping: webhooks are told to come again, what is in flight is finished");
                stop.cancel();
            }
        }
    });
    Ok(stop)
}
