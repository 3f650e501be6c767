//! Dismissing events that will never be processed: those that failed, and those that were lost after
//! they had been acknowledged.
//!
//! A dismissed event is `ignored` (`dismissed`), so its payload goes after the retention like any
//! other, and until then it can be replayed. A lost one is not in the ledger; it goes from the list
//! of what is missing, and counts as any other if the provider sends it after all.

use std::collections::BTreeMap;

use serde_json::json;

use super::acknowledged::{MOST_LISTED, REPORTED_RETRY_INTERVAL};
use super::event_owner;
use super::events::resolved;
use super::order::Order;
use crate::domain::event::{EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{AcknowledgedBatch, EventFilter, Store, StoreError, Tx, Window};

/// The error code of a dismissed event.
pub const DISMISSED: &str = "dismissed";

/// Most events of one transaction, which neither webhooks nor the API should have to wait for.
const BATCH: u32 = 100;

/// An event was not dismissed.
#[derive(Debug, thiserror::Error)]
pub enum DismissError {
    /// Neither the app's ledger nor the list of what is missing has such an event.
    #[error("the ledger has no such event, and none of this id is missing")]
    NotFound,
    /// It was processed, so there is nothing to dismiss.
    #[error("its outcome is `{0}`; only what has failed, or was lost, can be dismissed")]
    NotFailed(EventOutcome),
    /// It may still be processed.
    #[error("it may still be processed: only what has failed, or was lost, can be dismissed")]
    Waiting,
    /// The store failed.
    #[error("the ledger could not be written")]
    Store(#[from] StoreError),
}

/// Dismisses an event that failed or was lost. Returns false if it was dismissed before.
///
/// # Errors
/// See [`DismissError`].
pub async fn one(store: &Store, by: &Order, id: &str) -> Result<bool, DismissError> {
    let mut tx = store.begin().await?;
    let mut of = None;
    match tx.event_find(&by.app, id).await? {
        Some(event) => {
            of = event_owner::of(&mut tx, &by.app, &event).await?;
            let code = event.error.as_ref().map(|error| error.code.as_str());
            match event.outcome {
                EventOutcome::Ignored if code == Some(DISMISSED) => return Ok(false),
                EventOutcome::Failed => {
                    // Somebody else did so just now.
                    if tx.event_dismiss(&[event.key], by.now).await? == 0 {
                        return Ok(false);
                    }
                }
                EventOutcome::Pending => return Err(DismissError::Waiting),
                other => return Err(DismissError::NotFailed(other)),
            }
        }
        None => match dismiss_lost(&mut tx, &by.app, id, by.now).await? {
            Some(true) => {}
            Some(false) => return Err(DismissError::Waiting),
            None => return Err(DismissError::NotFound),
        },
    }
    let details = json!({"event_id": id, "reason": by.reason});
    by.audit(&mut tx, of.as_ref(), "event_dismiss", details)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// Forgets a webhook that was lost. `None` if none of this id is missing, and false if it may still be
/// on its way.
async fn dismiss_lost(
    tx: &mut Tx,
    app: &AppSlug,
    id: &str,
    now: Timestamp,
) -> Result<Option<bool>, StoreError> {
    let batches = tx.acknowledged_oldest(app, MOST_LISTED).await?.into_iter();
    let names = |batch: &AcknowledgedBatch| batch.events.0.iter().any(|event| event.id == id);
    let (lost, waiting): (Vec<_>, Vec<_>) = batches.filter(names).partition(|batch| batch.reported);
    if !waiting.is_empty() {
        return Ok(Some(false));
    }
    let without = lost.into_iter().map(|mut batch| {
        batch.events.0.retain(|event| event.id != id);
        (batch, now.plus(REPORTED_RETRY_INTERVAL))
    });
    let without: Vec<_> = without.collect();
    tx.acknowledged_keep(&without).await?;
    Ok((!without.is_empty()).then_some(true))
}

/// Most events that one call dismisses, so that a request ends within seconds however many there are.
pub const MOST_DISMISSED: u64 = 1_000;

/// What came of dismissing many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dismissed {
    /// How many were dismissed.
    pub dismissed: u64,
    /// How many failed events match the filter still: another call goes on with them.
    pub remaining: u64,
}

/// Dismisses failed events that match a filter, at most [`MOST_DISMISSED`], in small transactions.
///
/// # Errors
/// [`DismissError::NotFailed`] if the filter asks for another outcome, and when the store failed:
/// what was dismissed until then stays so.
pub async fn many(
    store: &Store,
    by: &Order,
    filter: &EventFilter,
) -> Result<Dismissed, DismissError> {
    if let Some(other) = filter.outcome.filter(|it| *it != EventOutcome::Failed) {
        return Err(DismissError::NotFailed(other));
    }
    let filter = EventFilter {
        outcome: Some(EventOutcome::Failed),
        ..filter.clone()
    };
    let filter = resolved(&mut store.read().await?, &by.app, &filter).await?;
    let window = Window::Walk {
        after: None,
        size: BATCH,
    };
    let mut dismissed = 0;
    // What is dismissed no longer matches, so the first part is always the next.
    while dismissed < MOST_DISMISSED {
        let mut tx = store.begin().await?;
        let listed = tx.event_list(&by.app, &filter, &window).await?;
        let mut of_customers: BTreeMap<Option<CustomerId>, Vec<String>> = BTreeMap::new();
        for event in &listed.rows {
            let customer = event_owner::of(&mut tx, &by.app, event).await?;
            let ids = of_customers.entry(customer).or_default();
            ids.push(event.key.id.clone());
        }
        let events: Vec<EventKey> = listed.rows.into_iter().map(|event| event.key).collect();
        let now = tx.event_dismiss(&events, by.now).await?;
        if now == 0 {
            break;
        }
        dismissed += now;
        // An entry for each customer: what a reason says of one goes when that one is erased.
        for (customer, ids) in of_customers {
            let details = json!({"event_ids": ids, "reason": by.reason});
            by.audit(&mut tx, customer.as_ref(), "event_dismiss_many", details)
                .await?;
        }
        tx.commit().await?;
    }
    let first = Window::Page { number: 1, size: 1 };
    let mut tx = store.read().await?;
    let left = tx.event_list(&by.app, &filter, &first).await?;
    Ok(Dismissed {
        dismissed,
        remaining: left.total.unwrap_or_default(),
    })
}
