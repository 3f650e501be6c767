//! Erases customers who were deleted for good from everything that outlives their rows.
//!
//! The deletion itself removes the rows and leaves an order in the store. The workers carry that out
//! in small steps, one of them at a time, so a customer with ten thousand events keeps nobody
//! waiting, and a crash costs one step. Looked through are, in this order:
//!
//! - the ledger: the payloads of all events that concerned the customer, or that name an account, a
//!   subscription or a payment of it, are removed, whatever their outcome, and their changes are
//!   erased. A failed one would be ignored if it were processed now, so that is its outcome from
//!   then on; a pending one is decided by the message that is under way;
//! - the audit: what admins and billing did stays, what it says about a person does not;
//! - messages at rest: those that name an account are made due at once. They are processed like all
//!   others, and the ledger keeps no payload of them (`without_persons`);
//! - what the engine still has of what was removed, such as the log of the embedded store.
//!
//! Refused: blacking out fields of payloads. Which fields are personal changes with each version of
//! a provider's API, and what is overlooked once stays for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::apply::change::IgnoreCode;
use crate::domain::customer::erased::{ErasureStage, erase_changes, erased};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::provider;
use crate::store::{
    ErasableEntry, ErasableEvent, ErasedEvent, Erasure, LedgerEntry, LockMode, Store, StoreError,
    Tx,
};

/// Most events or entries of one step: a few milliseconds on either engine.
pub const BATCH: u32 = 200;

/// Most messages that one step looks at, with their bodies.
const MESSAGES: u32 = 1_000;

/// How an erasure goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// None is under way, or another worker is at it.
    Idle,
    /// A step was made, and the next one can follow.
    More,
    /// Something has to happen first: messages have to be processed, or readers to end.
    Wait,
}

/// Makes the next step of the oldest erasure.
///
/// # Errors
/// When the store failed. Earlier steps stay done.
pub async fn carry_on(store: &Store, now: Timestamp) -> Result<Progress, StoreError> {
    if !store.read().await?.erasure_is_open().await? {
        return Ok(Progress::Idle);
    }
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("erasures").await? {
        return Ok(Progress::Idle);
    }
    let Some(erasure) = tx.erasure_next().await? else {
        return Ok(Progress::Idle);
    };
    let progress = match erasure.stage {
        ErasureStage::Events => erase_events(&mut tx, &erasure, now).await?,
        ErasureStage::Audit => erase_audit(&mut tx, &erasure).await?,
        ErasureStage::Messages => hasten_messages(&mut tx, &erasure).await?,
        ErasureStage::Traces => {
            drop(tx);
            if !store.remove_traces().await? {
                return Ok(Progress::Wait);
            }
            tx = store.begin().await?;
            tx.erasure_finish(&erasure, now).await?;
            tracing::info!(customer.id = %erasure.customer, "erased a deleted customer");
            Progress::More
        }
    };
    tx.commit().await?;
    Ok(progress)
}

/// The stage that follows a step, if the step was not a full one.
fn after(
    (stage, next): (ErasureStage, ErasureStage),
    last: Option<i64>,
    count: usize,
) -> (ErasureStage, i64) {
    match last {
        Some(last) if count >= BATCH as usize => (stage, last),
        Some(_) | None => (next, 0),
    }
}

fn key_of(erasure: &Erasure, event: &ErasableEvent) -> EventKey {
    EventKey {
        app: erasure.app.clone(),
        provider: event.provider,
        id: event.id.clone(),
    }
}

/// Locks events, and reads them as nobody else changes them any more.
async fn locked(
    tx: &mut Tx,
    erasure: &Erasure,
    found: &[ErasableEvent],
) -> Result<Vec<ErasableEvent>, StoreError> {
    let keys: Vec<EventKey> = found.iter().map(|event| key_of(erasure, event)).collect();
    tx.lock_apps([&erasure.app], LockMode::Shared).await?;
    tx.lock_events(&keys).await?;
    tx.erasure_events_again(found.iter().map(|event| event.seq))
        .await
}

async fn erase_events(
    tx: &mut Tx,
    erasure: &Erasure,
    now: Timestamp,
) -> Result<Progress, StoreError> {
    let found = tx.erasure_events(erasure, BATCH).await?;
    let last = found.last().map(|event| event.seq);
    let count = found.len();
    let of_them = |customer: &str| customer == erasure.customer.as_str();
    let events = locked(tx, erasure, &found).await?.into_iter().map(|event| {
        let mut changes = event.changes;
        erase_changes(&mut changes, of_them);
        let is_failed = event.outcome == EventOutcome::Failed;
        ErasedEvent {
            seq: event.seq,
            outcome: if is_failed {
                EventOutcome::Ignored
            } else {
                event.outcome
            },
            changes,
            error: is_failed.then(customer_deleted),
        }
    });
    let events: Vec<ErasedEvent> = events.collect();
    tx.erasure_events_put(&events, now).await?;
    let stages = (ErasureStage::Events, ErasureStage::Audit);
    let (stage, cursor) = after(stages, last, count);
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(Progress::More)
}

async fn erase_audit(tx: &mut Tx, erasure: &Erasure) -> Result<Progress, StoreError> {
    let entries = tx.erasure_audit(erasure, BATCH).await?;
    let last = entries.last().map(|entry| entry.seq);
    let count = entries.len();
    // An event of somebody else may have changed this customer too.
    let events: BTreeSet<EventKey> = entries
        .iter()
        .filter_map(|entry| event_of(&erasure.app, entry))
        .collect();
    let events: Vec<EventKey> = events.into_iter().collect();
    let found = tx.erasure_events_of(&erasure.app, &events).await?;
    let of_them = |customer: &str| customer == erasure.customer.as_str();
    let events = locked(tx, erasure, &found).await?.into_iter();
    let changes: Vec<(i64, Value)> = events
        .filter_map(|mut event| {
            erase_changes(&mut event.changes, of_them).then_some((event.seq, event.changes))
        })
        .collect();
    tx.erasure_changes_put(&changes).await?;
    let entries = entries.into_iter().filter_map(|entry| {
        let details = erased(&entry.operation, &entry.details);
        (details != entry.details).then_some((entry.seq, details))
    });
    let entries: Vec<(i64, Value)> = entries.collect();
    tx.erasure_audit_put(&entries).await?;
    let stages = (ErasureStage::Audit, ErasureStage::Messages);
    let (stage, cursor) = after(stages, last, count);
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(Progress::More)
}

/// The event that made an entry of the audit.
fn event_of(app: &AppSlug, entry: &ErasableEntry) -> Option<EventKey> {
    let id = entry.event.clone()?;
    let (_, rest) = entry.actor.split_once(':')?;
    let (provider, _) = rest.split_once(':')?;
    Some(EventKey {
        app: app.clone(),
        provider: provider.parse().ok()?,
        id,
    })
}

async fn hasten_messages(tx: &mut Tx, erasure: &Erasure) -> Result<Progress, StoreError> {
    let (next, named) = tx.erasure_messages(erasure, MESSAGES.into()).await?;
    let (stage, cursor, progress) = match next {
        // Once these are processed, all are looked at again.
        _ if named > 0 => (ErasureStage::Messages, 0, Progress::Wait),
        Some(last) => (ErasureStage::Messages, last, Progress::More),
        None => (ErasureStage::Traces, 0, Progress::More),
    };
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(progress)
}

/// Takes the payloads from entries that name an account of somebody who was erased, or that are about
/// one all the same (`forgotten`): nothing about that person comes back by a later webhook, a retry or
/// a replay. Without a payload a failed event could not be replayed, so it is ignored instead.
///
/// # Errors
/// When the store failed.
pub(super) async fn without_persons(
    tx: &mut Tx,
    entries: &mut [LedgerEntry],
) -> Result<(), StoreError> {
    let mut accounts: BTreeMap<AppSlug, BTreeSet<String>> = BTreeMap::new();
    for entry in entries.iter() {
        let named = accounts.entry(entry.key.app.clone()).or_default();
        named.extend(accounts_in(entry).map(str::to_owned));
    }
    for (app, named) in accounts {
        let erased = tx
            .accounts_erased(&app, named.iter().map(String::as_str))
            .await?;
        let of_app = entries.iter_mut().filter(|entry| entry.key.app == app);
        for entry in of_app {
            if accounts_in(entry).any(|id| erased.contains(id)) {
                entry.payload = None;
            }
            if entry.payload.is_none() && entry.outcome == EventOutcome::Failed {
                entry.outcome = EventOutcome::Ignored;
                entry.error = Some(customer_deleted());
                entry.account = None;
            }
        }
    }
    Ok(())
}

/// The ids of an event that have the form of an account's.
fn accounts_in(entry: &LedgerEntry) -> impl Iterator<Item = &str> {
    let spec = provider::ALL
        .iter()
        .find(|spec| spec.name == entry.key.provider);
    let named = entry.named.iter().map(String::as_str);
    named.filter(move |id| spec.is_some_and(|spec| spec.is_account(id)))
}

/// Says why an event of a deleted customer changed nothing.
pub(super) fn customer_deleted() -> EventError {
    EventError {
        code: IgnoreCode::CustomerDeleted.as_str().to_owned(),
        detail: "the customer of this billing account was deleted here; nothing was applied"
            .to_owned(),
    }
}
