//! Removes payloads that have been kept long enough.
//!
//! A payload is the largest part of an event and holds personal data, and once its event is settled
//! it is needed only to look at the event or to apply it again. What tells duplicates and explains
//! customers stays for ever: ids, type, outcome, changes and the digest of the payload. Payloads of
//! failed and pending events stay too, because a replay may need them.
//!
//! The work is found by an index, so it goes on after a restart. It is done in small transactions,
//! by one worker at a time, under the locks of the events: a batch of webhooks never waits for more
//! than one of these transactions, and no cycle of waits can form.

use std::collections::BTreeSet;

use crate::domain::id::AppSlug;
use crate::domain::span::Span;
use crate::domain::time::Timestamp;
use crate::store::{LockMode, Store, StoreError};

/// Most payloads of one transaction: a few milliseconds on either engine.
pub const BATCH: u32 = 200;

/// Removes payloads of events that were settled longer than `retention` ago, at most [`BATCH`] of
/// them. Returns their number, 0 also while another worker is at it.
///
/// # Errors
/// When the store failed.
pub async fn remove_payloads(
    store: &Store,
    retention: Span,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let before = now.minus(retention.duration());
    // Most looks find nothing, and those need not wait for a turn to write.
    if store
        .read()
        .await?
        .payload_expired(before, 1)
        .await?
        .is_empty()
    {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("payloads").await? {
        return Ok(0);
    }
    let events = tx.payload_expired(before, BATCH).await?;
    let apps: BTreeSet<&AppSlug> = events.iter().map(|key| &key.app).collect();
    tx.lock_apps(apps, LockMode::Shared).await?;
    tx.lock_events(&events).await?;
    let removed = tx.payload_remove(&events, now).await?;
    tx.commit().await?;
    Ok(removed)
}

/// Removes changes that were told longer than `retention` ago, with their deliveries, at most [`BATCH`]
/// of them. Returns their number, 0 also while another worker is at it. What is still to be delivered
/// stays.
///
/// # Errors
/// When the store failed.
pub async fn remove_changes(
    store: &Store,
    retention: Span,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let before = now.minus(retention.duration());
    if !store.read().await?.change_is_old(before).await? {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("changes").await? {
        return Ok(0);
    }
    let removed = tx.change_purge(before, BATCH).await?;
    tx.commit().await?;
    Ok(removed)
}
