//! The tasks that the service consists of.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tasks that run side by side. Each has a name, which the service tells if it ends by itself.
#[derive(Debug, Default)]
pub(super) struct Parts(JoinSet<&'static str>);

impl Parts {
    /// One that sees by itself when to stop.
    pub(super) fn start(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            part.await;
            name
        });
    }

    /// One that may be dropped at any moment after `stop`.
    pub(super) fn start_until(
        &mut self,
        stop: &CancellationToken,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = stop.clone();
        self.start(name, async move {
            let _ = stop.run_until_cancelled(part).await;
        });
    }

    /// One that has a thread of its own.
    pub(super) fn start_apart(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let runtime = tokio::runtime::Handle::current();
        self.0.spawn_blocking(move || {
            runtime.block_on(part);
            name
        });
    }

    /// Waits for one to end. Returns its name, or what stands for it after a panic.
    pub(super) async fn ended(&mut self) -> &'static str {
        self.0.join_next().await.and_then(Result::ok).unwrap_or("worker")
    }

    /// Waits for all of them to end.
    pub(super) async fn all_ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}
