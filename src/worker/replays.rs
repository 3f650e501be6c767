//! Carrying out replays of many events.

use std::sync::Arc;

use tracing::warn;

use super::Worker;
use super::part::REPLAYS;
use super::retries::Backoff;
use crate::causes::chain;
use crate::pipeline::bulk_replay;
use crate::pipeline::replay::ReplayError;
use crate::queue::Publisher;

impl Worker {
    /// Carries on with open replays, until shutdown.
    pub(super) async fn run_replays(self, publisher: Arc<dyn Publisher>) {
        let mut backoff = Backoff::new();
        loop {
            let turn = bulk_replay::carry_on(&self.store, &*publisher, self.clock.now()).await;
            let delay = match turn {
                Ok(turn) => {
                    self.outages.store_answered(REPLAYS);
                    self.outages.queue_answered(REPLAYS);
                    backoff = Backoff::new();
                    turn.rest
                }
                Err(ReplayError::Store(error)) => {
                    let failed = "a bulk replay could not continue; trying again";
                    self.store_failed(REPLAYS, &error, failed);
                    backoff.next()
                }
                Err(ReplayError::Queue(error)) => {
                    self.outages.queue_failed(REPLAYS, &error);
                    backoff.next()
                }
                Err(error) => {
                    warn!(
                        error = chain(&error),
                        "a bulk replay could not continue; trying again"
                    );
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }
}
