//! Since when the messages of the built-in queue wait.

use super::spool;
use crate::domain::time::Timestamp;
use crate::queue::Lane;
use crate::queue::message::Headers;
use crate::store::{StoreError, Tx};

/// How many of the first messages are looked at for the one that has waited longest. Those that are
/// replayed say when they were first received, which is not since when they wait.
const LOOKED_AT: u32 = 64;

/// Returns since when the message waits that has waited longest in the built-in queue.
///
/// # Errors
/// When the store fails, or a row is not a message.
pub(super) async fn waiting_since(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let first = tx.backlog_first(Lane::Work.name(), now, LOOKED_AT).await?;
    let mut oldest = None;
    for (due_at, headers) in first {
        let Headers::V1(headers) = spool::headers(&headers)?;
        if headers.replay.is_none() {
            // A retry waits since it became due, any other since it came.
            let since = due_at.max(headers.received_at);
            oldest = Some(oldest.map_or(since, |before: Timestamp| before.min(since)));
        }
    }
    Ok(oldest)
}
