//! How fast are events acknowledged, and how late? Ratios against what cannot be done without,
//! measured in one run on one machine, in turns, so that whatever else the machine does meets both
//! alike.
//!
//! Run: `cargo bench --bench acknowledge`; the files it works on are below `target`, which should
//! be on a real disk. With `-- --rate` the rate alone, in fewer rounds: for `benches/pairs.py`,
//! which compares two builds.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]

mod idle;
mod load;
mod rivals;
mod service;

use std::time::Duration;

use sandbox::Sandbox;
use tokio::sync::oneshot;

use load::{Line, Requests, closed, median, open, quantile};
use service::Service;

const CONNECTIONS: usize = 256;
const ROUNDS: usize = 7;
const ROUNDS_FOR_PAIRS: usize = 4;
const REQUESTS: usize = 20_000;
/// Long enough that one hiccup of the machine is not the whole hundredth part.
const PACED: Duration = Duration::from_secs(8);
const PACED_ROUNDS: usize = 5;
const EDITS: usize = 200;

fn main() {
    let rate_alone = std::env::args().any(|argument| argument == "--rate");
    let rounds = if rate_alone { ROUNDS_FOR_PAIRS } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (sandbox, verifier, service) = runtime.block_on(async {
        let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
        let verifier = rivals::verifier(&sandbox.ghl.public_key()).await;
        let service = Service::start(&sandbox, folder.path(), "0").await;
        (sandbox, verifier, service)
    });

    let (mut rates, mut ratios, mut maximum) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let requests = service::requests(&sandbox, REQUESTS);
        let bare = closed(verifier, CONNECTIONS, &requests);
        let ours = closed(service.address, CONNECTIONS, &requests);
        // The first round only warms up.
        if round > 0 {
            rates.push(bare);
            maximum.push(ours);
            ratios.push(ours / bare);
        }
    }
    let (bare, ours, ratio) = (median(rates), median(maximum), median(ratios.clone()));
    println!("acknowledgements, {CONNECTIONS} connections, {rounds} rounds of {REQUESTS}, medians");
    println!("  bare axum that only verifies  {bare:8.0} /s");
    println!("  ours, durable, deadline 0     {ours:8.0} /s   {ratio:.2} × bare   (rounds: {ratios:.2?})");

    if rate_alone {
        return runtime.block_on(service.stop());
    }

    let rate = ours / 2.0;
    let arrivals = (rate * PACED.as_secs_f64()) as usize;
    let commit = runtime.block_on(rivals::group_commit(folder.path()));
    // An empty database is quick: it shall hold as many events as ours.
    runtime.block_on(hand_over(&commit, (0..(rounds + 1) * REQUESTS).map(|_| service::body(&sandbox))));
    let (mut rival, mut own, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PACED_ROUNDS {
        let theirs = paced_commits(rate, arrivals, &sandbox, &commit);
        let requests = service::requests(&sandbox, arrivals);
        let taken = paced_requests(rate, &service, &requests);
        ratios.push(quantile(&taken, 0.99).as_secs_f64() / quantile(&theirs, 0.99).as_secs_f64());
        rival.extend(theirs);
        own.extend(taken);
    }
    let ratio = median(ratios.clone());
    println!("\nlatency at half of our own maximum, {rate:.0} arrivals a second, {PACED_ROUNDS} rounds of {PACED:?}");
    print_latency("bare group commit, no HTTP", &rival, "");
    print_latency("ours, from request to answer", &own, &format!("p99 {ratio:.2} × bare   (rounds: {ratios:.2?})"));

    runtime.block_on(service.stop());
    let service = runtime.block_on(Service::start(&sandbox, folder.path(), "5000"));
    let edits = idle::edits(&sandbox, &service, EDITS);
    println!("\nidle, {EDITS} edits one by one, from event to `synced`, the emulated vendors' own time included");
    print_latency("ours", &edits, "");
    runtime.block_on(service.stop());
}

fn print_latency(name: &str, times: &[Duration], note: &str) {
    let [p50, p99] = [0.5, 0.99].map(|part| quantile(times, part).as_secs_f64() * 1e3);
    println!("  {name:30} p50 {p50:6.2} ms   p99 {p99:6.2} ms   {note}");
}

fn paced_requests(rate: f64, service: &Service, requests: &Requests) -> Vec<Duration> {
    let asker = |_| {
        let (requests, address, mut line) = (requests.clone(), service.address, None);
        async move |number: usize| {
            if line.is_none() {
                line = Some(Line::open(address).await);
            }
            line.as_mut().unwrap().ask(&requests[number]).await;
        }
    };
    open(rate, requests.len(), (0..CONNECTIONS).map(asker).collect())
}

fn paced_commits(
    rate: f64,
    arrivals: usize,
    sandbox: &Sandbox,
    commit: &tokio::sync::mpsc::Sender<rivals::Handed>,
) -> Vec<Duration> {
    let bodies: std::sync::Arc<Vec<_>> = std::sync::Arc::new((0..arrivals).map(|_| service::body(sandbox)).collect());
    let asker = |_| {
        let (commit, bodies) = (commit.clone(), bodies.clone());
        async move |number: usize| hand_over(&commit, [bodies[number].clone()]).await
    };
    open(rate, arrivals, (0..CONNECTIONS).map(asker).collect())
}

/// Returns once all of them are committed.
async fn hand_over(commit: &tokio::sync::mpsc::Sender<rivals::Handed>, bodies: impl IntoIterator<Item = String>) {
    let mut answers = Vec::new();
    for body in bodies {
        let (answer, answered) = oneshot::channel();
        commit.send((uuid::Uuid::new_v4().to_string(), body, answer)).await.unwrap();
        answers.push(answered);
    }
    for answer in answers {
        answer.await.unwrap();
    }
}
