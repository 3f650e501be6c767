//! The packages of an app, and the customers who may have one.

use super::customers::CustomerPage;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{NamedPackage, Store, StoreError, Window};

/// Lists the packages that releases, plans or grants by hand name.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store, app: &AppSlug) -> Result<Vec<NamedPackage>, StoreError> {
    store.read().await?.package_list(app).await
}

/// Lists the active and frozen customers to whom a package is granted, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn holders(
    store: &Store,
    app: &AppSlug,
    package: &str,
    window: &Window,
    now: Timestamp,
) -> Result<CustomerPage, StoreError> {
    let mut tx = store.read().await?;
    let part = tx.package_holders(app, package, window).await?;
    let granted = tx.access_granted(app, &part.rows, now).await?;
    Ok(CustomerPage { part, granted })
}
