//! Where the app is installed, and the events that tell of it (G §3.1, §8.5).

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::Refusal;
use super::holder::{Holder, passed_on};
use crate::ghl::state::{COMPANY, Location, PLAN, Scopes, State, USER};

/// The app in one location.
pub(super) struct Placed {
    pub(super) at_ms: i64,
    /// Scopes, where the location's own admin installed it.
    pub(super) own: Option<Scopes>,
    /// Whether it is there by the company's install.
    pub(super) through: bool,
}

/// The app in the company.
#[derive(Clone)]
pub(super) struct Company {
    pub(super) scopes: Scopes,
    /// Whether new locations get it by themselves.
    pub(super) future: bool,
}

/// Where the app is installed.
#[derive(Default)]
pub(crate) struct Installs {
    pub(super) placed: BTreeMap<String, Placed>,
    pub(super) company: Option<Company>,
    /// Paused or unpaid locations (G §3.2).
    pub(super) inactive: HashSet<String>,
}

impl Installs {
    fn place(&mut self, now: i64, location: &str) -> &mut Placed {
        self.placed.entry(location.to_owned()).or_insert(Placed { at_ms: now, own: None, through: false })
    }

    /// Refuses a location that is paused or unpaid; whatever was handed in for it stays good
    /// (G §3.2).
    pub(super) fn active(&self, holder: &Holder) -> Result<(), Refusal> {
        match holder.location() {
            Some(location) if self.inactive.contains(location) => Err(Refusal::Expected(400, "Location is not active")),
            _ => Ok(()),
        }
    }

    /// The scopes that a holder's next tokens have; none where the app is not there any more.
    pub(super) fn scopes(&self, holder: &Holder) -> Option<Scopes> {
        match holder {
            Holder::Company => Some(self.company.as_ref()?.scopes.clone()),
            Holder::Location(location) => self.placed.get(location)?.own.clone(),
            Holder::Through(_) => Some(passed_on(&self.company.as_ref()?.scopes)),
        }
    }

    /// The holder and scopes that a location's tokens have, if the app is there.
    pub(super) fn holder(&self, location: &str) -> Option<(Holder, Scopes)> {
        let placed = self.placed.get(location)?;
        match (&placed.own, &self.company) {
            (Some(scopes), _) => Some((Holder::Location(location.to_owned()), scopes.clone())),
            (None, Some(company)) => Some((Holder::Through(location.to_owned()), passed_on(&company.scopes))),
            (None, None) => None,
        }
    }
}

/// Who is told to have installed it where.
enum By {
    Admin,
    /// Nobody: the location is younger than the install, and `userId` is missing (G §8.5).
    Itself,
}

impl State {
    /// A location's admin has chosen; the code that the browser takes back. `None`: no such
    /// location.
    pub(super) fn install_location(
        &mut self,
        now: i64,
        location: &str,
        scopes: Scopes,
        redirect: Option<String>,
    ) -> Option<String> {
        self.locations.get(location)?;
        self.installs.place(now, location).own = Some(scopes.clone());
        self.tell_install(now, location, &By::Admin);
        Some(self.oauth_tokens.code(now, Holder::Location(location.to_owned()), scopes, redirect, Vec::new()))
    }

    /// The agency's admin has chosen. `None`: one of the locations is not there.
    pub(super) fn install_company(
        &mut self,
        now: i64,
        locations: &[String],
        future: bool,
        scopes: Scopes,
        redirect: Option<String>,
    ) -> Option<String> {
        if locations.iter().any(|location| !self.locations.contains_key(location)) {
            return None;
        }
        self.installs.company = Some(Company { scopes: scopes.clone(), future });
        let mut about = about_company();
        about.insert("installType".to_owned(), json!("Company"));
        self.emit(now, "INSTALL", None, about);
        for location in locations {
            self.installs.place(now, location).through = true;
            if self.app.bulk_events {
                self.tell_install(now, location, &By::Admin);
            }
        }
        Some(self.oauth_tokens.code(now, Holder::Company, scopes, redirect, locations.to_vec()))
    }

    /// The agency's admin adds a location to the company's install. False: no such location, or no
    /// such install.
    pub(super) fn install_more(&mut self, now: i64, location: &str) -> bool {
        if !self.locations.contains_key(location) || self.installs.company.is_none() {
            return false;
        }
        self.installs.place(now, location).through = true;
        self.tell_install(now, location, &By::Admin);
        true
    }

    /// A new location of the agency; it has the app at once if the company's install covers the
    /// future.
    pub(super) fn add_company_location(&mut self, now: i64, location: Location) {
        let id = location.id.clone();
        self.locations.insert(id.clone(), location);
        if self.installs.company.as_ref().is_some_and(|company| company.future) {
            self.installs.place(now, &id).through = true;
            self.tell_install(now, &id, &By::Itself);
        }
    }

    fn tell_install(&mut self, now: i64, location: &str, by: &By) {
        let mut about = about_company();
        about.insert("installType".to_owned(), json!("Location"));
        about.insert("locationId".to_owned(), json!(location));
        if matches!(by, By::Admin) {
            about.insert("userId".to_owned(), json!(USER));
        }
        self.emit(now, "INSTALL", None, about);
    }

    /// An account takes a new version of the app. False: it has not installed it by itself.
    pub(super) fn take_update(&mut self, now: i64, location_or_company: &str, new: Scopes) -> bool {
        let mut about = about_company();
        let held = if location_or_company == COMPANY {
            self.installs.company.as_mut().map(|company| &mut company.scopes)
        } else {
            about.insert("locationId".to_owned(), json!(location_or_company));
            self.installs.placed.get_mut(location_or_company).and_then(|placed| placed.own.as_mut())
        };
        let Some(held) = held else { return false };
        *held = new;
        self.emit(now, "UPDATE", None, about);
        true
    }

    /// Gone from a location, however it came there. False: it was not there.
    pub(super) fn uninstall_location(&mut self, now: i64, location: &str) -> bool {
        if self.installs.placed.remove(location).is_none() {
            return false;
        }
        self.oauth_tokens.void(location);
        self.emit(now, "UNINSTALL", None, Map::from_iter([("locationId".to_owned(), json!(location))]));
        true
    }

    /// Gone from the company and from the locations that had it from there. One event tells of all
    /// of it.
    pub(super) fn uninstall_company(&mut self, now: i64) -> bool {
        if self.installs.company.take().is_none() {
            return false;
        }
        self.installs.placed.retain(|_, placed| {
            placed.through = false;
            placed.own.is_some()
        });
        self.oauth_tokens.void(COMPANY);
        self.emit(now, "UNINSTALL", None, Map::from_iter([("companyId".to_owned(), json!(COMPANY))]));
        true
    }

    /// Pauses a location, or ends the pause. False: no such location.
    pub(super) fn set_active(&mut self, location: &str, active: bool) -> bool {
        if active {
            self.installs.inactive.remove(location);
        } else {
            self.installs.inactive.insert(location.to_owned());
        }
        self.locations.contains_key(location)
    }

    /// Whether the app is installed there still.
    pub(super) fn is_installed(&self, location_or_company: &str) -> bool {
        if location_or_company == COMPANY {
            self.installs.company.is_some()
        } else {
            self.installs.placed.contains_key(location_or_company)
        }
    }
}

fn about_company() -> Map<String, Value> {
    Map::from_iter(
        [
            ("companyId", json!(COMPANY)),
            ("companyName", json!("Example Agency")),
            ("isWhitelabelCompany", json!(false)),
            ("whitelabelDetails", json!({})),
            ("planId", json!(PLAN)),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    )
}
