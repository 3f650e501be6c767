//! The spool: keeps webhooks that the queue did not accept, so that a broker outage loses nothing.
//!
//! [`Spooling`] is a publisher that falls back on the store; [`relay`](super::relay) empties it.
//! The built-in queue does not need it: it is the store itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{info, warn};

use crate::causes::chain;
use crate::domain::time::Timestamp;
use crate::metrics::QueueMetrics;
use crate::outage::Outage;
use crate::queue::message::Headers;
use crate::queue::{Depths, Message, Publisher, QueueError};
use crate::store::{NewMessage, Store, StoreError, Tx};

/// The spool's lane in the table of messages.
pub(super) const LANE: &str = "spool";

/// A publisher whose messages are durable as long as the queue or the store works.
pub struct Spooling {
    publisher: Arc<dyn Publisher>,
    store: Store,
    outage: Outage,
    metrics: Option<QueueMetrics>,
}

/// The time without a refusal after which the queue counts as back: one that is full refuses some
/// messages and takes others.
const QUIET: Duration = Duration::from_secs(1);

/// The only part of a publisher that can fail.
const PUBLISH: &str = "publish";

impl Spooling {
    /// Publishes to `publisher`, and to the store if that fails.
    pub fn new(publisher: Arc<dyn Publisher>, store: Store) -> Self {
        Self {
            publisher,
            store,
            outage: Outage::with_quiet_time(QUIET),
            metrics: None,
        }
    }

    /// Counts what goes into the store.
    #[must_use]
    pub fn counted(mut self, metrics: QueueMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    async fn spool(&self, message: &Message) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        put(&mut tx, message).await?;
        tx.commit().await
    }
}

#[async_trait]
impl Publisher for Spooling {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        // The queue takes ownership; cloning costs less than asking the store first.
        let Err(refused) = self.publisher.publish(message.clone()).await else {
            if let Some(ended) = self.outage.succeed(PUBLISH) {
                info!(
                    outage_ms = ended.millis,
                    messages = ended.held,
                    "the queue accepts messages again; these were spooled meanwhile"
                );
            }
            return Ok(());
        };
        let spooled = self.spool(&message).await;
        if let (Ok(()), Some(metrics)) = (&spooled, &self.metrics) {
            metrics.spooled();
        }
        if self.outage.fail(PUBLISH, usize::from(spooled.is_ok())) {
            warn!(
                error = chain(&refused),
                "the queue does not accept messages; spooling them in the store until it does"
            );
        }
        spooled.map_err(|error| {
            warn!(error = chain(&error), "spooling a message failed");
            refused
        })
    }

    async fn ready(&self) -> Result<(), QueueError> {
        let Err(away) = self.publisher.ready().await else {
            return Ok(());
        };
        let asked = async { self.store.read().await?.message_next_due(LANE, []).await };
        asked.await.map(|_| ()).map_err(|_: StoreError| away)
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        self.publisher.depths().await
    }
}

/// Returns when the first message of the spool was received. While a relay has it, it is there all
/// the same.
pub(super) async fn oldest(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let Some(text) = tx.message_first(LANE).await? else {
        return Ok(None);
    };
    let Headers::V1(headers) = headers(&text)?;
    Ok(Some(headers.received_at))
}

/// Counts the messages in the spool.
///
/// # Errors
/// When the store fails.
pub async fn depth(tx: &mut Tx) -> Result<u64, StoreError> {
    tx.message_count(LANE).await
}

/// Puts a message into the spool, in the caller's transaction.
///
/// # Errors
/// When the store fails.
pub async fn put(tx: &mut Tx, message: &Message) -> Result<(), StoreError> {
    let new = NewMessage {
        headers: serde_json::to_string(&message.headers)
            .map_err(|source| StoreError::Document { source })?,
        body: message.body.to_string(),
    };
    tx.message_add(LANE, vec![new]).await
}

/// Parses the headers of a spooled message.
pub(super) fn headers(text: &str) -> Result<Headers, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Document { source })
}
