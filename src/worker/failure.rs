//! The failures of a batch, counted once the queue has accepted what becomes of them: a batch that
//! could not be settled comes again, and so do its failures.

use crate::metrics::WorkerMetrics;
use crate::provider::known_names;
use crate::queue::{Delivery, Settlement};

/// A try that failed.
pub(super) enum Failure {
    /// It is made again.
    Retried {
        /// Whose event it is.
        provider: &'static str,
    },
    /// It was the last.
    GaveUp {
        /// The code of the error.
        code: String,
    },
}

impl Failure {
    pub(super) fn count(&self, metrics: &WorkerMetrics) {
        match self {
            Self::Retried { provider } => metrics.retried(provider),
            Self::GaveUp { code } => metrics.gave_up(code),
        }
    }
}

/// Returns the failures among settlements.
pub(super) fn failures_in(settled: &[(Delivery, Settlement)]) -> Vec<Failure> {
    let failure = |(delivery, settlement): &(Delivery, Settlement)| match settlement {
        Settlement::Ack => None,
        Settlement::Retry { .. } => {
            let headers = delivery.message.headers();
            let (provider, _) = known_names(headers.provider, &headers.event_type);
            Some(Failure::Retried { provider })
        }
        Settlement::Fail { error } => Some(Failure::GaveUp {
            code: error.code.clone(),
        }),
    };
    settled.iter().filter_map(failure).collect()
}
