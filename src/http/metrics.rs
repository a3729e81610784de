//! What is counted. The registry belongs to the app: two apps in one process count apart.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::{Deliveries, ProblemCode, StateName, Status};
use crate::store::{Load, States, SweepLoad};

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
struct StateLabels {
    state: &'static str,
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
    connections: Family<StateLabels, Gauge>,
    found: Family<SweepLabels, Gauge>,
    calls: Family<SweepLabels, Gauge>,
    finished: Family<SweepLabels, Gauge>,
    accepted: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// `registry` may already hold what other modules count.
    pub fn new(mut registry: Registry) -> Self {
        let events = Family::default();
        let refusals = Family::default();
        let contacts = Family::default();
        registry.register(
            "webhook_events",
            "Events taken in, by how far they came while the sender waited",
            events.clone(),
        );
        registry.register("webhook_refusals", "Webhooks that were not taken in", refusals.clone());
        registry.register("contacts", "Contacts that wait, were given up on, or need a decision", contacts.clone());
        let connections = Family::default();
        let each = "Connections that a state holds for; one can be in several, and is in `working` only when nothing else holds";
        registry.register("connections", each, connections.clone());
        let found = Family::default();
        let calls = Family::default();
        let finished = Family::default();
        registry.register("sweep_found", "What the last sweeps found that no event had told", found.clone());
        registry.register("sweep_calls", "Calls that the last sweeps took", calls.clone());
        let oldest =
            "When the last sweep ended, where that is longest ago, Unix seconds; 0: somewhere none has ended yet";
        registry.register("sweep_finished_seconds", oldest, finished.clone());
        let accepted = Gauge::default();
        let share =
            "Share of HighLevel's deliveries in three days that was accepted at the first try, 0 to 1; NaN: none came";
        registry.register("deliveries_accepted_ratio", share, accepted.clone());
        Self { registry: Arc::new(registry), events, refusals, contacts, connections, found, calls, finished, accepted }
    }

    pub(super) fn event(&self, source: &'static str, kind: &'static str, status: Status) {
        self.events.get_or_create(&EventLabels { source, r#type: kind, status: status.name() }).inc();
    }

    pub(super) fn refused(&self, source: &'static str, reason: ProblemCode) {
        self.refusals.get_or_create(&RefusalLabels { source, reason: reason.name() }).inc();
    }

    pub(super) fn render(&self, load: Load, sweeps: Vec<SweepLoad>, states: &States, deliveries: Deliveries) -> String {
        self.accepted.set(deliveries.share().unwrap_or(f64::NAN));
        for state in StateName::ALL {
            let holds = states.values().flatten().filter(|one| one.state == state).count();
            self.connections.get_or_create(&StateLabels { state: state.name() }).set(holds as i64);
        }
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

/// OpenMetrics in Prometheus' older text form: there a counter's family has the name of its
/// samples.
pub(super) fn text_form(open_metrics: &str) -> String {
    let is_counter = |name: &str| open_metrics.contains(&format!("# TYPE {name} counter\n"));
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind @ ("HELP" | "TYPE")), Some(name), rest) => {
                let end = if is_counter(name) { "_total" } else { "" };
                text.push_str(&format!("# {kind} {name}{end} {}\n", rest.unwrap_or_default()));
            }
            (Some("#"), ..) => {}
            _ => text.extend([line, "\n"]),
        }
    }
    text
}
