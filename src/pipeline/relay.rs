//! Publishes spooled messages when the queue is back.
//!
//! A message is leased for a while, published with confirm, and then deleted: two transactions,
//! neither of which is open while waiting for the broker. If a relay dies in between, its lease
//! expires and the message is published again; the worker recognises it by its receipt. Any number
//! of relays may run.

use std::time::Duration;

use futures::future::join_all;
use tracing::error;

use super::spool;
use crate::causes::chain;
use crate::domain::time::Timestamp;
use crate::queue::{Message, Publisher};
use crate::store::{Rest, Store, StoreError, StoredMessage};

/// Maximum number of messages of one lease. All are published at once and share one statement
/// before and one after; the limit is memory, since a message may have a megabyte.
const BATCH: usize = 64;

/// How long a lease lasts: several times longer than publishing takes at worst.
const LEASE: Duration = Duration::from_secs(10);

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded.
/// Longer than a lease, because the clocks of two relays differ a little.
const LONGEST_LEASE: Duration = Duration::from_mins(1);

/// The result of one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// The number of messages that were published.
    pub count: usize,
    /// True if there are probably more, and the queue accepts them.
    pub more: bool,
}

/// Publishes a batch of spooled messages. Costs one cheap read if there are none.
///
/// # Errors
/// When the store failed. Messages that were published but not deleted are published again later,
/// which does no harm.
pub async fn relay(
    store: &Store,
    publisher: &dyn Publisher,
    now: Timestamp,
) -> Result<Relayed, StoreError> {
    relay_lane(store, publisher, spool::LANE, now).await
}

/// As [`relay`], of another lane.
///
/// # Errors
/// As of [`relay`].
pub(super) async fn relay_lane(
    store: &Store,
    publisher: &dyn Publisher,
    lane: &str,
    now: Timestamp,
) -> Result<Relayed, StoreError> {
    let rest = Rest {
        now,
        longest: LONGEST_LEASE,
    };
    let due = store.read().await?.message_is_due(lane, rest).await?;
    // Leasing messages that cannot be published would only delay them.
    if !due || publisher.ready().await.is_err() {
        return Ok(Relayed::default());
    }
    let mut tx = store.begin().await?;
    let leased = tx.message_lease(lane, rest, now.plus(LEASE), BATCH).await?;
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

/// Publishes a message and returns its row; a failed one is tried again when its lease expires.
async fn publish(publisher: &dyn Publisher, stored: StoredMessage) -> Option<i64> {
    let headers = match spool::headers(&stored.headers) {
        Ok(headers) => headers,
        Err(error) => {
            error!(
                seq = stored.seq,
                error = chain(&error),
                "a message at rest cannot be read and stays where it is"
            );
            return None;
        }
    };
    let message = Message {
        headers,
        body: stored.body.into(),
    };
    publisher.publish(message).await.ok().map(|()| stored.seq)
}
