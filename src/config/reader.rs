//! Where settings come from, and the collecting of what is wrong with them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use ::config::{Environment, File, FileFormat, Source};

use super::reference::SETTINGS;

/// The environment and an optional file; the environment wins.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name and value, as a process sees them.
    pub environment: HashMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    pub unreadable: Vec<String>,
    /// A TOML file with the same names.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// What a process was given. Variables that are none of ours may hold anything, in any
    /// encoding.
    pub fn new(environment: impl Iterator<Item = (OsString, OsString)>, file: Option<PathBuf>) -> Self {
        let mut sources = Self { file, ..Self::default() };
        for (name, value) in environment {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(sources.environment.insert(name, value)),
                (Ok(name), Err(_)) => sources.unreadable.push(name),
                // No setting has such a name.
                (Err(_), _) => {}
            }
        }
        sources
    }
}

/// Something wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub name: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a setting; never the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is not set. What it has to hold, and where to find that.
    NotSet(String),
    /// It cannot be used: what is wrong, and what to do.
    Unusable(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(hint) => write!(f, "is not set; {hint}"),
            Self::Unusable(message) => f.write_str(message),
        }
    }
}

/// All that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.0.len() {
            1 => "1 setting needs".to_owned(),
            count => format!("{count} settings need"),
        };
        writeln!(f, "{subject} attention (all are described in docs/settings.md):")?;
        for Problem { name, wrong } in &self.0 {
            writeln!(f, "  `{name}`: {wrong}")?;
        }
        Ok(())
    }
}

pub(super) struct Reader {
    values: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(sources: &Sources) -> Self {
        let mut reader = Self { values: BTreeMap::new(), problems: Vec::new() };
        if let Some(path) = &sources.file {
            reader.take_file(path);
        }
        let environment = Environment::default().source(Some(sources.environment.clone().into_iter().collect()));
        let environment = environment.collect().unwrap_or_default();
        for (name, value) in environment {
            let name = name.to_uppercase();
            if is_known(&name)
                && let Ok(text) = value.into_string()
            {
                reader.values.insert(name, text);
            }
        }
        for name in &sources.unreadable {
            let name = name.to_uppercase();
            if is_known(&name) {
                reader.problem(&name, "holds bytes that are not UTF-8: copy the value again, or type it".to_owned());
            }
        }
        reader.take_secrets_from_files();
        reader
    }

    fn take_file(&mut self, path: &Path) {
        match File::from(path.to_path_buf()).format(FileFormat::Toml).collect() {
            Ok(settings) => {
                for (name, value) in settings {
                    let known = is_known(&name);
                    match value.into_string() {
                        Ok(text) if known => drop(self.values.insert(name, text)),
                        Ok(_) => self.problem(&name, format!("is no setting; it stands in `{}`", path.display())),
                        Err(_) => self
                            .problem(&name, "write a text, a number or a truth value, not a list or table".to_owned()),
                    }
                }
            }
            Err(error) => self.problem("CONFIG_FILE", format!("`{}` cannot be read: {error}", path.display())),
        }
    }

    /// `NAME_FILE` names a file that holds the value of `NAME`: how orchestrators hand over
    /// secrets.
    fn take_secrets_from_files(&mut self) {
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            let by_file = format!("{}_FILE", setting.name);
            let Some(path) = self.value(&by_file) else { continue };
            if self.value(setting.name).is_some() {
                self.problem(&by_file, format!("is set beside `{}`: set only one of them", setting.name));
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(self.values.insert(setting.name.to_owned(), text.trim_end().to_owned())),
                Err(error) => self.problem(&by_file, format!("the file `{path}` cannot be read: {error}")),
            }
        }
    }

    /// The value, or the default; a problem when there is neither.
    pub(super) fn get<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let default = setting.and_then(|setting| setting.default);
        match self.value(name).or_else(|| default.map(str::to_owned)) {
            Some(text) => self.parse(name, &text, parse),
            // It is set, to what cannot be read.
            None if self.is_told(name) => None,
            None => {
                let hint = setting.map(|setting| setting.hint).unwrap_or_default();
                self.missing(name, hint);
                None
            }
        }
    }

    /// The value, if there is one.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.value(name)?;
        self.parse(name, &text, parse)
    }

    /// Does it have a value, other than its default? Also one that cannot be read.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some() || self.is_told(name)
    }

    /// Records that a value, valid by itself, does not fit the others. One setting can have several
    /// such problems.
    pub(super) fn agree<T>(&mut self, name: &str, result: Result<T, String>) {
        if let Err(message) = result {
            self.problems.push(Problem { name: name.to_owned(), wrong: Wrong::Unusable(message) });
        }
    }

    /// It has to be set, and is not.
    pub(super) fn missing(&mut self, name: &str, hint: &str) {
        self.add(name, Wrong::NotSet(hint.to_owned()));
    }

    /// Lets another module check the value, if there is one.
    pub(super) fn check(&mut self, name: &'static str, check: &dyn Fn(&str) -> Result<(), String>) {
        self.optional(name, check);
    }

    pub(super) fn finish<T>(mut self, config: Option<T>) -> Result<T, Problems> {
        self.problems.sort_by(|a, b| a.name.cmp(&b.name));
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => Err(Problems(self.problems)),
        }
    }

    /// Empty counts as not set: that is how compose files and unit files leave things out.
    fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn parse<T>(&mut self, name: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        // The README has it where a value of one's own belongs.
        let parsed = if text.contains('…') {
            Err("it still holds the `…` of the example: put your own value there".to_owned())
        } else {
            parse(text)
        };
        parsed.map_err(|message| self.problem(name, message)).ok()
    }

    fn problem(&mut self, name: &str, message: String) {
        self.add(name, Wrong::Unusable(message));
    }

    /// Records one problem for each setting, however many parts of the program read it.
    fn add(&mut self, name: &str, wrong: Wrong) {
        if !self.problems.iter().any(|problem| problem.name == name) {
            self.problems.push(Problem { name: name.to_owned(), wrong });
        }
    }

    /// Was it said already that the value, or the file that it stands in, cannot be used?
    pub(super) fn is_told(&self, name: &str) -> bool {
        let by_file = format!("{name}_FILE");
        self.problems.iter().any(|problem| problem.name == name || problem.name == by_file)
    }
}

fn is_known(name: &str) -> bool {
    SETTINGS
        .iter()
        .any(|setting| name == setting.name || (setting.secret && name.strip_suffix("_FILE") == Some(setting.name)))
}
