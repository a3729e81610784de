//! Logs: one line an occurrence, identifiers in the sentence and as fields, no secrets, no personal data.

use tracing_subscriber::EnvFilter;

/// Sets up logging to standard error. What is logged follows `RUST_LOG`, `info` when not set.
pub fn init(json: bool, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging was set up before: a second service in one process, as in the demo.
    let _ = if json { logs.json().try_init() } else { logs.compact().try_init() };
}
