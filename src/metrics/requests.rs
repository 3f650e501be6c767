//! HTTP requests.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::registry::{Registry, Unit};

use super::family::{Counts, Times, times, waits};

/// The route of what has none: unknown paths.
const NO_ROUTE: &str = "none";

/// Counts requests.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    served: Counts<Served>,
    took: Times<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Arc<str>,
}

impl RequestMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            served: Counts::default(),
            took: times(waits),
        };
        registry.register(
            "http_requests",
            "Requests that were answered, by the route as the API's description has it",
            metrics.served.clone(),
        );
        registry.register_with_unit(
            "http_request",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            metrics.took.clone(),
        );
        metrics
    }

    /// Counts an answer. `route` is the template of the path, never the path itself.
    pub fn served(
        &self,
        method: &'static str,
        route: Option<Arc<str>>,
        status: u16,
        took: Duration,
    ) {
        let route = route.unwrap_or_else(|| NO_ROUTE.into());
        let times = Route {
            route: Arc::clone(&route),
        };
        let labels = Served {
            method,
            route,
            status,
        };
        self.served.get_or_create(&labels).inc();
        self.took.get_or_create(&times).observe(took.as_secs_f64());
    }
}
