//! The shipped nginx file, in a real nginx: signatures survive it, and a service that is away answers 429.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "tests")]

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use ghl_trafft_sync::app::{App, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use reqwest::{Client, Response};
use sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One process, so that killing it leaves nobody behind. The shipped file with what every user changes: names, ports, certificates.
fn start_nginx(folder: &TempDir, service: SocketAddr) -> (Nginx, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nginx.conf")).unwrap();
    let mut site = shipped.clone();
    for (placeholder, real) in [
        ("server 127.0.0.1:8080;", format!("server {service};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port};")),
        ("ssl_certificate     /etc/letsencrypt/live/sync.example.com/fullchain.pem;", String::new()),
        ("ssl_certificate_key /etc/letsencrypt/live/sync.example.com/privkey.pem;", String::new()),
    ] {
        assert!(site.contains(placeholder), "deploy/nginx.conf no longer holds `{placeholder}`");
        site = site.replace(placeholder, &real);
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("site.conf"), site).unwrap();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", path(kind)))
        .join("\n");
    let main = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {} warn;\nevents {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temp}\ninclude {};\n}}\n",
        path("nginx.pid"),
        path("error.log"),
        path("site.conf"),
    );
    fs::write(path("nginx.conf"), main).unwrap();
    let mut command = Command::new(if fs::exists("/usr/sbin/nginx").unwrap() { "/usr/sbin/nginx" } else { "nginx" });
    command
        .args(["-p", &path(""), "-c", &path("nginx.conf"), "-e", &path("error.log")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (Nginx(command.spawn().expect("nginx is installed")), format!("http://127.0.0.1:{port}"))
}

async fn answer(response: Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (status, retry.unwrap_or_default(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it and runs this"]
async fn signatures_survive_nginx_and_an_absent_service_is_429() {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
    let mut environment: HashMap<String, String> =
        sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    environment.insert("DATABASE_URL".into(), format!("sqlite://{}/sync.db", folder.path().display()));
    environment.insert("BIND_ADDR".into(), "127.0.0.1:0".into());
    environment.insert("ADMIN_TOKEN".into(), "admin-token-for-tests".into());
    environment.insert("SYNC_INLINE_DEADLINE_MS".into(), "0".into());
    let stop = CancellationToken::new();
    let config = load(&Sources { environment, file: None }).unwrap();
    let app = App::build(config, Clock::system(), stop.clone()).await.unwrap();
    let (_nginx, url) = start_nginx(&folder, app.address());
    let running = tokio::spawn(app.run());
    let http = Client::new();
    let send = async |body: Vec<u8>, signed: &[u8]| {
        let mut request = http.post(format!("{url}/webhooks/ghl")).body(body);
        for (name, value) in sandbox.ghl.headers_for(signed) {
            request = request.header(name, value);
        }
        answer(request.send().await.unwrap()).await
    };
    // nginx needs a moment to listen: refused connections are tried again, nothing else is.
    while http.get(format!("{url}/healthz")).send().await.is_err_and(|error| error.is_connect()) {
        tokio::task::yield_now().await;
    }

    let location = sandbox.ghl.location_id();
    let event = |padding: usize| {
        let blanks = " ".repeat(padding);
        format!("\r\n{{ \"type\" :\t\"LocationUpdate\",\"id\":\"{location}\", \"name\":\"Zo\\u00eb ë\\/\"{blanks}}}\n ")
            .into_bytes()
    };
    for body in [event(0), event(1 << 20)] {
        let (status, _, json) = send(body.clone(), &body).await;
        assert_eq!((status, json["status"].as_str()), (200, Some("ignored")), "{json}");
    }
    let (status, _, json) = send(event(1), &event(0)).await;
    assert_eq!(
        (status, json["title"].as_str()),
        (401, Some("not believed")),
        "the service's own answer passes as it is"
    );
    let huge = event(4 << 20);
    assert_eq!(send(huge.clone(), &huge).await.0, 413);
    let admin = http.get(format!("{url}/api/v1/events")).send().await.unwrap();
    assert_eq!(admin.status().as_u16(), 404, "the admin API stays inside");

    // The pages are there, and whatever a client claims to be, it is the one that nginx saw.
    let login = format!("{url}/login");
    assert_eq!(http.get(&login).send().await.unwrap().status().as_u16(), 200);
    for page in ["/connections/aLocation", "/oauth/install", "/oauth/callback?code=none"] {
        let answer = http.get(format!("{url}{page}")).send().await.unwrap();
        assert!(answer.url().path() == "/login" && answer.status().as_u16() == 200, "{page}: {}", answer.url());
    }
    for (guess, expected) in [401, 401, 401, 401, 401, 429].into_iter().enumerate() {
        let claimed = format!("192.0.2.{guess}");
        let form = http.post(&login).header("origin", "http://127.0.0.1").header("x-forwarded-for", claimed);
        let status = form.form(&[("token", "wrong")]).send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "guess {guess}");
    }

    stop.cancel();
    running.await.unwrap().unwrap();
    let (status, retry, json) = send(event(0), &event(0)).await;
    assert_eq!((status, retry.as_str(), json["title"].as_str()), (429, "60", Some("not stored")));
    let health = http.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 502, "a monitor sees that the service is away");
}
