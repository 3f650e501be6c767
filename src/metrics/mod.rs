//! Figures for Prometheus: what is counted, under which names, and how it is written down.
//!
//! A process has one [`Metrics`], made where the process is assembled and handed to whoever counts
//! something. There is no global registry, because several servers run side by side in `simulate` and
//! in tests. Clones share their counts, and one that nobody asks costs a few atomic additions.
//!
//! What happens in this process is counted as it happens. What lies in the store or at a broker is
//! read when somebody asks, and handed over as [`Reading`]s; one that cannot be read is left out,
//! because a stale depth says less than none.
//!
//! # Labels
//!
//! All of them are bounded, whatever senders invent: words of this program (providers, outcomes,
//! codes), the event types that are read (`other` for any other), and the routes of the API. So the
//! type of nearly all of them is `&'static str`. Never a label: ids, addresses, tokens, names, and the
//! slug of an app, because the API can make any number of apps and each would multiply every series;
//! `GET /stats?app=…` tells about one.

mod access;
mod family;
mod format;
mod queue;
mod reading;
mod requests;
mod webhooks;
mod worker;

use std::fmt;
use std::sync::Arc;

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use access::AccessMetrics;
pub use format::Format;
pub use queue::{QueueMetrics, Sent};
pub use reading::{Figure, Reading};
pub use requests::RequestMetrics;
pub use webhooks::WebhookMetrics;
pub use worker::WorkerMetrics;

/// The figures of one process. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// HTTP requests of all kinds.
    pub requests: RequestMetrics,
    /// Webhooks as the receiver sees them.
    pub webhooks: WebhookMetrics,
    /// Access checks of registries.
    pub access: AccessMetrics,
    /// What is handed to the queue.
    pub queue: QueueMetrics,
    /// Events as the worker sees them.
    pub worker: WorkerMetrics,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(reading::PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let build = Info::new(version.map(|(name, value)| (name.to_owned(), value.to_owned())));
        registry.register("build", "The version that runs", build);
        Self {
            requests: RequestMetrics::new(&mut registry),
            webhooks: WebhookMetrics::new(&mut registry),
            access: AccessMetrics::new(&mut registry),
            queue: QueueMetrics::new(&mut registry),
            worker: WorkerMetrics::new(&mut registry),
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// Writes down what was counted, and what was read just now.
    ///
    /// # Errors
    /// Never, as long as every figure can be written as text.
    pub fn text(&self, format: Format, read: Vec<Reading>) -> Result<String, fmt::Error> {
        format.write(&[&self.registry, &reading::registry(read)])
    }
}
