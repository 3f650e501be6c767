//! The webhook that has waited longest for an outcome, in whichever queue it is.
//!
//! No broker tells the age of its messages; what receivers acknowledged does.

use super::acknowledged::without_known;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// Most rows that are read for the oldest event: those of the first looks, behind which none is that is
/// not waited for.
const MOST_ROWS: i64 = 20;

/// Returns when the oldest webhook of an app was received that is not in the ledger.
///
/// # Errors
/// When the store failed.
pub(super) async fn oldest(store: &Store, app: &AppSlug) -> Result<Option<Timestamp>, StoreError> {
    let rows = store
        .read()
        .await?
        .acknowledged_oldest(app, MOST_ROWS)
        .await?;
    for row in rows {
        let left = without_known(store, vec![row]).await?;
        let events = left.iter().flat_map(|row| &row.events.0);
        if let Some(oldest) = events.map(|event| event.received_at).min() {
            return Ok(Some(oldest));
        }
    }
    Ok(None)
}
