//! What a command says, and how it fails.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

/// A failure, with a hint where there is one.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    is_alone: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_alone: false }
    }

    /// Marks it as caused by a service that could not be reached.
    #[must_use]
    pub(super) fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    /// Could the service not be reached?
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// What failed, and the hint.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        (self.message.trim_end(), self.hint.as_deref())
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

/// Data, to standard output. A reader that went away (`| head`) is no failure.
pub(super) fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{}", text.as_ref().trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Data, as JSON for people and programs alike.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(serde_json::to_string_pretty(value)?)
}

/// Words of others, fit for a terminal: control characters could rewrite what is on it.
pub(super) fn strip_control(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Everything else, to standard error. If that is full or closed, only the exit code remains:
/// `eprintln!` would panic.
pub(super) fn say(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Says what failed and what to do.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    say(format!("error: {}", failure.message.trim_end()));
    if let Some(hint) = &failure.hint {
        say(format!("\nhint: {hint}"));
    }
    ExitCode::FAILURE
}
