//! Time that goes on by itself, for tests in which many wait for it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sandbox::{Ghl, Trafft};
use tokio::time::MissedTickBehavior;

use super::World;

/// Moves the clocks a step whenever nothing has been asked of the vendors for a moment: then nearly
/// everyone who could go on without time passing has done so. The smaller the step, the less the
/// machine's own slowness counts as waiting.
pub struct Ticker(Arc<AtomicBool>, tokio::task::JoinHandle<()>);

impl Ticker {
    pub fn start(world: &World, traffts: &[Trafft], step: Duration, quiet: Duration) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let (ghl, service, sandbox) = (world.sandbox.ghl.clone(), world.clock.clone(), world.sandbox.clock.clone());
        let mut traffts = traffts.to_vec();
        traffts.push(world.sandbox.trafft.clone());
        let calls = move |ghl: &Ghl| {
            ghl.journal().calls() + traffts.iter().map(|trafft| trafft.journal().calls()).sum::<usize>()
        };
        let task = tokio::spawn({
            let running = running.clone();
            async move {
                let mut moment = tokio::time::interval(quiet);
                moment.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut before = calls(&ghl);
                while running.load(Ordering::Relaxed) {
                    moment.tick().await;
                    let now = calls(&ghl);
                    if now == before {
                        sandbox.advance_ms(i64::try_from(step.as_millis()).unwrap());
                        service.advance(step);
                    }
                    before = now;
                }
            }
        });
        Self(running, task)
    }

    pub async fn stop(self) {
        self.0.store(false, Ordering::Relaxed);
        self.1.await.unwrap();
    }
}

/// Looks every few milliseconds.
pub async fn until(done: impl Fn() -> bool) {
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    while !done() {
        moment.tick().await;
    }
}
