//! Reading the audit.

use crate::domain::id::AppSlug;
use crate::store::{AuditFilter, AuditRecord, Listed, Store, StoreError, Window};

/// Lists changes, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    filter: &AuditFilter,
    window: &Window,
) -> Result<Listed<AuditRecord>, StoreError> {
    store.read().await?.audit_list(app, filter, window).await
}
