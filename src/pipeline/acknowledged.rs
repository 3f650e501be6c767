//! Accounting for every webhook that was acknowledged.
//!
//! A receiver notes in memory what it answered with 2xx, and writes the notes to the store about
//! once a second, beside its work: an answer never waits for them. While the store is away they stay
//! in memory, up to a bound. The worker compares them with the ledger and forgets those that are in
//! it. What is left has no outcome yet: it waits in the queue, or it was lost there, for example
//! with a deleted queue. Then its ids say what the provider has to send again.
//!
//! A receiver that is killed takes the notes of its last second along, though not the webhooks: these
//! are durable in the queue. Only what is killed and lost within that second is not listed.
//!
//! Refused: a digest of all ids by the minute, which says that something is missing and not what; and
//! a row for each event, which would double what an event costs the store.

mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::notes::Acknowledged;
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;
use crate::queue::{Depths, Publisher};
use crate::store::{
    AcknowledgedBatch, AcknowledgedEvent, AcknowledgedWaiting, Store, StoreError, Tx,
};

/// The shortest and the longest time between two looks at the same row.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// The time between two looks at what was reported, since the provider may send it again.
pub(super) const REPORTED_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// How long a look may take.
const LEASE: Duration = Duration::from_mins(1);

/// A look that is put off for longer than this was put off by a clock that was ahead.
const LONGEST_RETRY_INTERVAL: Duration = Duration::from_mins(10);

/// The most rows of one look.
const MOST_LOOKED_AT: i64 = 20;

/// The most rows that a list is made of.
pub(super) const MOST_LISTED: i64 = 100;

/// The age from which an event without an outcome is overdue if two looks in a row found it in no
/// queue.
const OVERDUE_NOWHERE: Duration = Duration::from_mins(5);

/// The age from which one is overdue even though queues have messages: longer than all retries.
const OVERDUE: Duration = Duration::from_hours(2);

/// How long an event without an outcome is listed: no provider sends it again after that.
const FORGOTTEN: Duration = Duration::from_hours(90 * 24);

/// What one look at the ledger found.
#[derive(Debug, Default)]
pub struct Look {
    /// True if there is more to look at.
    pub more: bool,
    /// Events that are overdue since now, by app: their number, and the first of their ids.
    pub overdue: BTreeMap<AppSlug, (usize, String)>,
}

/// Forgets what was acknowledged and is in the ledger by now. Asks the queue, if there is anything to
/// look at, whether an event may still be on its way.
///
/// # Errors
/// When the store failed.
pub async fn settle(
    store: &Store,
    queue: Option<&dyn Publisher>,
    now: Timestamp,
) -> Result<Look, StoreError> {
    let longest = now.plus(LONGEST_RETRY_INTERVAL);
    if !store
        .read()
        .await?
        .acknowledged_is_due(now, longest)
        .await?
    {
        return Ok(Look::default());
    }
    // No transaction stays open while the broker is asked. One that does not answer has messages.
    let depths = match queue {
        Some(queue) => queue.depths().await.ok(),
        None => None,
    };
    let mut tx = store.begin().await?;
    let taken = tx
        .acknowledged_take(now, now.plus(LEASE), longest, MOST_LOOKED_AT)
        .await?;
    if taken.is_empty() {
        return Ok(Look::default());
    }
    let spooled = super::spool::depth(&mut tx).await?;
    tx.commit().await?;
    let is_nowhere = depths.is_some_and(|depths| is_empty(&depths) && spooled == 0);

    let mut look = Look {
        more: i64::try_from(taken.len()).is_ok_and(|taken| taken == MOST_LOOKED_AT),
        ..Look::default()
    };
    let mut kept = Vec::with_capacity(taken.len());
    for mut batch in without_known(store, taken).await? {
        let forgotten = now.minus(FORGOTTEN);
        let events = &mut batch.events.0;
        events.retain(|event| event.received_at > forgotten);
        let oldest = events.iter().map(|event| event.received_at).min();
        let age = oldest.map_or(Duration::ZERO, |oldest| age(oldest, now));
        // One look may miss what a worker or a relay has in hand: it is in no queue for a moment.
        let is_lost = is_nowhere && batch.nowhere;
        batch.nowhere = is_nowhere;
        let limit = if is_lost { OVERDUE_NOWHERE } else { OVERDUE };
        if let (Some(first), false) = (events.first(), batch.reported)
            && age > limit
        {
            batch.reported = true;
            let group = look.overdue.entry(batch.app.clone());
            let group = group.or_insert_with(|| (0, first.id.clone()));
            group.0 += events.len();
        }
        let rest = if batch.reported {
            REPORTED_RETRY_INTERVAL
        } else {
            (age / 4).clamp(REST.0, REST.1)
        };
        kept.push((batch, now.plus(rest)));
    }
    let mut tx = store.begin().await?;
    tx.acknowledged_keep(&kept).await?;
    tx.commit().await?;
    Ok(look)
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    let nanos = now.nanos().saturating_sub(since.nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

fn is_empty(depths: &Depths) -> bool {
    let resting: u64 = depths.retry.iter().map(|(_, messages)| messages).sum();
    depths.work + resting + depths.failed == 0
}

/// Leaves out what is in the ledger.
pub(super) async fn without_known(
    store: &Store,
    mut batches: Vec<AcknowledgedBatch>,
) -> Result<Vec<AcknowledgedBatch>, StoreError> {
    let key = |app: &AppSlug, event: &AcknowledgedEvent| EventKey {
        app: app.clone(),
        provider: event.provider,
        id: event.id.clone(),
    };
    let keys: BTreeSet<EventKey> = batches
        .iter()
        .flat_map(|batch| batch.events.0.iter().map(|event| key(&batch.app, event)))
        .collect();
    let known = store.read().await?.ledger_find(&keys).await?;
    for batch in &mut batches {
        let app = &batch.app;
        batch
            .events
            .0
            .retain(|event| !known.contains_key(&key(app, event)));
    }
    Ok(batches)
}

/// An event that was acknowledged and is not in the ledger.
#[derive(Clone, Debug)]
pub struct Unaccounted {
    /// The event.
    pub event: AcknowledgedEvent,
    /// True if it is in no queue either, or for longer than any retry takes.
    pub overdue: bool,
}

impl Unaccounted {
    /// Returns its place in the list: the oldest first.
    pub fn position(&self) -> (Timestamp, String, Provider) {
        let event = &self.event;
        (event.received_at, event.id.clone(), event.provider)
    }
}

/// Lists what was acknowledged and is not in the ledger, the oldest first. Of a very long backlog the
/// oldest part.
///
/// # Errors
/// When the store failed.
pub async fn unaccounted(store: &Store, app: &AppSlug) -> Result<Vec<Unaccounted>, StoreError> {
    let mut tx = store.read().await?;
    let oldest = tx.acknowledged_oldest(app, MOST_LISTED).await?;
    drop(tx);
    let mut found = BTreeMap::new();
    for batch in without_known(store, oldest).await? {
        for event in batch.events.0 {
            let overdue = batch.reported;
            // One that came twice is listed once.
            let key = (event.provider, event.id.clone());
            found.entry(key).or_insert(Unaccounted { event, overdue });
        }
    }
    let mut found: Vec<Unaccounted> = found.into_values().collect();
    found.sort_by_cached_key(Unaccounted::position);
    Ok(found)
}

/// Counts the events of an app that were overdue when they were last looked at.
///
/// # Errors
/// When the store failed.
pub async fn overdue(store: &Store, app: &AppSlug) -> Result<u64, StoreError> {
    store.read().await?.acknowledged_overdue(app).await
}

/// Counts what was acknowledged and was not in the ledger when it was last looked at.
///
/// # Errors
/// When the store failed.
pub(super) async fn waiting(
    tx: &mut Tx,
    app: Option<&AppSlug>,
    now: Timestamp,
) -> Result<AcknowledgedWaiting, StoreError> {
    let bounds = [Duration::from_mins(1), Duration::from_mins(10), OVERDUE];
    let bounds = bounds.map(|age| now.minus(age));
    tx.acknowledged_waiting(app, bounds).await
}
