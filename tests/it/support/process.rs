//! The real program, run as a process of its own, to be killed, paused and started again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reqwest::Client;

/// A process, started anew as often as wanted, on the same port and with the same settings.
pub struct Process {
    /// The program with its arguments, behind those that start it.
    program: Vec<OsString>,
    settings: HashMap<String, String>,
    pub url: String,
    child: Child,
}

impl Process {
    /// Started, and not waited for.
    pub fn start(settings: HashMap<String, String>) -> Self {
        Self::wrapped(settings, |_| {})
    }

    /// Started by another program, which `wrap` names with its arguments.
    pub fn wrapped(settings: HashMap<String, String>, wrap: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("env");
        wrap(&mut command);
        command.args([env!("CARGO_BIN_EXE_ghl-trafft-sync"), "serve"]);
        Self::of(command.get_args().map(Into::into).collect(), settings)
    }

    /// Another program than the usual one, with its arguments.
    pub fn of(program: Vec<OsString>, mut settings: HashMap<String, String>) -> Self {
        let address = free_address();
        settings.insert("BIND_ADDR".to_owned(), address.to_string());
        let child = spawn(&program, &settings);
        Self { program, settings, url: format!("http://{address}"), child }
    }

    /// Dead on the spot, as by a power cut, and started again.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.child = spawn(&self.program, &self.settings);
    }

    /// Started again if it has ended by itself, as whatever looks after services does.
    pub fn keep_up(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            self.child = spawn(&self.program, &self.settings);
        }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let run = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(run.unwrap().success(), "no {signal} for the process");
    }

    /// Asked to stop, and gone; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it takes webhooks.
    pub async fn ready(&self, http: &Client) {
        let mut moment = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1500 {
            moment.tick().await;
            let answer = http.get(format!("{}/readyz", self.url)).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
        }
        panic!("the process is not ready after 30 s");
    }
}

/// An address for something that is started, killed and started again there: below the range from
/// which the system gives ports to whoever does not ask for one, so that nobody takes it meanwhile.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What stands between a program and the machine, compiled from its source beside the tests.
/// Returns where it is.
pub fn shim(source: &str, folder: &Path) -> String {
    let (source, shim) = (format!("{}/tests/it/{source}", env!("CARGO_MANIFEST_DIR")), folder.join(source));
    let shim = shim.with_extension("so").display().to_string();
    assert!(Command::new("cc").args(["-shared", "-fPIC", "-o", &shim, &source]).status().unwrap().success());
    shim
}

fn spawn(program: &[OsString], settings: &HashMap<String, String>) -> Child {
    // It runs what it is given, as itself; tests may run under nohup, which would make a hangup
    // nothing to it.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=HUP").args(program).env_clear().env("PATH", "/usr/bin:/bin");
    // What it says is of interest only to whoever looks into a failure, or into the log itself.
    match settings.get("LOG_TO").map(Into::into).or_else(|| std::env::var_os("LOG_TO")) {
        Some(path) => {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            command.env("RUST_LOG", "info").stderr(log)
        }
        None => command.env("RUST_LOG", "off").stderr(Stdio::null()),
    };
    command.envs(settings).stdout(Stdio::null());
    command.spawn().unwrap()
}
