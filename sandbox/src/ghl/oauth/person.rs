//! What admins do at the marketplace, and what happens to an app's tokens (G §3.1 to §3.6).

use super::KNOWN_SCOPES;
use super::holder::scopes;
use crate::ghl::Ghl;
use crate::ghl::person::there;
use crate::ghl::state::{COMPANY, Location, Scopes};

#[track_caller]
fn chosen(names: &[&str]) -> Scopes {
    let odd = names.iter().find(|name| !KNOWN_SCOPES.contains(name));
    there(odd.is_none() && !names.is_empty(), "scope", odd.copied().unwrap_or("(none given)"));
    scopes(names)
}

/// # Panics
/// Installing, uninstalling and pausing panic when the sandbox has no such location, scope or
/// install.
impl Ghl {
    /// The app's client id, `<appId>-<suffix>` (G §3.1).
    pub fn client_id(&self) -> String {
        self.0.state().app.client_id.clone()
    }

    /// The app's client secret.
    pub fn client_secret(&self) -> String {
        self.0.state().app.client_secret.clone()
    }

    /// The agency that all locations belong to.
    pub fn company_id(&self) -> String {
        COMPANY.to_owned()
    }

    /// Where an admin's browser is sent to install the app (G §3.1).
    pub fn chooser_url(&self) -> String {
        format!("{}/v2/oauth/chooselocation", self.url())
    }

    /// The redirect URIs registered for the app; as long as there are none, any on this computer
    /// will do.
    pub fn set_redirect_uris(&self, uris: &[&str]) {
        self.0.state().app.redirect_uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
    }

    /// Whether `state` comes back with the code; it does at first, though nothing promises it
    /// (G §3.1, §13).
    pub fn set_echo_state(&self, echo: bool) {
        self.0.state().app.echo_state = echo;
    }

    /// Whether `POST /oauth/reconnect` is there; it is not at first, as it was removed for some in
    /// September 2026 (G §3.6).
    pub fn set_reconnect(&self, on: bool) {
        self.0.state().app.reconnect = on;
    }

    /// Whether a refresh token is answered with the same pair again for 30 seconds after its use;
    /// it is at first (G §3.3).
    pub fn set_same_pair(&self, on: bool) {
        self.0.state().app.same_pair = on;
    }

    /// Whether location tokens come with refresh tokens; they do not at first (G §3.4).
    pub fn set_location_refresh_tokens(&self, on: bool) {
        self.0.state().app.location_refresh_tokens = on;
    }

    /// Whether [`Ghl::install_company`] causes an `INSTALL` for each location besides the company's
    /// own; it does not at first, as no document promises those.
    pub fn set_bulk_install_events(&self, on: bool) {
        self.0.state().app.bulk_events = on;
    }

    /// A location's admin installs the app: the code that the browser takes back, and `INSTALL`
    /// (G §3.1, §8.5).
    #[track_caller]
    pub fn install_location(&self, location: &str, scopes: &[&str]) -> String {
        let scopes = chosen(scopes);
        let code = self.0.change(|state, now| state.install_location(now, location, scopes, None));
        there(code.is_some(), "location", location);
        code.unwrap_or_default()
    }

    /// The agency's admin installs the app on these locations, and on all `future` ones if wanted:
    /// the code for a company token, and one `INSTALL` that names neither location nor user
    /// (G §3.1, §8.5).
    #[track_caller]
    pub fn install_company(&self, locations: &[&str], future: bool, scopes: &[&str]) -> String {
        let scopes = chosen(scopes);
        let ids: Vec<String> = locations.iter().map(|id| (*id).to_owned()).collect();
        let code = self.0.change(|state, now| state.install_company(now, &ids, future, scopes, None));
        there(code.is_some(), "location among", &locations.join(", "));
        code.unwrap_or_default()
    }

    /// A new location of the agency. If the company's install covers the future the app is there at
    /// once, and `INSTALL` names location and company but no user (G §8.5).
    pub fn add_company_location(&self, id: &str, name: &str, timezone: &str, country: &str) {
        let location = Location::new(id, name, timezone, country);
        self.0.change(|state, now| state.add_company_location(now, location));
    }

    /// The agency's admin adds a location to the company's install: `INSTALL` with both ids.
    #[track_caller]
    pub fn install_more(&self, location: &str) {
        there(self.0.change(|state, now| state.install_more(now, location)), "company install for", location);
    }

    /// An account, a location or the company, takes a new version of the app, with these scopes:
    /// `UPDATE`, and the next refresh brings them (G §8.5).
    #[track_caller]
    pub fn take_update(&self, location_or_company: &str, scopes: &[&str]) {
        let scopes = chosen(scopes);
        let taken = self.0.change(|state, now| state.take_update(now, location_or_company, scopes));
        there(taken, "install on", location_or_company);
    }

    /// The app is removed from a location: its tokens are dead, and `UNINSTALL` (G §8.5).
    #[track_caller]
    pub fn uninstall_location(&self, location: &str) {
        there(self.0.change(|state, now| state.uninstall_location(now, location)), "install on", location);
    }

    /// The app is removed from the company and the locations that had it from there: one
    /// `UNINSTALL` (G §8.5).
    #[track_caller]
    pub fn uninstall_company(&self) {
        there(self.0.change(|state, now| state.uninstall_company(now)), "install on", COMPANY);
    }

    /// Pauses a location, or ends the pause: meanwhile it gets no tokens, and its refresh token
    /// stays good (G §3.2). Assumed: the access tokens it has go on working.
    #[track_caller]
    pub fn set_active(&self, location: &str, active: bool) {
        let found = self.0.state().set_active(location, active);
        there(found, "location", location);
    }

    /// All codes and tokens of a location, or of the company and its locations, are worthless; the
    /// app stays installed. So it looks when the only copy of a pair is lost (G §3.6).
    pub fn lose_tokens(&self, location_or_company: &str) {
        self.0.state().oauth_tokens.void(location_or_company);
    }

    /// All OAuth access tokens expire now; refresh tokens stay good.
    pub fn expire_access_tokens(&self) {
        self.0.state().oauth_tokens.expire_access();
    }

    /// How many refresh grants succeeded.
    pub fn refreshes(&self) -> usize {
        self.0.state().app.refreshes
    }

    /// How many refreshes were answered with the pair that the same token had brought just before.
    pub fn refresh_repeats(&self) -> usize {
        self.0.state().app.refresh_repeats
    }

    /// How often a refresh token came that had been used before, and was refused. No complaint,
    /// because a crash between the answer and its commit leaves a client with nothing else; more
    /// often than there were crashes is a fault.
    pub fn refresh_reuses(&self) -> usize {
        self.0.state().app.refresh_reuses
    }

    /// How many location tokens the company's token was turned into.
    pub fn location_token_calls(&self) -> usize {
        self.0.state().app.location_token_calls
    }

    /// How many reconnects succeeded.
    pub fn reconnects(&self) -> usize {
        self.0.state().app.reconnects
    }

    /// The client secret and every code, access token and refresh token there ever was: what no log
    /// and no database may show.
    pub fn oauth_tokens_seen(&self) -> Vec<String> {
        let state = self.0.state();
        std::iter::once(&state.app.client_secret).chain(&state.oauth_tokens.seen).cloned().collect()
    }
}
