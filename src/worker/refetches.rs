//! Asking providers about what events leave open.

use std::time::Duration;

use super::Worker;
use super::part::REFETCHES;
use super::retries::Backoff;
use crate::pipeline::apis::Apis;
use crate::pipeline::refetch::{self, Step};

/// The time between looks for questions that are due. Each waits for some seconds anyway.
const INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Asks what is to be asked, until shutdown.
    pub(super) async fn run_refetches(self, apis: Apis) {
        let mut backoff = Backoff::new();
        loop {
            let step = tokio::select! {
                // Nothing is lost: the question is asked again when its lease has run out.
                () = self.shutdown.cancelled() => return,
                step = refetch::step(&self.store, &apis, &*self.clock) => step,
            };
            let delay = match step {
                Ok(step) => {
                    self.outages.store_answered(REFETCHES);
                    backoff = Backoff::new();
                    match step {
                        Step::Nothing => INTERVAL,
                        Step::Asked(asked) => {
                            let provider = asked.provider;
                            let name = crate::provider::known_names(provider, "").0;
                            self.metrics.asked(name, asked.result);
                            Duration::ZERO
                        }
                    }
                }
                Err(error) => {
                    let failed = "asking a provider failed; trying again";
                    self.store_failed(REFETCHES, &error, failed);
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }
}
