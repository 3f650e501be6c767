//! Access checks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::registry::Registry;

use super::family::Counts;
use crate::domain::access::check::AccessCode;

/// Counts access checks.
#[derive(Clone, Debug)]
pub struct AccessMetrics {
    checks: Counts<Check>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    code: &'static str,
}

impl AccessMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            checks: Counts::default(),
        };
        for code in AccessCode::WORDS {
            drop(metrics.checks.get_or_create(&Check { code }));
        }
        registry.register(
            "access_checks",
            "Access checks of registries, by the code of the answer",
            metrics.checks.clone(),
        );
        metrics
    }

    /// Counts an answer.
    pub fn answered(&self, code: AccessCode) {
        let code = code.as_str();
        self.checks.get_or_create(&Check { code }).inc();
    }
}
