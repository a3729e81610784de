//! The addresses that HighLevel delivers to. What is stored, known already or of no use is answered
//! 200; every other answer is repeated up to 12 times and counts against the URL (G §8.6). Only
//! what is not signed rightly (401), too large (413) or not stored (429) is refused. Nothing here
//! answers 5xx: the 429 says when to come again.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, header};
use http_body_util::LengthLimitError;
use serde::Serialize;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, debug, warn};

use super::admission::{SHORT, Slot};
use super::source::Source;
use super::{Problem, Service};
use crate::intake::{self, PendingAnswer, VerifiedEvent};
use crate::model::{ContactId, ProblemCode, Status, USER_AGENT};
use crate::store::{EventView, Receipt, Told};

/// How far an event came.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Answer {
    /// How far it came.
    pub status: Status,
    /// Our id for the event; of the first delivery, if this is a duplicate.
    pub event_id: String,
    /// The contact that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<String>,
    /// The Trafft customer that it reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trafft_customer_id: Option<i64>,
    /// Calls to HighLevel by the reconcile that settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ghl_calls: Option<i64>,
    /// Calls to Trafft by the reconcile that settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trafft_calls: Option<i64>,
    /// Why, where the status does not say it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A body that has not arrived after so long never will; no proxy of ours waits for much longer either.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes a signed webhook of a HighLevel marketplace app: verified over the raw bytes, stored, then synced while the
/// sender waits, up to the inline deadline. HighLevel repeats whatever is not answered 2xx, up to 12 times, and switches off
/// an address that refuses too many: so what is genuine but of no use is answered 200.
#[utoipa::path(
    post, operation_id = "receive_event", path = "/webhooks/ghl", tag = "webhooks",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The event as HighLevel sends it"),
    params(("X-GHL-Signature" = String, Header, description = "Base64 Ed25519 signature over the raw body")),
    responses(
        (status = 200, body = Answer, description = "Stored, or known already, or not acted on"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Signature missing or wrong"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "Too large"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Not stored: send it again. Also another app's event while none of `GHL_APP_ID` has ever come"),
    )
)]
pub(super) async fn marketplace(
    State(service): State<Arc<Service>>,
    request: Request<Body>,
) -> Result<Json<Answer>, Problem> {
    receive(&service, "marketplace", &["x-ghl-signature"], request, |headers, body| {
        service.intake.marketplace(|name| headers.get(name).and_then(|value| value.to_str().ok()), body)
    })
    .await
}

/// Takes a webhook action of a HighLevel workflow, which HighLevel does not sign: authenticated by a shared token, or
/// by the Standard Webhooks headers of a relay that signs.
#[utoipa::path(
    post, operation_id = "receive_workflow_event", path = "/webhooks/ghl/workflow", tag = "webhooks",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The document as HighLevel sends it, or an object with `contact_id`"),
    params(
        ("X-Workflow-Token" = Option<String>, Header, description = "The value of GHL_WORKFLOW_TOKEN"),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks: id of the delivery"),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks: Unix seconds"),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks: `v1,` and the base64 HMAC-SHA256"),
    ),
    responses(
        (status = 200, body = Answer, description = "Stored, or known already"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Names no contact"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Token or signature missing or wrong, or workflow webhooks are off"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "Too large"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Not stored: send it again"),
    )
)]
pub(super) async fn workflow(
    State(service): State<Arc<Service>>,
    request: Request<Body>,
) -> Result<Json<Answer>, Problem> {
    receive(&service, "workflow", &["webhook-signature", "x-workflow-token"], request, |headers, body| {
        service.intake.workflow(|name| headers.get(name).and_then(|value| value.to_str().ok()), body)
    })
    .await
}

async fn receive(
    service: &Service,
    source: &'static str,
    signed_by: &[&str],
    request: Request<Body>,
    understand: impl FnOnce(&HeaderMap, Vec<u8>) -> Result<VerifiedEvent, intake::Error>,
) -> Result<Json<Answer>, Problem> {
    if service.stopping() {
        return Err(Problem::try_again("the service is stopping; send it again"));
    }
    let (parts, body) = request.into_parts();
    let is_signed = signed_by.iter().any(|name| parts.headers.contains_key(*name));
    // A check by `doctor`. Its body is not read, so a sender who imitates it gains nothing.
    let is_knock = !is_signed
        && parts
            .headers
            .get(header::USER_AGENT)
            .is_some_and(|agent| agent.as_bytes().starts_with(USER_AGENT.as_bytes()));
    let from = service.source(&parts.extensions, &parts.headers);
    let (body, inside) = if is_signed {
        let (body, slot) = read(service, &parts.headers, body, from).await?;
        let permit =
            service.clock.timeout(BODY_TIMEOUT, service.admission.enter(from, service.clock.now())).await.flatten();
        let Some(permit) = permit else {
            service.metrics.refused(source, ProblemCode::Overloaded);
            return Err(Problem::again(ProblemCode::Overloaded, "too many webhooks at once; send it again"));
        };
        (body, Some((slot, permit)))
    } else {
        // Without a signature it is refused whatever its body says, so the body is not read.
        (Vec::new(), None)
    };
    let understood = understand(&parts.headers, body);
    // The headers keep the buffer of the whole request in memory, which is not needed while the
    // event is being stored.
    drop(parts);
    let (admitted, span) = match understood {
        Ok(event) => {
            let span = event.span();
            (service.intake.accept(event).instrument(span.clone()).await, span)
        }
        Err(error) => (Err(error), Span::none()),
    };
    // The event is stored or refused: what follows needs little memory, so the slot is given back.
    drop(inside);
    match admitted {
        Ok(admitted) => {
            service.admission.signed(from, service.clock.now());
            let kind = admitted.kind;
            let answer = service.follow(admitted).instrument(span.clone()).await;
            service.metrics.event(source, kind, answer.status);
            span.in_scope(|| debug!(status = answer.status.name(), "a webhook was answered `{}`", answer.status));
            Ok(Json(answer))
        }
        Err(error) => {
            let _in = span.enter();
            Err(service.refuse(source, from, is_knock, error))
        }
    }
}

/// The body, and the slot that it holds, if it is long.
async fn read<'s>(
    service: &'s Service,
    headers: &HeaderMap,
    body: Body,
    from: Source,
) -> Result<(Vec<u8>, Option<Slot<'s>>), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > service.max_body) {
        return Err(Problem::too_large(service.max_body));
    }
    let whole = async {
        let slot = match announced {
            Some(length) if length <= SHORT => None,
            _ => Some(service.admission.long_body(from, service.clock.now()).await),
        };
        to_bytes(body, service.max_body).await.map(|bytes| (bytes.into(), slot))
    };
    match service.clock.timeout(BODY_TIMEOUT, whole).await {
        Some(Ok(whole)) => Ok(whole),
        // The cap is the only limit on the body. Every other error is a broken connection, and the
        // answer will not arrive.
        Some(Err(error)) if error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) => {
            Err(Problem::too_large(service.max_body))
        }
        Some(Err(_)) | None => {
            service.admission.refused(from, service.clock.now());
            Err(Problem::try_again("the body did not arrive whole; send it again"))
        }
    }
}

impl Service {
    /// Counts a refusal, and tells of it.
    fn refuse(&self, source: &'static str, from: Source, is_knock: bool, error: intake::Error) -> Problem {
        // Errors that many webhooks meet at once are logged once, where they are found.
        let is_told = match &error {
            intake::Error::Refused(_) if is_knock => true,
            // A flood must not fill the log: of what one source sends, only the first.
            intake::Error::Refused(_) => !self.admission.refused(from, self.clock.now()),
            intake::Error::Unreadable(_) => !self.unreadable.came(Instant::now()),
            intake::Error::OtherApp | intake::Error::NotStored(_) => true,
        };
        let problem = Problem::from(error);
        self.metrics.refused(source, problem.code);
        let Problem { status, detail, .. } = &problem;
        if is_told {
            debug!(status, source = %from, "a webhook from {from} was refused: {detail}");
        } else {
            warn!(status, source = %from, "a webhook from {from} was refused: {detail}");
        }
        problem
    }

    /// Waits, up to the deadline, until the event was settled; tells how far it came.
    pub(super) async fn follow(&self, admitted: PendingAnswer) -> Answer {
        let PendingAnswer { accepted, mut notice, contact, is_new, .. } = admitted;
        let may_be_settled = matches!(accepted.status, Status::Queued | Status::Unresolved);
        if let Some(notice) = notice.as_mut().filter(|_| may_be_settled) {
            if let Some(Told::NotBegun(reason)) = self.clock.timeout(self.deadline, notice.told()).await {
                return Answer::bare(Receipt { reason: Some(reason), ..accepted }, contact);
            }
        } else if is_new {
            return Answer::bare(accepted, contact);
        }
        match self.store.event(&accepted.event).await {
            Ok(Some(event)) => Answer::of(event, accepted.status),
            // The event is stored; not being able to read it back just now changes nothing about
            // that.
            Ok(None) | Err(_) => Answer::bare(accepted, contact),
        }
    }
}

impl Answer {
    fn of(event: EventView, at_the_door: Status) -> Self {
        let status = match at_the_door {
            Status::Duplicate => Status::Duplicate,
            _ => event.status,
        };
        let settled = event.settled_at.is_some() && status != Status::Duplicate;
        Self {
            status,
            event_id: event.id,
            contact_id: event.contact_id,
            trafft_customer_id: event.trafft_customer_id,
            ghl_calls: event.ghl_calls.filter(|_| settled),
            trafft_calls: event.trafft_calls.filter(|_| settled),
            reason: event.reason.filter(|_| status != Status::Duplicate),
        }
    }

    /// What is known without asking the database.
    fn bare(accepted: Receipt, contact: Option<ContactId>) -> Self {
        let Receipt { event: event_id, status, reason } = accepted;
        let contact_id = contact.map(|contact| contact.to_string());
        let trafft_customer_id = None;
        let ghl_calls = None;
        let trafft_calls = None;
        Self { status, event_id, contact_id, trafft_customer_id, ghl_calls, trafft_calls, reason }
    }
}
