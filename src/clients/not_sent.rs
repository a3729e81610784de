//! Why a request was not sent, or did not reach a server. Decided by the types of the causes, never
//! by their texts.

use std::error::Error as Cause;
use std::fmt;
use std::io;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use rustls::CertificateError;
use tower_service::Service;

/// What kept a request here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// Something of our own.
    Kept(&'static str),
    /// Credentials would go over the network in the clear.
    PlainHttp,
    /// No address that can be called.
    NotHttps,
    /// No server was reached.
    NoConnection {
        /// What kept the connection.
        why: NoConnection,
        /// Host and port of the proxy that it would have gone through.
        proxy: Option<&'static str>,
    },
}

/// What kept a connection from coming about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoConnection {
    /// Nothing answers.
    #[error("no connection (name, network or port)")]
    Network,
    /// Something answers, but the TLS handshake fails.
    #[error("no connection: what answers does not speak TLS as it should")]
    Tls,
    /// The certificate is too old.
    #[error("no connection: the certificate has expired")]
    Expired,
    /// The certificate is not valid yet.
    #[error("no connection: the certificate is not valid yet")]
    NotYetValid,
    /// The certificate is for another name.
    #[error("no connection: the certificate is for another name")]
    OtherName,
    /// It is not signed by an authority that this machine trusts.
    #[error("no connection: the certificate comes from an authority that this machine does not know")]
    UnknownAuthority,
    /// Anything else about the certificate.
    #[error("no connection: the certificate cannot be trusted (signed by itself, revoked or damaged)")]
    Untrusted,
    /// The proxy asks for credentials.
    #[error("the proxy asks for a name and a password (407)")]
    ProxyAsksForPassword,
    /// The proxy answers, and does not pass this call on.
    #[error("the proxy refuses the connection")]
    ProxyRefuses,
}

/// What comes back from a proxy. The type has no public name of its own.
type TunnelError = <Tunnel<HttpConnector> as Service<Uri>>::Error;

impl NoConnection {
    /// Why no connection came about.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        match (cause::<rustls::Error>(error), cause::<TunnelError>(error)) {
            (Some(rustls::Error::InvalidCertificate(why)), _) => Self::certificate(why),
            (Some(_), _) => Self::Tls,
            (None, Some(TunnelError::ProxyAuthRequired)) => Self::ProxyAsksForPassword,
            (None, Some(TunnelError::TunnelUnsuccessful)) => Self::ProxyRefuses,
            (None, _) => Self::Network,
        }
    }

    fn certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            _ => Self::Untrusted,
        }
    }
}

/// The first cause of that type. What an `io::Error` carries is not among its sources.
fn cause<'e, T: Cause + 'static>(error: &'e (dyn Cause + 'static)) -> Option<&'e T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => cause(carried),
        None => cause(error.source()?),
    }
}

impl NotSent {
    /// What to do about it, where anything but waiting helps.
    pub fn fix(&self) -> Option<&'static str> {
        let Self::NoConnection { why, proxy } = self else {
            let is_address = matches!(self, Self::PlainHttp | Self::NotHttps);
            return is_address.then_some("write a URL that begins with `https://`");
        };
        Some(match why {
            NoConnection::Network if proxy.is_some() => {
                "see that the proxy runs and is the right one (`HTTPS_PROXY` or `ALL_PROXY`); hosts that need none go into `NO_PROXY`"
            }
            NoConnection::Network => {
                "check the spelling of the URL, this machine's DNS, and its way out (firewall, proxy)"
            }
            NoConnection::Tls => "check name and port of the URL: what answers there does not speak TLS",
            NoConnection::Expired => {
                "have that server's certificate renewed; if it has not expired, this machine's clock is wrong"
            }
            NoConnection::NotYetValid => {
                "set this machine's clock by NTP; if it is right, have that server's certificate replaced"
            }
            NoConnection::OtherName => {
                "check the spelling of the URL; if it is right, something else answers in its place: see DNS, `/etc/hosts` and proxies"
            }
            NoConnection::UnknownAuthority => {
                "install this system's certificates (package `ca-certificates`); where a proxy or a firewall opens TLS, add its \
                 authority to them, or name a file with all that are trusted in `SSL_CERT_FILE`; then restart. A server of your own: have \
                 it send its whole chain"
            }
            // webpki takes no certificate of an authority as that of a server, be it trusted or not.
            NoConnection::Untrusted => {
                "a server of your own: have an authority sign its certificate, and name a file with all authorities that are trusted, \
                 that one too, in `SSL_CERT_FILE`; a certificate that signs for itself is taken from there only if it was made with \
                 `basicConstraints=CA:FALSE`, which is not the default of `openssl req -x509`; then restart. Another server: have its \
                 certificate replaced there"
            }
            NoConnection::ProxyAsksForPassword => {
                "write both into `HTTPS_PROXY`, as in `http://name:password@proxy:3128`; hosts that need no proxy go into `NO_PROXY`"
            }
            NoConnection::ProxyRefuses => "allow this host in the proxy, or put it into `NO_PROXY`",
        })
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(why) => f.write_str(why),
            Self::PlainHttp => {
                f.write_str("plain http is for this machine only (localhost, 127.0.0.1, [::1]); use https")
            }
            Self::NotHttps => f.write_str("the address is not an https address"),
            Self::NoConnection { why, proxy: None } => why.fmt(f),
            Self::NoConnection { why, proxy: Some(proxy) } => write!(f, "{why}, through the proxy `{proxy}`"),
        }
    }
}
