//! Publishing what waited while an app was paused.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::Worker;
use super::part::PAUSES;
use super::retries::Backoff;
use crate::pipeline::pauses;
use crate::queue::Publisher;

/// The time between looks for apps that go on, which an admin who resumes one waits for.
const INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Publishes what waited for apps that go on, until shutdown.
    pub(super) async fn run_pauses(self, publisher: Arc<dyn Publisher>) {
        let mut backoff = Backoff::new();
        // One line for all that waited, however many rounds it takes.
        let mut in_all = 0;
        loop {
            let carried = pauses::carry_on(&self.store, &*publisher, self.clock.now()).await;
            let delay = match carried {
                Ok(carried) => {
                    self.outages.store_answered(PAUSES);
                    backoff = Backoff::new();
                    in_all += carried.count;
                    if !carried.more && in_all > 0 {
                        info!(messages = in_all, "messages of resumed apps published");
                        in_all = 0;
                    }
                    if carried.more {
                        Duration::ZERO
                    } else {
                        INTERVAL
                    }
                }
                Err(error) => {
                    let failed = "publishing what waited for paused apps failed; trying again";
                    self.store_failed(PAUSES, &error, failed);
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }
}
