//! The kinds of figures that are counted, with their buckets.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Counters by labels.
pub(super) type Counts<L> = Family<L, Counter>;

/// Distributions by labels.
pub(super) type Times<L> = Family<L, Histogram>;

/// Seconds of what somebody waits for: an answer, a confirm, a batch.
const WAITS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Seconds from the receipt of an event to its outcome: usually a fraction of one, hours after an
/// outage, a day and more after retries.
const DELAYS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0,
];

/// Messages of a batch.
const SIZES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Makes a histogram of waits.
pub(super) fn waits() -> Histogram {
    Histogram::new(WAITS)
}

/// Makes a histogram of delays.
pub(super) fn delays() -> Histogram {
    Histogram::new(DELAYS)
}

/// Makes a histogram of batch sizes.
pub(super) fn sizes() -> Histogram {
    Histogram::new(SIZES)
}

/// Makes series by labels with such histograms.
pub(super) fn times<L: Clone + std::hash::Hash + Eq>(made: fn() -> Histogram) -> Times<L> {
    Family::new_with_constructor(made)
}
