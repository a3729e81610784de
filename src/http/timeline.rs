//! A contact's notes, tasks and appointments in one line of time: what Trafft cannot show.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::api::{Named, Parsed, Which};
use super::{Problem, Service};
use crate::model::Facet;
use crate::store::Activity;

/// A contact's activities, the latest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Timeline {
    /// The GHL contact.
    contact_id: String,
    /// The linked Trafft customer.
    trafft_customer_id: Option<i64>,
    entries: Vec<Entry>,
}

/// One task, note or appointment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Entry {
    /// Its place in time, RFC 3339: when a note was written, a task is due, an appointment starts; when we first saw it,
    /// where HighLevel does not say.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `task`, `note` or `appointment`.
    kind: &'static str,
    /// Its id in HighLevel.
    id: String,
    /// Its title, as in HighLevel.
    title: Option<String>,
    /// Its text, as in HighLevel: may hold HTML.
    text: Option<String>,
    /// Of a task `open` or `completed`; of an appointment as in HighLevel.
    status: Option<String>,
    /// When we first saw it, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    first_seen: Timestamp,
    /// When it last differed from what we had, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// When it was no longer in HighLevel, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    gone_at: Option<Timestamp>,
}

/// Consolidates the notes, tasks and appointments of a contact, the latest first.
#[utoipa::path(get, operation_id = "get_timeline", path = "/api/v1/contacts/{id}/timeline", tag = "admin",
    params(("id" = String, Path, description = "The contact in GoHighLevel"), Which), security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Timeline), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn timeline(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<Json<Timeline>, Problem> {
    let (key, contact) = service.find_contact(&id, which).await?;
    let mut entries: Vec<_> = service.store.timeline(&key).await?.into_iter().map(Entry::from).collect();
    entries.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    Ok(Json(Timeline { contact_id: contact.contact_id, trafft_customer_id: contact.trafft_customer_id, entries }))
}

impl From<Activity> for Entry {
    fn from(activity: Activity) -> Self {
        let object: Value = serde_json::from_str(&activity.object).unwrap_or_default();
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let (kind, status) = match activity.facet {
            Facet::Tasks => {
                let completed = object.get("completed").and_then(Value::as_bool) == Some(true);
                ("task", Some(if completed { "completed" } else { "open" }.to_owned()))
            }
            Facet::Appointments => ("appointment", text("appointmentStatus").or_else(|| text("status"))),
            Facet::Notes | Facet::Contact => ("note", None),
        };
        Self {
            at: activity.at.unwrap_or(activity.first_seen),
            kind,
            id: activity.id.to_string(),
            title: text("title"),
            text: text("body").or_else(|| text("notes")),
            status,
            first_seen: activity.first_seen,
            changed_at: activity.changed_at,
            gone_at: activity.gone_at,
        }
    }
}
