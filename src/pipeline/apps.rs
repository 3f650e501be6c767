//! Apps: the tenants.

use serde_json::json;

use super::order::Order;
use crate::domain::id::AppSlug;
use crate::domain::policy::Policy;
use crate::store::{App, Store, StoreError};

/// Why an app was not made, renamed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no such app.
    #[error("there is no such app")]
    NotFound,
    /// There is one of this slug.
    #[error("there is an app of this slug")]
    Exists,
    /// The app `default` always exists.
    #[error("the app `default` always exists")]
    Default,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Lists all apps, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store) -> Result<Vec<App>, StoreError> {
    store.read().await?.app_list().await
}

/// Finds an app.
///
/// # Errors
/// When there is no such app.
pub async fn find(store: &Store, slug: &AppSlug) -> Result<App, AppError> {
    let found = store.read().await?.app_find(slug).await?;
    found.ok_or(AppError::NotFound)
}

/// Makes the app of the order.
///
/// # Errors
/// When there is one of its slug.
pub async fn create(store: &Store, order: &Order, name: String) -> Result<App, AppError> {
    let app = App {
        slug: order.app.clone(),
        name,
        policy: Policy::default(),
        created_at: order.now,
    };
    let mut tx = store.begin().await?;
    if !tx.app_add(&app).await? {
        return Err(AppError::Exists);
    }
    let details = json!({"slug": app.slug, "from": null, "to": app.name});
    order.audit(&mut tx, None, "app_create", details).await?;
    tx.commit().await?;
    Ok(app)
}

/// Renames the app of the order.
///
/// # Errors
/// When there is no such app.
pub async fn rename(store: &Store, order: &Order, name: String) -> Result<App, AppError> {
    let mut tx = store.begin().await?;
    let found = tx.app_find(&order.app).await?;
    let app = found.ok_or(AppError::NotFound)?;
    tx.app_rename(&app.slug, &name).await?;
    let details = json!({"from": app.name, "to": name});
    order.audit(&mut tx, None, "app_rename", details).await?;
    tx.commit().await?;
    Ok(App { name, ..app })
}

/// Deletes the app of the order with everything in it. Its own audit goes with it, so the audit
/// of the app `default` remembers who did it.
///
/// # Errors
/// When there is no such app, or it is `default`.
pub async fn delete(store: &Store, order: &Order) -> Result<(), AppError> {
    let mut tx = store.begin().await?;
    let found = tx.app_find(&order.app).await?;
    let app = found.ok_or(AppError::NotFound)?;
    if app.slug == AppSlug::default_app() {
        return Err(AppError::Default);
    }
    tx.app_delete(&app.slug).await?;
    let details = json!({"slug": app.slug, "from": app.name, "to": null});
    let order = Order {
        app: AppSlug::default_app(),
        ..order.clone()
    };
    order.audit(&mut tx, None, "app_delete", details).await?;
    Ok(tx.commit().await?)
}
