//! Replays of many events, carried out a batch at a time.
//!
//! A replay is a row of the store, so it continues after a restart, on any worker. Each
//! batch is published with confirms before the cursor moves behind it; who dies in between leaves
//! a lease that runs out, and the batch is published again. The receipt of each message names the
//! replay and the event, so that the worker knows the second one: also with `force`, a replay
//! applies every event once.

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
use crate::store::{EventFilter, Store, StoreError};

/// Most events of one batch: as many as one of the worker's, since their payloads are in memory.
const BATCH: u32 = 128;

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

/// Orders a replay, which the workers then carry out.
///
/// # Errors
/// See [`ReplayError`].
pub async fn order(
    store: &Store,
    order: &Order,
    filter: &EventFilter,
    force: bool,
) -> Result<BulkReplay, ReplayError> {
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
        created_at: order.now,
        last_seq: about.last_seq,
        cursor: 0,
        matched: i64::try_from(about.count).unwrap_or(i64::MAX),
        published: 0,
        skipped: 0,
        finished_at: None,
    };
    let mut tx = store.begin().await?;
    tx.replay_add(&replay).await?;
    let details = json!({
        "id": replay.id, "filter": replay.filter, "force": force, "matched": replay.matched,
    });
    order
        .audit(&mut tx, None, "event_replay_many", details)
        .await?;
    tx.commit().await?;
    Ok(replay)
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

/// Publishes the next events of a replay that is open; whether there was one. Events whose payloads
/// were removed are skipped, and counted.
///
/// # Errors
/// When the store or the queue failed. Nothing is lost: the same events are published again.
pub async fn carry_on(
    store: &Store,
    publisher: &dyn Publisher,
    now: Timestamp,
) -> Result<bool, ReplayError> {
    if !store.read().await?.replay_is_open(now).await? {
        return Ok(false);
    }
    // Leasing what cannot be published would only put it off.
    publisher.ready().await?;
    let mut tx = store.begin().await?;
    let leased = tx.replay_lease(now, now.plus(LEASE)).await?;
    tx.commit().await?;
    let Some(replay) = leased else {
        return Ok(false);
    };
    let events = store.read().await?.replay_events(&replay, BATCH).await?;
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
        finished_at: (count < i64::from(BATCH)).then_some(now),
    };
    let mut tx = store.begin().await?;
    tx.replay_advance(&replay, step, now).await?;
    tx.commit().await?;
    Ok(true)
}
