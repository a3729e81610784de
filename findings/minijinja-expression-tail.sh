#!/bin/sh
# minijinja 3.1 (Rust): `Environment::compile_expression` takes `source == 'web' && 'vip' in tags`, and means `source == 'web'`: after
# a text in quotes it leaves out `&&`, `#`, `;`, `!`, `?` and `$` with all that follows. In a template the same expression is a
# syntax error, so whoever takes expressions from people compiles them there as well.
#
# Seen with 3.1.0: the whole is true for a contact without that tag; without quotes before it, `&&` is refused.
#
# Exits with 1 when the rest is no longer left out. Needs cargo and its registry.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
minijinja = "=3.1.0"

[workspace]
TOML
cat > src/main.rs <<'RUST'
use minijinja::{Environment, context};

fn main() {
    let environment = Environment::new();
    let contact = context! { source => "web", tags => vec!["new"] };
    for junk in ["&&", "#", ";", "!", "?", "$"] {
        let text = format!("source == 'web' {junk} 'vip' in tags");
        let taken = environment.compile_expression(&text).map(|expression| expression.eval(&contact).unwrap().is_true());
        let in_template = environment.template_from_str(&format!("{{{{ {text} }}}}")).is_ok();
        println!("{text}: as an expression {taken:?}, in a template taken: {in_template}");
        assert!(taken.is_ok_and(|holds| holds) && !in_template);
    }
    assert!(environment.compile_expression("source && tags").is_err());
}
RUST
cargo run --quiet
