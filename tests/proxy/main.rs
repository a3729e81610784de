//! The shipped proxy files, each in Debian's program: signatures survive, and whatever fails on the
//! way is answered 429.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "tests")]

mod broken;
mod proxies;

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use futures_util::future::join_all;
use ghl_trafft_sync::app::{App, Error, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use reqwest::Client;
use sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use broken::Broken;
use proxies::{Kind, Proxy, Setup};

/// The service, with its database in a folder of its own.
struct Service {
    sandbox: Sandbox,
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
    _folder: TempDir,
}

impl Service {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
        let mut environment: HashMap<String, String> =
            sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.insert("DATABASE_URL".into(), format!("sqlite://{}/sync.db", folder.path().display()));
        environment.insert("BIND_ADDR".into(), "127.0.0.1:0".into());
        environment.insert("ADMIN_TOKEN".into(), "admin-token-for-tests".into());
        environment.insert("SYNC_INLINE_DEADLINE_MS".into(), "0".into());
        let stop = CancellationToken::new();
        let config = load(&Sources { environment, ..Default::default() }).unwrap();
        let app = App::build(config, Clock::system(), stop.clone()).await.unwrap();
        let address = app.address();
        Self { sandbox, address, stop, running: tokio::spawn(app.run()), _folder: folder }
    }

    /// An event that nothing follows from, so long, in a form that no program would write.
    fn event(&self, number: usize, padding: usize) -> Vec<u8> {
        let (location, blanks) = (self.sandbox.ghl.location_id(), " ".repeat(padding));
        format!(
            "\r\n{{ \"type\" :\t\"LocationUpdate\",\"id\":\"{location}\", \"webhookId\":\"w{number}\", \"name\":\"Zo\\u00eb ë\\/\"{blanks}}}\n "
        )
        .into_bytes()
    }
}

/// Status, `Retry-After`, and the body.
type Answer = (u16, String, Value);

/// `None`: no whole answer came.
async fn post(
    http: &Client,
    url: &str,
    body: impl Into<reqwest::Body>,
    headers: Vec<(String, String)>,
) -> Option<Answer> {
    let mut request = http.post(format!("{url}/webhooks/ghl")).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&response.bytes().await.ok()?).unwrap_or_default();
    Some((status, retry.unwrap_or_default(), body))
}

/// The first words of an answer that may come before the whole body is sent. `tells`: the length,
/// or else the body comes in a chunk.
async fn early_status(url: &str, body: &[u8], headers: &[(String, String)], tells: bool) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    let length = body.len();
    let how = if tells {
        format!("Content-Length: {length}\r\n\r\n")
    } else {
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n")
    };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST /webhooks/ghl HTTP/1.1\r\nHost: {address}\r\n{headers}{how}");
    let body = [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
    // Whoever has answered need not take the rest. Whoever asks is there until it is answered.
    let sending = tokio::spawn(async move { (to.write_all(&body).await, to) });
    let mut status = [0; 12];
    let read = from.read_exact(&mut status).await;
    sending.abort();
    read.map(|_| String::from_utf8_lossy(&status).into_owned()).unwrap_or_default()
}

/// What nginx would write a body to cannot be written any more.
fn without_disk(folder: &Path) {
    fs::remove_dir_all(folder.join("client_body")).unwrap();
    fs::write(folder.join("client_body"), "").unwrap();
}

fn is_not_stored(answer: &Option<Answer>) -> bool {
    matches!(answer, Some((429, retry, body)) if retry == "60" && body["title"] == "not stored")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn signatures_survive_and_the_services_own_answers_pass() {
    for kind in proxies::ALL {
        let service = Service::start().await;
        let folder = TempDir::new().unwrap();
        let proxy = Proxy::start(kind, folder.path(), service.address, Setup::Shipped).await;
        let (http, url) = (Client::new(), proxy.url.clone());
        let send = async |body: Vec<u8>, signed: &[u8]| {
            post(&http, &url, body, service.sandbox.ghl.headers_for(signed)).await.expect("an answer")
        };
        for (number, padding) in [0, 1 << 20].into_iter().enumerate() {
            let body = service.event(number, padding);
            let (status, _, json) = send(body.clone(), &body).await;
            assert_eq!((status, json["status"].as_str()), (200, Some("ignored")), "{kind:?}: {json}");
        }
        let (status, _, json) = send(service.event(2, 1), &service.event(2, 0)).await;
        assert_eq!((status, json["title"].as_str()), (401, Some("not believed")), "{kind:?}: it passes as it is");
        let huge = service.event(3, 4 << 20);
        for tells in [true, false] {
            assert_eq!(
                early_status(&url, &huge, &service.sandbox.ghl.headers_for(&huge), tells).await,
                "HTTP/1.1 413",
                "{kind:?}, tells its length: {tells}"
            );
        }
        let admin = http.get(format!("{url}/api/v1/events")).send().await.unwrap();
        assert_eq!(admin.status().as_u16(), 404, "{kind:?}: the admin API stays inside");

        // The pages are there, and whatever a client claims to be, it is the one that the proxy
        // saw.
        let login = format!("{url}/login");
        assert_eq!(http.get(&login).send().await.unwrap().status().as_u16(), 200, "{kind:?}");
        for page in ["/", "/connections/aLocation", "/oauth/install", "/oauth/callback?code=none"] {
            let answer = http.get(format!("{url}{page}")).send().await.unwrap();
            let (path, status) = (answer.url().path().to_owned(), answer.status().as_u16());
            assert!(path == "/login" && status == 200, "{kind:?}, {page}: {path} {status}");
        }
        // This one passes the name on without its port.
        let origin = if kind == Kind::Nginx { "http://127.0.0.1" } else { &url };
        for (guess, expected) in [401, 401, 401, 401, 401, 429].into_iter().enumerate() {
            let claimed = format!("192.0.2.{guess}");
            let form = http.post(&login).header("origin", origin).header("x-forwarded-for", claimed);
            let status = form.form(&[("token", "wrong")]).send().await.unwrap().status().as_u16();
            assert_eq!(status, expected, "{kind:?}: guess {guess}");
        }

        service.stop.cancel();
        service.running.await.unwrap().unwrap();
        let body = service.sandbox.ghl.location_id().into_bytes();
        let answer = post(&http, &url, body, Vec::new()).await;
        assert!(is_not_stored(&answer), "{kind:?}: {answer:?}");
        let health = http.get(format!("{url}/healthz")).send().await.unwrap().status().as_u16();
        assert!([502, 503].contains(&health), "{kind:?}: a monitor sees that the service is away: {health}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn a_service_that_fails_on_the_way_is_429() {
    for kind in proxies::ALL {
        for how in broken::ALL {
            let folder = TempDir::new().unwrap();
            let proxy = Proxy::start(kind, folder.path(), broken::start(how).await, Setup::Impatient).await;
            let answer = post(&Client::new(), &proxy.url, "{}", Vec::new()).await;
            match how {
                // Its head has gone out already, and what it stores is stored before.
                Broken::DiesInTheBody => assert!(answer.is_none_or(|(status, ..)| status == 200), "{kind:?}"),
                Broken::Fails => assert!(matches!(answer, Some((500, ..))), "{kind:?}: the service's own words pass"),
                _ => assert!(is_not_stored(&answer), "{kind:?}, {how:?}: {answer:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn six_hundred_at_once_are_stored_or_429() {
    for kind in proxies::ALL {
        let service = Service::start().await;
        let folder = TempDir::new().unwrap();
        let proxy = Proxy::start(kind, folder.path(), service.address, Setup::Shipped).await;
        // Each on a connection of its own, as from 600 senders.
        let http = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let asked = (0..600).map(|number| {
            let body = service.event(number, 20_000);
            let headers = service.sandbox.ghl.headers_for(&body);
            post(&http, &proxy.url, body, headers)
        });
        let answers = join_all(asked).await;
        let stored = answers.iter().flatten().filter(|answer| answer.0 == 200).count();
        assert!(stored > 100, "{kind:?}: {stored}");
        let odd: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Some((200 | 429, ..)))).collect();
        assert!(odd.is_empty(), "{kind:?}: {} of 600, as {:?}", odd.len(), odd[0]);
        service.stop.cancel();
        service.running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn connections_to_the_service_are_kept() {
    for kind in proxies::ALL {
        let folder = TempDir::new().unwrap();
        let upstream = broken::Patient::start().await;
        let proxy = Proxy::start(kind, folder.path(), upstream.address, Setup::Shipped).await;
        let http = Client::new();
        for _ in 0..40 {
            let answer = post(&http, &proxy.url, "{}", Vec::new()).await;
            assert!(matches!(answer, Some((200, ..))), "{kind:?}: {answer:?}");
        }
        let connections = upstream.connections();
        assert!(connections <= 20, "{kind:?}: {connections} connections for 40 webhooks");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn what_nginx_itself_cannot_do_is_429() {
    let folder = TempDir::new().unwrap();
    let upstream = broken::Patient::start().await;
    let proxy = Proxy::start(Kind::Nginx, folder.path(), upstream.address, Setup::Forgetful).await;
    // Nowhere to write a body to: nginx answers 500 by itself.
    without_disk(folder.path());
    let answer = post(&Client::new(), &proxy.url, " ".repeat(1 << 16), Vec::new()).await;
    assert!(is_not_stored(&answer), "{answer:?}");
    assert_eq!(upstream.connections(), 0, "nothing was passed on");
    // No connection is left to pass it on by (500), whichever of the two it lacks first; or
    // webhooks have no more (503). A connection that nginx cannot accept gets no answer.
    for setup in [Setup::Crowded(64), Setup::Crowded(65), Setup::Limited] {
        let folder = TempDir::new().unwrap();
        let proxy = Proxy::start(Kind::Nginx, folder.path(), broken::start(Broken::Silent).await, setup).await;
        let http = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let answers = join_all((0..60).map(|_| post(&http, &proxy.url, "{}", Vec::new()))).await;
        let answered: Vec<_> = answers.iter().filter(|answer| answer.is_some()).collect();
        assert!(answered.len() > 20 && answered.iter().all(|answer| is_not_stored(answer)), "{setup:?}: {answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx, Caddy, HAProxy and Apache; .ci/run installs them and runs this"]
async fn a_proxy_without_room_on_its_disk_loses_nothing() {
    let service = Service::start().await;
    for kind in proxies::ALL {
        let folder = TempDir::new().unwrap();
        let proxy = Proxy::start(kind, folder.path(), service.address, Setup::Shipped).await;
        if kind == Kind::Nginx {
            without_disk(folder.path());
        }
        let body = service.event(kind as usize, 1 << 20);
        let headers = service.sandbox.ghl.headers_for(&body);
        let answer = post(&Client::new(), &proxy.url, body, headers).await;
        assert!(matches!(answer, Some((200, ..))), "{kind:?}: {answer:?}");
    }
    service.stop.cancel();
    service.running.await.unwrap().unwrap();
}
