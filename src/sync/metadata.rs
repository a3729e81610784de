//! What is true of a whole location, read once and kept: its zone, its country, its custom fields.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Mutex;
use tracing::warn;

use super::project::Place;
use crate::clients::Error;
use crate::clients::ghl::Ghl;
use crate::clients::ghl::wire::{Contact, CustomField};
use crate::model::Region;

/// Definitions are read again after so long, or when a contact holds a field that we have not heard of, but not at
/// once again: a field can be deleted and its values stay behind.
const FRESH: Duration = Duration::from_hours(1);
const NOT_AT_ONCE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Metadata {
    zone: Option<TimeZone>,
    region: Option<Region>,
    place: Mutex<Option<Place>>,
    custom_fields: Mutex<Option<(Timestamp, Arc<[CustomField]>)>>,
}

impl Metadata {
    /// `zone` and `region` are what the settings say; what they leave open is asked of GHL.
    pub(super) fn new(zone: Option<TimeZone>, region: Option<Region>) -> Self {
        Self { zone, region, place: Mutex::default(), custom_fields: Mutex::default() }
    }

    pub(super) async fn place(&self, ghl: &Ghl) -> Result<Place, Error> {
        let mut known = self.place.lock().await;
        if let Some(place) = &*known {
            return Ok(place.clone());
        }
        let place = match (&self.zone, self.region) {
            (Some(zone), Some(region)) => Place { zone: zone.clone(), region: Some(region) },
            (zone, region) => {
                let (timezone, country) = match ghl.location().await {
                    Ok(record) => (record.timezone, record.country),
                    Err(error) if refused(&error) => {
                        warn!(
                            "the location record cannot be read ({error}): set `TIME_ZONE` and `PHONE_REGION`, or grant `locations.readonly`"
                        );
                        (None, None)
                    }
                    Err(error) => return Err(error),
                };
                let theirs = || timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
                Place {
                    zone: zone.clone().or_else(theirs).unwrap_or(TimeZone::UTC),
                    region: region.or_else(|| country.as_deref().and_then(Region::new)),
                }
            }
        };
        *known = Some(place.clone());
        Ok(place)
    }

    pub(super) async fn custom_fields(
        &self,
        ghl: &Ghl,
        contact: &Contact,
        now: Timestamp,
    ) -> Result<Arc<[CustomField]>, Error> {
        let mut known = self.custom_fields.lock().await;
        if let Some((read_at, definitions)) = &*known {
            let knows = |id: &str| definitions.iter().any(|definition| definition.id == id);
            let all_known = contact.custom_fields.iter().all(|field| knows(&field.id));
            let fresh = if all_known { FRESH } else { NOT_AT_ONCE };
            if now < *read_at + fresh {
                return Ok(definitions.clone());
            }
        }
        let definitions: Arc<[CustomField]> = match ghl.custom_fields().await {
            Ok(definitions) => definitions.into(),
            Err(error) if refused(&error) => {
                warn!(
                    "custom field definitions cannot be read ({error}): the mapping can name fields by id only, or grant `locations/customFields.readonly`"
                );
                Arc::default()
            }
            Err(error) => return Err(error),
        };
        *known = Some((now, definitions.clone()));
        Ok(definitions)
    }
}

/// A refusal will be one tomorrow; we do without. Everything else passes.
fn refused(error: &Error) -> bool {
    matches!(
        error,
        Error::ScopeMissing { .. } | Error::CredentialsRefused { .. } | Error::NotFound | Error::Refused { .. }
    )
}
