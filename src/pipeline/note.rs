//! Notes in the ledger what became of a message that was not processed.

use serde_json::json;

use super::admission::is_sent_again;
use super::batch::ledger_entry;
use super::forgotten::without_persons;
use super::incoming::{Incoming, named_by};
use crate::domain::announcement::{Announcement, EVENT_FAILED};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::time::Timestamp;
use crate::provider;
use crate::queue::Message;
use crate::queue::message::HeadersV1;
use crate::store::{LockMode, Store, StoreError};

/// Records in the ledger that a try at a message failed and that it will be retried.
///
/// # Errors
/// When the store failed.
pub async fn note_pending(
    store: &Store,
    message: &Message,
    error: &EventError,
    now: Timestamp,
) -> Result<(), StoreError> {
    note(store, message, EventOutcome::Pending, error, now).await
}

/// Records in the ledger that a provider's answer cannot be processed.
///
/// # Errors
/// When the store failed.
pub(super) async fn note_failed(
    store: &Store,
    message: &Message,
    error: &EventError,
    now: Timestamp,
) -> Result<(), StoreError> {
    note(store, message, EventOutcome::Failed, error, now).await
}

/// Records in the ledger that a message was not processed, unless its event has had its effect in
/// another way.
///
/// # Errors
/// When the store failed.
pub(super) async fn note(
    store: &Store,
    message: &Message,
    outcome: EventOutcome,
    error: &EventError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let named = named_by(message);
    let incoming = Incoming {
        message,
        named: &named,
    };
    let key = incoming.key();
    let mut tx = store.begin().await?;
    tx.lock_apps([&key.app], LockMode::Shared).await?;
    tx.lock_events([&key]).await?;
    if tx.app_existing([&key.app]).await?.is_empty() {
        return Ok(());
    }
    let mut known = tx.ledger_find([&key]).await?;
    let known = known.remove(&key);
    if known
        .as_ref()
        .is_some_and(|state| state.outcome.is_settled())
    {
        return Ok(());
    }
    let digest = provider::digest(key.provider, &message.body);
    let mut entry = ledger_entry(&key, incoming, digest, outcome, now);
    // The queue has counted the try that led here already, unless it is being settled just now.
    let headers = message.headers();
    entry.attempts = headers.tries(headers.attempt.max(1));
    entry.error = Some(error.clone());
    let mut entries = [entry];
    without_persons(&mut tx, &mut entries).await?;
    tx.ledger_write(&entries).await?;
    let headers = message.headers();
    if known.as_ref().is_some_and(|it| is_sent_again(it, headers)) {
        tx.ledger_count_duplicates(&[(key.clone(), 1)].into())
            .await?;
    }
    // Who was told that it failed is not told once more because it came again; that a replay failed is news.
    let is_replay = headers.replay.is_some();
    let is_told = known.is_some_and(|it| {
        it.outcome == EventOutcome::Failed && (!is_replay || it.receipt == headers.receipt)
    });
    if outcome == EventOutcome::Failed && !is_told {
        tx.change_add(vec![failed(&key, headers, error, now)])
            .await?;
    }
    tx.commit().await
}

/// What operators are told of an event that could not be processed.
fn failed(key: &EventKey, headers: &HeadersV1, error: &EventError, now: Timestamp) -> Announcement {
    let data = json!({
        "provider": key.provider, "event_id": key.id, "event_type": headers.event_type,
        "error_code": error.code,
    });
    Announcement {
        app: key.app.clone(),
        customer: None,
        kind: EVENT_FAILED,
        occurred_at: now,
        data: data.as_object().cloned().unwrap_or_default(),
    }
}
