//! `GET /oauth/installedLocations`: the company's locations, and which of them have the app
//! (G §3.5).

use serde_json::{Value, json};

use super::{Refusal, wrong};
use crate::clock;
use crate::front::{Answer, Call};
use crate::ghl::Shared;
use crate::ghl::state::{APP, APP_VERSION, COMPANY, Location, PLAN, State};

const PARAMETERS: [&str; 10] =
    ["companyId", "appId", "skip", "limit", "query", "isInstalled", "versionId", "onTrial", "planId", "locationId"];

/// A number in text, as the file has it.
fn number(call: &Call, name: &str, default: usize) -> Result<usize, Refusal> {
    let parsed = call.query(name).map_or(Ok(default), str::parse);
    parsed.or_else(|_| wrong(422, format!("{name} must be a number string")))
}

fn flag(call: &Call, name: &str) -> Result<Option<bool>, Refusal> {
    match call.query(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => wrong(422, format!("{name} must be a boolean value")),
    }
}

/// `_id` is the key here and nowhere else.
fn shown(state: &State, location: &Location) -> Value {
    let mut out = json!({
        "_id": location.id, "name": location.name, "address": "12 Example St, Springfield",
        "isInstalled": state.is_installed(&location.id),
    });
    if let Some(placed) = state.installs.placed.get(&location.id) {
        out["versionId"] = json!(APP_VERSION);
        out["installedAt"] = json!(clock::iso(placed.at_ms));
    }
    out
}

impl Shared {
    pub(super) fn installed_locations(&self, call: &Call) -> Result<Answer, Refusal> {
        self.company(call, "oauth.readonly")?;
        if let Some((odd, _)) = call.query.iter().find(|(key, _)| !PARAMETERS.contains(&key.as_str())) {
            return wrong(422, format!("property {odd} should not exist"));
        }
        for (name, own) in [("companyId", COMPANY), ("appId", APP)] {
            match call.query(name) {
                None => return wrong(422, format!("{name} must be a string")),
                Some(id) if id != own => return wrong(403, "The token does not have access to this company"),
                Some(_) => {}
            }
        }
        let (skip, limit) = (number(call, "skip", 0)?, number(call, "limit", 20)?);
        let (wanted, trial) = (flag(call, "isInstalled")?, flag(call, "onTrial")?);
        let state = self.state();
        let named = call.query("query").unwrap_or_default().to_lowercase();
        // Nobody is on trial here, and there is one plan and one version.
        let nothing = trial == Some(true)
            || call.query("planId").is_some_and(|id| id != PLAN)
            || call.query("versionId").is_some_and(|id| id != APP_VERSION);
        let found: Vec<&Location> = state
            .locations
            .values()
            .filter(|location| {
                !nothing
                    && wanted.is_none_or(|wanted| wanted == state.is_installed(&location.id))
                    && call.query("locationId").is_none_or(|id| id == location.id)
                    && location.name.to_lowercase().contains(&named)
            })
            .collect();
        let page: Vec<Value> = found.iter().skip(skip).take(limit).map(|location| shown(&state, location)).collect();
        let future = state.installs.company.as_ref().is_some_and(|company| company.future);
        Ok(Answer::json(
            200,
            // Assumed: the count is of all that match, as nothing else tells when to stop asking.
            &json!({ "locations": page, "count": found.len(), "installToFutureLocations": future }),
        ))
    }
}
