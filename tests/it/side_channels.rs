//! What the work does beside itself can fail without stopping it: a log that nobody can write, a
//! proxy in the environment.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sandbox::{Fault, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stopping::{Stage, done};
use crate::support::desk::Desk;
use crate::support::process::Process;
use crate::support::{ADMIN, command};

/// A log that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// Its disk is full.
    Full,
    /// Its reader has gone.
    Closed,
    /// Its reader is there and does not read.
    Stalled,
}

/// `O_NONBLOCK`.
const AT_ONCE: i32 = 0o4000;

/// A pipe that has no room left.
fn full_pipe(path: &str) -> File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(AT_ONCE).open(path).unwrap();
    while pipe.write(&[b'.'; 4096]).is_ok() {}
    pipe
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_stops_nothing() {
    join_all([Log::Full, Log::Closed, Log::Stalled].map(works_without)).await;
}

async fn works_without(log: Log) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("log").display().to_string();
    let reader = (log != Log::Full).then(|| full_pipe(&path));
    let path = if log == Log::Full { "/dev/full" } else { path.as_str() };
    let stage = Stage::set(&[("LOG_TO", path), ("RUST_LOG", "debug")]).await;
    let mut process = Process::start(stage.settings.clone());
    if log == Log::Closed {
        drop(reader);
    }
    process.ready(&stage.http).await;
    // A refusal, and what goes wrong with a vendor, are told on the log.
    let unsigned = stage.http.post(format!("{}/webhooks/ghl", process.url)).header("x-ghl-signature", "AAAA");
    assert_eq!(unsigned.body("{}").send().await.unwrap().status(), 401, "{log:?}");
    stage.sandbox.ghl.faults().push(Matcher::new("GET", "/contacts/").times(3), Fault::Status(500));
    let bodies: Vec<_> = (0..20).map(|number| stage.event(&format!("n{number}"))).collect();
    for answer in join_all(bodies.iter().map(|body| stage.deliver(&process, body))).await {
        assert_eq!(answer.map(|(code, _)| code), Some(200), "{log:?}");
    }
    for number in 0..20 {
        stage.customer(&format!("n{number}")).await;
    }
    assert_eq!(stage.contact(&process, "last").await, done("synced"), "{log:?}");
    let began = Instant::now();
    assert_eq!(process.stop(), Some(0), "{log:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{log:?}: the stop took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_start_keeps_its_exit_code_with_a_full_log() {
    let mut stage = Stage::set(&[("LOG_TO", "/dev/full")]).await;
    stage.settings.insert("LEASE_SECONDS".to_owned(), "soon".to_owned());
    assert_eq!(Process::start(stage.settings.clone()).ended(), Some(1));
}

/// Stands where a proxy would, lets nobody through, and keeps what it was asked.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        Self::answering("403 Forbidden").await
    }

    async fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        tokio::spawn({
            let asked = asked.clone();
            async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut head = [0; 4096];
                    let read = stream.read(&mut head).await.unwrap_or_default();
                    asked.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Everybody is to go through it, with a name and a password.
    fn tell(&self, settings: &mut HashMap<String, String>) {
        let url = self.url.replace("//", "//somebody:hush@");
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            settings.insert(name.to_owned(), url.clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_this_machine_never_goes_through_a_proxy() {
    let mut stage = Stage::set(&[("ADMIN_TOKEN", ADMIN)]).await;
    let proxy = Proxy::start().await;
    proxy.tell(&mut stage.settings);
    let process = stage.process().await;
    assert_eq!(stage.contact(&process, "ada").await, done("synced"));
    let address = process.url.replace("http://", "");
    stage.settings.insert("BIND_ADDR".to_owned(), address);
    let said = command::run(&stage.settings, &["connections", "list"]).await;
    assert_eq!((said.code, proxy.asked()), (0, Vec::new()), "{said:?}");
    // By its name as well; and what is not encrypted goes nowhere else, also not through a proxy.
    let by_name = process.url.replace("127.0.0.1", "localhost");
    for (url, code) in [(by_name.as_str(), 0), ("http://sync.example.com", 1), ("http://192.0.2.1:8080", 1)] {
        let said = command::run(&stage.settings, &["connections", "list", "--url", url]).await;
        assert_eq!((said.code, proxy.asked()), (code, Vec::new()), "{url}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_sees_no_credential_and_one_that_fails_is_named() {
    let mut stage = Stage::set(&[]).await;
    let proxy = Proxy::start().await;
    proxy.tell(&mut stage.settings);
    let ours = [stage.settings["GHL_ACCESS_TOKEN"].clone(), stage.settings["TRAFFT_CLIENT_SECRET"].clone()];
    let mut doctor = async |url: &str, without: &str| {
        stage.settings.insert("GHL_API_URL".to_owned(), url.to_owned());
        stage.settings.insert("NO_PROXY".to_owned(), without.to_owned());
        command::run(&stage.settings, &["doctor"]).await.out
    };
    let named = format!("through the proxy `{}`", proxy.url.replace("http://", ""));
    let told = doctor("https://ghl.invalid", "").await;
    assert!(told.contains(&named) && !told.contains("hush"), "{told}");
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for head in &asked {
        assert!(head.starts_with("CONNECT ghl.invalid:443"), "{head}");
        assert!(ours.iter().all(|secret| !head.contains(secret)), "{head}");
    }
    for (url, without) in [("https://ghl.invalid", "ghl.invalid"), ("https://127.0.0.1:9", "")] {
        let told = doctor(url, without).await;
        assert!(told.contains("no connection (name, network or port)") && !told.contains("the proxy `"), "{told}");
        assert_eq!(proxy.asked().len(), asked.len(), "{url} went through the proxy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_wants_a_password_or_is_away_says_so() {
    let proxy = Proxy::answering("407 Proxy Authentication Required").await;
    let nobody = "http://127.0.0.1:1";
    for (mistake, proxy) in [
        ("a proxy that asks for a password", proxy.url.as_str()),
        ("a proxy that refuses", &Proxy::start().await.url),
        ("a proxy that is not there", nobody),
    ] {
        Desk::mistaken(mistake, |desk| desk.set(&[("GHL_API_URL", "https://ghl.invalid"), ("HTTPS_PROXY", proxy)]))
            .await;
    }
}
