//! Writing down who used what. Uses are counted in memory by those who see them.

use crate::store::usage::Uses;
use crate::store::{Store, StoreError};

/// Adds uses to those that are stored.
///
/// # Errors
/// When the store failed; then none of them is stored.
pub async fn write(store: &Store, uses: &Uses) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.usage_add(uses).await?;
    tx.commit().await
}
