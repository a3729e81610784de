//! The accept loop: HTTP/1.1 on TCP, with limits of time that `axum::serve` does not have, and a
//! graceful stop.
//!
//! hyper's own limit for heads (`header_read_timeout`) also runs between two requests of one
//! connection. Set to seconds it would close the idle connections of a proxy under its next
//! webhook, so it serves as the idle limit here; a head that has begun has a shorter limit of its
//! own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::model::Spell;

/// How often a connection is looked at for a request that does not arrive.
const LOOK: Duration = Duration::from_secs(10);

/// Looks that may find the same head, and the same body, before the connection is closed: 10 to 20
/// s for a head, 60 to 70 s for a body (webhooks have a shorter limit of their own, and an answer).
const HEAD: u32 = 1;
const BODY: u32 = 6;

/// A connection without a request is closed after this, as is a new one on which nothing comes:
/// clients also open some in advance. Longer than proxies keep theirs (nginx 60 s, Caddy 120 s): a
/// request that is just being sent on a connection that the server closes is lost.
const IDLE: Duration = Duration::from_secs(150);

/// When stopping, a request that has not arrived whole, and a client that does not read its answer,
/// gets no longer.
const STOPPING: Duration = Duration::from_secs(1);

/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`). A
/// proxy opens as many as webhooks come at once, and what is over that is reset or waits a second.
/// tokio's own `bind` asks for 128 (mio 1.2.5).
const WAITING: u32 = 4096;

/// Listens there; must be called in a runtime.
pub fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // As `bind` does: a process that is restarted listens at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Serves until `stop`, then until what is being worked is answered. `clock`: the limits for
/// arriving requests count by it.
pub async fn serve(listener: TcpListener, router: Router, clock: Clock, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let shortage = Arc::new(Shortage::default());
    let spell = Spell::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                if let Some(lasted) = spell.over(Instant::now()) {
                    let tries = lasted.times;
                    let seconds = lasted.seconds();
                    info!(tries, seconds, "connections are accepted again; none was for {seconds} s");
                }
                let clock = clock.clone();
                let shortage = shortage.clone();
                connections.spawn(connection(stream, peer, router.clone(), clock, shortage, stop.child_token()));
            }
            // The peer's trouble; the next one is accepted at once.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                shortage.note(clock.now());
                if spell.came(Instant::now()) {
                    warn!(
                        error = %error,
                        "no connection can be accepted, as when there are no file descriptors left: {error}; those on which \
                         nothing comes are closed; allow more open files (`LimitNOFILE=` of the unit, `ulimit -n`)"
                    );
                }
                Clock::system().sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// When it was last seen that no connection can be accepted: Unix milliseconds. Looked at by each
/// connection, so no lock.
#[derive(Default)]
struct Shortage(AtomicI64);

impl Shortage {
    fn note(&self, now: Timestamp) {
        self.0.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// Was it seen since the look before this one?
    fn is_now(&self, now: Timestamp) -> bool {
        self.0.load(Ordering::Relaxed) > (now - LOOK).as_millisecond()
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    clock: Clock,
    shortage: Arc<Shortage>,
    stop: CancellationToken,
) {
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request| answer(&router, request, peer, &activity));
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let mut builder = http1::Builder::new();
    let mut served = pin!(builder.timer(TokioTimer::new()).header_read_timeout(IDLE).serve_connection(io, service));
    tokio::select! {
        // Errors are the peer's: it hung up, or spoke something else.
        _ = served.as_mut() => return,
        () = activity.overdue(&clock, &shortage) => return,
        () = stop.cancelled() => {}
    }
    // Idle ones end at once; else what is being answered is the last.
    served.as_mut().graceful_shutdown();
    tokio::select! {
        _ = served => {}
        () = activity.unworked() => {}
    }
}

async fn answer(
    router: &Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    activity: &Arc<Activity>,
) -> Result<Response, Infallible> {
    activity.becomes(State::Body);
    let mut request = request.map(|body| Body::new(Arriving::new(body, activity.clone())));
    request.extensions_mut().insert(ConnectInfo(peer));
    let answered = TowerToHyperService::new(router.clone()).call(request).await;
    activity.becomes(State::Idle);
    answered
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A head has come in part.
    Head,
    /// The head is there, the body has not come whole.
    Body,
    Working,
}

const STATES: [State; 4] = [State::Idle, State::Head, State::Body, State::Working];

/// The state of a connection, and in the upper bits the number of changes. Requests store no time;
/// the watcher compares two looks instead.
#[derive(Default)]
struct Activity(AtomicU64);

impl Activity {
    fn look(&self) -> (u64, State) {
        let now = self.0.load(Ordering::Relaxed);
        (now >> 2, STATES[(now & 3) as usize])
    }

    /// There is one writer: the connection's own task.
    fn becomes(&self, state: State) {
        let (changes, _) = self.look();
        self.0.store((changes + 1) << 2 | state as u64, Ordering::Relaxed);
    }

    /// Returns when a request takes too long to arrive; also when the connection has never carried
    /// one, while others cannot connect at all.
    async fn overdue(&self, clock: &Clock, shortage: &Shortage) {
        let mut seen = self.look();
        let mut looks = 0;
        loop {
            clock.sleep(LOOK).await;
            let now = self.look();
            looks = if now == seen { looks + 1 } else { 0 };
            seen = now;
            let limit = match now.1 {
                State::Head => HEAD,
                State::Body => BODY,
                State::Idle if now.0 == 0 && shortage.is_now(clock.now()) => return,
                State::Idle | State::Working => continue,
            };
            if looks >= limit {
                return;
            }
        }
    }

    /// Returns when no request is being worked any more and the client has had time to read the
    /// last answer.
    async fn unworked(&self) {
        loop {
            let (before, _) = self.look();
            Clock::system().sleep(STOPPING).await;
            match self.look() {
                (_, State::Head | State::Body) => return,
                (now, State::Idle) if now == before => return,
                (_, State::Idle | State::Working) => {}
            }
        }
    }
}

/// A body that notes when it has come whole.
struct Arriving {
    body: Incoming,
    activity: Arc<Activity>,
}

impl Arriving {
    fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        let arriving = Self { body, activity };
        arriving.note();
        arriving
    }

    fn note(&self) {
        if self.body.is_end_stream() {
            self.activity.becomes(State::Working);
        }
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.note();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that notes when a head begins.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() && self.activity.look().1 == State::Idle {
            self.activity.becomes(State::Head);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
