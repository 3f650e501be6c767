//! Replays of many events, carried out a batch at a time. An app has one open replay at a time.
//!
//! A replay is a row of the store, so it continues after a restart, on any worker. Each
//! batch is published with confirms before the cursor moves behind it; who dies in between leaves
//! a lease that runs out, and the batch is published again. The receipt of each message names the
//! replay and the event, so that the worker knows the second one: also with `force`, a replay
//! applies every event once.
//!
//! Webhooks come first: nothing is published while more than `MOST_WAITING` messages wait to be
//! processed, so a webhook has at most that many before it, however large the replay is.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::json;

use super::events::resolved;
use super::order::Order;
use super::replay::{ReplayError, message_of};
use crate::domain::event::EventOutcome;
use crate::domain::id::{AppSlug, ReplayId};
use crate::domain::time::Timestamp;
use crate::queue::{Origin, Publisher};
use crate::random;
use crate::store::replay::{BulkReplay, ReplayStep, Replayable};
use crate::store::{EventFilter, Listed, Store, StoreError, Window};

/// Most events of one batch: as many as one of the worker's, since their payloads are in memory.
const BATCH: u32 = 128;

/// The most messages that may wait in the queue when a batch is published.
const MOST_WAITING: u64 = 256;

/// The time between looks at the queue while too many messages wait in it.
const WAIT: Duration = Duration::from_millis(200);

/// The pause between two batches of a replay without a pace.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest time between looks for replays.
const INTERVAL: Duration = Duration::from_secs(1);

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded.
const LONGEST_LEASE: Duration = Duration::from_mins(1);

/// How long a worker may take for a batch: several times what publishing takes at worst.
const LEASE: Duration = Duration::from_secs(10);

/// How many ids a preview shows.
const SHOWN: u32 = 20;

/// Previews a bulk replay: the events that it would publish.
///
/// # Errors
/// See [`ReplayError`].
pub async fn preview(
    store: &Store,
    app: &AppSlug,
    filter: &EventFilter,
    force: bool,
) -> Result<Replayable, ReplayError> {
    check(filter, force)?;
    let mut tx = store.read().await?;
    let filter = resolved(&mut tx, app, filter).await?;
    Ok(tx.replay_preview(app, &filter, force, SHOWN).await?)
}

/// How a replay is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Also events that have had their effect.
    pub force: bool,
    /// Most events published in a second.
    pub per_second: Option<u32>,
}

/// The largest pace that can be asked for.
pub const MAX_PER_SECOND: u32 = 1_000;

/// Orders a replay, which the workers then carry out. There must be none of the app that is open.
///
/// # Errors
/// See [`ReplayError`].
pub async fn order(
    store: &Store,
    order: &Order,
    filter: &EventFilter,
    how: How,
) -> Result<BulkReplay, ReplayError> {
    let How { force, per_second } = how;
    check(filter, force)?;
    // Counted before the transaction that writes, which would keep others waiting.
    let mut tx = store.read().await?;
    let filter = resolved(&mut tx, &order.app, filter).await?;
    let about = tx.replay_preview(&order.app, &filter, force, 1).await?;
    drop(tx);
    let replay = BulkReplay {
        id: ReplayId::from_uuid(random::uuid(order.now)?),
        app: order.app.clone(),
        filter,
        force,
        per_second,
        created_at: order.now,
        last_seq: about.last_seq,
        cursor: 0,
        matched: i64::try_from(about.count).unwrap_or(i64::MAX),
        published: 0,
        skipped: 0,
        finished_at: None,
        canceled_at: None,
    };
    let mut tx = store.begin().await?;
    if !tx.replay_add(&replay).await? {
        // Should it have ended just now, the answer names the new one, which was not kept.
        let open = tx.replay_open(&order.app).await?;
        let id = open.unwrap_or(replay.id);
        return Err(ReplayError::Open { id });
    }
    // Erased with that customer: an admin may have written a reason.
    let by_external = replay.filter.external.as_ref();
    let by_external = by_external.and_then(|it| it.customer.as_ref());
    let of = replay.filter.customer.as_ref().or(by_external);
    let details = json!({
        "id": replay.id, "filter": audited(&replay.filter), "force": force,
        "matched": replay.matched, "per_second": per_second,
    });
    order
        .audit(&mut tx, of, "event_replay_many", details)
        .await?;
    tx.commit().await?;
    Ok(replay)
}

/// The filter as the audit has it: an external id may be somebody's name or address, and an entry
/// that is no customer's stays as it is when that person is erased. The replay itself has the id.
fn audited(filter: &EventFilter) -> EventFilter {
    let mut filter = filter.clone();
    if let Some(external) = &mut filter.external {
        external.id.clear();
    }
    filter
}

/// Without `force`, events of these outcomes are none of a replay's: to ask for them alone is a
/// mistake.
fn check(filter: &EventFilter, force: bool) -> Result<(), ReplayError> {
    match filter.outcome {
        Some(
            outcome @ (EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded),
        ) if !force => Err(ReplayError::AlreadyApplied { outcome }),
        Some(_) | None => Ok(()),
    }
}

/// Cancels a replay: nothing more of it is published. What is in the queue already is still
/// processed, a few hundred events at most. Returns the replay, and false if it had ended before.
///
/// # Errors
/// [`ReplayError::ReplayNotFound`], or when the store failed.
pub async fn cancel(
    store: &Store,
    order: &Order,
    id: &ReplayId,
) -> Result<(BulkReplay, bool), ReplayError> {
    let mut tx = store.begin().await?;
    let changed = tx.replay_cancel(&order.app, id, order.now).await?;
    let found = tx.replay_find(&order.app, id).await?;
    let replay = found.ok_or(ReplayError::ReplayNotFound)?;
    if changed {
        let details = json!({"id": id, "published": replay.published});
        order
            .audit(&mut tx, None, "event_replay_cancel", details)
            .await?;
        tx.commit().await?;
    }
    Ok((replay, changed))
}

/// Lists the replays of an app, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    window: &Window,
) -> Result<Listed<BulkReplay>, StoreError> {
    store.read().await?.replay_list(app, window).await
}

/// Finds a replay of many events; `None` if the app has none of this id.
///
/// # Errors
/// When the store failed.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    id: &ReplayId,
) -> Result<Option<BulkReplay>, StoreError> {
    store.read().await?.replay_find(app, id).await
}

/// What a look for open replays came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// True if a replay made a step.
    pub worked: bool,
    /// The time until it is worth to look again.
    pub rest: Duration,
}

impl Turn {
    const fn none(rest: Duration) -> Self {
        Self {
            worked: false,
            rest,
        }
    }
}

/// Publishes the next events of a replay that is open and whose next step is due. Events whose
/// payloads were removed are skipped, and counted.
///
/// # Errors
/// When the store or the queue failed. Nothing is lost: the same events are published again.
pub async fn carry_on(
    store: &Store,
    publisher: &dyn Publisher,
    now: Timestamp,
) -> Result<Turn, ReplayError> {
    let Some(due) = store.read().await?.replay_next().await? else {
        return Ok(Turn::none(INTERVAL));
    };
    let longest = now.plus(LONGEST_LEASE);
    if due > now && due <= longest {
        let rest = due.nanos().saturating_sub(now.nanos()).unsigned_abs();
        return Ok(Turn::none(Duration::from_nanos(rest).min(INTERVAL)));
    }
    // Leasing what cannot be published would only put it off.
    publisher.ready().await?;
    if publisher.depths().await?.work > MOST_WAITING {
        return Ok(Turn::none(WAIT));
    }
    let mut tx = store.begin().await?;
    let leased = tx.replay_lease(now, now.plus(LEASE), longest).await?;
    tx.commit().await?;
    let Some(replay) = leased else {
        return Ok(Turn::none(INTERVAL));
    };
    let (most, rest) = step(replay.per_second);
    let events = store.read().await?.replay_events(&replay, most).await?;
    let count = i64::try_from(events.len()).unwrap_or_default();
    let cursor = events.last().map_or(replay.last_seq, |event| event.seq);
    let messages = events.into_iter().filter_map(|event| {
        let receipt = format!("{}-{}", replay.id, event.seq);
        let mut message = message_of(&replay.app, event.id, event.stored, receipt, replay.force)?;
        // Ordered by a request that is long over; all of its events are found by the replay's id.
        message.headers_mut().origin = Origin::new(Some(replay.id.to_string()), None);
        Some(message)
    });
    let publishing = messages.map(|message| publisher.publish(message));
    let sent = try_join_all(publishing).await?.len();
    let sent = i64::try_from(sent).unwrap_or_default();
    let step = ReplayStep {
        cursor,
        published: sent,
        skipped: count - sent,
        finished_at: (count < i64::from(most)).then_some(now),
    };
    let mut tx = store.begin().await?;
    tx.replay_advance(&replay, step, now.plus(rest)).await?;
    tx.commit().await?;
    Ok(Turn {
        worked: true,
        // Another app's may be due before this one is again.
        rest: PAUSE,
    })
}

/// The number of events of one step at a pace, and the time until the next. Small steps keep a slow
/// pace even.
fn step(per_second: Option<u32>) -> (u32, Duration) {
    match per_second {
        None => (BATCH, Duration::ZERO),
        Some(pace) => {
            let most = (pace / 4).clamp(1, BATCH);
            (most, Duration::from_secs(most.into()) / pace.max(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_the_pace() {
        for (pace, most, millis) in [
            (1, 1, 1_000),
            (3, 1, 333),
            (100, 25, 250),
            (512, 128, 250),
            (1_000, 128, 128),
        ] {
            let (found, rest) = step(Some(pace));
            assert_eq!((found, rest.as_millis()), (most, millis), "{pace}");
        }
        assert_eq!(step(None), (BATCH, Duration::ZERO));
    }
}
