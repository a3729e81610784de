//! An authority of our own, and servers that show what it has signed. Made by `openssl`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::free_address;

/// As long as it lives, its servers do.
pub struct Authority {
    folder: TempDir,
    servers: Vec<Child>,
}

const CONFIG: &str = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\nunique_subject=no\n\
    default_md=sha256\npolicy=any\n[any]\ncommonName=optional\n";

impl Authority {
    pub fn new() -> Self {
        let authority = Self { folder: TempDir::new().unwrap(), servers: Vec::new() };
        authority.write("ca.conf", CONFIG);
        authority.write("index.txt", "");
        // A name of its own: whoever knows another authority of that name would take the signature
        // for a wrong one.
        let name = format!("/CN={}", uuid::Uuid::new_v4());
        authority.openssl(&[&["req", "-x509", "-out", "ca.pem", "-keyout", "ca.key", "-subj", &name], KEY].concat());
        authority
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn openssl(&self, arguments: &[&str]) {
        let run = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// Its own certificate.
    pub fn file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// The URL of a server on this machine whose certificate is for that name, from and until these
    /// years.
    pub async fn server(&mut self, name: &str, [from, until]: [u16; 2]) -> String {
        self.write("name", &format!("subjectAltName={name}\nbasicConstraints=CA:FALSE\n"));
        self.openssl(&[&["req", "-out", "server.csr", "-keyout", "server.key", "-subj", "/CN=server"], KEY].concat());
        let (from, until) = (format!("{from}0101000000Z"), format!("{until}0101000000Z"));
        let signed =
            ["ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "server.csr"];
        let dates = ["-startdate", &from, "-enddate", &until, "-extfile", "name", "-out", "server.pem"];
        self.openssl(&[&signed[..], &dates].concat());
        self.serve("server.pem", "server.key").await
    }

    /// The same of one that shows the authority's own certificate, as one that signs for itself
    /// does.
    pub async fn self_signed(&mut self) -> String {
        self.serve("ca.pem", "ca.key").await
    }

    /// The URL of a server whose certificate signs for itself and for no other, and that certificate.
    pub async fn alone(&mut self) -> (String, String) {
        let name = ["-subj", "/CN=alone", "-addext", "subjectAltName=IP:127.0.0.1"];
        let limits = ["-addext", "basicConstraints=critical,CA:FALSE", "-out", "alone.pem", "-keyout", "alone.key"];
        self.openssl(&[&["req", "-x509"], &name[..], &limits, KEY].concat());
        let file = self.folder.path().join("alone.pem").display().to_string();
        (self.serve("alone.pem", "alone.key").await, file)
    }

    async fn serve(&mut self, certificate: &str, key: &str) -> String {
        let address = free_address();
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &address.to_string(),
            "-cert",
            certificate,
            "-key",
            key,
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers.push(command.current_dir(self.folder.path()).spawn().unwrap());
        listens(address).await;
        format!("https://{address}")
    }
}

const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async fn listens(address: SocketAddr) {
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        moment.tick().await;
        if TcpStream::connect(address).is_ok() {
            return;
        }
    }
    panic!("nothing listens at {address} after 10 s");
}

impl Drop for Authority {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
