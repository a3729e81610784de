//! Which seeds are played, on how many threads, and what is told of those that fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A seed that did not end as promised: what was wrong, and its history.
pub struct Failure {
    pub seed: u64,
    pub told: String,
}

/// A world that does not come to rest in this time of the machine's own never will.
const PATIENCE: Duration = Duration::from_secs(900);

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")))
}

/// Plays `SEED` alone, or `SEEDS` seeds from `FROM` on, `together` in one world; two worlds at a
/// time.
#[expect(clippy::print_stderr, reason = "a failing seed has to be told")]
pub fn play<F>(name: &str, usual: u64, together: usize, world: impl Fn(Vec<u64>) -> F + Sync)
where
    F: Future<Output = Vec<Failure>>,
{
    let from = number("FROM").unwrap_or(0);
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (from..from + number("SEEDS").unwrap_or(usual)).collect(),
    };
    let batches: Vec<&[u64]> = seeds.chunks(together).collect();
    let (next, failures, began) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = run(&world, batch);
                    if failed.is_empty() {
                        continue;
                    }
                    for failure in failed {
                        let Failure { seed, told } = failure;
                        let (first, count) = (batch[0], batch.len());
                        let alone = if count == 1 || !run(&world, &[seed]).is_empty() {
                            format!("SEED={seed} cargo test --test convergence {name}")
                        } else {
                            format!(
                                "only among others: FROM={first} SEEDS={count} cargo test --test convergence {name}"
                            )
                        };
                        eprintln!("seed {seed}: {told}\nagain: {alone}\n");
                        failures.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    eprintln!("{name}: {} seeds in {} s", seeds.len(), began.elapsed().as_secs());
    assert!(failures.is_empty(), "{} of {} seeds failed: {failures:?}", failures.len(), seeds.len());
}

#[expect(clippy::disallowed_methods, reason = "a world that hangs must not hang the tests")]
fn run<F>(world: &(impl Fn(Vec<u64>) -> F + Sync), seeds: &[u64]) -> Vec<Failure>
where
    F: Future<Output = Vec<Failure>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let played = runtime.block_on(async { tokio::time::timeout(PATIENCE, world(seeds.to_vec())).await });
    // Not waited for: what hangs, hangs.
    runtime.shutdown_background();
    played.unwrap_or_else(|_| vec![Failure { seed: seeds[0], told: "its world did not come to rest".to_owned() }])
}
