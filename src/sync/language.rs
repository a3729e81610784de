//! The mapping's template language: minijinja, and where it differs from what its users expect.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, Expression, UndefinedBehavior, Value, escape_formatter};

use super::text::shorten;

/// No template needs more steps; one that loops over itself is stopped instead of hanging the
/// service.
const FUEL: u64 = 200_000;

/// The filters that mappings are likely to need; minijinja has more.
pub(super) const FILTERS: [&str; 14] = [
    "cut", "default", "first", "float", "int", "join", "last", "length", "lower", "replace", "title", "trim", "upper",
    "unique",
];

/// What every template is rendered in.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out, state, value| {
        // A value that is not there prints as nothing, not as `none`.
        if value.is_none() { Ok(()) } else { escape_formatter(out, state, value) }
    });
    environment.add_filter("cut", |value: &Value, characters: usize| {
        let text = if value.is_undefined() || value.is_none() { String::new() } else { value.to_string() };
        shorten(text.trim_end(), characters)
    });
    environment.add_filter("int", |value: &Value, default: Option<i64>, kwargs: Kwargs| -> Result<i64, Error> {
        let default = otherwise(default, &kwargs)?.unwrap_or_default();
        Ok(number(value).map_or(default, |number| number as i64))
    });
    environment.add_filter("float", |value: &Value, default: Option<f64>, kwargs: Kwargs| -> Result<f64, Error> {
        let default = otherwise(default, &kwargs)?.unwrap_or_default();
        Ok(number(value).unwrap_or(default))
    });
    environment
}

/// Parses an expression as a whole: minijinja 3.1 leaves out what follows a text, as in
/// `source == 'web' && …`, unless it stands in a template.
///
/// # Errors
/// What is wrong in it.
pub(super) fn expression<'a>(environment: &'a Environment<'_>, source: &'a str) -> Result<Expression<'a, 'a>, Error> {
    environment.template_from_str(&format!("{{{{ {source} }}}}"))?;
    environment.compile_expression(source)
}

/// What is wrong, without minijinja's own name and line of the template: an expression is called
/// `<expression>` there. The caller names the field.
pub(super) fn told(error: &Error) -> String {
    let kind = error.kind();
    error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"))
}

/// Jinja's `int` and `float` return a given default, or else 0, for a value that is no number;
/// minijinja's fail.
fn number(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => value.to_string().trim().parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

fn otherwise<T>(default: Option<T>, kwargs: &Kwargs) -> Result<Option<T>, Error>
where
    T: for<'a> minijinja::value::ArgType<'a, Output = T>,
{
    let named = if kwargs.has("default") { Some(kwargs.get("default")?) } else { None };
    kwargs.assert_all_used()?;
    Ok(named.or(default))
}

#[cfg(test)]
mod tests {
    use minijinja::{ErrorKind, context};

    use super::*;

    #[test]
    fn templates_print_what_their_writers_expect() {
        let contact = context! { score => "75", none => Value::from(()), level => "n/a", list => vec!["a", "b"] };
        for (template, printed) in [
            ("{{ none }}{{ none | default('x') }}", ""),
            ("{{ missing }}{{ missing | default('x') }}", "x"),
            ("{{ score | int + 1 }}", "76"),
            ("{{ level | int }} {{ level | int(7) }} {{ level | int(default=8) }}", "0 7 8"),
            ("{{ '' | int }} {{ '7.9' | int }} {{ '1.5' | float }} {{ level | float }}", "0 7 1.5 0.0"),
            ("{{ 'abcdef' | cut(4) }}", "abc…"),
            ("{{ 12345 | cut(4) }}{{ missing | cut(4) }}{{ none | cut(4) }}", "123…"),
            ("{% filter cut(4) %}{% for one in list %}{{ one }}{{ one }}{{ one }}{% endfor %}{% endfilter %}", "aaa…"),
        ] {
            assert_eq!(environment().render_str(template, &contact).unwrap(), printed, "{template}");
        }
    }

    #[test]
    fn every_filter_that_is_told_of_is_there() {
        for filter in FILTERS {
            let rendered =
                environment().render_str(&format!("{{{{ list | {filter}(1, 1) }}}}"), context! { list => ["a"] });
            let is_there = rendered.map_err(|error| error.kind()) != Err(ErrorKind::UnknownFilter);
            assert!(is_there, "{filter}");
        }
        let unknown = environment().render_str("{{ 'a' | shout }}", ()).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::UnknownFilter);
    }

    #[test]
    fn an_expression_is_read_to_its_end() {
        let environment = environment();
        for whole in ["true", "'vip' in tags", "score | int > 50 and 'x' != 'y'"] {
            assert!(expression(&environment, whole).is_ok(), "{whole}");
        }
        for junk in ["&&", "#", ";", "!", "?", "$"] {
            assert!(expression(&environment, &format!("source == 'web' {junk} 'vip' in tags")).is_err(), "{junk}");
        }
    }
}
