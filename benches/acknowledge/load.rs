//! The load generator: raw HTTP/1.1 over connections that stay open. It shares the two cores with
//! what it measures, so it does as little as it can, and the same whatever it measures.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

/// Ready to be sent: head, signature and body.
pub(crate) type Requests = Arc<Vec<Vec<u8>>>;

/// A connection, and what was read of it.
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and reads the answer whole. Anything but 200 ends the run.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> &str {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server hung up");
            let Some(head) = self.buffer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
            assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
            let (_, length) = text.split_once("content-length: ").expect("an answer says its length");
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if self.buffer.len() >= head + 4 + length {
                break;
            }
        }
        std::str::from_utf8(&self.buffer).unwrap()
    }
}

/// Every connection asks again as soon as it was answered: how many answers a second?
pub(crate) fn closed(address: SocketAddr, connections: usize, requests: &Requests) -> f64 {
    alone(async {
        let mut lines = Vec::new();
        for _ in 0..connections {
            lines.push(Line::open(address).await);
        }
        let (next, mut asking) = (Rc::new(Cell::new(0)), JoinSet::new());
        let start = Instant::now();
        for mut line in lines {
            let (next, requests) = (next.clone(), requests.clone());
            asking.spawn_local(async move {
                while let Some(request) = requests.get(next.replace(next.get() + 1)) {
                    line.ask(request).await;
                }
            });
        }
        while asking.join_next().await.transpose().unwrap().is_some() {}
        requests.len() as f64 / start.elapsed().as_secs_f64()
    })
}

/// Arrivals on a fixed schedule, whatever the answers do: how long after its time was each
/// answered? Who comes late because the one before it is still waiting has waited too.
pub(crate) fn open<A: AsyncFnMut(usize) + 'static>(rate: f64, arrivals: usize, askers: Vec<A>) -> Vec<Duration> {
    // The pacer is a thread of its own: timers of a runtime are a millisecond coarse.
    let (send, receive): (Vec<_>, Vec<_>) =
        askers.iter().map(|_| mpsc::unbounded_channel::<(usize, Instant)>()).unzip();
    let pacer = std::thread::spawn(move || {
        let start = Instant::now();
        for number in 0..arrivals {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            send[number % send.len()].send((number, due)).unwrap();
        }
    });
    let taken = alone(async move {
        let mut asking = JoinSet::new();
        for (mut ask, mut arrivals) in askers.into_iter().zip(receive) {
            asking.spawn_local(async move {
                let mut taken = Vec::new();
                while let Some((number, due)) = arrivals.recv().await {
                    ask(number).await;
                    taken.push(due.elapsed());
                }
                taken
            });
        }
        let mut all = Vec::new();
        while let Some(taken) = asking.join_next().await {
            all.extend(taken.unwrap());
        }
        all
    });
    pacer.join().unwrap();
    taken
}

/// On a runtime of its own, on this thread: the servers' runtime is theirs.
pub(crate) fn alone<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, work)
}

/// That part of the sorted times is below the answer.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// The middle one.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
