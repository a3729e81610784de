//! Services that fail in their own ways, for a proxy to stand before; and one that answers, and
//! counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::serve::ListenerExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it fails, once it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It closes the connection.
    Closes,
    /// It dies in the middle of the head of its answer.
    DiesInTheHead,
    /// It dies in the middle of the body.
    DiesInTheBody,
    /// It answers nothing at all.
    Silent,
    /// It answers that it has failed itself.
    Fails,
}

pub(crate) const ALL: [Broken; 5] =
    [Broken::Closes, Broken::DiesInTheHead, Broken::DiesInTheBody, Broken::Silent, Broken::Fails];

/// Listens until the runtime ends.
pub(crate) async fn start(broken: Broken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, broken));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, broken: Broken) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let said: &[u8] = match broken {
        Broken::Closes => b"",
        Broken::DiesInTheHead => b"HTTP/1.1 200 OK\r\nContent-Ty",
        Broken::DiesInTheBody => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":",
        Broken::Silent => return std::future::pending().await,
        Broken::Fails => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    };
    let _ = stream.write_all(said).await;
    let _ = stream.shutdown().await;
    // Whatever else is sent is read, so that the end comes in order.
    while stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
}

/// A service that answers everything on as few connections as it is given.
pub(crate) struct Patient {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Patient {
    /// Listens until the runtime ends.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        let router = axum::Router::new().fallback(|| async { "{}" });
        let counting = listener.tap_io(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(async move { axum::serve(counting, router).await });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
