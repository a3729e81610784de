#!/usr/bin/env bash
# rustls 0.23.46 (rustls-webpki 0.103) with certificates of rcgen 0.14.10: a certificate that signs for itself and may sign others
# (basicConstraints CA:TRUE, which is the default of `openssl req -x509`) is not taken as a server's, even where that very
# certificate is the one trusted root: "CaUsedAsEndEntity". The same certificate with CA:FALSE is taken, though it is no
# authority, and stands among the roots all the same.
# curl 7.88.1 with OpenSSL 3.0.19 takes both. So "name your own certificate as trusted" is an advice that works with one program of a machine
# and not with the other, and the file that makes the difference looks the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "own-root"
version = "0.0.0"
edition = "2024"

[dependencies]
rcgen = "=0.14.10"
rustls = { version = "=0.23.46", default-features = false, features = ["ring", "std"] }
TOML
cat >src/main.rs <<'RUST'
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

fn main() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for (name, is_ca) in
        [("CA:TRUE", IsCa::Ca(BasicConstraints::Unconstrained)), ("CA:FALSE", IsCa::ExplicitNoCa)]
    {
        let mut params = CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let server = ServerName::try_from("shop.example.com").unwrap();
        let verified = verifier.verify_server_cert(certificate.der(), &[], &server, &[], UnixTime::now());
        println!("{name}: {}", verified.map_or_else(|error| error.to_string(), |_| "taken".to_owned()));
    }
}
RUST
cargo run --quiet | tee seen
grep -qE '^CA:TRUE: .*CaUsedAsEndEntity' seen
grep -qx 'CA:FALSE: taken' seen
