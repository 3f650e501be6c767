//! Spooled messages, published when the queue is back.
//!
//! A message is leased for a while, published with confirm, and then deleted: two transactions,
//! and none open while the broker is asked. A relay that dies in between leaves a lease that
//! runs out, and the message is published again; its receipt tells the worker that it is the
//! same one. Any number of relays may run.

use std::time::Duration;

use futures::future::join_all;
use tracing::error;

use super::spool;
use crate::causes::chain;
use crate::domain::time::Timestamp;
use crate::queue::{Message, Publisher};
use crate::store::{Store, StoreError, StoredMessage};

/// Most messages of one lease. All are published at once and share one statement before and one
/// after; more would be a matter of memory, since a message may have a megabyte.
const BATCH: usize = 64;

/// How long a lease lasts: several times what publishing takes at worst.
const LEASE: Duration = Duration::from_secs(10);

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// How many messages are in the queue now.
    pub count: usize,
    /// Whether there are probably more, and the queue takes them.
    pub more: bool,
}

/// Publishes spooled messages, one batch. Costs one cheap read when there are none.
///
/// # Errors
/// When the store failed. What was published and not deleted is published again later, which
/// does no harm.
pub async fn relay(
    store: &Store,
    publisher: &dyn Publisher,
    now: Timestamp,
) -> Result<Relayed, StoreError> {
    let due = store
        .read()
        .await?
        .message_next_due(spool::LANE, [])
        .await?
        .is_some_and(|due_at| due_at <= now);
    // Leasing what cannot be published would only put it off.
    if !due || publisher.ready().await.is_err() {
        return Ok(Relayed::default());
    }
    let mut tx = store.begin().await?;
    let leased = tx
        .message_lease(spool::LANE, now, now.plus(LEASE), BATCH)
        .await?;
    tx.commit().await?;

    let taken = leased.len();
    let done: Vec<i64> = join_all(leased.into_iter().map(|it| publish(publisher, it)))
        .await
        .into_iter()
        .flatten()
        .collect();
    let count = done.len();
    if count > 0 {
        let mut tx = store.begin().await?;
        tx.message_settle(done, &[]).await?;
        tx.commit().await?;
    }
    Ok(Relayed {
        count,
        more: taken == BATCH && count == taken,
    })
}

/// The row of a message that is in the queue now. What failed comes again when its lease is over.
async fn publish(publisher: &dyn Publisher, stored: StoredMessage) -> Option<i64> {
    let headers = match spool::headers(&stored.headers) {
        Ok(headers) => headers,
        Err(error) => {
            error!(
                seq = stored.seq,
                error = chain(&error),
                "a spooled message cannot be read and stays where it is"
            );
            return None;
        }
    };
    let message = Message {
        headers,
        body: stored.body,
    };
    publisher.publish(message).await.ok().map(|()| stored.seq)
}
