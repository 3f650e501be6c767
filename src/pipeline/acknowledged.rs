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

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;
use crate::queue::{Depths, Publisher};
use crate::store::{
    AcknowledgedBatch, AcknowledgedEvent, AcknowledgedNotes, AcknowledgedWaiting, Store,
    StoreError, Tx,
};

/// The time between writes of the notes.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The time limit for the write at shutdown.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// The most notes that are kept in memory: some 12 MB, and a quarter of an hour of 100 webhooks a
/// second.
const MOST_NOTES: usize = 100_000;

/// The most events of one row.
const MOST_OF_ROW: usize = 1_000;

/// The most rows of one write: its texts are copied twice on their way to the database.
const MOST_ROWS: usize = 3;

/// The time that a worker is given before the ledger is looked at.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// The shortest and the longest time between two looks at the same row.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// The time between two looks at what was reported, since the provider may send it again.
pub(super) const REPORTED_REST: Duration = Duration::from_secs(30);

/// How long a look may take.
const LEASE: Duration = Duration::from_mins(1);

/// A look that is put off for longer than this was put off by a clock that was ahead.
const LONGEST_REST: Duration = Duration::from_mins(10);

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

/// What was acknowledged since the last write. Cheap to clone; all clones note together.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// The rows to be written, of which the last one of an app is still being added to.
    by_app: BTreeMap<AppSlug, VecDeque<AcknowledgedNotes>>,
    count: usize,
    /// Those that found no room.
    left_out: u64,
}

impl Notes {
    fn add(&mut self, app: &AppSlug, event: &AcknowledgedEvent) {
        if self.count >= MOST_NOTES {
            self.left_out += 1;
            return;
        }
        let added = match self.by_app.get_mut(app).and_then(VecDeque::back_mut) {
            Some(row) if row.len() < MOST_OF_ROW => row.add(event),
            Some(_) | None => {
                let mut row = AcknowledgedNotes::new();
                let added = row.add(event);
                let rows = self.by_app.entry(app.clone()).or_default();
                rows.push_back(row);
                added
            }
        };
        match added {
            Ok(()) => self.count += 1,
            Err(_) => self.left_out += 1,
        }
    }

    /// Takes some rows out.
    fn take(&mut self) -> Vec<(AppSlug, AcknowledgedNotes)> {
        let mut taken = Vec::new();
        while taken.len() < MOST_ROWS
            && let Some(mut first) = self.by_app.first_entry()
        {
            let app = first.key().clone();
            match first.get_mut().pop_front() {
                Some(row) => {
                    self.count -= row.len();
                    taken.push((app, row));
                }
                None => drop(first.remove()),
            }
        }
        taken
    }

    /// Takes rows back that could not be written.
    fn put_back(&mut self, rows: Vec<(AppSlug, AcknowledgedNotes)>) {
        for (app, row) in rows.into_iter().rev() {
            self.count += row.len();
            self.by_app.entry(app).or_default().push_front(row);
        }
    }
}

impl Acknowledged {
    /// Notes a webhook that is about to be acknowledged. Never waits for anything.
    pub fn note(&self, app: &AppSlug, event: &AcknowledgedEvent) {
        self.with(|notes| notes.add(app, event));
    }

    /// Writes the notes. Those that could not be written stay noted.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let rows = self.with(Notes::take);
            if rows.is_empty() {
                break;
            }
            if let Err(error) = write(store, &rows, now).await {
                self.with(|notes| notes.put_back(rows));
                return Err(error);
            }
        }
        let left_out = self.with(|notes| std::mem::take(&mut notes.left_out));
        if left_out > 0 {
            tracing::warn!(
                events = left_out,
                "the store was away for so long that some acknowledged events were not noted; they \
                 are in the queue, and only `/events/unaccounted` does not know of them"
            );
        }
        Ok(())
    }

    /// Writes the notes about once a second until `shutdown`.
    pub async fn run(self, store: Store, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        let mut failed = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(FLUSH_EVERY) => {}
            }
            let result = self.flush(&store, clock.now()).await;
            if let (Err(error), false) = (&result, failed) {
                tracing::warn!(
                    error = chain(error),
                    "noting what was acknowledged failed; trying again"
                );
            }
            failed = result.is_err();
        }
    }

    /// Writes the notes of the last requests, within a second.
    pub async fn finish(&self, store: &Store, now: Timestamp) {
        match tokio::time::timeout(LAST_FLUSH, self.flush(store, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("noting what was acknowledged last failed at shutdown");
            }
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn write(
    store: &Store,
    rows: &[(AppSlug, AcknowledgedNotes)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let rows = rows.iter().map(|(app, events)| (app, events));
    tx.acknowledged_add(rows, now.plus(FIRST_LOOK)).await?;
    tx.commit().await
}

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
    let longest = now.plus(LONGEST_REST);
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
            REPORTED_REST
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
