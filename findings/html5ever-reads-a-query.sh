#!/usr/bin/env bash
# html5ever 0.40.1: an address that somebody pasted into a rich text note is changed where its query has a name that is also
# the beginning of an entity. By HTML's grammar some references need no `;` (`&reg`, `&curren`, `&sect`), so that
# `?id=5&region=eu&currency=usd&section=2` becomes `?id=5®ion=eu¤cy=usd§ion=2`. In the value of an attribute the same text
# stays as it is, since a letter follows there: a link works, and the same address in the text beside it is another one.
# And a `<` before a letter begins a tag, whatever the author meant: in `<p>pain level <b4 surgery: 7, after: 3</p>` all text
# from there to the next `>` is the tag `b4` with five attributes, and no text.
# Browsers do the same. So text that people typed must be escaped before it is given to a parser of HTML.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "reads-a-query"
version = "0.0.0"
edition = "2024"

[dependencies]
html5ever = "=0.40.1"
TOML
cat >src/main.rs <<'RUST'
use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

#[derive(Default)]
struct Told(RefCell<String>);

impl TokenSink for Told {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut told = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => told.push_str(&text),
            Token::TagToken(tag) => {
                told.push_str(&format!("[{}: {} attributes", &*tag.name, tag.attrs.len()));
                for attribute in tag.attrs.iter().filter(|attribute| &*attribute.name.local == "href") {
                    told.push_str(&format!(", href {}", &*attribute.value));
                }
                told.push(']');
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn main() {
    let query = "?id=5&region=eu&currency=usd&section=2";
    for html in [
        format!("<p>{query}</p>"),
        format!("<a href=\"{query}\">link</a>"),
        "<p>pain level <b4 surgery: 7, after: 3</p>".to_owned(),
    ] {
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(html));
        let tokenizer = Tokenizer::new(Told::default(), TokenizerOpts::default());
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        println!("{}", tokenizer.sink.0.into_inner());
    }
}
RUST
cargo run --quiet | tee seen
grep -qxF '[p: 0 attributes]?id=5®ion=eu¤cy=usd§ion=2[p: 0 attributes]' seen
grep -qxF '[a: 1 attributes, href ?id=5&region=eu&currency=usd&section=2]link[a: 0 attributes]' seen
grep -qxF '[p: 0 attributes]pain level [b4: 5 attributes]' seen
