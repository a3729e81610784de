//! Which part of TLS does not hold is told, and what to do: by the doctor, and by the table of the
//! documentation.

use crate::support::ADMIN;
use crate::support::command::run;
use crate::support::desk::Desk;
use crate::support::tls::Authority;

/// Trafft is at that URL, and the machine knows that authority.
async fn trafft_at(mistake: &str, url: &str, authority: &Authority) {
    Desk::mistaken(mistake, |desk| desk.set(&[("TRAFFT_API_URL", url), ("SSL_CERT_FILE", &authority.file())])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_certificate_is_told() {
    let (mut ours, theirs) = (Authority::new(), Authority::new());
    let expired = ours.server("IP:127.0.0.1", [2020, 2021]).await;
    let early = ours.server("IP:127.0.0.1", [2048, 2049]).await;
    let other = ours.server("DNS:other.example.com", [2020, 2049]).await;
    let good = ours.server("IP:127.0.0.1", [2020, 2049]).await;
    let alone = ours.self_signed().await;
    trafft_at("a certificate that has expired", &expired, &ours).await;
    trafft_at("a certificate that is not valid yet", &early, &ours).await;
    trafft_at("a certificate for another name", &other, &ours).await;
    trafft_at("a certificate of an authority that this machine does not know", &good, &theirs).await;
    trafft_at("a certificate that signs for itself", &alone, &theirs).await;
    // One that signs for itself is taken if it is no authority's.
    let (url, file) = ours.alone().await;
    let settings = [("ADMIN_TOKEN", ADMIN.to_owned()), ("SSL_CERT_FILE", file)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let said = run(&settings, &["connections", "list", "--url", &url]).await;
    assert!(said.err.contains("is not the service's admin API (200)"), "{said:?}");
    // And the good one is taken for what it is: a server that is none of ours.
    let settings = [("ADMIN_TOKEN", ADMIN.to_owned()), ("SSL_CERT_FILE", ours.file())];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let said = run(&settings, &["connections", "list", "--url", &good]).await;
    assert!(said.err.contains("is not the service's admin API (200)"), "{said:?}");
    // The same by a folder, as `openssl rehash` leaves it.
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::copy(ours.file(), folder.path().join("5ed36f99.0")).unwrap();
    let settings = [("ADMIN_TOKEN", ADMIN.to_owned()), ("SSL_CERT_DIR", folder.path().display().to_string())];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let said = run(&settings, &["connections", "list", "--url", &good]).await;
    assert!(said.err.contains("is not the service's admin API (200)"), "{said:?}");
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told() {
    Desk::mistaken("`https://` where plain http is spoken", |desk| {
        let url = desk.sandbox.trafft.url().replace("http://", "https://");
        desk.set(&[("TRAFFT_API_URL", &url)]);
    })
    .await;
}

/// Not one certificate on this machine: what is called without TLS works as ever.
#[tokio::test]
async fn a_system_without_certificates_can_call_itself() {
    let mut desk = Desk::new().await;
    desk.set(&[("SSL_CERT_FILE", "/no/such/file")]);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let mut ours = Authority::new();
    let url = ours.server("IP:127.0.0.1", [2020, 2049]).await;
    let settings = [("ADMIN_TOKEN", ADMIN), ("SSL_CERT_FILE", "/no/such/file")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let said = run(&settings, &["connections", "list", "--url", &url]).await;
    assert!(said.err.contains("authority") && said.err.contains("`SSL_CERT_FILE`"), "{said:?}");
}
