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
use crate::queue::{Announcer, MAX_IN_FLIGHT, Notice, QueueError};
use crate::store::change::StoredChange;
use crate::store::{Store, StoreError};

/// Most changes of one round. However many they are, a round costs one read and two commits, which are forced
/// to the disk: with 256, a worker that drains a backlog had 25 rounds a second.
pub const BATCH: u32 = 1_024;

/// How long a lease lasts without being renewed: longer than any round, which publishes for [`LONGEST`], waits
/// for the confirms of one wave more, and commits.
const LEASE: Duration = Duration::from_secs(30);

/// The longest that a round goes on publishing. With its last wave it ends before a server that stops gives up
/// waiting for it, which would have the changes published again.
const LONGEST: Duration = Duration::from_secs(5);

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded. Longer
/// than a lease, because the clocks of two workers differ a little.
const LONGEST_LEASE: Duration = Duration::from_mins(1);

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
    let longest = now.plus(LONGEST_LEASE);
    let until = now.plus(LEASE);
    if !tx.lease_take(NAME, holder, until, (now, longest)).await? {
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
            more: count < taken || taken == BATCH as usize,
        }),
    }
}

/// Publishes changes in waves: at most one of each customer, and at most [`MAX_IN_FLIGHT`] in all, since further
/// ones would use up the time for their confirm waiting in the queue. Returns those that the broker
/// has.
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
            if is_first && wave.len() < MAX_IN_FLIGHT {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{AppSlug, ChangeId};

    /// Takes everything but what it refuses, each after others had their turn.
    #[derive(Default)]
    struct Taking {
        refused: Option<String>,
        seen: Mutex<Seen>,
    }

    #[derive(Default)]
    struct Seen {
        under_way: usize,
        most: usize,
        ids: Vec<String>,
    }

    impl Taking {
        fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
            look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    #[async_trait]
    impl Announcer for Taking {
        async fn announce(&self, notice: Notice) -> Result<(), QueueError> {
            self.seen(|seen| {
                seen.under_way += 1;
                seen.most = seen.most.max(seen.under_way);
            });
            tokio::task::yield_now().await;
            let is_refused = self.refused.as_ref() == Some(&notice.id);
            self.seen(|seen| {
                seen.under_way -= 1;
                seen.ids.push(notice.id);
            });
            if is_refused {
                Err(QueueError::Closed)
            } else {
                Ok(())
            }
        }
    }

    /// Changes of so many customers in turns.
    fn changes(count: u16, customers: u16) -> Vec<StoredChange> {
        let change = |number: u16| StoredChange {
            seq: number.into(),
            id: ChangeId::from_uuid(Uuid::from_u128(number.into())),
            app: AppSlug::default_app(),
            customer: Some(CustomerId::from_uuid(Uuid::from_u128(
                (number % customers).into(),
            ))),
            kind: "customer.updated".to_owned(),
            occurred_at: Timestamp::from_nanos(0),
            data: json!({}),
        };
        (0..count).map(change).collect()
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_the_publisher_lets_fly() {
        let (announcer, found) = (Taking::default(), changes(1_000, 400));
        let (mut done, failed) = publish(&announcer, found.clone()).await;
        assert!(failed.is_none());
        done.sort_unstable();
        assert_eq!(done, (0..1_000).collect::<Vec<i64>>());
        announcer.seen(|seen| {
            assert_eq!(seen.most, MAX_IN_FLIGHT);
            let mut told: BTreeMap<&Option<CustomerId>, Vec<&String>> = BTreeMap::new();
            for id in &seen.ids {
                let change = found.iter().find(|it| it.id.to_string() == *id).unwrap();
                told.entry(&change.customer).or_default().push(id);
            }
            // Ids are numbered in the order of the changes.
            assert!(told.values().all(|ids| ids.is_sorted()), "{told:?}");
        });
    }

    #[tokio::test]
    async fn nothing_is_begun_after_one_has_failed() {
        let found = changes(1_000, 400);
        let announcer = Taking {
            refused: Some(found[3].id.to_string()),
            ..Taking::default()
        };
        let (done, failed) = publish(&announcer, found).await;
        assert!(failed.is_some());
        let first: Vec<i64> = (0..256).filter(|seq| *seq != 3).collect();
        assert_eq!(done, first);
        assert_eq!(announcer.seen(|seen| seen.ids.len()), MAX_IN_FLIGHT);
    }
}
