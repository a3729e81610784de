//! What is counted. The registry belongs to the app: two apps in one process count apart.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::Status;
use crate::store::Load;

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

/// Counters and gauges. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    events: Family<EventLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    contacts: Family<ContactLabels, Gauge>,
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
        Self { registry: Arc::new(registry), events, refusals, contacts }
    }

    pub(super) fn event(&self, source: &'static str, kind: &'static str, status: Status) {
        self.events.get_or_create(&EventLabels { source, r#type: kind, status: status.name() }).inc();
    }

    pub(super) fn refused(&self, source: &'static str, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { source, reason }).inc();
    }

    pub(super) fn render(&self, load: Load) -> String {
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
