//! Webhooks as the receiver sees them.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::registry::{Registry, Unit};

use super::family::{Counts, Times, times, waits};

/// The secrets of the settings by their places there, so that a rotation can be watched. Those of the
/// API count their uses themselves.
const PLACES: [&str; 4] = ["settings_1", "settings_2", "settings_3", "settings_4"];

/// Counts webhooks.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    acknowledged: Times<OfProvider>,
    refused_signatures: Counts<Refused>,
    secrets: Counts<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProvider {
    provider: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    provider: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Secret {
    provider: &'static str,
    secret: &'static str,
}

impl WebhookMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            acknowledged: times(waits),
            refused_signatures: Counts::default(),
            secrets: Counts::default(),
        };
        registry.register_with_unit(
            "webhook_acknowledge",
            "Time from the head of a webhook to the 200 that says it is durable",
            Unit::Seconds,
            metrics.acknowledged.clone(),
        );
        registry.register(
            "webhook_signature_failures",
            "Webhooks that no secret of their endpoint has signed, by reason",
            metrics.refused_signatures.clone(),
        );
        registry.register(
            "webhook_secret_uses",
            "Webhooks by what verified them: a secret of the settings, by its place there, or of the API",
            metrics.secrets.clone(),
        );
        metrics
    }

    /// Makes the series of a provider, so that the first failure of a kind is seen as a change.
    pub fn expect(&self, provider: &'static str, reasons: impl IntoIterator<Item = &'static str>) {
        drop(self.acknowledged.get_or_create(&OfProvider { provider }));
        for reason in reasons {
            let labels = Refused { provider, reason };
            drop(self.refused_signatures.get_or_create(&labels));
        }
    }

    /// Counts a webhook that was answered with 200.
    pub fn acknowledged(&self, provider: &'static str, took: Duration) {
        let labels = OfProvider { provider };
        let times = self.acknowledged.get_or_create(&labels);
        times.observe(took.as_secs_f64());
    }

    /// Counts a webhook whose signature was refused.
    pub fn signature_refused(&self, provider: &'static str, reason: &'static str) {
        let labels = Refused { provider, reason };
        self.refused_signatures.get_or_create(&labels).inc();
    }

    /// Counts a webhook that a secret verified: the one at this place of the settings, or one of the
    /// API.
    pub fn verified(&self, provider: &'static str, place: Option<usize>) {
        let secret = match place {
            Some(place) => PLACES.get(place).copied().unwrap_or("settings_other"),
            None => "api",
        };
        self.secrets
            .get_or_create(&Secret { provider, secret })
            .inc();
    }
}
