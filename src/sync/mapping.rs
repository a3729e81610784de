//! The mapping file: templates that turn a contact's values into a customer's, checked whole before
//! anything starts.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, ErrorKind, Value};
use serde::Deserialize;
use toml::Spanned;

use super::language;

/// The defaults, comments and all: also the reference of what can be set.
pub const DEFAULTS: &str = include_str!("mapping.toml");

/// What templates may name. `project` offers exactly these.
pub(super) const VARIABLES: [&str; 30] = [
    "id",
    "location_id",
    "first_name",
    "last_name",
    "name",
    "email",
    "phone",
    "company",
    "address1",
    "city",
    "state",
    "country",
    "postal_code",
    "website",
    "timezone",
    "source",
    "type",
    "date_of_birth",
    "date_added",
    "assigned_to",
    "dnd",
    "tags",
    "custom",
    "tasks",
    "completed_tasks",
    "notes",
    "appointments",
    "more",
    "deleted",
    "loop",
];

/// Something wrong in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, `{field}`: {message}")]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// The key, with its table.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// How much of a contact's activities the description tells.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open tasks.
    pub tasks: usize,
    /// Completed tasks.
    pub completed_tasks: usize,
    /// Notes.
    pub notes: usize,
    /// Appointments to come.
    pub appointments: usize,
    /// Characters in all.
    pub max_length: usize,
}

/// A mapping that was found sound.
#[derive(Debug)]
pub struct Mapping {
    templates: Environment<'static>,
    only: String,
    /// All that decides about the outcome, as it was written.
    pub(super) sources: Vec<String>,
    /// How much of the activities to tell.
    pub limits: Limits,
    /// Do the templates use custom fields? Only then are their definitions worth a call.
    pub uses_custom: bool,
    /// Those that they name: by key, by name or by id.
    pub(super) custom: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    only: Option<Spanned<String>>,
    #[serde(default)]
    customer: Customer,
    #[serde(default)]
    description: Description,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Customer {
    first_name: Option<Spanned<String>>,
    last_name: Option<Spanned<String>>,
    email: Option<Spanned<String>>,
    phone: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Description {
    template: Option<Spanned<String>>,
    tasks: Option<usize>,
    completed_tasks: Option<usize>,
    notes: Option<usize>,
    appointments: Option<usize>,
    max_length: Option<usize>,
}

impl Mapping {
    /// Reads a mapping file; what it does not set is taken from [`DEFAULTS`].
    ///
    /// # Errors
    /// Every mistake in it, each with its line and key.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let file = read(text)?;
        let defaults = read(DEFAULTS)?;
        let mut check = Check::of(text);
        let mut templates = language::environment();
        let own = &file.description;
        let default = &defaults.description;
        let limits = Limits {
            tasks: own.tasks.or(default.tasks).unwrap_or_default(),
            completed_tasks: own.completed_tasks.or(default.completed_tasks).unwrap_or_default(),
            notes: own.notes.or(default.notes).unwrap_or_default(),
            appointments: own.appointments.or(default.appointments).unwrap_or_default(),
            max_length: own.max_length.or(default.max_length).unwrap_or_default(),
        };
        let fields = [
            ("first_name", "customer.first_name", file.customer.first_name, defaults.customer.first_name),
            ("last_name", "customer.last_name", file.customer.last_name, defaults.customer.last_name),
            ("email", "customer.email", file.customer.email, defaults.customer.email),
            ("phone", "customer.phone", file.customer.phone, defaults.customer.phone),
            ("description", "description.template", file.description.template, defaults.description.template),
        ];
        let mut sources = vec![format!("{limits:?}")];
        for (name, key, own, default) in fields {
            let source = own.as_ref().or(default.as_ref()).map(Spanned::get_ref);
            sources.push(source.cloned().unwrap_or_default());
            match own {
                Some(own) => check.template(&mut templates, name, key, &own),
                None => Check::of(DEFAULTS).template(&mut templates, name, key, &default.ok_or_else(Vec::new)?),
            }
        }
        let only = file.only.or(defaults.only).ok_or_else(Vec::new)?;
        check.expression(&templates, &only);
        sources.push(only.get_ref().clone());
        if check.mistakes.is_empty() {
            let Check { uses_custom, custom, .. } = check;
            Ok(Self { templates, only: only.into_inner(), sources, limits, uses_custom, custom })
        } else {
            Err(check.mistakes)
        }
    }

    /// Does the filter keep this contact?
    pub(super) fn keeps(&self, contact: &Value) -> Result<bool, CannotApply> {
        let expression = self.templates.compile_expression(&self.only);
        let kept = expression.and_then(|expression| expression.eval(contact));
        kept.map(|kept| kept.is_true()).map_err(|error| CannotApply::of("only", &error))
    }

    /// One field of the customer: `first_name`, `last_name`, `email`, `phone` or `description`.
    pub(super) fn render(&self, field: &str, contact: &Value) -> Result<String, CannotApply> {
        let template = self.templates.get_template(field);
        template.and_then(|template| template.render(contact)).map_err(|error| CannotApply::of(field, &error))
    }
}

/// The mapping fails on the values of one contact: on which field, and why.
#[derive(Debug, thiserror::Error)]
#[error("`{field}`: {why}")]
pub(super) struct CannotApply {
    field: String,
    why: String,
}

impl CannotApply {
    fn of(field: &str, error: &minijinja::Error) -> Self {
        Self { field: field.to_owned(), why: language::told(error) }
    }
}

impl Default for Mapping {
    #[expect(clippy::expect_used, reason = "a test parses the defaults")]
    fn default() -> Self {
        Self::parse("").expect("the built-in mapping is sound")
    }
}

fn read(text: &str) -> Result<File, Vec<Mistake>> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = line_of(text, at);
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let field = written.split('=').next().unwrap_or_default().trim().to_owned();
        // Templates quote texts with `'`, and so does TOML: `only = 'source == 'web''`.
        let hint = match written.matches('\'').count() {
            0..=2 => "",
            _ => "; a value that itself holds `'` stands in double quotes, as in: only = \"'vip' in tags\"",
        };
        vec![Mistake { line, field, message: format!("{}{hint}", error.message()) }]
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Collects the mistakes of one file.
struct Check<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
    uses_custom: bool,
    custom: BTreeSet<String>,
}

impl<'a> Check<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, mistakes: Vec::new(), uses_custom: false, custom: BTreeSet::new() }
    }

    fn template(
        &mut self,
        templates: &mut Environment<'static>,
        name: &'static str,
        key: &str,
        source: &Spanned<String>,
    ) {
        if let Err(error) = templates.add_template_owned(name, source.get_ref().clone()) {
            return self.wrong(key, source, &error);
        }
        // The template was just added, so it is there; were it not, rendering would say so.
        if let Ok(template) = templates.get_template(name) {
            self.names(key, source, template.undeclared_variables(true));
            if let Err(error) = template.render(sample()) {
                self.wrong(key, source, &error);
            }
        }
    }

    fn expression(&mut self, templates: &Environment<'static>, source: &Spanned<String>) {
        match language::expression(templates, source.get_ref()) {
            Ok(expression) => {
                self.names("only", source, expression.undeclared_variables(true));
                if let Err(error) = expression.eval(sample()) {
                    self.wrong("only", source, &error);
                }
            }
            Err(error) => self.wrong("only", source, &error),
        }
    }

    fn names(&mut self, key: &str, source: &Spanned<String>, names: impl IntoIterator<Item = String>) {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        for name in names {
            let mut parts = name.split('.');
            let root = parts.next().unwrap_or_default();
            self.uses_custom |= root == "custom";
            self.custom.extend(parts.next().filter(|_| root == "custom").map(str::to_owned));
            // Functions that come with the template language are no contact's values.
            if !VARIABLES.contains(&root) && !["range", "dict", "namespace", "debug"].contains(&root) {
                let line = source.get_ref().lines().position(|line| line.contains(root)).map(|index| index + 1);
                let known = VARIABLES.iter().filter(|name| **name != "loop").copied().collect::<Vec<_>>().join(", ");
                self.mistake(key, source, line, &format!("a contact has no `{root}`; it has: {known}"));
            }
        }
    }

    /// What the template language says, and what its users have to know besides.
    fn wrong(&mut self, key: &str, source: &Spanned<String>, error: &minijinja::Error) {
        let message = match error.kind() {
            ErrorKind::UnknownFilter => {
                format!("{}; there are, among others: {}", language::told(error), language::FILTERS.join(", "))
            }
            _ => language::told(error),
        };
        self.mistake(key, source, error.line(), &message);
    }

    fn mistake(&mut self, key: &str, source: &Spanned<String>, line: Option<usize>, message: &str) {
        let start = source.span().start;
        // A multi-line text that begins with a line break has its first line on the next.
        let opening = self.text.get(start..).unwrap_or_default();
        let below = opening.starts_with("'''\n") || opening.starts_with("\"\"\"\n");
        let line = line_of(self.text, start) + usize::from(below) + line.unwrap_or(1) - 1;
        self.mistakes.push(Mistake { line, field: key.to_owned(), message: message.to_owned() });
    }
}

/// A contact that has everything, for trying a template before a real one comes along.
fn sample() -> Value {
    let mut sample: BTreeMap<&str, Value> = VARIABLES.iter().map(|name| (*name, Value::from("sample"))).collect();
    let entry = Value::from(BTreeMap::from(
        ["id", "title", "text", "due", "date", "status", "start"].map(|key| (key, "sample")),
    ));
    let more = ["tasks", "completed_tasks", "notes", "appointments"].map(|list| (list, 1));
    sample.insert("more", Value::from(BTreeMap::from(more)));
    for list in ["tasks", "completed_tasks", "notes", "appointments"] {
        sample.insert(list, Value::from(vec![entry.clone()]));
    }
    sample.insert("tags", Value::from(vec!["sample"]));
    sample.insert("custom", Value::from(BTreeMap::from([("sample", "sample")])));
    sample.insert("dnd", Value::from(false));
    Value::from(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_complete() {
        let mapping = Mapping::default();
        assert!(!mapping.uses_custom);
        assert_eq!(mapping.limits.max_length, 2000);
        assert!(mapping.keeps(&sample()).is_ok_and(|keeps| keeps));
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_field() {
        for (file, line, field, part) in [
            ("only = \"'x' in\"", 1, "only", "unexpected end"),
            ("only = 'source == 'web''", 1, "only", "stands in double quotes"),
            ("only = 'nickname == 1'", 1, "only", "no `nickname`"),
            ("only = \"source == 'web' && 'vip' in tags\"", 1, "only", "unexpected"),
            ("only = \"source == 'web' ; 'vip' in tags\"", 1, "only", "unexpected"),
            ("only = \"source == 'web'! 'vip' in tags\"", 1, "only", "unexpected"),
            ("\n[customer]\nemail = '{{ emial }}'", 3, "customer.email", "no `emial`"),
            ("[customer]\n\nphone = '{{ phone'", 3, "customer.phone", "unexpected end"),
            ("[customer]\nemail = '{{ email | shout }}'", 2, "customer.email", "there are, among others: cut, default"),
            ("[customer]\nmobile = 'x'", 2, "mobile", "unknown field"),
            ("[description]\nnotes = 'many'", 2, "notes", "invalid type"),
            ("[description]\ntemplate = '''\nfine\n{{ nmae }}\n'''", 4, "description.template", "no `nmae`"),
            ("[description]\ntemplate = '''\nfine\n{% if %}\n'''", 4, "description.template", "unexpected"),
            (
                "[description]\ntemplate = '{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}'",
                2,
                "description.template",
                "fuel",
            ),
        ] {
            let mistakes = Mapping::parse(file).expect_err(file);
            let found = mistakes.iter().any(|m| m.line == line && m.field == field && m.message.contains(part));
            assert!(found, "{file:?} gave {mistakes:?}");
            assert!(mistakes.iter().all(|one| !one.message.contains("(in ")), "{mistakes:?}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes =
            Mapping::parse("only = 'a'\n[customer]\nemail = '{{ b }}'\nphone = '{{ c }}'").expect_err("wrong");
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
}
