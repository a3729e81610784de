//! Somebody sets the service up and asks the doctor; and the table of the documentation, which has
//! to say the same.

use std::collections::HashMap;

use reqwest::Client;
use sandbox::{Clock, Sandbox};
use tempfile::TempDir;

use super::command::{Said, run};
use super::process::Process;
use super::{ADMIN, SEALING};

/// A row of the table in the documentation: a mistake, what one sees, what to do. `…` stands for
/// what varies.
pub struct Row {
    pub mistake: String,
    pub sees: String,
    pub does: String,
}

pub fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("Setting up: mistakes")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells = |line: &str| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        Row { mistake: cells.next().unwrap(), sees: cells.next().unwrap(), does: cells.next().unwrap() }
    };
    rows.map(cells).collect()
}

#[track_caller]
pub fn row(mistake: &str) -> Row {
    rows().into_iter().find(|row| row.mistake == mistake).unwrap_or_else(|| panic!("no row for {mistake}"))
}

/// Do the parts of `pattern` stand in `text` in this order, from its begin to its end?
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = "";
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        (rest, last) = (after, part);
    }
    rest.is_empty() || (last.is_empty() && pattern.ends_with('…'))
}

/// Vendors, and a machine on which somebody sets the service up; by the computer's own clock, as
/// the program lives.
pub struct Desk {
    pub sandbox: Sandbox,
    pub settings: HashMap<String, String>,
    pub http: Client,
    pub folder: TempDir,
}

impl Desk {
    pub async fn new() -> Self {
        Self::by(Clock::system()).await
    }

    pub async fn by(clock: Clock) -> Self {
        let sandbox = Sandbox::start(sandbox::Options { clock, ..Default::default() }).await.unwrap();
        let folder = TempDir::new().unwrap();
        let settings = sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut desk = Self { sandbox, settings, http: Client::new(), folder };
        let database = format!("sqlite://{}/sync.db", desk.folder.path().display());
        desk.set(&[("DATABASE_URL", &database), ("ADMIN_TOKEN", ADMIN), ("TRAFFT_PAGE_PAUSE_MS", "0")]);
        // Nobody is given that port: no service of somebody else answers there.
        desk.set(&[("BIND_ADDR", "127.0.0.1:1")]);
        desk
    }

    /// The service, running with these settings.
    pub async fn serve(&mut self) -> Process {
        let service = Process::start(self.settings.clone());
        service.ready(&self.http).await;
        self.set(&[("BIND_ADDR", service.url.trim_start_matches("http://"))]);
        service
    }

    /// Empty: not set.
    pub fn set(&mut self, changes: &[(&str, &str)]) {
        for (name, value) in changes {
            self.settings.insert((*name).to_owned(), (*value).to_owned());
        }
    }

    /// Everything that nobody may be shown.
    fn secrets(&self) -> Vec<String> {
        let kept = ["GHL_ACCESS_TOKEN", "TRAFFT_CLIENT_SECRET", "ADMIN_TOKEN", "ENCRYPTION_KEY", "GHL_CLIENT_SECRET"];
        let given = kept.iter().filter_map(|name| self.settings.get(*name).cloned());
        let all = given.chain(self.sandbox.trafft.tokens_seen()).chain([self.sandbox.ghl.token()]);
        all.filter(|secret| !secret.is_empty()).collect()
    }

    pub async fn doctor(&self, arguments: &[&str]) -> Said {
        let said = run(&self.settings, &[&["doctor"], arguments].concat()).await;
        for secret in self.secrets() {
            assert!(!said.out.contains(&secret) && !said.err.contains(&secret), "a secret is shown: {said:?}");
        }
        said
    }

    /// Exactly one line fails, it is that of the table, and the status tells.
    pub async fn is_told(&self, mistake: &str) {
        let (row, said) = (row(mistake), self.doctor(&[]).await);
        assert_eq!(said.code, 1, "{mistake}: {said:?}");
        let lines: Vec<_> = said.out.lines().collect();
        let failing: Vec<_> = (0..lines.len()).filter(|at| lines[*at].starts_with("FAIL  ")).collect();
        assert_eq!(failing.len(), 1, "{mistake}: {}", said.out);
        let (sees, does) = (lines[failing[0]], lines[failing[0] + 1]);
        let sees = sees.trim_start_matches("FAIL  ");
        let sees = sees.trim_start_matches(&format!("{}: ", self.sandbox.ghl.location_id()));
        assert!(fits(&row.sees, sees), "{mistake}:\n{sees}\n{}", row.sees);
        let does = does.trim_start().strip_prefix("-> ").unwrap();
        assert!(fits(&row.does, does), "{mistake}:\n{does}\n{}", row.does);
    }

    /// The same, with these settings.
    pub async fn mistaken(mistake: &str, change: impl FnOnce(&mut Self)) {
        let mut desk = Self::new().await;
        change(&mut desk);
        desk.is_told(mistake).await;
    }
}

/// As an app's developer sets it up, but for what a test leaves out.
pub fn app(desk: &mut Desk) {
    for (name, value) in desk.sandbox.oauth_settings() {
        desk.set(&[(name, &value)]);
    }
    desk.set(&[("PUBLIC_URL", "https://sync.example.com"), ("ENCRYPTION_KEY", SEALING)]);
}
