//! What both emulators share: taking a call, meeting it with a fault or an answer, and writing it
//! down.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::{Clock, http_date};
use crate::faults::{Fault, Faults};
use crate::journal::{Class, Entry, Journal};
use crate::raw::Raw;
use crate::socket::{Gate, Socket};

/// More than any body of these APIs.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A request, read to its end.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    async fn read(request: Request) -> Result<Self, axum::Error> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY).await?;
        Ok(Self {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: form(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
        })
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token of `Authorization: Bearer <token>`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer "))
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// `METHOD /path`, as complaints name a call.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The pairs of a query or a form body.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://form/?{text}"))
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default()
}

/// What goes back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json; charset=utf-8", body.to_string())
    }

    /// JSON of whatever can be written as such; for answers too large to be a [`Value`] first.
    pub(crate) fn of(status: u16, body: &impl serde::Serialize) -> Self {
        let text = serde_json::to_string(body);
        Self::text(status, "application/json; charset=utf-8", text.unwrap_or_default())
    }

    pub(crate) fn text(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into().into_bytes() }
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        Self::text(
            status,
            "text/html; charset=utf-8",
            format!("<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"),
        )
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(Body::from(self.body)).unwrap_or_else(|_| Response::new(Body::empty()))
    }
}

/// The parts every emulator has.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) raw: Raw,
    pub(crate) journal: Journal,
}

impl Desk {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, faults: Faults::default(), raw: Raw::default(), journal: Journal::default() }
    }
}

/// One of the two services that are played here.
pub(crate) trait Vendor: Send + Sync + 'static {
    fn desk(&self) -> &Desk;
    /// What `GET /` says.
    fn about(&self) -> String;
    fn control(&self, call: &Call) -> Answer;
    fn classify(&self, call: &Call) -> Class;
    /// What is refused before any scripted fault is spent on it.
    fn admit(&self, call: &Call) -> Option<Answer>;
    fn carry_out(&self, call: &Call) -> Answer;
    /// The vendor's own body for a status.
    fn failure(&self, status: u16) -> Answer;
    /// Headers that go on every answer.
    fn decorate(&self, call: &Call, answer: Answer) -> Answer;
}

enum Ending {
    Answered(Answer),
    CutShort(Answer),
    Dropped,
}

async fn attend(vendor: Arc<dyn Vendor>, call: Arc<Call>) -> Ending {
    if let Some(refusal) = vendor.admit(&call) {
        return Ending::Answered(vendor.decorate(&call, refusal));
    }
    let desk = vendor.desk().clone();
    let done = |vendor: &Arc<dyn Vendor>| vendor.decorate(&call, desk.raw.apply(&call.path, vendor.carry_out(&call)));
    let failed = |answer: Answer| Ending::Answered(vendor.decorate(&call, answer));
    match desk.faults.next(&call.method, &call.path) {
        None => Ending::Answered(done(&vendor)),
        Some(Fault::Status(status)) => failed(vendor.failure(status)),
        Some(Fault::StatusWithBody(status, body)) => failed(Answer::text(status, "application/json", body)),
        Some(Fault::TooManyRequests { retry_after }) => {
            let answer = vendor.failure(429);
            failed(match retry_after {
                Some(seconds) => answer.with("retry-after", seconds),
                None => answer,
            })
        }
        Some(Fault::Slow { ms }) => {
            desk.clock.sleep_ms(ms).await;
            Ending::Answered(done(&vendor))
        }
        Some(Fault::DoneThenSlow { ms }) => {
            let answer = done(&vendor);
            desk.clock.sleep_ms(ms).await;
            Ending::Answered(answer)
        }
        Some(Fault::StatusThenDone { status, body, after_ms }) => {
            let (vendor, call) = (vendor.clone(), call.clone());
            let until = desk.clock.now_ms() + after_ms;
            tokio::spawn(async move {
                desk.clock.sleep_ms(until - desk.clock.now_ms()).await;
                vendor.carry_out(&call);
            });
            Ending::Answered(Answer::text(status, "application/json", body))
        }
        Some(Fault::CutShort) => Ending::CutShort(done(&vendor)),
        Some(Fault::Html(status)) => {
            // Its clock is its own, an hour ahead.
            let date = http_date(desk.clock.now_ms() + 3_600_000);
            let page = Answer::html(status, &format!("{status} from a gateway")).with("date", date);
            Ending::Answered(if (300..400).contains(&status) { page.with("location", "/sorry") } else { page })
        }
        Some(Fault::DoneThenDropped) => {
            vendor.carry_out(&call);
            Ending::Dropped
        }
        Some(Fault::DroppedThenDone { after_ms }) => {
            let (vendor, call) = (vendor.clone(), call.clone());
            // The clock starts now, not when the task is first run.
            let until = desk.clock.now_ms() + after_ms;
            tokio::spawn(async move {
                desk.clock.sleep_ms(until - desk.clock.now_ms()).await;
                vendor.carry_out(&call);
            });
            Ending::Dropped
        }
        Some(Fault::DoneThenStatus(status)) => {
            vendor.carry_out(&call);
            failed(vendor.failure(status))
        }
        Some(Fault::Refuse) => Ending::Dropped,
    }
}

async fn handle(
    State(vendor): State<Arc<dyn Vendor>>,
    ConnectInfo(socket): ConnectInfo<Socket>,
    request: Request,
) -> Response<Body> {
    let Ok(call) = Call::read(request).await else {
        return Answer::text(413, "text/plain", "body too large or broken off").into_response();
    };
    if call.path == "/" {
        return Answer::text(200, "text/plain; charset=utf-8", vendor.about()).into_response();
    }
    if call.path.starts_with("/_control/") {
        return vendor.control(&call).into_response();
    }
    let desk = vendor.desk();
    let ticket = desk.journal.begin(Entry {
        at_ms: desk.clock.now_ms(),
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        class: vendor.classify(&call),
        status: 0,
        body: call.json(),
    });
    // Its own task: a server does not stop half-way because the caller hung up.
    let ending = tokio::spawn(attend(vendor.clone(), Arc::new(call))).await.unwrap_or(Ending::Dropped);
    match ending {
        Ending::Answered(answer) => {
            ticket.answered(answer.status);
            // By its own clock: a client that compares sees how far they are apart.
            let date = http_date(desk.clock.now_ms());
            let is_dated = answer.headers.iter().any(|(name, _)| *name == "date");
            if is_dated { answer } else { answer.with("date", date) }.into_response()
        }
        Ending::CutShort(answer) if !answer.body.is_empty() => {
            socket.cut_in_body();
            answer.into_response()
        }
        Ending::CutShort(_) | Ending::Dropped => {
            socket.cut();
            Answer::empty(200).into_response()
        }
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Serving {
    _stop: oneshot::Sender<()>,
}

/// Binds, so that the address is known before anything is served.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, String)> {
    if !address.ip().is_loopback() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!("the sandbox listens on loopback only, not on {address}"),
        ));
    }
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

pub(crate) fn serve(listener: TcpListener, vendor: Arc<dyn Vendor>) -> Serving {
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Router::new().fallback(handle).with_state(vendor).into_make_service_with_connect_info::<Socket>();
    tokio::spawn(async move {
        let serving = axum::serve(Gate(listener), service).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        let _ = serving.await;
    });
    Serving { _stop: stop }
}
