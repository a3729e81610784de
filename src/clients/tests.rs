//! Both clients against a small server on this machine: what is sent, and what each kind of answer
//! becomes.

mod ghl;
mod trafft;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use super::http::CallLabels;
use super::*;
use crate::clock::Clock;

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that answers what its script says, and remembers what it was asked.
struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `script` is handed each request and how many came before it.
    async fn start<F>(script: impl Fn(Seen, usize) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler = {
            let seen = seen.clone();
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
                let request = Seen { method, uri, headers, body: String::from_utf8(body.into()).unwrap() };
                let before = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                script(request, before).await
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url, seen }
    }

    /// Answers everything alike.
    async fn always(status: u16, body: &'static str) -> Self {
        Self::start(move |_, _| async move { answer(status, body) }).await
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A server that reads a request and then does with the connection what it is told.
async fn raw(reply: &'static [u8]) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
            let _ = connection.write_all(reply).await;
        }
    });
    url
}

/// A port at which nobody listens: one that was free a moment ago may be that of another test by
/// now, this one is given to nobody.
fn nobody() -> Url {
    "http://127.0.0.1:1".parse().unwrap()
}

fn http() -> Http {
    Http::new(Timeouts::default(), CallCounts::default()).unwrap()
}

fn clock() -> Clock {
    Clock::manual("2026-09-01T10:00:00Z".parse().unwrap())
}

/// Callers work on several contacts at once, each on a task of its own.
fn sendable<F: Future + Send>(call: F) -> F {
    call
}
