//! Records dead letters as `failed` events of the ledger, where they can be seen and replayed.

use crate::domain::event::{EventError, EventOutcome};
use crate::domain::time::Timestamp;
use crate::queue::Message;
use crate::store::{Store, StoreError};

/// Records one dead letter. Recording it twice is harmless; an event that has had its effect in
/// another way keeps its outcome.
///
/// # Errors
/// When the store failed; the dead letter then stays in the queue.
pub async fn record(store: &Store, message: &Message, now: Timestamp) -> Result<(), StoreError> {
    let unknown = || EventError {
        code: "dead_letter".to_owned(),
        detail:
            "the queue gave the message up: the worker that took it died or lost its connection"
                .to_owned(),
    };
    let error = message.headers().error.clone().unwrap_or_else(unknown);
    super::note::note(store, message, EventOutcome::Failed, &error, now).await
}
