//! Telling a broker of changes.

use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use super::loops::Loops;
use super::part::CHANGES;
use super::retries::Backoff;
use crate::pipeline::announce::{self, AnnounceError};
use crate::queue::Announcer;

/// The time between looks for changes: with what publishing takes, a receiver knows within half a
/// second. A look that finds none is one read of an empty index.
const INTERVAL: Duration = Duration::from_millis(200);

impl Worker {
    /// Starts the loops that tell others of changes.
    pub(super) fn start_changes(&self, loops: &mut Loops) {
        if let Some((announcer, holder)) = self.announce_to.clone() {
            loops.start_apart(self.clone().run_changes(announcer, holder));
        }
        if let Some(deliveries) = self.deliveries.clone() {
            loops.start_apart(self.clone().run_hooks(deliveries));
        }
    }

    /// Publishes changes, until shutdown.
    async fn run_changes(self, announcer: Arc<dyn Announcer>, holder: String) {
        let mut backoff = Backoff::new();
        loop {
            let told = announce::announce(&self.store, &*announcer, &holder, self.clock.now());
            let delay = match told.await {
                Ok(told) => {
                    self.outages.store_answered(CHANGES);
                    self.outages.queue_answered(CHANGES);
                    backoff = Backoff::new();
                    if told.more { Duration::ZERO } else { INTERVAL }
                }
                Err(AnnounceError::Store(error)) => {
                    let failed = "publishing changes failed; trying again";
                    self.store_failed(CHANGES, &error, failed);
                    backoff.next()
                }
                Err(AnnounceError::Queue(error)) => {
                    self.outages.queue_failed(CHANGES, &error);
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }
}
