//! What is counted. The registry belongs to the app: two apps in one process count apart.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::Status;
use crate::store::{Load, SweepLoad};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    source: &'static str,
    r#type: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    source: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ContactLabels {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SweepLabels {
    kind: String,
}

/// Counters and gauges. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    events: Family<EventLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    contacts: Family<ContactLabels, Gauge>,
    found: Family<SweepLabels, Gauge>,
    calls: Family<SweepLabels, Gauge>,
    finished: Family<SweepLabels, Gauge>,
}

impl Metrics {
    /// `registry` may hold what other rooms count already.
    pub fn new(mut registry: Registry) -> Self {
        let (events, refusals, contacts) = (Family::default(), Family::default(), Family::default());
        registry.register(
            "webhook_events",
            "Events taken in, by how far they came while the sender waited",
            events.clone(),
        );
        registry.register("webhook_refusals", "Webhooks that were not taken in", refusals.clone());
        registry.register("contacts", "Contacts that wait, were given up on, or need a decision", contacts.clone());
        let (found, calls, finished) = (Family::default(), Family::default(), Family::default());
        registry.register("sweep_found", "What the last sweeps found that no event had told", found.clone());
        registry.register("sweep_calls", "Calls that the last sweeps took", calls.clone());
        let oldest = "When the sweep ended that ended longest ago, Unix seconds; 0: one has never ended";
        registry.register("sweep_finished_seconds", oldest, finished.clone());
        Self { registry: Arc::new(registry), events, refusals, contacts, found, calls, finished }
    }

    pub(super) fn event(&self, source: &'static str, kind: &'static str, status: Status) {
        self.events.get_or_create(&EventLabels { source, r#type: kind, status: status.name() }).inc();
    }

    pub(super) fn refused(&self, source: &'static str, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { source, reason }).inc();
    }

    pub(super) fn render(&self, load: Load, sweeps: Vec<SweepLoad>) -> String {
        for SweepLoad { kind, found, calls, finished_at } in sweeps {
            let labels = SweepLabels { kind };
            self.found.get_or_create(&labels).set(found);
            self.calls.get_or_create(&labels).set(calls);
            self.finished.get_or_create(&labels).set(finished_at / 1000);
        }
        let now = [(Status::Queued, load.queued), (Status::Failed, load.failed), (Status::Conflict, load.conflicts)];
        for (status, count) in now {
            self.contacts.get_or_create(&ContactLabels { status: status.name() }).set(count);
        }
        let mut rendered = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode(&mut rendered, &self.registry);
        rendered
    }
}
