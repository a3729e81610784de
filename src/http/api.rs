//! The admin API: what happened, what waits, and a person's decisions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::webhook::Answer;
use super::{Problem, Service};
use crate::model::{CustomerId, LocationId, Status};
use crate::store::{
    ConnectionView, ContactKey, ContactView, Cursor, Decided, Decision, EventFilter, EventView, InstallStatus, Page,
    WriteView,
};

/// Which rows to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Of this location.
    location_id: Option<String>,
    /// About this contact.
    contact_id: Option<String>,
    /// That ended so.
    status: Option<Status>,
    /// Events of this type.
    r#type: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows at most: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

impl Filter {
    fn split(self) -> Result<(EventFilter, Cursor), Problem> {
        let limit = limit(self.limit)?;
        let filter = EventFilter {
            location: self.location_id,
            contact: self.contact_id,
            status: self.status,
            kind: self.r#type,
        };
        Ok((filter, Cursor { after: self.cursor, limit }))
    }
}

/// How many rows a page holds at most: 50 where the request does not say.
pub(super) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    let limit = asked.unwrap_or(50);
    if (1..=200).contains(&limit) { Ok(limit) } else { Err(Problem::bad_request("`limit` must be from 1 to 200")) }
}

/// A page of events, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Events {
    events: Vec<EventView>,
    /// Give this as `cursor` for the next page; none: this is the last. A page looks at 10,000 events at most: with a filter it may
    /// hold fewer than `limit`, even none, and not be the last.
    next: Option<String>,
}

/// A page of contacts, by location and id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Contacts {
    contacts: Vec<ContactView>,
    /// Give this as `cursor` for the next page; none: this is the last.
    next: Option<String>,
}

/// A contact and what was written to Trafft for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ContactWithWrites {
    contact: ContactView,
    /// The last hundred, the newest first.
    writes: Vec<WriteView>,
}

/// Lists events, the newest first.
#[utoipa::path(get, operation_id = "list_events", path = "/api/v1/events", tag = "admin", params(Filter), security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Events), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    Parsed(filter): Parsed<Filter>,
) -> Result<Json<Events>, Problem> {
    let (filter, page) = filter.split()?;
    let Page { rows: events, next } = service.store.events(&filter, &page).await?;
    Ok(Json(Events { events, next }))
}

/// Shows one event.
#[utoipa::path(get, operation_id = "get_event", path = "/api/v1/events/{id}", tag = "admin", params(("id" = String, Path, description = "Our id for the event")),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = EventView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn event(State(service): State<Arc<Service>>, Named(id): Named) -> Result<Json<EventView>, Problem> {
    let event = service.store.event(&id).await?;
    event.map(Json).ok_or_else(|| Problem::not_found("there is no event with this id"))
}

/// Sends an event round again: its contact is read and synced as if it had just arrived.
#[utoipa::path(post, operation_id = "replay_event", path = "/api/v1/events/{id}/replay", tag = "admin", params(("id" = String, Path, description = "Our id for the event")),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Answer), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replay(State(service): State<Arc<Service>>, Named(id): Named) -> Result<Json<Answer>, Problem> {
    match service.intake.replay(&id).await? {
        Some(admitted) => Ok(Json(service.follow(admitted).await)),
        None => Err(Problem::not_found("there is no event with this id")),
    }
}

/// Lists contacts, by location and id.
#[utoipa::path(get, operation_id = "list_contacts", path = "/api/v1/contacts", tag = "admin", params(Filter), security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Contacts), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn contacts(
    State(service): State<Arc<Service>>,
    Parsed(filter): Parsed<Filter>,
) -> Result<Json<Contacts>, Problem> {
    let (filter, Cursor { after, limit }) = filter.split()?;
    let wrong = || Problem::bad_request("`cursor` is not `next` of a page of contacts");
    let after = after.as_deref().map(|cursor| cursor.split_once('/').ok_or_else(wrong)).transpose()?;
    let Page { rows: contacts, next } = service.store.contacts(&filter, after, limit).await?;
    Ok(Json(Contacts { contacts, next }))
}

/// Shows a contact and what was written to Trafft for it.
#[utoipa::path(get, operation_id = "get_contact", path = "/api/v1/contacts/{id}", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = ContactWithWrites), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn contact(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<Json<ContactWithWrites>, Problem> {
    let (key, contact) = service.find_contact(&id, which).await?;
    let writes = service.store.writes(&key).await?;
    Ok(Json(ContactWithWrites { contact, writes }))
}

/// Reads a contact whole and makes Trafft match, now. Also takes in a contact that no event has named yet.
#[utoipa::path(post, operation_id = "sync_contact", path = "/api/v1/contacts/{id}/sync", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 200, body = Answer), (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn sync(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<Json<Answer>, Problem> {
    let contact = id.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let location = service.whose_contact(&id, which).await?;
    let admitted = service.intake.operator(ContactKey { location, contact }).await?;
    Ok(Json(service.follow(admitted).await))
}

/// Which customer to link with.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct Link {
    /// The customer in Trafft.
    trafft_customer_id: i64,
}

/// Decides a conflict: this contact is that customer.
#[utoipa::path(post, operation_id = "link_contact", path = "/api/v1/contacts/{id}/link", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    request_body = Link, security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = ContactView), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn link(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
    body: Result<Json<Link>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<ContactView>), Problem> {
    let Json(link) =
        body.map_err(|error| Problem::bad_request(format!("send {{\"trafft_customer_id\": …}}: {}", error.status())))?;
    service.decide(&id, which, Decision::Linked, Some(CustomerId(link.trafft_customer_id))).await
}

/// Takes a contact and its customer apart; it stays alone until `link` or `create`.
#[utoipa::path(post, operation_id = "unlink_contact", path = "/api/v1/contacts/{id}/unlink", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = ContactView), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unlink(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<(StatusCode, Json<ContactView>), Problem> {
    service.decide(&id, which, Decision::Unlinked, None).await
}

/// Decides a conflict: this contact is none of the customers there are, and becomes one of its own.
#[utoipa::path(post, operation_id = "create_customer", path = "/api/v1/contacts/{id}/create", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 202, body = ContactView), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<(StatusCode, Json<ContactView>), Problem> {
    service.decide(&id, which, Decision::Create, None).await
}

/// Forgets a contact and everything that is kept about it here; neither HighLevel nor Trafft is told.
#[utoipa::path(delete, operation_id = "erase_contact", path = "/api/v1/contacts/{id}", tag = "admin", params(("id" = String, Path, description = "The contact in GoHighLevel"), Which),
    security(("admin_token" = []), ("session" = [])),
    responses((status = 204), (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn erase(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Parsed(which): Parsed<Which>,
) -> Result<StatusCode, Problem> {
    // Events may name a contact that is not known yet, as those of a location that is not connected do.
    let location = service.whose_contact(&id, which).await?;
    let contact = id.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let key = ContactKey { location, contact };
    if !service.store.erase(&key, service.clock.now()).await? {
        return Err(Problem::not_found("nothing is kept about a contact with this id"));
    }
    service.intake.nudge(&key.location);
    Ok(StatusCode::NO_CONTENT)
}

/// Names the location where contacts of several locations have the same id.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The location in GoHighLevel; needed only where several have a contact of this id, or none has and several are connected.
    location_id: Option<String>,
}

/// Query strings whose mistakes come back as problem+json.
pub(super) struct Parsed<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> axum::extract::FromRequestParts<S> for Parsed<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// The id in an address; one that is no text comes back as problem+json.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Named {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Problem::bad_request("the id in the address is not UTF-8"))
    }
}

fn several() -> Problem {
    Problem::conflict("several locations have a contact with this id: say which one").which_location()
}

impl Service {
    /// The location that is meant: if none is named, the one of the settings, else the only one that is connected.
    pub(super) async fn whose(&self, named: Option<String>) -> Result<LocationId, Problem> {
        let parse = |location: &str| location.parse().map_err(|error| Problem::bad_request(format!("{error}")));
        if let Some(location) = named {
            return parse(&location);
        }
        if let Some(location) = self.intake.location() {
            return Ok(location);
        }
        let in_settings = |id: &str| self.by_settings.accounts.keys().any(|known| known.as_str() == id);
        let all = self.store.connections().await?;
        let fits = |one: &&ConnectionView| {
            in_settings(&one.location_id) || one.entered && one.install != Some(InstallStatus::Uninstalled)
        };
        match all.iter().filter(fits).collect::<Vec<_>>()[..] {
            [one] => parse(&one.location_id),
            [] => Err(Problem::conflict("no location is connected yet")),
            _ => Err(Problem::conflict("several locations are connected: say which one").which_location()),
        }
    }

    /// The location of a contact that may not be known yet.
    async fn whose_contact(&self, id: &str, which: Which) -> Result<LocationId, Problem> {
        if which.location_id.is_none() {
            match &self.contacts_of(id, None).await?[..] {
                [] => {}
                [one] => return self.whose(Some(one.location_id.clone())).await,
                _ => return Err(several()),
            }
        }
        self.whose(which.location_id).await
    }

    /// Who has this id: two at most.
    async fn contacts_of(&self, id: &str, location: Option<String>) -> Result<Vec<ContactView>, Problem> {
        let filter = EventFilter { location, contact: Some(id.to_owned()), ..EventFilter::default() };
        Ok(self.store.contacts(&filter, None, 2).await?.rows)
    }

    /// The one contact that is meant.
    pub(super) async fn find_contact(&self, id: &str, which: Which) -> Result<(ContactKey, ContactView), Problem> {
        let mut found = self.contacts_of(id, which.location_id).await?;
        match (found.len(), found.pop()) {
            (1, Some(contact)) => {
                let key = contact.location_id.parse().ok().zip(contact.contact_id.parse().ok());
                let (location, id) =
                    key.ok_or_else(|| Problem::not_found("the contact's ids in the database cannot be read"))?;
                Ok((ContactKey { location, contact: id }, contact))
            }
            (0, _) | (_, None) => Err(Problem::not_found(
                "no event has named a contact with this id (HighLevel's id, not an e-mail or a name); `sync` takes it in",
            )),
            _ => Err(several()),
        }
    }

    async fn decide(
        &self,
        id: &str,
        which: Which,
        decision: Decision,
        customer: Option<CustomerId>,
    ) -> Result<(StatusCode, Json<ContactView>), Problem> {
        let (key, _) = self.find_contact(id, which).await?;
        match self.store.decide(&key, decision, customer, self.clock.now()).await? {
            Decided::Recorded => {}
            Decided::NoContact => return Err(Problem::not_found("no event has named a contact with this id")),
            Decided::NoCustomer => {
                return Err(Problem::not_found(
                    "our index of the Trafft account has no customer with this id; a customer made just now is seen with the next new contact",
                ));
            }
            Decided::Taken(holder) => {
                return Err(Problem::conflict(format!(
                    "that customer belongs to contact {holder}: `unlink` that one first"
                )));
            }
            Decided::HasCustomer(customer) => {
                return Err(Problem::conflict(format!(
                    "the contact is linked with customer {customer}: `unlink` it first"
                )));
            }
            Decided::Creating => {
                return Err(Problem::conflict(
                    "a customer is being made for the contact, and Trafft's answer is not known yet: decide again in a minute or two; where Trafft was away for long, `contacts sync` asks it now",
                ));
            }
        }
        self.intake.nudge(&key.location);
        let location_id = Some(key.location.to_string());
        let (_, contact) = self.find_contact(id, Which { location_id }).await?;
        Ok((StatusCode::ACCEPTED, Json(contact)))
    }
}
