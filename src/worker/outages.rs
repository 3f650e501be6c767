//! Logs outages of the store and the queue: once when one begins, and once, with its length, when it
//! ends. The tries between are logged for debugging.

use std::error::Error;

use tracing::{debug, info, warn};

use crate::causes::chain;
use crate::outage::Outage;

/// What the loops of a worker know together about the store and the queue.
#[derive(Debug, Default)]
pub(super) struct Outages {
    store: Outage,
    queue: Outage,
}

impl Outages {
    /// Notes that the store failed a loop, which tries again. `held` counts the messages that begin
    /// to wait for it.
    pub(super) fn store_failed(&self, part: &'static str, error: &dyn Error, held: usize) {
        let error = chain(error);
        if self.store.fail(part, held) {
            warn!(
                part,
                error,
                messages = held,
                "the store is away; trying until it answers"
            );
        } else {
            debug!(part, error, "the store did not answer; trying again");
        }
    }

    /// Notes that the store did what a loop asked of it.
    pub(super) fn store_answered(&self, part: &'static str) {
        if let Some(ended) = self.store.succeed(part) {
            info!(
                outage_ms = ended.millis,
                messages = ended.held,
                "the store answers again"
            );
        }
    }

    /// Notes that the queue failed a loop, which tries again.
    pub(super) fn queue_failed(&self, part: &'static str, error: &dyn Error) {
        let error = chain(error);
        if self.queue.fail(part, 0) {
            warn!(part, error, "the queue is away; trying until it answers");
        } else {
            debug!(part, error, "the queue did not answer; trying again");
        }
    }

    /// Notes that the queue did what a loop asked of it.
    pub(super) fn queue_answered(&self, part: &'static str) {
        if let Some(ended) = self.queue.succeed(part) {
            info!(outage_ms = ended.millis, "the queue answers again");
        }
    }
}
