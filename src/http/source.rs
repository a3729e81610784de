//! Where a request comes from: what limits are counted by.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use super::Service;

/// The address of a client: an IPv4 address, or the /64 of an IPv6 one, since one customer of a
/// provider gets a whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Service {
    /// The peer's address; behind a trusted proxy, the address that the proxy saw. The proxy
    /// appends to the header that the client sent, so only the last entry is the proxy's own.
    pub(super) fn source(&self, extensions: &Extensions, headers: &HeaderMap) -> Source {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical());
        if !self.proxies.iter().any(|proxy| proxy.contains(&peer)) {
            return Source::new(peer);
        }
        let seen = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        let last = seen.and_then(|entries| entries.rsplit(',').next()).map(str::trim);
        // Some proxies write the port as well.
        let address =
            last.and_then(|entry| entry.parse().or_else(|_| entry.parse().map(|it: SocketAddr| it.ip())).ok());
        Source::new(address.unwrap_or(peer))
    }
}

impl Source {
    pub(super) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

impl FromRequestParts<Arc<Service>> for Source {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Infallible> {
        Ok(service.source(&parts.extensions, &parts.headers))
    }
}
