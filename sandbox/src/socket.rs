//! Connections that can be cut: a handler decides, the socket obeys, the client sees a transport
//! error.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const OPEN: u8 = 0;
const CUT_IN_BODY: u8 = 1;
const DROPPED: u8 = 2;

/// A hold on the connection that a request came by.
#[derive(Clone)]
pub(crate) struct Socket(Arc<AtomicU8>);

impl Socket {
    /// Lets nothing more out.
    pub(crate) fn cut(&self) {
        self.0.store(DROPPED, Ordering::SeqCst);
    }

    /// Lets the next answer's head and half of its body out, then nothing more.
    pub(crate) fn cut_in_body(&self) {
        self.0.store(CUT_IN_BODY, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Gate>> for Socket {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        stream.io().socket.clone()
    }
}

/// A listener whose connections obey a [`Socket`].
pub(crate) struct Gate(pub(crate) TcpListener);

impl Listener for Gate {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Line { stream, socket: Socket(Arc::new(AtomicU8::new(OPEN))) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// One such connection.
pub(crate) struct Line {
    stream: TcpStream,
    socket: Socket,
}

impl Line {
    fn state(&self) -> u8 {
        self.socket.0.load(Ordering::SeqCst)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.state() == DROPPED {
            return Poll::Ready(Err(gone()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.state() {
            DROPPED => Poll::Ready(Err(gone())),
            CUT_IN_BODY => {
                let head = buf.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
                let half = head + (buf.len() - head) / 2;
                let written = Pin::new(&mut self.stream).poll_write(cx, &buf[..half.max(1)]);
                if let Poll::Ready(Ok(_)) = written {
                    self.socket.cut();
                }
                written
            }
            _ => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
