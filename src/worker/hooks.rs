//! Delivering changes to hooks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::error;

use super::Worker;
use super::part::HOOKS;
use super::retries::Backoff;
use crate::pipeline::hooks::{Delivered, Deliveries};
use crate::store::StoreError;

/// The time between looks for deliveries that are due. A look that finds none reads a small table.
const INTERVAL: Duration = Duration::from_millis(250);

/// The time between looks for what a clock that was ahead has put off.
const CLOCK_INTERVAL: Duration = Duration::from_mins(1);

/// Most hooks that are delivered to at once. A slow receiver keeps its own hook waiting alone.
const AT_ONCE: usize = 32;

/// Most of them whose last round delivered nothing. Each can take as long as a receiver may, and there can be
/// hundreds: the rest of the places is for receivers that answer.
const FAILING_AT_ONCE: usize = 8;

/// How long the rounds under way are waited for at shutdown: most receivers answer sooner. What goes on
/// is abandoned.
const FINISH: Duration = Duration::from_secs(5);

impl Worker {
    /// Delivers what is due, until shutdown.
    pub(super) async fn run_hooks(self, deliveries: Deliveries) {
        let mut backoff = Backoff::new();
        let mut rounds: JoinSet<Result<Delivered, StoreError>> = JoinSet::new();
        let failing = Arc::new(Semaphore::new(FAILING_AT_ONCE));
        // The first look is at once: a wrong clock is set right when the machine starts.
        let mut heeds_at = Instant::now();
        loop {
            let begun = async {
                if heeds_at <= Instant::now() {
                    deliveries.heed_clock(&self.store, self.clock.now()).await?;
                    heeds_at = Instant::now() + CLOCK_INTERVAL;
                }
                self.begin_rounds(&deliveries, &mut rounds, &failing).await
            };
            let mut delay = match begun.await {
                Ok(()) => {
                    self.outages.store_answered(HOOKS);
                    INTERVAL
                }
                Err(error) => self.hooks_failed(&error, &mut backoff),
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    // What was sent and is not written is sent again, under the same id, and only when
                    // the lease has run out.
                    let _ = tokio::time::timeout(FINISH, rounds.join_all()).await;
                    return;
                }
                () = tokio::time::sleep(delay) => {}
                Some(ended) = rounds.join_next() => match ended {
                    Ok(Ok(_)) => backoff = Backoff::new(),
                    Ok(Err(error)) => {
                        delay = self.hooks_failed(&error, &mut backoff);
                        if self.shut_down_within(delay).await {
                            return;
                        }
                    }
                    Err(error) => error!(%error, "delivering to a hook panicked"),
                }
            }
        }
    }

    async fn begin_rounds(
        &self,
        deliveries: &Deliveries,
        rounds: &mut JoinSet<Result<Delivered, StoreError>>,
        failing: &Arc<Semaphore>,
    ) -> Result<(), StoreError> {
        if rounds.len() >= AT_ONCE {
            return Ok(());
        }
        let due = deliveries.due(&self.store, self.clock.now()).await?;
        for hook in due {
            if rounds.len() >= AT_ONCE {
                break;
            }
            let place = if hook.failures == 0 {
                None
            } else {
                match Arc::clone(failing).try_acquire_owned() {
                    Ok(place) => Some(place),
                    // Another one's turn comes when a round ends.
                    Err(_none_free) => continue,
                }
            };
            let (worker, deliveries) = (self.clone(), deliveries.clone());
            rounds.spawn(async move {
                let round = deliveries.round(&worker.store, hook, &*worker.clock).await;
                drop(place);
                round
            });
        }
        Ok(())
    }

    fn hooks_failed(&self, error: &StoreError, backoff: &mut Backoff) -> Duration {
        self.store_failed(HOOKS, error, "delivering to hooks failed; trying again");
        backoff.next()
    }
}
