//! What GHL sends us: marketplace webhooks and workflow webhooks, as far as they tell what to look
//! at.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::clients::lenient::{as_id, as_text};
use crate::model::{ContactId, LocationId, ObjectId};

/// The parts of a marketplace webhook that say what happened to what (G §8.4, §8.5). Anything else
/// in it is a hint at best: the object is read back.
///
/// Fields are flat in real deliveries, and wrapped in `data` in GHL's guide; both are read
/// (G §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `ContactUpdate` and the like.
    pub kind: Option<String>,
    /// Where it happened. Absent from a company's install, and from the location events, which have
    /// it in `id`.
    pub location_id: Option<LocationId>,
    /// The agency.
    pub company_id: Option<String>,
    /// The contact, task, note or location that it is about; which of them, `kind` tells.
    pub id: Option<String>,
    /// Whose task or note it is. Missing from real task events (G §8.5, #332).
    pub contact_id: Option<ContactId>,
    /// The appointment that it is about.
    pub appointment: Option<EnvelopeAppointment>,
    /// The app that it was sent to.
    pub app_id: Option<String>,
    /// The version of that app.
    pub version_id: Option<String>,
    /// When it happened, ISO 8601.
    pub timestamp: Option<String>,
    /// The same for each repeat of a delivery.
    pub webhook_id: Option<String>,
}

/// An appointment inside a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeAppointment {
    /// The appointment's id.
    pub id: Option<ObjectId>,
    /// Whose appointment it is.
    pub contact_id: Option<ContactId>,
}

/// The keys of a JSON object that an [`Envelope`] is made of.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    Type,
    LocationId,
    CompanyId,
    Id,
    ContactId,
    Appointment,
    AppId,
    VersionId,
    Timestamp,
    WebhookId,
    Data,
    #[serde(other)]
    Other,
}

/// Their values. Whatever else is in the object is skipped: most of a webhook is, and every one of
/// them comes this way.
#[derive(Default)]
struct Members([Value; Member::Other as usize]);

impl Members {
    /// What stands there, or null.
    fn take(&mut self, member: Member) -> Value {
        self.0.get_mut(member as usize).map(Value::take).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some(member) = object.next_key::<Member>()? {
            match members.0.get_mut(member as usize) {
                Some(value) => *value = object.next_value()?,
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut outer = Members::deserialize(from)?;
        let mut wrapped = match outer.take(Member::Data) {
            data @ Value::Object(_) => Members::deserialize(data).unwrap_or_default(),
            _ => Members::default(),
        };
        let mut take = |member| match (outer.take(member), wrapped.take(member)) {
            (Value::Null, inner) => inner,
            (flat, _) => flat,
        };
        let appointment = match take(Member::Appointment) {
            Value::Object(mut it) => Some(EnvelopeAppointment {
                id: it.remove("id").and_then(as_id),
                contact_id: it.remove("contactId").and_then(as_id),
            }),
            _ => None,
        };
        Ok(Self {
            kind: as_text(take(Member::Type)),
            location_id: as_id(take(Member::LocationId)),
            company_id: as_text(take(Member::CompanyId)),
            id: as_text(take(Member::Id)),
            contact_id: as_id(take(Member::ContactId)),
            appointment,
            app_id: as_text(take(Member::AppId)),
            version_id: as_text(take(Member::VersionId)),
            timestamp: as_text(take(Member::Timestamp)),
            webhook_id: as_text(take(Member::WebhookId)),
        })
    }
}

/// What a workflow's webhook action sends (G §9): its fixed document, or what a user made up in its
/// likeness.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkflowDocument {
    /// `contact_id`, or `contactId` where a user wrote the body.
    pub contact_id: Option<ContactId>,
    /// `location.id`, or `locationId`, `location_id` where a user wrote the body.
    pub location_id: Option<LocationId>,
    /// What the user added.
    pub custom_data: Value,
}

impl<'de> Deserialize<'de> for WorkflowDocument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut document = Value::Object(Map::deserialize(from)?);
        let first =
            |values: [&Value; 3]| values.into_iter().find(|value| value.is_string()).cloned().unwrap_or_default();
        let contact = first([&document["contact_id"], &document["contactId"], &document["contact"]["id"]]);
        let location = first([&document["location"]["id"], &document["locationId"], &document["location_id"]]);
        Ok(Self {
            contact_id: as_id(contact),
            location_id: as_id(location),
            custom_data: document["customData"].take(),
        })
    }
}
