//! What a contact would become, without anything being written.

use super::locale::Locale;
use super::plan::{Maker, Plan, Rules, plan};
use super::values::State;
use super::{VendorClients, advice};
use crate::clients::Error;
use crate::clock::Clock;
use crate::model::{Check, ContactId};

/// What the preview of a contact is called.
pub fn preview_of(contact: &ContactId) -> String {
    format!("mapping: contact {contact}")
}

/// What a contact would become. Holds personal data: for the screen only, not for the log.
pub async fn preview(reached: &VendorClients, contact: &ContactId, clock: &Clock) -> Check {
    let tried = preview_of(contact);
    let VendorClients { ghl, mapping, policy, .. } = reached;
    let record = match ghl.contact(contact).await {
        Ok(record) => record,
        Err(Error::Gone(_)) => {
            return Check::bad(tried, "there is no such contact", "give the id of a contact of this location");
        }
        Err(error) => return Check::bad(tried, advice::told(&error), advice::ghl_fix(&error)),
    };
    let set = (policy.zone.clone(), policy.region);
    let locale = match ghl.location().await {
        Ok(record) => Locale::new(set, &record).0,
        Err(_) => Locale { zone: set.0, region: set.1, is_told: false },
    };
    let definitions = ghl.custom_fields().await.unwrap_or_default().items;
    let rules = Rules { mapping, policy, locale: &locale, now: clock.now() };
    match plan(&State::of(&record, &definitions), Maker::Nobody, &rules) {
        Err(error) => Check::bad(
            tried,
            error.to_string(),
            "correct the mapping: the location's own, or the file in `MAPPING_FILE`",
        ),
        Ok(Plan::Filtered) => Check::lesser(
            tried,
            "the mapping's `only` leaves it out, so it does not become a customer",
            "nothing if that is meant; else change `only`, or the contact in HighLevel",
        ),
        Ok(Plan::Unreachable(why)) => {
            Check::lesser(tried, why, "give it an e-mail or a phone in HighLevel, or it does not become a customer")
        }
        Ok(Plan::Customer(customer)) => {
            Check::good(tried, serde_json::to_string(&customer.new_customer()).unwrap_or_default())
        }
    }
}
