//! Pausing what workers do for an app, and letting it go on.
//!
//! While an app is paused its webhooks are received, acknowledged and recorded, and nothing of them is
//! applied; due times, replays, questions to providers and comparisons wait too. Admins' own acts,
//! access checks and the erasure of persons go on. Every worker heeds a pause from its commit on:
//! batches read it under the app's lock, so there is nothing to refresh.
//!
//! A message of a paused app leaves the queue: the transaction that finds the pause puts it into a lane
//! of the store, and only then it is acknowledged. Whoever waits there is in nobody's way, uses up
//! no try and no delivery of the broker's limit, and costs no rounds. When the app goes on, workers
//! publish it again.
//!
//! Refused: leaving the messages unsettled, which fills the prefetch of every worker until no other
//! app's come, and has the broker close the channel after half an hour. Refused too: the queues of
//! retries, where a hundred thousand messages would be published anew every few seconds.

use std::collections::BTreeMap;

use serde_json::json;

use super::apps::AppError;
use super::batch::ledger_entry;
use super::forgotten::without_persons;
use super::incoming::Incoming;
use super::order::Order;
use super::relay::{Relayed, relay_lane};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::provider;
use crate::queue::Publisher;
use crate::store::{LedgerEntry, NewMessage, Pause, PausedApp, Store, StoreError, Tx, paused_lane};

/// Pauses the app of the order, for its reason; returns false if it was paused before. The first reason
/// stays.
///
/// # Errors
/// When there is no such app, or the store failed.
pub async fn pause(store: &Store, order: &Order) -> Result<bool, AppError> {
    let mut tx = store.begin_in(&order.app).await?;
    tx.app_find(&order.app).await?.ok_or(AppError::NotFound)?;
    if tx.pause_find(&order.app).await?.is_some() {
        return Ok(false);
    }
    let pause = Pause {
        app: order.app.clone(),
        since: order.now,
        reason: order.reason.clone(),
    };
    tx.pause_begin(&pause).await?;
    let details = json!({"from": null, "to": pause.since, "reason": pause.reason});
    order.audit(&mut tx, None, "app_pause", details).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lets the app of the order go on; returns false if it was not paused.
///
/// # Errors
/// When there is no such app, or the store failed.
pub async fn resume(store: &Store, order: &Order) -> Result<bool, AppError> {
    let mut tx = store.begin_in(&order.app).await?;
    tx.app_find(&order.app).await?.ok_or(AppError::NotFound)?;
    let before = tx.pause_find(&order.app).await?;
    let Some(before) = before else {
        return Ok(false);
    };
    tx.pause_end(&order.app, order.now).await?;
    let details = json!({"from": before.since, "to": null, "reason": order.reason});
    order.audit(&mut tx, None, "app_resume", details).await?;
    tx.commit().await?;
    Ok(true)
}

/// Returns the pause of an app; `None` while workers work for it.
///
/// # Errors
/// When the store failed.
pub async fn find(store: &Store, app: &AppSlug) -> Result<Option<PausedApp>, StoreError> {
    Ok(store.read().await?.pause_list(Some(app)).await?.pop())
}

/// Puts messages of paused apps aside, in the transaction that found the pause, and notes in the ledger
/// that their events wait. The same event may come several times.
pub(super) async fn put_aside(
    tx: &mut Tx,
    waiting: &[Incoming<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let keys: Vec<EventKey> = waiting.iter().map(Incoming::key).collect();
    let known = tx.ledger_find(&keys).await?;
    let mut entries: BTreeMap<&EventKey, LedgerEntry> = BTreeMap::new();
    let mut lanes: BTreeMap<&AppSlug, Vec<NewMessage>> = BTreeMap::new();
    for (it, key) in waiting.iter().zip(&keys) {
        let message = it.message;
        let headers = serde_json::to_string(&message.headers)
            .map_err(|source| StoreError::Document { source })?;
        let body = message.body.to_string();
        let new = NewMessage { headers, body };
        lanes.entry(&key.app).or_default().push(new);
        if known
            .get(key)
            .is_some_and(|state| state.outcome.is_settled())
        {
            continue;
        }
        let digest = provider::digest(key.provider, &message.body);
        let mut entry = ledger_entry(key, *it, digest, EventOutcome::Pending, now);
        // Waiting is no try.
        let headers = message.headers();
        entry.attempts = headers.tries(headers.attempt);
        entry.error = Some(EventError::new(
            "app_paused",
            "the app is paused; the event is applied when it goes on".to_owned(),
        ));
        entries.entry(key).or_insert(entry);
    }
    let mut entries: Vec<LedgerEntry> = entries.into_values().collect();
    without_persons(tx, &mut entries).await?;
    tx.ledger_write(&entries).await?;
    for (app, messages) in lanes {
        tx.message_add(&paused_lane(app), messages).await?;
    }
    Ok(())
}

/// Publishes messages that waited while their apps were paused. Costs one cheap read if no app has just
/// gone on.
///
/// # Errors
/// When the store failed. Messages that were published but not deleted are published again later,
/// which does no harm.
pub async fn carry_on(
    store: &Store,
    publisher: &dyn Publisher,
    now: Timestamp,
) -> Result<Relayed, StoreError> {
    let apps = store.read().await?.pause_ended().await?;
    let mut all = Relayed::default();
    for app in apps {
        let lane = paused_lane(&app);
        let relayed = relay_lane(store, publisher, &lane, now).await?;
        all.count += relayed.count;
        all.more |= relayed.more;
        if relayed.count == 0 {
            forget_if_over(store, &app, &lane).await?;
        }
    }
    Ok(all)
}

/// Forgets a pause when nothing waits. Nothing can come once the app goes on: a message is put aside
/// only under the lock that this holds, and only while the app is paused.
async fn forget_if_over(store: &Store, app: &AppSlug, lane: &str) -> Result<(), StoreError> {
    let mut tx = store.begin_in(app).await?;
    if tx.message_count(lane).await? == 0 {
        tx.pause_forget(app).await?;
        tx.commit().await?;
    }
    Ok(())
}
