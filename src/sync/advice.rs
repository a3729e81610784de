//! What an error of a vendor means for an operator: what came back, and what to change.

use crate::clients::Error;
use crate::model::AUTHORISE_AGAIN;

/// What came back, with the vendor's own words: for the screen of the operator only, since they may
/// repeat what we sent.
pub fn told(error: &Error) -> String {
    match error.vendor_message() {
        Some(said) => format!("{}; it said: {said}", found(error)),
        None => found(error),
    }
}

/// What came back, in our own words. What to check is told by the fix.
pub fn found(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => "the credentials are refused".to_owned(),
        Error::NoToken { why } if matches!(**why, Error::CredentialsRefused { .. }) => found(why),
        other => other.to_string(),
    }
}

/// An app's scopes are fixed once a version of it is live (G §8.5); a private token's are not
/// (G §3.7).
pub const HOW_TO_GRANT: &str = "private token: edit the integration's scopes, the token stays the same; app: add it to a new version \
    of the app, release that, and have this account take the update (its settings, or the marketplace), or install the app again";

/// What to do when HighLevel refuses the app itself.
pub const APP_KEYS: &str = "compare `GHL_CLIENT_ID` and `GHL_CLIENT_SECRET` with the client keys of your app, and its redirect URLs \
    with `PUBLIC_URL` and `/oauth/callback`; after a change restart the service";

/// What to do when HighLevel does not answer as it should.
pub fn ghl_fix(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => {
            "make a new private integration token in this location (Settings, Private Integrations) and enter it: after a rotation the old one is good for 7 days at most; is `GHL_LOCATION_ID` the location that the token was made in? An app that was installed is installed again".to_owned()
        }
        Error::AppRefused { .. } => APP_KEYS.to_owned(),
        Error::ScopeMissing { scope } => format!("grant `{scope}`: {HOW_TO_GRANT}"),
        Error::Reauthorise | Error::GrantInvalid => AUTHORISE_AGAIN.to_owned(),
        Error::LocationInactive => "reactivate the location in HighLevel; nothing else is lost".to_owned(),
        error if error.is_of_another() => "check `GHL_API_URL` (leave it out to use HighLevel's own) and the location's id".to_owned(),
        other => on_the_way(other),
    }
}

/// What to do when Trafft does not answer as it should.
pub fn trafft_fix(error: &Error) -> String {
    match error {
        Error::CredentialsRefused { .. } => {
            "copy client id and client secret again from Trafft, Features & Integrations, API: they belong to the URL on the same card".to_owned()
        }
        error if error.is_of_another() => {
            "use the URL on Trafft's API card, as in `https://name.admin.trafft.com`: at this one there is no Trafft API".to_owned()
        }
        other => on_the_way(other),
    }
}

fn on_the_way(error: &Error) -> String {
    if let Error::NotSent { reason } = error
        && let Some(fix) = reason.fix()
    {
        return fix.to_owned();
    }
    match error {
        Error::BudgetUsedUp { .. } | Error::RateLimited { .. } => {
            "try again in a minute: too many calls just now".to_owned()
        }
        _ => "wait a few minutes; if it stays so, look at the vendor's status page".to_owned(),
    }
}
