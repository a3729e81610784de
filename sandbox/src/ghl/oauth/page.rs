//! The marketplace's pages, as HTML that needs no style to be read.

use std::fmt::Write;

use super::chooser::CARRIED;
use crate::front::Answer;
use crate::ghl::state::{Scopes, State};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
    label{display:block;padding:.2rem 0}fieldset{margin:1rem 0}button{font:inherit;padding:.4rem 1rem}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn html(status: u16, title: &str, main: &str) -> Answer {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"icon\" href=\"data:,\"><title>{title}</title><style>{STYLE}</style></head>\n<body><main>\n<h1>{title}</h1>\n{main}</main></body>\n</html>\n"
    );
    // The address holds `state`, and soon a code.
    Answer::text(status, "text/html; charset=utf-8", text).with("referrer-policy", "no-referrer")
}

/// Why there is nothing to choose.
pub(super) fn refused(why: &str) -> Answer {
    html(400, "This app cannot be installed", &format!("<p role=\"alert\">{}</p>\n", escaped(why)))
}

fn inputs(state: &State, kind: &str) -> String {
    let mut out = String::new();
    for location in state.locations.values() {
        let (id, name) = (escaped(&location.id), escaped(&location.name));
        let required = if kind == "radio" { " required" } else { "" };
        let _ = writeln!(
            out,
            "<label><input type=\"{kind}\" name=\"location\" value=\"{id}\"{required}> {name} ({id})</label>"
        );
    }
    out
}

/// Two forms: one location, or several of the agency. `carried` are the fields that the page was
/// opened with.
pub(super) fn chooser(state: &State, action: &str, carried: &[(String, String)], scopes: &Scopes) -> Answer {
    let mut hidden = String::new();
    for (key, value) in carried.iter().filter(|(key, _)| CARRIED.contains(&key.as_str())) {
        let _ = writeln!(hidden, "<input type=\"hidden\" name=\"{key}\" value=\"{}\">", escaped(value));
    }
    let wanted: String = scopes.iter().map(|scope| format!("<li><code>{}</code></li>\n", escaped(scope))).collect();
    let form = |install: &str, legend: &str, choices: &str, button: &str| {
        format!(
            "<form method=\"post\" action=\"{action}\">\n{hidden}<input type=\"hidden\" name=\"install\" value=\"{install}\">\n\
             <fieldset><legend>{legend}</legend>\n{choices}</fieldset>\n<button type=\"submit\">{button}</button>\n</form>\n"
        )
    };
    let one = form("location", "One location", &inputs(state, "radio"), "Install on this location");
    let future = "<label><input type=\"checkbox\" name=\"future\" value=\"on\"> Also on future locations</label>\n";
    let many = inputs(state, "checkbox") + future;
    let many = form("company", "Locations of Example Agency", &many, "Install for the agency");
    let main = format!(
        "<p>The app asks for:</p>\n<ul>\n{wanted}</ul>\n<h2>As the admin of a location</h2>\n{one}\
         <h2>As the admin of the agency</h2>\n{many}"
    );
    html(200, "Choose where to install the app", &main)
}
