//! What is handed to the queue.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::family::{Counts, waits};

/// What a published message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A webhook that was received.
    Webhook,
    /// An event of the ledger that somebody ordered to be processed again.
    Replay,
}

impl Sent {
    const ALL: [Self; 2] = [Self::Webhook, Self::Replay];

    const fn labels(self) -> Published {
        let kind = match self {
            Self::Webhook => "webhook",
            Self::Replay => "replay",
        };
        Published { kind }
    }
}

/// Counts messages on their way into the queue.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    published: Counts<Published>,
    refused: Counter,
    spooled: Counter,
    confirm: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Published {
    kind: &'static str,
}

impl QueueMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            published: Counts::default(),
            refused: Counter::default(),
            spooled: Counter::default(),
            confirm: waits(),
        };
        for sent in Sent::ALL {
            drop(metrics.published.get_or_create(&sent.labels()));
        }
        registry.register(
            "queue_published",
            "Messages that the queue confirmed",
            metrics.published.clone(),
        );
        registry.register(
            "queue_publish_failures",
            "Messages that the queue did not confirm; webhooks among them were spooled or refused",
            metrics.refused.clone(),
        );
        registry.register(
            "spooled",
            "Messages that went into the store because the broker did not take them",
            metrics.spooled.clone(),
        );
        registry.register_with_unit(
            "queue_confirm",
            "Time until the queue confirmed a message",
            Unit::Seconds,
            metrics.confirm.clone(),
        );
        metrics
    }

    /// Counts a message that the queue confirmed.
    pub fn published(&self, sent: Sent, took: Duration) {
        self.published.get_or_create(&sent.labels()).inc();
        self.confirm.observe(took.as_secs_f64());
    }

    /// Counts a message that the queue did not confirm.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Counts a message that the store took in the queue's place.
    pub fn spooled(&self) {
        self.spooled.inc();
    }
}
