//! Where an admin chooses what to install the app on, and is sent back with a code (G §3.1).

use super::holder::scopes;
use super::{KNOWN_SCOPES, page};
use crate::front::{Answer, Call, form};
use crate::ghl::Shared;
use crate::ghl::state::Scopes;

/// What an app asks for that is installed from the marketplace's own page: more than this service
/// needs (G §3.8).
const LISTED: [&str; 8] = [
    "contacts.readonly",
    "contacts.write",
    "locations.readonly",
    "locations/customFields.readonly",
    "locations/tasks.readonly",
    "users.readonly",
    "oauth.readonly",
    "oauth.write",
];

/// The fields that a form has to bring along again.
pub(super) const CARRIED: [&str; 5] = ["response_type", "client_id", "redirect_uri", "scope", "state"];

/// What the browser came with.
pub(super) struct Wish {
    redirect: String,
    pub(super) scopes: Scopes,
    state: Option<String>,
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn is_on_this_computer(uri: &str) -> bool {
    reqwest::Url::parse(uri).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host))
    })
}

/// What `redirect_uri` becomes for the way back.
fn way_back(redirect: &str, code: &str, state: Option<&str>) -> Option<String> {
    let mut url = reqwest::Url::parse(redirect).ok()?;
    url.query_pairs_mut().append_pair("code", code);
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url.into())
}

impl Shared {
    fn wish(&self, fields: &[(String, String)]) -> Result<Wish, String> {
        if field(fields, "response_type") != Some("code") {
            return Err("response_type must be code".to_owned());
        }
        let state = self.state();
        if field(fields, "client_id") != Some(state.app.client_id.as_str()) {
            return Err("client_id is not that of an app".to_owned());
        }
        let redirect = field(fields, "redirect_uri").unwrap_or_default();
        let registered = &state.app.redirect_uris;
        let known = if registered.is_empty() {
            is_on_this_computer(redirect)
        } else {
            registered.iter().any(|uri| uri == redirect)
        };
        if !known {
            return Err("redirect_uri is not registered for this app".to_owned());
        }
        let named: Vec<&str> = field(fields, "scope").unwrap_or_default().split_whitespace().collect();
        match named.iter().find(|scope| !KNOWN_SCOPES.contains(scope)) {
            Some(scope) => return Err(format!("scope {scope} is not known")),
            None if named.is_empty() => return Err("scope should not be empty".to_owned()),
            None => {}
        }
        // Sent but empty is sent.
        let state = field(fields, "state").map(str::to_owned);
        Ok(Wish { redirect: redirect.to_owned(), scopes: scopes(&named), state })
    }

    /// Both pages of the app's own link. `POST` is an admin's choice, with everything that the page
    /// was opened with.
    pub(super) fn chooser(&self, call: &Call) -> Answer {
        let body = form(&String::from_utf8_lossy(&call.body));
        let choosing = call.method == "POST";
        let fields = if choosing { &body } else { &call.query };
        match self.wish(fields) {
            Err(why) => {
                self.complain(call, &why);
                page::refused(&why)
            }
            Ok(wish) if choosing => self.chosen(&body, &wish),
            Ok(wish) => page::chooser(&self.state(), &call.path, fields, &wish.scopes),
        }
    }

    /// The marketplace's own page: nobody asked for this install, so no `state` comes back.
    pub(super) fn marketplace(&self, call: &Call) -> Answer {
        let Some(redirect) = self.state().app.redirect_uris.first().cloned() else {
            return page::refused(
                "no redirect URI is registered for the app: PUT /_control/app {\"redirect_uris\": [...]}",
            );
        };
        let wish = Wish { redirect, scopes: scopes(&LISTED), state: None };
        if call.method == "POST" {
            return self.chosen(&form(&String::from_utf8_lossy(&call.body)), &wish);
        }
        page::chooser(&self.state(), &call.path, &[], &wish.scopes)
    }

    fn chosen(&self, body: &[(String, String)], wish: &Wish) -> Answer {
        let ticked: Vec<String> =
            body.iter().filter(|(key, _)| key == "location").map(|(_, value)| value.clone()).collect();
        let future = field(body, "future").is_some();
        let redirect = Some(wish.redirect.clone());
        let code = match (field(body, "install"), &ticked[..]) {
            (Some("location"), [one]) => {
                self.change(|state, now| state.install_location(now, one, wish.scopes.clone(), redirect))
            }
            (Some("company"), some) if future || !some.is_empty() => {
                self.change(|state, now| state.install_company(now, some, future, wish.scopes.clone(), redirect))
            }
            _ => return page::refused("choose a location, then go back and send the form again"),
        };
        let echoed = wish.state.as_deref().filter(|_| self.state().app.echo_state);
        match code.and_then(|code| way_back(&wish.redirect, &code, echoed)) {
            Some(url) => Answer::empty(302).with("location", url),
            None => page::refused("there is no such location"),
        }
    }
}
