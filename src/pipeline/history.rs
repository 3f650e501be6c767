//! How it went: customers by status, a row a day, and refused signatures.
//!
//! The counts of a day are those of the first look on it, by whichever worker comes first. They are
//! kept beside the customers and say nothing of anybody.

use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{CustomerDay, RefusedSignatures, Store, StoreError};

/// How many days of customers are kept: a year, and what it is compared with.
const CUSTOMERS_KEPT: i64 = 400;

/// How many days of customers are shown.
const CUSTOMERS_SHOWN: i64 = 90;

/// How many days of refused signatures are kept, and shown: longer than providers retry.
pub const SIGNATURES_KEPT: i64 = 14;

/// The day of an instant: whole days since 1970, in UTC.
pub fn day_of(at: Timestamp) -> i64 {
    at.seconds().div_euclid(86_400)
}

/// Counts the customers of all apps, if nobody has today, and removes what is old. Returns true if it
/// counted.
///
/// # Errors
/// When the store failed.
pub async fn note_day(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    let today = day_of(now);
    let mut tx = store.read().await?;
    if tx
        .customer_days_last()
        .await?
        .is_some_and(|last| last >= today)
    {
        return Ok(false);
    }
    // Counted before the transaction that writes, which would keep others waiting.
    let counts = tx.customer_days_count().await?;
    drop(tx);
    let mut tx = store.begin().await?;
    tx.customer_days_put(today, &counts).await?;
    tx.history_purge(today - CUSTOMERS_KEPT, today - SIGNATURES_KEPT)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// The last days of an app, and its refused signatures.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Customers by status, the first day first.
    pub customers: Vec<CustomerDay>,
    /// Refused signatures of the last [`SIGNATURES_KEPT`] days.
    pub refused: Vec<RefusedSignatures>,
}

/// Reads the last days of an app.
///
/// # Errors
/// When the store failed.
pub async fn of(store: &Store, app: &AppSlug, now: Timestamp) -> Result<History, StoreError> {
    let today = day_of(now);
    let mut tx = store.read().await?;
    Ok(History {
        customers: tx.customer_days(app, today - CUSTOMERS_SHOWN).await?,
        refused: tx.refused_signatures(app, today - SIGNATURES_KEPT).await?,
    })
}
