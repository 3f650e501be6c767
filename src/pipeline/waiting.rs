//! Since when the messages of the built-in queue wait.

use super::spool;
use crate::domain::time::Timestamp;
use crate::queue::Lane;
use crate::queue::message::Headers;
use crate::store::{AT_ONCE, StoreError, Tx};

/// How many of the first messages are looked at for the one that has waited longest: receivers do not
/// agree on the time to the second.
const LOOKED_AT: u32 = 64;

/// Returns since when the message waits that has waited longest in the built-in queue. Replays do not
/// count: they say when they were first received, which is not since when they wait.
///
/// # Errors
/// When the store fails, or a row is not a message.
pub(super) async fn waiting_since(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    // Whatever is new stands before all retries, so both are looked for.
    let new = (Timestamp::from_nanos(-1_000), AT_ONCE);
    let retries = (AT_ONCE, now);
    let mut oldest = None;
    for (range, most) in [(new, LOOKED_AT), (retries, 1)] {
        let first = tx.backlog_first(Lane::Work.name(), range, most).await?;
        for (due_at, headers) in first {
            let Headers::V1(headers) = spool::headers(&headers)?;
            // A retry waits since it became due, any other since it came.
            let since = due_at.max(headers.received_at);
            oldest = Some(oldest.map_or(since, |before: Timestamp| before.min(since)));
        }
    }
    Ok(oldest)
}
