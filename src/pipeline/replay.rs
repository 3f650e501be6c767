//! Publishes events of the ledger again.

use serde_json::json;

use super::event_owner;
use super::incoming::{Incoming, named_by, read_all};
use super::order::Order;
use super::process::{Disposition, Paused, ProcessError, process_batch};
use super::spool;
use crate::domain::event::{EventError, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, ReplayId};
use crate::domain::time::Timestamp;
use crate::queue::embedded;
use crate::queue::message::{Headers, HeadersV1, Replay};
use crate::queue::{Message, Origin, Publisher, QueueError};
use crate::random::{self, RandomError};
use crate::store::{LockMode, Store, StoreError, StoredEvent, Tx};

/// An event was not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The app's ledger has no such event.
    #[error("the ledger has no such event")]
    NotFound,
    /// It has had its effect, or the filter asks for events that have, and `force` was not ordered.
    #[error("what has outcome `{outcome}` has had its effect; `force` replays it all the same")]
    AlreadyApplied {
        /// Its outcome.
        outcome: EventOutcome,
    },
    /// Its payload was removed, so there is nothing left to replay.
    #[error("its payload was removed{}, and without it the event cannot be replayed", since(*.at))]
    PayloadRemoved {
        /// When that was.
        at: Option<Timestamp>,
    },
    /// The app has a replay of many events that is open.
    #[error("the replay {id} of this app is still going on; wait for its end, or cancel it")]
    Open {
        /// That one.
        id: ReplayId,
    },
    /// The app has no replay of this id.
    #[error("there is no such replay")]
    ReplayNotFound,
    /// The store failed.
    #[error("the ledger could not be read")]
    Store(#[from] StoreError),
    /// The queue failed; the event was not published.
    #[error("the event could not be published")]
    Queue(#[from] QueueError),
    /// The system gave no randomness for a receipt or an id.
    #[error("no id could be made for the replay")]
    Random(#[from] RandomError),
}

fn since(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" at {at}"))
}

impl From<ProcessError> for ReplayError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Store(error) => Self::Store(error),
            ProcessError::Random(error) => Self::Random(error),
        }
    }
}

/// Publishes an event of the ledger again, under a receipt of its own.
///
/// The age of its signature no longer matters: that was judged when it was received.
///
/// It is audited after it was published: a broker takes no part in a transaction, and a replay
/// that is audited and never comes would mislead more than one that comes unaudited.
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay_one(
    store: &Store,
    publisher: &dyn Publisher,
    by: &Order,
    event_id: &str,
    force: bool,
    origin: Origin,
) -> Result<(), ReplayError> {
    let mut message = order(store, &by.app, event_id, force, by.now).await?;
    message.headers_mut().origin = origin;
    publisher.publish(message).await?;
    let mut tx = store.begin().await?;
    audit(&mut tx, by, event_id, force).await?;
    Ok(tx.commit().await?)
}

/// The effect that a replay would have.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The outcome of the event.
    pub outcome: EventOutcome,
    /// The reason, if it would fail or be ignored.
    pub error: Option<EventError>,
    /// The customer it concerns.
    pub customer: Option<CustomerId>,
    /// Its changes, as a JSON list.
    pub changes: serde_json::Value,
}

/// Finds out the effect of replaying an event, in a transaction that is rolled back. The ids of
/// customers that it would create differ each time.
///
/// # Errors
/// See [`ReplayError`].
pub async fn preview_one(
    store: &Store,
    app: &AppSlug,
    event_id: &str,
    force: bool,
    now: Timestamp,
) -> Result<Preview, ReplayError> {
    let message = order(store, app, event_id, force, now).await?;
    let named = named_by(&message);
    let incoming = Incoming {
        message: &message,
        named: &named,
    };
    let read = read_all(&[incoming]);
    let mut tx = store.begin().await?;
    let mode = LockMode::Exclusive;
    let (mut dispositions, mut result) =
        process_batch(&mut tx, read, now, mode, Paused::Process).await?;
    drop(tx);
    let (outcome, error) = match dispositions.pop() {
        Some(Disposition::Done(outcome)) => (outcome, None),
        Some(Disposition::Final(error)) => (EventOutcome::Failed, Some(error)),
        // Its app was deleted after the message was made.
        Some(
            Disposition::AppGone
            | Disposition::Paused
            | Disposition::Duplicate
            | Disposition::Redelivered,
        )
        | None => (EventOutcome::Ignored, None),
    };
    let entry = result.entries.pop();
    let (error, customer, changes) = entry.map_or((error, None, json!([])), |entry| {
        (entry.error, entry.customer, json!(entry.changes))
    });
    Ok(Preview {
        outcome,
        error,
        customer,
        changes,
    })
}

/// The place of an order that another process carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The built-in queue, which that process serves.
    BuiltInQueue,
    /// The spool, which its relay empties into the broker.
    Spool,
}

/// Orders the replay of an event from a process that does not publish itself.
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay_in_store(
    store: &Store,
    place: Place,
    by: &Order,
    event_id: &str,
    force: bool,
) -> Result<(), ReplayError> {
    let message = order(store, &by.app, event_id, force, by.now).await?;
    let mut tx = store.begin().await?;
    match place {
        Place::BuiltInQueue => embedded::put(&mut tx, vec![message]).await?,
        Place::Spool => spool::put(&mut tx, &message).await?,
    }
    audit(&mut tx, by, event_id, force).await?;
    Ok(tx.commit().await?)
}

/// Notes a replay as one of the event's customer, so that it is erased with that customer: an admin may
/// have written a reason.
async fn audit(tx: &mut Tx, by: &Order, event_id: &str, force: bool) -> Result<(), StoreError> {
    let of = match tx.event_find(&by.app, event_id).await? {
        Some(event) => event_owner::of(tx, &by.app, &event).await?,
        None => None,
    };
    let details = json!({"event_id": event_id, "force": force});
    by.audit(tx, of.as_ref(), "event_replay", details).await
}

/// Makes the message that orders a replay.
async fn order(
    store: &Store,
    app: &AppSlug,
    event_id: &str,
    force: bool,
    now: Timestamp,
) -> Result<Message, ReplayError> {
    let stored = store.read().await?.event_message(app, event_id).await?;
    let stored = stored.ok_or(ReplayError::NotFound)?;
    let at = stored.payload_removed_at;
    // Before its outcome, which `force` would overrule: nothing overrules this.
    if stored.payload.is_none() {
        return Err(ReplayError::PayloadRemoved { at });
    }
    match stored.outcome {
        EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded if !force => {
            return Err(ReplayError::AlreadyApplied {
                outcome: stored.outcome,
            });
        }
        EventOutcome::Applied
        | EventOutcome::Unchanged
        | EventOutcome::Superseded
        | EventOutcome::Ignored
        | EventOutcome::Pending
        | EventOutcome::Failed => {}
    }
    let receipt = random::uuid(now)?.simple().to_string();
    message_of(app, event_id.to_owned(), stored, receipt, force)
        .ok_or(ReplayError::PayloadRemoved { at })
}

/// Turns an event of the ledger into a message with a receipt of its own; `None` if its payload was
/// removed.
pub(super) fn message_of(
    app: &AppSlug,
    event_id: String,
    stored: StoredEvent,
    receipt: String,
    force: bool,
) -> Option<Message> {
    let headers = HeadersV1 {
        app: app.clone(),
        provider: stored.provider,
        event_id,
        event_type: stored.event_type,
        received_at: stored.received_at,
        mode: stored.mode,
        receipt,
        attempt: 0,
        origin: Origin::default(),
        replay: Some(Replay {
            force,
            tries_before: stored.attempts,
        }),
        error: None,
    };
    Some(Message {
        headers: Headers::V1(headers),
        body: stored.payload?.into(),
    })
}
