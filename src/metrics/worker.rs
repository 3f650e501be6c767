//! Events as the worker sees them.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::family::{Counts, Times, delays, sizes, times, waits};

/// What came of a question if the provider refused the API key.
const KEY_REFUSED: &str = "api_key_refused";

/// Reasons of dead letters that are named; any other is `other`.
const REASONS: [&str; 9] = [
    "payload_field_missing",
    "payload_field_malformed",
    "payload_not_json",
    "payload_empty",
    "provider_unknown",
    "store_refused",
    "defect",
    "queue_gave_up",
    "other",
];

/// Counts events.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    done: Counts<Event>,
    delay: Times<OfProvider>,
    retries: Counts<OfProvider>,
    dead_letters: Counts<DeadLetter>,
    batch_size: Histogram,
    batch_time: Histogram,
    timers: Counter,
    refetches: Counts<Refetch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Event {
    provider: &'static str,
    r#type: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProvider {
    provider: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refetch {
    provider: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeadLetter {
    reason: &'static str,
}

impl WorkerMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            done: Counts::default(),
            delay: times(delays),
            retries: Counts::default(),
            dead_letters: Counts::default(),
            batch_size: sizes(),
            batch_time: waits(),
            timers: Counter::default(),
            refetches: Counts::default(),
        };
        for reason in REASONS {
            drop(metrics.dead_letters.get_or_create(&DeadLetter { reason }));
        }
        registry.register(
            "events",
            "Events that a worker is done with, by their outcome; `duplicate` and `redelivered` had one before",
            metrics.done.clone(),
        );
        registry.register_with_unit(
            "event_received_to_outcome",
            "Time from the receipt of an event to the commit of its outcome, retries included and replays not",
            Unit::Seconds,
            metrics.delay.clone(),
        );
        registry.register(
            "event_retries",
            "Tries that failed and are made again later",
            metrics.retries.clone(),
        );
        registry.register(
            "dead_letters",
            "Events that are not tried again, by the reason",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "batch_messages",
            "Messages of a batch",
            metrics.batch_size.clone(),
        );
        registry.register_with_unit(
            "batch",
            "Time from taking a batch to settling it, waits for the store included",
            Unit::Seconds,
            metrics.batch_time.clone(),
        );
        registry.register(
            "timers_fired",
            "Customers whose due time was acted on",
            metrics.timers.clone(),
        );
        registry.register(
            "refetches",
            "Questions to a provider about an object, by what came of them; a comparison counts if its API key is refused",
            metrics.refetches.clone(),
        );
        metrics
    }

    /// Makes the series of a provider, so that the first retry is seen as a change, and the first refusal
    /// of a key as one that an alert looks for.
    pub fn expect(&self, provider: &'static str) {
        drop(self.retries.get_or_create(&OfProvider { provider }));
        drop(self.delay.get_or_create(&OfProvider { provider }));
        for result in ["recorded", KEY_REFUSED] {
            drop(self.refetches.get_or_create(&Refetch { provider, result }));
        }
    }

    /// Counts a question to a provider.
    pub fn asked(&self, provider: &'static str, result: &'static str) {
        let labels = Refetch { provider, result };
        self.refetches.get_or_create(&labels).inc();
    }

    /// Counts a comparison that failed, if the provider refused the API key.
    pub fn refused(&self, provider: &'static str, code: &str) {
        if code == KEY_REFUSED {
            self.asked(provider, KEY_REFUSED);
        }
    }

    /// Counts an event with an outcome. `names` are its provider and type, as far as they are known
    /// here.
    pub fn done(&self, names: (&'static str, &'static str), outcome: &'static str) {
        let (provider, r#type) = names;
        let labels = Event {
            provider,
            r#type,
            outcome,
        };
        self.done.get_or_create(&labels).inc();
    }

    /// Notes the time from the receipt of an event to its outcome.
    pub fn delayed(&self, provider: &'static str, since_receipt: Duration) {
        let delay = self.delay.get_or_create(&OfProvider { provider });
        delay.observe(since_receipt.as_secs_f64());
    }

    /// Counts a failed try that is followed by another.
    pub fn retried(&self, provider: &'static str) {
        self.retries.get_or_create(&OfProvider { provider }).inc();
    }

    /// Counts an event that is not tried again, by the code of its error.
    pub fn gave_up(&self, code: &str) {
        let named = REASONS.into_iter().find(|reason| *reason == code);
        let reason = named.unwrap_or("other");
        self.dead_letters
            .get_or_create(&DeadLetter { reason })
            .inc();
    }

    /// Counts an event that the queue gave up.
    pub fn queue_gave_up(&self) {
        self.gave_up("queue_gave_up");
    }

    /// Counts a batch that was settled.
    pub fn batch(&self, messages: usize, took: Duration) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.batch_size.observe(messages.into());
        self.batch_time.observe(took.as_secs_f64());
    }

    /// Counts customers whose due time was acted on.
    pub fn timers_fired(&self, customers: usize) {
        let customers = u64::try_from(customers).unwrap_or_default();
        self.timers.inc_by(customers);
    }
}
