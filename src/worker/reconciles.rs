//! Carrying out comparisons with what providers say, and ordering those that are due.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Worker;
use super::part::RECONCILES;
use super::retries::Backoff;
use crate::causes::chain;
use crate::domain::reconcile::ReconcileStatus;
use crate::pipeline::apis::Apis;
use crate::pipeline::reconcile::{self, ReconcileError};

/// The time between looks for apps whose next comparison is due; they say hours.
const SCHEDULE: Duration = Duration::from_mins(1);

impl Worker {
    /// Carries on with open comparisons, until shutdown.
    pub(super) async fn run_reconciles(self, apis: Apis) {
        let mut backoff = Backoff::new();
        let mut looked: Option<Instant> = None;
        loop {
            let is_time = looked.is_none_or(|at| at.elapsed() >= SCHEDULE);
            let delay = match self.reconcile(&apis, is_time).await {
                Ok(rest) => {
                    self.outages.store_answered(RECONCILES);
                    backoff = Backoff::new();
                    if is_time {
                        looked = Some(Instant::now());
                    }
                    rest
                }
                Err(ReconcileError::Store(error)) => {
                    let failed = "a reconciliation could not continue; trying again";
                    self.store_failed(RECONCILES, &error, failed);
                    backoff.next()
                }
                Err(error) => {
                    warn!(
                        error = chain(&error),
                        "a reconciliation could not continue; trying again"
                    );
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }

    /// Makes a step of a comparison. Cut short at shutdown: the page is read again by whoever goes on.
    async fn reconcile(&self, apis: &Apis, is_time: bool) -> Result<Duration, ReconcileError> {
        if is_time {
            reconcile::order_due(&self.store, apis, self.clock.now()).await?;
        }
        let step = reconcile::carry_on(&self.store, apis, &*self.clock, None);
        tokio::select! {
            () = self.shutdown.cancelled() => Ok(Duration::ZERO),
            turn = step => {
                let turn = turn?;
                if let Some(it) = turn.worked.filter(|it| it.status() == ReconcileStatus::Failed)
                    && let Some(error) = it.error
                {
                    let name = crate::provider::known_names(it.provider, "").0;
                    self.metrics.refused(name, &error.code);
                }
                Ok(turn.rest)
            }
        }
    }
}
