//! The four proxies of Debian, each with its shipped file, changed as every user changes it: names,
//! ports, certificates.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
    Haproxy,
    Apache,
}

pub(crate) const ALL: [Kind; 4] = [Kind::Nginx, Kind::Caddy, Kind::Haproxy, Kind::Apache];

/// How it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    Shipped,
    /// As shipped, but it waits for the service's answer for a second only.
    Impatient,
    /// nginx as shipped, but it keeps no body in memory.
    Forgetful,
    /// nginx as impatient, and with so many connections in all.
    Crowded(u16),
    /// nginx as impatient, and with few for webhooks.
    Limited,
}

/// A proxy that runs.
#[derive(Debug)]
pub(crate) struct Proxy {
    process: Child,
    pub(crate) url: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // With its workers.
        let _ = Command::new("sh").args(["-c", &format!("kill -9 -{}", self.process.id())]).status();
        let _ = self.process.wait();
    }
}

impl Proxy {
    pub(crate) async fn start(kind: Kind, folder: &Path, service: SocketAddr, setup: Setup) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Place { folder: folder.to_owned(), port, service, setup };
        let mut command = match kind {
            Kind::Nginx => place.nginx(),
            Kind::Caddy => place.caddy(),
            Kind::Haproxy => place.haproxy(),
            Kind::Apache => place.apache(),
        };
        let log = || Stdio::from(fs::File::options().create(true).append(true).open(folder.join("proxy.log")).unwrap());
        let process = command.process_group(0).stdin(Stdio::null()).stdout(log()).stderr(log()).spawn();
        let mut proxy = Self { process: process.expect("it is installed"), url: format!("http://127.0.0.1:{port}") };
        // It needs a moment to listen.
        let mut moment = tokio::time::interval(std::time::Duration::from_millis(20));
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            moment.tick().await;
            let ended = proxy.process.try_wait().unwrap();
            assert!(ended.is_none(), "{kind:?}: {}", fs::read_to_string(folder.join("proxy.log")).unwrap());
        }
        proxy
    }
}

struct Place {
    folder: PathBuf,
    port: u16,
    service: SocketAddr,
    setup: Setup,
}

impl Place {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The shipped file, with `changes`, each of which must still apply. `timeout`: what it says
    /// about patience.
    fn shipped(&self, name: &str, timeout: &str, changes: &[(&str, &str)]) -> String {
        let mut text = shipped(name);
        let is_impatient = matches!(self.setup, Setup::Impatient | Setup::Crowded(_) | Setup::Limited);
        let shorter = is_impatient.then(|| timeout.replace("40", "1"));
        let service = self.service.to_string();
        let changes = changes.iter().copied().chain([("127.0.0.1:8080", service.as_str())]);
        for (from, to) in changes.chain(shorter.as_deref().map(|shorter| (timeout, shorter))) {
            assert!(text.contains(from), "deploy/{name} no longer holds `{from}`");
            text = text.replace(from, to);
        }
        text
    }

    /// One process, with the connections that the file asks for.
    fn nginx(&self) -> Command {
        let memory = if self.setup == Setup::Forgetful { "1k" } else { "4m" };
        let limit = if self.setup == Setup::Limited { 8 } else { 1000 };
        let connections = if let Setup::Crowded(few) = self.setup { few } else { asked_for() };
        let site = self.shipped(
            "nginx.conf",
            "proxy_read_timeout 40s;",
            &[
                ("listen 443 ssl;", &format!("listen 127.0.0.1:{};", self.port)),
                ("limit_conn webhooks 1000;", &format!("limit_conn webhooks {limit};")),
                ("client_body_buffer_size 4m;", &format!("client_body_buffer_size {memory};")),
                ("ssl_certificate     /etc/letsencrypt/live/sync.example.com/fullchain.pem;", ""),
                ("ssl_certificate_key /etc/letsencrypt/live/sync.example.com/privkey.pem;", ""),
            ],
        );
        let site = self.write("site.conf", &site);
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};", self.path(kind)))
            .join("\n");
        let main = self.write(
            "nginx.conf",
            &format!(
                "daemon off;\nmaster_process off;\npid {};\nevents {{ worker_connections {connections}; }}\n\
                 http {{\naccess_log off;\n{temp}\ninclude {site};\n}}\n",
                self.path("nginx.pid")
            ),
        );
        command("nginx", &["-p", &self.path(""), "-c", &main, "-e", &self.path("error.log")])
    }

    fn caddy(&self) -> Command {
        let site = self.shipped(
            "Caddyfile",
            "response_header_timeout 40s",
            &[("sync.example.com {", &format!("http://127.0.0.1:{} {{", self.port))],
        );
        let file = self.write("Caddyfile", &format!("{{\n\tadmin off\n}}\n{site}"));
        let mut caddy = command("caddy", &["run", "--adapter", "caddyfile", "--config", &file]);
        caddy.env("HOME", &self.folder).env("XDG_DATA_HOME", &self.folder).env("XDG_CONFIG_HOME", &self.folder);
        caddy
    }

    fn haproxy(&self) -> Command {
        let answer = self.write("not-stored.http", &shipped("not-stored.http"));
        let file = self.shipped(
            "haproxy.cfg",
            "timeout server 40s",
            &[
                ("bind :443 ssl crt /etc/haproxy/sync.example.com.pem", &format!("bind 127.0.0.1:{}", self.port)),
                ("/etc/haproxy/errors/not-stored.http", &answer),
            ],
        );
        command("haproxy", &["-db", "-f", &self.write("haproxy.cfg", &file)])
    }

    fn apache(&self) -> Command {
        let answer = self.write("not-stored.asis", &shipped("not-stored.asis"));
        let site = self.shipped(
            "apache.conf",
            "timeout=40",
            &[
                ("*:443", &format!("127.0.0.1:{}", self.port)),
                ("SSLEngine on", ""),
                ("SSLCertificateFile    /etc/letsencrypt/live/sync.example.com/fullchain.pem", ""),
                ("SSLCertificateKeyFile /etc/letsencrypt/live/sync.example.com/privkey.pem", ""),
                ("/etc/apache2/not-stored.asis", &answer),
            ],
        );
        let modules = ["mpm_event", "authz_core", "alias", "asis", "headers", "proxy", "proxy_http"]
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"))
            .join("\n");
        let main = format!(
            "ServerRoot {}\nServerName localhost\nPidFile {}\nErrorLog {}\nListen 127.0.0.1:{}\nUser nobody\nGroup nogroup\n{modules}\n{site}",
            self.path(""),
            self.path("apache.pid"),
            self.path("error.log"),
            self.port
        );
        // Its workers run as somebody else.
        for path in [self.path(""), answer] {
            let _ = Command::new("chmod").args(["a+rx", &path]).status();
        }
        command("apache2", &["-DFOREGROUND", "-f", &self.write("apache.conf", &main)])
    }
}

fn shipped(name: &str) -> String {
    fs::read_to_string(format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let administration = format!("/usr/sbin/{name}");
    let mut command = Command::new(if Path::new(&administration).exists() { &administration } else { name });
    command.args(arguments);
    command
}

/// What the head of nginx's sample asks people to set.
fn asked_for() -> u16 {
    let sample = include_str!("../../deploy/nginx.conf");
    let (_, number) = sample.split_once("`worker_connections ").unwrap();
    number.split_once(';').unwrap().0.parse().unwrap()
}
