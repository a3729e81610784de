//! What is true of a whole location, read every hour: its zone, its country, its custom fields.
//! That it may not be read is believed for a minute only.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Mutex;
use tracing::warn;

use super::custom::meanings;
use super::locale::{Locale, Unread};
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::{Contact, CustomField, CustomFieldValue};
use crate::clients::{About, Error, Listed};
use crate::model::Region;

/// What was told is read again after this time: people change it in HighLevel, and no event says
/// so. The projection sweep, too, asks anew after this time for what it was not told.
pub(super) const FRESH: Duration = Duration::from_hours(1);

/// Definitions are read again as well when a contact holds an unknown field. The same field does
/// not cause another read at once: it may have been deleted, while its values stay.
const NOT_AT_ONCE: Duration = Duration::from_mins(1);

/// A refused read is tried again after this time: a scope can be granted at any time, and a gateway
/// refuses for a moment only. Each of these reads then costs at most 1,440 of the 200,000 calls of
/// a day.
const REFUSED: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Metadata {
    zone: Option<TimeZone>,
    region: Option<Region>,
    /// The home region that HighLevel told before this process began: what the index of phones was
    /// made with.
    told_before: Option<Region>,
    locale: Mutex<Option<Known<Locale>>>,
    custom_fields: Mutex<Option<Known<Arc<[CustomField]>>>>,
    /// Fields that contacts held and the definitions lacked.
    unknown_fields: Mutex<HashSet<String>>,
    /// Something was told otherwise than before, or was missing, since [`Metadata::take_unsettled`]
    /// was last asked: what was projected meanwhile may differ from the rest.
    unsettled: AtomicBool,
}

/// What a read brought.
#[derive(Debug)]
struct Known<T> {
    value: T,
    read_at: Timestamp,
    /// The read was refused, and this is what is done without it.
    refused: bool,
}

impl Metadata {
    /// `zone` and `region` are what the settings say; what they leave open is asked of GHL.
    pub(super) fn new(zone: Option<TimeZone>, region: Option<Region>, told_before: Option<Region>) -> Self {
        Self {
            zone,
            region,
            told_before,
            locale: Mutex::default(),
            custom_fields: Mutex::default(),
            unknown_fields: Mutex::default(),
            unsettled: AtomicBool::default(),
        }
    }

    /// Was something told otherwise than before, or missing, since [`Metadata::take_unsettled`] was
    /// last asked?
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// The same since this was last asked.
    pub(super) fn take_unsettled(&self) -> bool {
        self.unsettled.swap(false, Ordering::Relaxed)
    }

    /// While the location record is refused, what it would have told is not guessed: no zone, and
    /// the region that it told before, if any. Without that region, customers read meanwhile would
    /// lose their phones in the index, and be created again.
    ///
    /// # Errors
    /// Trouble that passes by itself.
    pub(super) async fn locale(&self, ghl: &Ghl, now: Timestamp) -> Result<Locale, Error> {
        let mut known = self.locale.lock().await;
        let was_refused = known.as_ref().is_some_and(|known| known.refused);
        if let Some(known) = &*known
            && !(known.refused && now >= known.read_at + REFUSED)
        {
            return Ok(known.value.clone());
        }
        let (value, refused) = match self.read_locale(ghl).await {
            Ok((locale, unread)) => {
                tell(&unread);
                (locale, false)
            }
            Err(error) if is_refusal(&error) => {
                if !was_refused && !is_of_all(&error) {
                    warn!(
                        "the location record cannot be read ({error}): grant `locations.readonly`, or set `TIME_ZONE` and \
                         `PHONE_REGION`; until then times are told in UTC, and phones without `+` are left out unless the country was told before"
                    );
                }
                self.unsettled.store(true, Ordering::Relaxed);
                (Locale { zone: self.zone.clone(), region: self.region.or(self.told_before), is_told: false }, true)
            }
            Err(error) => return Err(error),
        };
        *known = Some(Known { value: value.clone(), read_at: now, refused });
        Ok(value)
    }

    /// Reads the location record again, if that is due: people change it, and no event says so.
    /// Contacts do not wait for it meanwhile, and go on with what is known if it cannot be read.
    pub(super) async fn renew_locale(&self, ghl: &Ghl, now: Timestamp) {
        let is_due = |known: &Known<Locale>| !known.refused && now >= known.read_at + FRESH;
        if !self.locale.lock().await.as_ref().is_some_and(is_due) {
            return;
        }
        let Ok((value, unread)) = self.read_locale(ghl).await else { return };
        let mut known = self.locale.lock().await;
        let Some(before) = known.as_ref().map(|known| &known.value) else { return };
        // People change a zone, and do not clear it: such a record is another service's, or cut.
        let is_less =
            before.zone.is_some() && value.zone.is_none() || before.region.is_some() && value.region.is_none();
        if is_less {
            return;
        }
        if !before.reads_like(&value) {
            tell(&unread);
            self.unsettled.store(true, Ordering::Relaxed);
        }
        *known = Some(Known { value, read_at: now, refused: false });
    }

    /// Also what of the record cannot be read, with what to set.
    async fn read_locale(&self, ghl: &Ghl) -> Result<(Locale, Unread), Error> {
        let set = (self.zone.clone(), self.region);
        if let (Some(_), Some(_)) = set {
            let (zone, region) = set;
            return Ok((Locale { zone, region, is_told: true }, Vec::new()));
        }
        Ok(Locale::new(set, &ghl.location().await?))
    }

    /// The definitions of the location's custom fields; while reading them is refused, those that
    /// were read before, if any were.
    ///
    /// # Errors
    /// Trouble that passes by itself.
    pub(super) async fn custom_fields(
        &self,
        ghl: &Ghl,
        contact: &Contact,
        now: Timestamp,
    ) -> Result<Arc<[CustomField]>, Error> {
        Ok(self.definitions(ghl, &contact.custom_fields, now).await?.0)
    }

    /// The same for no contact in particular; none while reading them is refused.
    ///
    /// # Errors
    /// Trouble that passes by itself.
    pub(super) async fn told_custom_fields(
        &self,
        ghl: &Ghl,
        now: Timestamp,
    ) -> Result<Option<Arc<[CustomField]>>, Error> {
        let (definitions, refused) = self.definitions(ghl, &[], now).await?;
        Ok((!refused).then_some(definitions))
    }

    /// The definitions, and whether reading them is refused for now.
    async fn definitions(
        &self,
        ghl: &Ghl,
        held: &[CustomFieldValue],
        now: Timestamp,
    ) -> Result<(Arc<[CustomField]>, bool), Error> {
        let mut known = self.custom_fields.lock().await;
        let mut without_definition = self.unknown_fields.lock().await;
        let was_refused = known.as_ref().is_some_and(|known| known.refused);
        let unknown = |known: &[CustomField]| -> Vec<String> {
            let is_unknown = |id: &String| known.iter().all(|definition| definition.id != *id);
            held.iter().map(|field| field.id.clone()).filter(is_unknown).collect()
        };
        if let Some(known) = &*known {
            let unknown = unknown(&known.value);
            let fresh = match (known.refused, unknown.is_empty()) {
                (true, _) => REFUSED,
                (false, true) => FRESH,
                (false, false) if unknown.iter().all(|id| without_definition.contains(id)) => NOT_AT_ONCE,
                (false, false) => Duration::ZERO,
            };
            if now < known.read_at + fresh {
                return Ok((known.value.clone(), known.refused));
            }
        }
        let before = known.as_ref().map(|known| known.value.clone());
        let (value, refused): (Arc<[CustomField]>, bool) = match ghl.custom_fields().await {
            Ok(Listed { mut items, odd }) => {
                // One that cannot be read is not absent.
                let is_odd = |one: &&CustomField| odd.iter().any(|odd| odd.id.as_ref() == Some(&one.id));
                items.extend(before.iter().flat_map(|before| before.iter()).filter(is_odd).cloned());
                (items.into(), false)
            }
            Err(error) if is_refusal(&error) => {
                if !was_refused && !is_of_all(&error) {
                    warn!(
                        "custom field definitions cannot be read ({error}): the mapping can name fields by id only, or grant `locations/customFields.readonly`"
                    );
                }
                (before.clone().unwrap_or_default(), true)
            }
            Err(error) => return Err(error),
        };
        let does_without = refused && (before.is_none() || !unknown(&value).is_empty());
        if does_without || before.is_some_and(|before| meanings(&before) != meanings(&value)) {
            self.unsettled.store(true, Ordering::Relaxed);
        }
        without_definition.extend(unknown(&value));
        *known = Some(Known { value: value.clone(), read_at: now, refused });
        Ok((value, refused))
    }
}

fn tell(unread: &Unread) {
    for (what, fix) in unread {
        warn!("{what}; {fix}");
    }
}

/// Credentials that are refused are refused for everything: that is told once, as the location's
/// trouble.
fn is_of_all(error: &Error) -> bool {
    matches!(error, Error::CredentialsRefused { .. })
}

/// A refusal of the account may last: the sync goes on with defaults. Other errors, and answers of
/// a gateway or another service, are temporary, and are returned.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::ScopeMissing { .. } | Error::CredentialsRefused { .. })
        || matches!(error, Error::Refused { about: About::Account, .. })
}
