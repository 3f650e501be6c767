//! Removing what has been kept long enough: idempotency keys, changes that were told, and payloads of
//! settled events. Counting the customers of each day, and looking for endpoints that are silent.

use std::time::Duration;

use tracing::info;

use super::Worker;
use super::part::UPKEEP;
use super::retries::Backoff;
use crate::domain::span::Span;
use crate::pipeline::{flags, history, retention, silence};
use crate::store::StoreError;

/// The time between looks for what is to be removed.
const INTERVAL: Duration = Duration::from_mins(5);

/// The pause between two batches of payloads, so that webhooks need not wait behind all of them.
const BATCH_PAUSE: Duration = Duration::from_millis(20);

impl Worker {
    /// Removes the payloads of events that were settled this long ago. Default: keeps them.
    #[must_use]
    pub fn with_payload_retention(mut self, retention: Option<Span>) -> Self {
        self.payload_retention = retention;
        self
    }

    /// Removes changes that were told this long ago. Default: 30 days.
    #[must_use]
    pub const fn with_change_retention(mut self, retention: Span) -> Self {
        self.change_retention = retention;
        self
    }

    /// Tells operators of endpoints to which nothing came for this long. Default: does not.
    #[must_use]
    pub const fn telling_of_silence(mut self, after: Option<Span>) -> Self {
        self.silent_after = after;
        self
    }

    /// Removes what has been kept long enough, until shutdown.
    pub(super) async fn run_upkeep(self) {
        let mut backoff = Backoff::new();
        loop {
            let delay = match self.remove_expired().await {
                Ok(()) => {
                    self.outages.store_answered(UPKEEP);
                    backoff = Backoff::new();
                    INTERVAL
                }
                Err(error) => {
                    let failed = "removing what has been kept long enough failed; trying again";
                    self.store_failed(UPKEEP, &error, failed);
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }

    async fn remove_expired(&self) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        tx.idempotency_purge(self.clock.now()).await?;
        tx.ended_session_purge(self.clock.now()).await?;
        tx.commit().await?;
        history::note_day(&self.store, self.clock.now()).await?;
        flags::tell_of_unreleased(&self.store, self.clock.now()).await?;
        silence::tell(&self.store, self.silent_after, self.clock.now()).await?;
        loop {
            let now = self.clock.now();
            let removed =
                retention::remove_changes(&self.store, self.change_retention, now).await?;
            if removed < retention::BATCH.into() || self.shut_down_within(BATCH_PAUSE).await {
                break;
            }
        }
        let Some(payloads_kept) = self.payload_retention else {
            return Ok(());
        };
        let mut payloads = 0;
        loop {
            let now = self.clock.now();
            let removed = retention::remove_payloads(&self.store, payloads_kept, now).await?;
            payloads += removed;
            if removed < retention::BATCH.into() || self.shut_down_within(BATCH_PAUSE).await {
                break;
            }
        }
        if payloads > 0 {
            info!(payloads, "old payloads removed");
        }
        Ok(())
    }
}
