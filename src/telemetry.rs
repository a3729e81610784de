//! Logs: one line an occurrence, identifiers in the sentence and as fields, no secrets, no personal
//! data.
//!
//! The log is beside the work and must never stop it. A thread of its own writes the lines to
//! standard error, so a reader that is slow holds up nobody; what cannot be written (full disk,
//! closed pipe) or queued is lost, and counted.

use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// Lines that may wait for the writer: a few MiB at most.
const QUEUE: usize = 8192;

/// Longest wait for the last lines at the end of the process.
const FLUSH: Duration = Duration::from_secs(1);

/// Libraries that are silenced: our own lines already report each failing call, once.
const TOLD_BY_US: [&str; 1] = ["rustls_platform_verifier=off"];

static LOG: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Entry {
    Line(Vec<u8>),
    /// Answered once everything before it has been written.
    Flush(SyncSender<()>),
}

/// Sets up logging to standard error. What is logged follows `RUST_LOG`, `info` when not set.
///
/// # Errors
/// The system gives no thread for the writer; nothing is logged then.
pub fn init(json: bool, default: &str) -> io::Result<()> {
    if LOG.get().is_some() {
        // A second service in one process, as in the demo.
        return Ok(());
    }
    let (sender, entries) = sync_channel(QUEUE);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&entries))?;
    let sender = LOG.get_or_init(|| sender);
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    for told in TOLD_BY_US.iter().filter_map(|told| told.parse().ok()) {
        filter = filter.add_directive(told);
    }
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(may_be_coloured())
        // On a failed write the library calls `eprintln!`, which panics in the task that logs if
        // standard error is full.
        .log_internal_errors(false)
        .with_writer(move || Queue(sender));
    // An error means that logging was set up before in this process, by a test; then that one is
    // used.
    if (if json { logs.json().with_span_list(false).try_init() } else { logs.compact().try_init() }).is_ok() {
        panic::set_hook(Box::new(told_panic));
    }
    Ok(())
}

/// Colours are for people at a terminal who have not asked for none (no-color.org). In a file or
/// the journal they are odd letters; `journalctl -o json` shows such a line as a list of numbers.
fn may_be_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Panics go to the log like everything else: the standard hook writes to standard error, and
/// blocks when that is not read.
fn told_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // A text that was put together at run time may hold somebody's data.
    let what = panic.payload().downcast_ref::<&'static str>().unwrap_or(&"panic");
    tracing::error!(place, "a mistake of ours at {place}, please report it: {what}");
}

/// Waits for the lines so far, but not for long. To be called before the process ends.
pub fn flush() {
    let Some(log) = LOG.get() else { return };
    let (done, written) = sync_channel(1);
    if log.try_send(Entry::Flush(done)).is_ok() {
        let _ = written.recv_timeout(FLUSH);
    }
}

/// The way of a line to the thread that writes it. Never waits, never fails.
struct Queue(&'static SyncSender<Entry>);

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Entry::Line(line.to_owned())).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(entries: &Receiver<Entry>) {
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) if io::stderr().write_all(&line).is_err() => {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
            Entry::Line(_) => tell_lost(),
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// After a line that could be written again: how many before it could not.
fn tell_lost() {
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        tracing::warn!(lost, "{lost} lines of the log could not be written and are lost");
    }
}
