//! For phone numbers that are now read differently, by a newer rule or with another home region:
//! the phone keys of the index are made again, and customers are found whose number comes from the
//! former reading.

use jiff::Timestamp;
use tracing::info;

use super::locale::Locale;
use super::metadata::Metadata;
use super::plan::{Maker, Plan, Rules, plan};
use super::values::State;
use super::{Connection, Failure, Mapping, Policy, VendorClients};
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::Contact;
use crate::clock::Clock;
use crate::model::{LocationId, Phone, Region, Sweep};
use crate::store::{Drift, Finding, LinkedPhone, Store};

/// To be raised when [`Phone::new`] reads a text otherwise than before.
pub(super) const RULE: u32 = 1;

const WRONG: &str = "Trafft has what an older version made of the phone number; the right one is written";
const LEFT_OUT: &str = "Trafft has what an older version made of the phone number, which is left out now; \
    compare the two, and correct the one in GoHighLevel";
const READABLE: &str = "the phone number was left out before, and can be read now";

/// What phone keys are made by now.
fn made_by(region: Option<Region>) -> String {
    format!("{RULE} {}", region.map(Region::letters).unwrap_or_default())
}

/// With which home region these keys were made.
pub(super) fn region_of(phone_keys: Option<&str>) -> Option<Region> {
    Region::new(phone_keys?.split(' ').nth(1)?)
}

/// Were these keys made by an older rule? With which home region is another question.
pub(super) fn is_of_older_rule(phone_keys: Option<&str>) -> bool {
    phone_keys.and_then(|keys| keys.split(' ').next()) != Some(&RULE.to_string())
}

impl Connection {
    /// Before anybody is looked for by phone: else a customer is not found, and made twice.
    /// `phone_keys`: what the keys in the index were made by.
    pub(super) async fn read_phones_anew(
        &self,
        store: &Store,
        locale: &Locale,
        phone_keys: &mut Option<String>,
    ) -> Result<(), Failure> {
        let made_by = made_by(locale.region);
        let now = self.clock.now();
        // While the home region is only refused for now, the old keys stay: new keys would be made
        // without it, and once more as soon as it is told.
        let is_kept = locale.region.is_none() && !locale.is_told && !is_of_older_rule(phone_keys.as_deref());
        if is_kept || phone_keys.as_ref() == Some(&made_by) {
            return Ok(());
        }
        let found =
            read_otherwise(store, &self.location, (&self.ghl, &self.metadata), (&self.mapping, &self.policy), now)
                .await?;
        if !found.is_empty() {
            let [wrong, left_out, readable] = counts(&found);
            info!(
                wrong,
                left_out,
                readable,
                "phone numbers are read otherwise than before: {wrong} wrong ones in Trafft are written anew, {left_out} are told \
                 among the findings, {readable} that were left out are written"
            );
            store.found_beside(&self.location, self.epoch, Sweep::Customers, &found, now).await?;
        }
        let key = |phone: &str| Phone::new(phone, locale.region).ok();
        if store.key_phones(&self.location, self.epoch, &made_by, key).await? > 0 {
            store.revive_conflicts(&self.location, now).await?;
        }
        store.revive_skipped(&self.location, now).await?;
        *phone_keys = Some(made_by);
        Ok(())
    }
}

/// Counts the customers of a location in three groups: with a wrong number that will be written
/// again; with a number whose contact's number is left out now; without a number, though the
/// contact's can be read now. Writes nothing.
///
/// # Errors
/// In words: the store's, the vendor's, or the mapping's.
pub async fn to_be_mended(
    store: &Store,
    location: &LocationId,
    reached: &VendorClients,
    clock: &Clock,
) -> Result<[usize; 3], String> {
    let VendorClients { ghl, mapping, policy, .. } = reached;
    let metadata = Metadata::new(policy.zone.clone(), policy.region, None);
    let found = read_otherwise(store, location, (ghl, &metadata), (mapping, policy), clock.now()).await;
    found.map(|found| counts(&found)).map_err(|failure| failure.to_string())
}

fn counts(found: &[Finding]) -> [usize; 3] {
    [WRONG, LEFT_OUT, READABLE].map(|what| found.iter().filter(|finding| finding.what == Some(what)).count())
}

/// Linked contacts whose customer has a number that their own cannot have become under today's
/// rule.
async fn read_otherwise(
    store: &Store,
    location: &LocationId,
    (ghl, metadata): (&Ghl, &Metadata),
    (mapping, policy): (&Mapping, &Policy),
    now: Timestamp,
) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let batch = store.linked_phones(location, &after).await?;
        let Some(last) = batch.last() else { return Ok(found) };
        after = last.contact.to_string();
        let locale = metadata.locale(ghl, now).await.map_err(Failure::Ghl)?;
        for LinkedPhone { contact, fields, shown } in batch {
            // What cannot be read is read anew, and reported, when its turn comes.
            let Ok(record) = serde_json::from_str::<Contact>(&fields) else { continue };
            let definitions = match mapping.uses_custom {
                true => metadata.custom_fields(ghl, &record, now).await.map_err(Failure::Ghl)?,
                false => Default::default(),
            };
            let rules = Rules { mapping, policy, locale: &locale, now };
            // The phone does not depend on the maker of the customer. A contact that the mapping
            // fails on is reported when its own turn comes; the others go on.
            let planned = plan(&State::of(&record, &definitions), Maker::Others, &rules);
            let Ok(Plan::Customer(projection)) = planned else { continue };
            let Some(text) = &projection.phone_text else { continue };
            let theirs = Phone::new(&shown, locale.region).ok();
            let what = match &projection.phone {
                Some(ours) if theirs.as_ref().map(Phone::as_str) == Some(ours) => continue,
                Some(_) if shown.is_empty() || shown == "-" => READABLE,
                Some(_) if is_made_of(&shown, text) => WRONG,
                None if is_made_of(&shown, text) => LEFT_OUT,
                _ => continue,
            };
            found.push(Finding::drifted(contact, Drift::Edited, what));
        }
    }
}

/// May `number` be what version 0.1.0 made of `text`? It read letters as the keys of a telephone,
/// put a country code of up to three digits in front, and left digits out at either end.
fn is_made_of(number: &str, text: &str) -> bool {
    let digits = |text: &str| text.chars().filter_map(key).collect::<String>();
    let number = digits(number);
    let ours = number.get(3..).unwrap_or_default();
    ours.len() >= 3 && digits(text).contains(ours)
}

/// The key of a telephone that a digit or letter stands on.
fn key(c: char) -> Option<char> {
    let c = c.to_ascii_lowercase();
    let keys = ["abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"];
    let letter =
        || (2..).zip(keys).find(|(_, letters)| letters.contains(c)).and_then(|(key, _)| char::from_digit(key, 10));
    c.to_digit(10).and_then(|digit| char::from_digit(digit, 10)).or_else(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `phonenumber` 0.3.10: region, text, and what it made of it, where [`Phone::new`]
    /// takes it no more.
    const OLD: &str = include_str!("../../tests/data/phones-0.1.0.tsv");

    #[test]
    fn whatever_the_old_rule_made_of_a_text_is_recognised_in_trafft() {
        for line in OLD.lines().filter(|line| !line.starts_with('#')) {
            let [region, text, old] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three fields: {line}") };
            assert!(Phone::new(text, Region::new(region)).is_err(), "{line}");
            assert!(is_made_of(old, text), "{line}");
        }
        for (number, text) in [
            ("+495123456789", "+4915123456789"),
            ("+7005553535", "+78005553535"),
            ("+33672829916", "+3367a829916"),
            ("+3804155550142", "4155550142"),
        ] {
            assert!(is_made_of(number, text), "{number} of {text}");
        }
        for (number, text) in [("+14155550142", "+4915123456789"), ("", "415"), ("-", ""), ("+1", "1"), ("+495", "95")]
        {
            assert!(!is_made_of(number, text), "{number} of {text}");
        }
    }

    #[test]
    fn keys_are_of_an_older_rule_until_they_say_otherwise() {
        assert!(is_of_older_rule(None));
        assert!(is_of_older_rule(Some("0 US")));
        assert!(!is_of_older_rule(Some(&made_by(None))));
        assert!(!is_of_older_rule(Some(&made_by(Region::new("US")))));
    }
}
