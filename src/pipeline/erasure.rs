//! Erases customers who were deleted for good from everything that outlives their rows.
//!
//! The deletion itself removes the rows and leaves an order in the store. The workers carry that
//! out in small steps, one of them at a time, so a customer with ten thousand events keeps nobody
//! waiting, and a crash costs one step. Looked through are, in this order:
//!
//! - the ledger: the payloads of all events that concerned the customer, or that name an account, a
//!   subscription or a payment of it, are removed, whatever their outcome, and their changes are
//!   erased, those of other customers too. A failed one would be ignored if it were processed now,
//!   so that is its outcome from then on; a pending one is decided by the message that is under
//!   way. Whatever else these events name is the customer's too, unless they name somebody else's
//!   account, and events that name it are looked for as well;
//! - the audit: what admins and billing did stays, what it says about a person does not. The same
//!   goes for rows of others that had an account of the customer, for that time;
//! - messages at rest: those that name an account are made due at once. They are processed like all
//!   others, and the ledger keeps no payload of them (`forgotten.rs`);
//! - what the engine still has of what was removed, such as the log of the embedded store.
//!
//! An erasure that waits, for messages or for readers to end, keeps no other waiting. Later events
//! can tell that an earlier one was about the person, a dispute perhaps, and that one is looked for
//! then.
//!
//! Refused: blacking out fields of payloads. Which fields are personal changes with each version of
//! a provider's API, and what is overlooked once stays for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forgotten::{Names, customer_deleted, learned_owners};
use crate::domain::customer::erased::{ErasureStage, erase_changes, erased, tells_of_person};
use crate::domain::event::{EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::provider::{self, Named};
use crate::store::{
    ErasableBody, ErasableEntry, ErasableEvent, ErasedEvent, Erasure, LockMode, Part, Store,
    StoreError, Tx,
};

/// Most events or entries of one step: a few milliseconds on either engine.
pub const BATCH: u32 = 200;

/// Most messages that one step looks at, with their bodies.
const MESSAGES: u32 = 1_000;

/// The bytes of payloads or messages from which a step takes no more of them.
const BYTES: i64 = 8 * 1_024 * 1_024;

/// Most objects whose earlier events one step looks for.
const OBJECTS: i64 = 20;

/// Most erasures that are tried in a row and turn out to wait.
const MOST_WAITING: usize = 10;

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

/// Makes the next step of an erasure: of the oldest that has not to wait.
///
/// # Errors
/// When the store failed. Earlier steps stay done.
pub async fn carry_on(store: &Store, now: Timestamp) -> Result<Progress, StoreError> {
    if !store.read().await?.erasure_is_open().await? {
        return Ok(Progress::Idle);
    }
    let mut waiting = BTreeSet::new();
    loop {
        if let Some(progress) = step(store, &mut waiting, now).await? {
            return Ok(progress);
        }
    }
}

/// Makes one step. Returns `None` if nothing came of it and another one can follow: an erasure has
/// to wait and the next one may not, or no earlier events were found.
async fn step(
    store: &Store,
    waiting: &mut BTreeSet<CustomerId>,
    now: Timestamp,
) -> Result<Option<Progress>, StoreError> {
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("erasures").await? {
        return Ok(Some(Progress::Idle));
    }
    if let Some(app) = tx.erased_objects_next().await? {
        let any_removed = look_back(&mut tx, &app, now).await?;
        tx.commit().await?;
        // Most of what is learned no earlier event names.
        return Ok(any_removed.then_some(Progress::More));
    }
    let next = tx.erasure_next().await?;
    let Some(erasure) = next.filter(|it| !waiting.contains(&it.customer)) else {
        let progress = finish_looking_back(store, tx).await?;
        let waits = progress == Progress::Idle && !waiting.is_empty();
        return Ok(Some(if waits { Progress::Wait } else { progress }));
    };
    let progress = match erasure.stage {
        ErasureStage::Events => erase_events(&mut tx, &erasure, now).await?,
        ErasureStage::Audit => erase_audit(&mut tx, &erasure).await?,
        ErasureStage::Messages => hasten_messages(&mut tx, &erasure).await?,
        ErasureStage::Traces => {
            tx.commit().await?;
            let gone = store.remove_traces().await?;
            tx = store.begin().await?;
            if gone {
                tx.erasure_finish(&erasure, now).await?;
                tracing::info!(customer.id = %erasure.customer, "erased a deleted customer");
                Progress::More
            } else {
                Progress::Wait
            }
        }
    };
    let waits = progress == Progress::Wait;
    if waits {
        tx.erasure_wait(&erasure).await?;
        waiting.insert(erasure.customer);
    }
    tx.commit().await?;
    Ok((!waits || waiting.len() >= MOST_WAITING).then_some(progress))
}

/// The stage and the place of the next step. A stage ends with a step that finds nothing.
fn after((stage, next): (ErasureStage, ErasureStage), last: Option<i64>) -> (ErasureStage, i64) {
    last.map_or((next, 0), |last| (stage, last))
}

/// Locks events, and reads them as nobody else changes them any more.
async fn locked(
    tx: &mut Tx,
    app: &AppSlug,
    found: &[ErasableEvent],
) -> Result<Vec<ErasableEvent>, StoreError> {
    let keys: Vec<EventKey> = found.iter().map(|event| event.key(app)).collect();
    tx.lock_apps([app], LockMode::Shared).await?;
    tx.lock_events(&keys).await?;
    tx.erasure_events_again(found.iter().map(|event| event.seq))
        .await
}

/// Returns the erased accounts that events with these payloads are of, for each.
async fn owners(
    tx: &mut Tx,
    app: &AppSlug,
    bodies: &[ErasableBody],
) -> Result<Vec<BTreeSet<ObjectKey>>, StoreError> {
    let named = bodies
        .iter()
        .map(|body| provider::named(body.provider, &body.event_type, &body.payload, body.mode));
    let named: Vec<Named> = named.collect();
    let named = bodies.iter().zip(&named);
    let named = named.map(|(body, named)| Names {
        provider: body.provider,
        ids: &named.ids,
        scope: named.account.as_ref().map(|key| &key.scope),
    });
    let named: Vec<Names<'_>> = named.collect();
    learned_owners(tx, app, &named).await
}

/// An event without its payload, and with these changes.
fn emptied(event: &ErasableEvent, changes: Value) -> ErasedEvent {
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
}

async fn erase_events(
    tx: &mut Tx,
    erasure: &Erasure,
    now: Timestamp,
) -> Result<Progress, StoreError> {
    let found = tx.erasure_events(erasure, BATCH, BYTES).await?;
    let last = found.last().map(|event| event.seq);
    let events = locked(tx, &erasure.app, &found).await?;
    // Also what they changed of others: a row of somebody else can show the account for a time.
    let of_person = |customer: &str, operation: &str| {
        customer == erasure.customer.as_str() || tells_of_person(operation)
    };
    let mut entries = tx.erasure_audit_of(&erasure.app, &events).await?;
    entries.retain(|it| {
        let customer = it.customer.as_ref().map_or("", CustomerId::as_str);
        of_person(customer, &it.operation)
    });
    put_erased(tx, entries).await?;
    let bodies = tx
        .erasure_bodies(events.iter().map(|event| event.seq))
        .await?;
    let events = events.into_iter().map(|mut event| {
        let mut changes = event.changes.take();
        erase_changes(&mut changes, of_person);
        emptied(&event, changes)
    });
    let events: Vec<ErasedEvent> = events.collect();
    tx.erasure_events_put(&events, now).await?;
    // Without their own payloads, which need not be looked for any more.
    owners(tx, &erasure.app, &bodies).await?;
    let (stage, cursor) = after((ErasureStage::Events, ErasureStage::Audit), last);
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(Progress::More)
}

/// Removes the payloads of earlier events that are known since to be about somebody who was erased.
/// Returns true if there were any.
async fn look_back(tx: &mut Tx, app: &AppSlug, now: Timestamp) -> Result<bool, StoreError> {
    // Alone: whoever did not know these objects yet may still be writing an event that names one.
    tx.lock_apps([app], LockMode::Exclusive).await?;
    let sought = tx.erased_objects_sought(app, OBJECTS).await?;
    let bounds = (BATCH, BYTES);
    let mut any_removed = false;
    let mut after = 0;
    // To the end in one step: these are the few events that came before their account was known.
    loop {
        let found = tx
            .erasure_events_naming(app, &sought, after, bounds)
            .await?;
        let Some(last) = found.last() else {
            break;
        };
        after = last.seq;
        let bodies = tx
            .erasure_bodies(found.iter().map(|event| event.seq))
            .await?;
        let owners = owners(tx, app, &bodies).await?;
        // What is left says itself that it is somebody else's.
        let theirs = bodies.iter().zip(owners);
        let theirs = theirs.filter(|(_, owners)| !owners.is_empty());
        let theirs: BTreeSet<i64> = theirs.map(|(body, _)| body.seq).collect();
        let events = found.into_iter().filter(|it| theirs.contains(&it.seq));
        let events = events.map(|mut event| {
            let changes = event.changes.take();
            emptied(&event, changes)
        });
        let events: Vec<ErasedEvent> = events.collect();
        any_removed |= !events.is_empty();
        tx.erasure_events_put(&events, now).await?;
    }
    tx.erased_objects_found(app, &sought, any_removed).await?;
    Ok(any_removed)
}

/// Removes what the engine still has of the payloads of earlier events.
async fn finish_looking_back(store: &Store, mut tx: Tx) -> Result<Progress, StoreError> {
    let any = tx.erased_objects_leave_traces().await?;
    // Not dropped: the lock would be held until the engine has rolled back in the background.
    tx.commit().await?;
    if !any {
        return Ok(Progress::Idle);
    }
    if !store.remove_traces().await? {
        return Ok(Progress::Wait);
    }
    let mut tx = store.begin().await?;
    tx.erased_objects_finish().await?;
    tx.commit().await?;
    Ok(Progress::More)
}

async fn erase_audit(tx: &mut Tx, erasure: &Erasure) -> Result<Progress, StoreError> {
    let entries = tx.erasure_audit(erasure, BATCH).await?;
    let last = entries.last().map(|entry| entry.seq);
    let is_theirs = |entry: &ErasableEntry| entry.customer.as_ref() == Some(&erasure.customer);
    let entries = entries.into_iter();
    let entries = entries.filter(|it| is_theirs(it) || tells_of_person(&it.operation));
    let entries: Vec<ErasableEntry> = entries.collect();
    // An event of somebody else may have changed this customer too, or a row that showed it then.
    let mut made: BTreeMap<EventKey, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for entry in &entries {
        let customer = entry.customer.as_ref().map(CustomerId::as_str);
        if let Some((event, customer)) = event_of(&erasure.app, entry).zip(customer) {
            let of_event = made.entry(event).or_default();
            of_event.insert((customer, entry.operation.as_str()));
        }
    }
    let events: Vec<EventKey> = made.keys().cloned().collect();
    let found = tx.erasure_events_of(&erasure.app, &events).await?;
    let events = locked(tx, &erasure.app, &found).await?.into_iter();
    let changes: Vec<(i64, Value)> = events
        .filter_map(|mut event| {
            let of_event = made.get(&event.key(&erasure.app))?;
            let is_made =
                |customer: &str, operation: &str| of_event.contains(&(customer, operation));
            erase_changes(&mut event.changes, is_made).then_some((event.seq, event.changes))
        })
        .collect();
    tx.erasure_changes_put(&changes).await?;
    put_erased(tx, entries).await?;
    let (stage, cursor) = after((ErasureStage::Audit, ErasureStage::Messages), last);
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(Progress::More)
}

/// Writes what is left of entries of the audit.
async fn put_erased(tx: &mut Tx, entries: Vec<ErasableEntry>) -> Result<(), StoreError> {
    let entries = entries.into_iter().filter_map(|entry| {
        let details = erased(&entry.operation, &entry.details);
        (details != entry.details).then_some((entry.seq, details))
    });
    let entries: Vec<(i64, Value)> = entries.collect();
    tx.erasure_audit_put(&entries).await
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
    let accounts = erasure.objects.accounts.iter().map(String::as_str);
    let part = Part {
        after: erasure.cursor,
        most: MESSAGES,
        most_bytes: BYTES,
    };
    let (last, named) = tx.message_hasten(&erasure.app, accounts, part).await?;
    if named > 0 {
        // Once these are processed, all are looked at again.
        tx.erasure_advance(erasure, ErasureStage::Messages, 0)
            .await?;
        return Ok(Progress::Wait);
    }
    let (stage, cursor) = after((ErasureStage::Messages, ErasureStage::Traces), last);
    if stage == ErasureStage::Traces {
        // An answer that was being kept while the customer was deleted.
        tx.idempotency_forget(std::slice::from_ref(&erasure.customer))
            .await?;
    }
    tx.erasure_advance(erasure, stage, cursor).await?;
    Ok(Progress::More)
}
