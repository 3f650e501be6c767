//! Publishes changes from the outbox to the broker, in the order in which each customer's were made.
//!
//! One worker at a time does it, by a lease, or two could overtake each other. It reads the oldest,
//! publishes them with confirms, and then notes that the broker has them: two transactions, neither of
//! which is open while waiting for the broker. If it dies in between, they are published again, under
//! the same ids. Of each customer one change is under way at a time: when one fails, those after it
//! stay behind it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures::future::join_all;

use crate::domain::id::CustomerId;
use crate::domain::time::Timestamp;
use crate::queue::{Announcer, Notice, QueueError};
use crate::store::change::StoredChange;
use crate::store::{Store, StoreError};

/// Most changes of one round. All share the three transactions of a round, two of which are forced to the disk:
/// with 256, they took a worker that drains a backlog some percent of its rate.
pub const BATCH: u32 = 1_024;

/// How long a lease lasts without being renewed: several times longer than a round takes at worst,
/// with a confirm for each of a customer's changes.
const LEASE: Duration = Duration::from_secs(30);

/// The longest that a round goes on publishing: less than the lease.
const LONGEST: Duration = Duration::from_secs(10);

/// The lease.
const NAME: &str = "changes";

/// Changes were not published.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The broker did not take some of them.
    #[error("the broker did not take a change")]
    Queue(#[from] QueueError),
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The number of changes that were published.
    pub count: usize,
    /// True if there are probably more.
    pub more: bool,
}

/// Publishes the oldest changes. `holder` names this worker among others. Costs one cheap read if there
/// are none.
///
/// # Errors
/// When the store failed, or the broker did not take everything. What it took is noted all the same.
pub async fn announce(
    store: &Store,
    announcer: &dyn Announcer,
    holder: &str,
    now: Timestamp,
) -> Result<Announced, AnnounceError> {
    if store.read().await?.change_unpublished(1).await?.is_empty() {
        return Ok(Announced::default());
    }
    let mut tx = store.begin().await?;
    if !tx.lease_take(NAME, holder, now.plus(LEASE), now).await? {
        return Ok(Announced::default());
    }
    // Read after the lease was taken: the one before may have published some meanwhile.
    let found = tx.change_unpublished(BATCH).await?;
    tx.commit().await?;

    let taken = found.len();
    let (done, failed) = publish(announcer, found).await;
    let count = done.len();
    if count > 0 {
        let mut tx = store.begin().await?;
        tx.change_published(&done, now).await?;
        tx.commit().await?;
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Announced {
            count,
            more: taken == BATCH as usize,
        }),
    }
}

/// Publishes changes in waves, of each customer one in a wave. Returns those that the broker has.
async fn publish(
    announcer: &dyn Announcer,
    found: Vec<StoredChange>,
) -> (Vec<i64>, Option<QueueError>) {
    let began = std::time::Instant::now();
    let (mut done, mut failed) = (Vec::new(), None);
    let mut waiting: VecDeque<StoredChange> = found.into();
    while failed.is_none() && !waiting.is_empty() && began.elapsed() < LONGEST {
        let mut seen: BTreeSet<CustomerId> = BTreeSet::new();
        let (mut wave, mut later) = (Vec::new(), VecDeque::new());
        for change in waiting {
            let is_first = change
                .customer
                .as_ref()
                .is_none_or(|it| seen.insert(it.clone()));
            if is_first {
                wave.push(change);
            } else {
                later.push_back(change);
            }
        }
        waiting = later;
        let told = wave.iter().map(|change| async {
            let told = announcer.announce(notice(change)).await;
            told.map(|()| change.seq)
        });
        for told in join_all(told).await {
            match told {
                Ok(seq) => done.push(seq),
                Err(error) => failed = Some(error),
            }
        }
    }
    (done, failed)
}

fn notice(change: &StoredChange) -> Notice {
    Notice {
        key: format!("{}.{}", change.app, change.kind),
        id: change.id.to_string(),
        kind: change.kind.clone(),
        occurred_at: change.occurred_at,
        body: change.body(true),
    }
}
