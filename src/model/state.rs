//! How a location stands, derived in one place from what is known of it. The API, the pages, the
//! metric and `doctor` show this.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::{Apart, AppInstall, Because, Facts, Trouble, TroubleKind};
use super::{LocationId, StateName, Vendor};

/// What to do about tokens that are lost.
pub const AUTHORISE_AGAIN: &str = "open `/oauth/install` on this service and choose the location again";

/// A state that holds for a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConnectionState {
    /// Which.
    pub state: StateName,
    /// Since when (RFC 3339); none: not known.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// What is so.
    pub found: String,
    /// What to do; none: nothing.
    pub fix: Option<String>,
}

/// How a location stands: never empty, the worst first.
pub fn states(facts: &Facts) -> Vec<ConnectionState> {
    let mut all: Vec<_> = match facts {
        Facts { in_settings: false, install: AppInstall::Uninstalled(at), .. } => vec![uninstalled(*at)],
        Facts { in_settings: false, install: AppInstall::None, .. } => vec![not_in_settings(&facts.location)],
        _ => {
            let lost = tokens_lost(facts);
            let at_work = at_work(facts, lost.is_some());
            [lost, other_app(facts), held(facts)].into_iter().flatten().chain(at_work).collect()
        }
    };
    if all.is_empty() {
        all.push(state(StateName::Working, None, "working"));
    }
    all.sort_by_key(|one| one.state);
    all
}

fn state(state: StateName, since: Option<Timestamp>, found: impl Into<String>) -> ConnectionState {
    ConnectionState { state, since, found: found.into(), fix: None }
}

impl ConnectionState {
    fn with(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

fn uninstalled(at: Option<Timestamp>) -> ConnectionState {
    let found = "the app was uninstalled in HighLevel: no calls are made, links are kept";
    state(StateName::Uninstalled, at, found).with("install it again, or remove the location with `connections remove`")
}

fn not_in_settings(location: &LocationId) -> ConnectionState {
    let found = "the settings connected it once, and do not any more; links and events are kept";
    let fix =
        format!("put it back into the settings, or forget it: `ghl-trafft-sync connections remove {location} --yes`");
    state(StateName::NotInSettings, None, found).with(fix)
}

fn tokens_lost(facts: &Facts) -> Option<ConnectionState> {
    let by_call = facts.troubles.iter().find(|(_, trouble, _)| trouble.kind == TroubleKind::Lost);
    let since = match (facts.install, by_call) {
        (AppInstall::Lost(at), _) if !facts.in_settings => at,
        (_, Some((_, _, since))) => Some(*since),
        _ => return None,
    };
    let found = "HighLevel does not know the app's authorisation any more: nothing is read; what comes is kept";
    Some(state(StateName::TokensLost, since, found).with(AUTHORISE_AGAIN))
}

fn other_app(facts: &Facts) -> Option<ConnectionState> {
    let since = facts.other_app_since?;
    let found = "events are refused: they come for another marketplace app than the one in `GHL_APP_ID` (or `GHL_CLIENT_ID`), and none for that one has ever come";
    let fix = "compare that setting with the id of your app at HighLevel, and restart the service; do it soon: HighLevel repeats a delivery for a while only";
    Some(state(StateName::OtherAppRefused, Some(since), found).with(fix))
}

fn held(facts: &Facts) -> Option<ConnectionState> {
    let since = facts.deletions_held_since?;
    let found = "many contacts vanished in HighLevel at once: nothing is deleted in Trafft before that is confirmed";
    let fix = format!(
        "look into HighLevel: if they are still there, do nothing; if they were deleted on purpose, `connections \
         confirm-deletions {}`, or the button on the location's page",
        facts.location
    );
    Some(state(StateName::DeletionsHeld, Some(since), found).with(fix))
}

fn other_account(location: &LocationId, apart: &Apart) -> ConnectionState {
    let asked = &apart.asked;
    let (found, fix) = match &apart.because {
        Because::Links(links) => (
            format!(
                "the settings name the Trafft account {asked}, but the location's links belong to {links}: nothing is read or written; what comes is kept"
            ),
            format!(
                "set the URL back (`TRAFFT_API_URL`, or `trafft_api_url` in `CONNECTIONS_FILE`) and restart the service; or, if the \
                 location has moved to the new account for good, forget its links first: `connections remove {location} --yes`"
            ),
        ),
        Because::Taken(holder) => (
            format!(
                "the settings name the Trafft account {asked}, but location {holder} feeds it already: nothing is read or written"
            ),
            format!(
                "give the location an account of its own in the settings; or, if {holder} was a mistake, or is not used any more, forget it: \
                 `connections remove {holder} --yes`; then restart the service"
            ),
        ),
    };
    state(StateName::OtherAccount, None, found).with(fix)
}

/// The states of a location that is worked, or would be if one of the first three did not hold.
/// Without tokens no process works it.
fn at_work(facts: &Facts, is_lost: bool) -> Vec<ConnectionState> {
    if let Some(apart) = &facts.apart {
        return vec![other_account(&facts.location, apart)];
    }
    if !facts.in_settings && !facts.entered {
        let found = "the app is installed, and waits for its Trafft account; events are kept";
        return vec![
            state(StateName::NoTrafftAccount, None, found).with("enter it: `connections add`, or the location's page"),
        ];
    }
    if let Some(since) = facts.paused {
        let found = "paused by a person: what comes is stored, nothing is read or written";
        let fix = format!("to go on: `connections resume {}`, or the button on its page", facts.location);
        return vec![state(StateName::Paused, since, found).with(fix)];
    }
    let mut all: Vec<_> = facts.troubles.iter().filter_map(with_vendor).collect();
    all.extend(facts.events_paused.map(events_paused));
    if let Some((count, since)) = facts.behind {
        let waits = if count == 1 { "1 contact waits" } else { &format!("{count} contacts wait") };
        let found = format!("{waits} for longer than five minutes");
        let fix = "they are worked by themselves; what each waits for: `contacts list --status queued`";
        all.push(state(StateName::Behind, Some(since), found).with(fix));
    }
    let is_ready = facts.worked && (facts.indexed || !facts.troubles.is_empty());
    if !is_ready && !is_lost {
        let found = match facts.worked {
            true => "about to start: Trafft's customers are being indexed",
            false => "about to start: no process works it yet",
        };
        let fix = "nothing, unless it stays so for minutes: then the log of the service says why";
        all.push(state(StateName::Starting, None, found).with(fix));
    }
    all
}

/// Where the events are switched on again: G §8.6, and the README's step 4.
fn events_paused((since, untold): (Timestamp, i64)) -> ConnectionState {
    let found = format!(
        "no event has come any more, but {untold} changes were found without one: HighLevel has probably switched the events off, or \
         they do not reach this service; the changes are synced, later than usual"
    );
    let fix = "mend what refused or kept away the events (`webhook_refusals_total`, the proxy, `PUBLIC_URL`); then switch them on \
        again at marketplace.gohighlevel.com: My Apps, your app, Advanced Settings, Webhooks";
    state(StateName::EventsPaused, Some(since), found).with(fix)
}

/// Lost tokens are told for themselves.
fn with_vendor((vendor, trouble, since): &(Vendor, Trouble, Timestamp)) -> Option<ConnectionState> {
    let name = match (vendor, trouble.kind) {
        (_, TroubleKind::Lost) => return None,
        (Vendor::Ghl, TroubleKind::Refused) => StateName::GhlRefused,
        (Vendor::Trafft, TroubleKind::Refused) => StateName::TrafftRefused,
        (Vendor::Ghl, TroubleKind::Down) => StateName::GhlDown,
        (Vendor::Trafft, TroubleKind::Down) => StateName::TrafftDown,
    };
    let what = if trouble.kind == TroubleKind::Down { "is down" } else { "refuses the connection" };
    let found = format!("{vendor} {what}: {}", trouble.found);
    Some(state(name, Some(*since), found).with(&trouble.fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn well() -> Facts {
        Facts {
            location: "ve9EPM428h8vShlRW1KT".parse().unwrap(),
            in_settings: false,
            apart: None,
            install: AppInstall::Active,
            entered: true,
            paused: None,
            worked: true,
            indexed: true,
            troubles: Vec::new(),
            other_app_since: None,
            events_paused: None,
            deletions_held_since: None,
            behind: None,
        }
    }

    fn names(facts: &Facts) -> Vec<&'static str> {
        states(facts).iter().map(|one| one.state.name()).collect()
    }

    fn with(vendor: Vendor, kind: TroubleKind) -> Facts {
        let trouble = Trouble { kind, found: "found".to_owned(), fix: "fix".to_owned() };
        Facts { troubles: vec![(vendor, trouble, at(5))], ..well() }
    }

    #[test]
    fn it_works_only_when_nothing_else_holds() {
        assert_eq!(names(&well()), ["working"]);
        for (facts, name) in [
            (Facts { install: AppInstall::Lost(Some(at(1))), ..well() }, "tokens_lost"),
            (Facts { install: AppInstall::Lost(None), worked: false, ..well() }, "tokens_lost"),
            (with(Vendor::Ghl, TroubleKind::Lost), "tokens_lost"),
            (with(Vendor::Ghl, TroubleKind::Refused), "ghl_refused"),
            (with(Vendor::Trafft, TroubleKind::Refused), "trafft_refused"),
            (with(Vendor::Ghl, TroubleKind::Down), "ghl_down"),
            (with(Vendor::Trafft, TroubleKind::Down), "trafft_down"),
            (Facts { other_app_since: Some(at(1)), ..well() }, "other_app_refused"),
            (Facts { events_paused: Some((at(1), 3)), ..well() }, "events_paused"),
            (Facts { deletions_held_since: Some(at(1)), ..well() }, "deletions_held"),
            (Facts { entered: false, worked: false, ..well() }, "no_trafft_account"),
            (Facts { install: AppInstall::None, ..well() }, "not_in_settings"),
            (Facts { install: AppInstall::Uninstalled(None), ..well() }, "uninstalled"),
            (Facts { paused: Some(None), worked: false, ..well() }, "paused"),
            (Facts { behind: Some((3, at(1))), ..well() }, "behind"),
            (Facts { worked: false, ..well() }, "starting"),
            (Facts { indexed: false, ..well() }, "starting"),
        ] {
            assert_eq!(names(&facts), [name], "{facts:?}");
            assert!(states(&facts)[0].fix.is_some(), "{name} says what to do");
        }
    }

    #[test]
    fn several_hold_at_once_the_worst_first() {
        let mut facts = with(Vendor::Trafft, TroubleKind::Down);
        (facts.behind, facts.deletions_held_since) = (Some((1, at(1))), Some(at(2)));
        assert_eq!(names(&facts), ["trafft_down", "deletions_held", "behind"]);
        // What a vendor last answered says nothing of a location that rests.
        (facts.paused, facts.worked, facts.events_paused) = (Some(None), false, Some((at(1), 3)));
        assert_eq!(names(&facts), ["deletions_held", "paused"]);
    }

    #[test]
    fn the_settings_need_no_install() {
        let facts = Facts { in_settings: true, install: AppInstall::None, entered: false, ..well() };
        assert_eq!(names(&facts), ["working"]);
        assert_eq!(names(&Facts { install: AppInstall::Lost(None), ..facts }), ["working"]);
    }

    #[test]
    fn with_another_account_nothing_else_is_to_be_said() {
        for because in [Because::Links("https://b".to_owned()), Because::Taken("another".to_owned())] {
            let apart = Some(Apart { asked: "https://a".to_owned(), because });
            let facts = Facts { in_settings: true, apart, worked: false, behind: Some((1, at(1))), ..well() };
            assert_eq!(names(&facts), ["other_account"]);
        }
    }

    #[test]
    fn each_is_listed_once_in_its_order() {
        assert!(StateName::ALL.is_sorted());
        for name in StateName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.name());
        }
    }
}
