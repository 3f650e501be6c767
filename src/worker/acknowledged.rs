//! Accounting for what receivers have acknowledged.

use std::time::Duration;

use tracing::error;

use super::Worker;
use super::part::ACCOUNTS;
use super::retries::Backoff;
use crate::pipeline::acknowledged::{self, Look};
use crate::store::StoreError;

/// The time between looks.
const INTERVAL: Duration = Duration::from_secs(5);

impl Worker {
    /// Compares what was acknowledged with the ledger, until shutdown.
    pub(super) async fn run_acknowledged(self) {
        let mut backoff = Backoff::new();
        loop {
            let delay = match self.account().await {
                Ok(look) => {
                    self.outages.store_answered(ACCOUNTS);
                    backoff = Backoff::new();
                    Self::report(&look);
                    if look.more { Duration::ZERO } else { INTERVAL }
                }
                Err(error) => {
                    let failed = "accounting for acknowledged events failed; trying again";
                    self.store_failed(ACCOUNTS, &error, failed);
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }

    async fn account(&self) -> Result<Look, StoreError> {
        let queue = self.replay_to.as_deref();
        acknowledged::settle(&self.store, queue, self.clock.now()).await
    }

    fn report(look: &Look) {
        for (app, (events, first)) in &look.overdue {
            error!(
                %app, events, event.id = first,
                "acknowledged events have no outcome; have the provider send again what \
                 `tollgate events unaccounted` lists"
            );
        }
    }
}
