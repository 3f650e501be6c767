//! Deleting an app: at once, or a part at a time if it is large.
//!
//! A deletion at once holds the lock of the app, for which everything that is done in it waits. Of a
//! large app it would take minutes, which no caller waits for and no database allows one statement. So
//! a large app is hidden at once, and workers delete it in small steps, one of them at a time: nobody
//! waits, and a crash costs one step.
//!
//! Refused: one long transaction of many statements. Calls that name the app would wait for its lock
//! until they held every connection to the database.

use serde_json::json;

use super::apps::AppError;
use super::order::Order;
use crate::domain::id::AppSlug;
use crate::store::{Store, StoreError};

/// How far an app is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing of it is left.
    Whole,
    /// Nobody sees it any more, and workers delete what is left. Until then its slug is taken.
    Hidden,
}

/// Deletes the app of the order with everything in it. Its own audit goes with it, so the audit
/// of the app `default` remembers who did it.
///
/// # Errors
/// When there is no such app, or it is `default`.
pub async fn delete(store: &Store, order: &Order) -> Result<Deleted, AppError> {
    let is_small = store.read().await?.app_is_small(&order.app).await?;
    let mut tx = store.begin_in(&order.app).await?;
    let found = tx.app_find(&order.app).await?;
    let app = found.ok_or(AppError::NotFound)?;
    if app.slug == AppSlug::default_app() {
        return Err(AppError::Default);
    }
    let deleted = if is_small {
        tx.app_delete(&app.slug).await?;
        Deleted::Whole
    } else {
        tx.app_delete_begin(&app.slug).await?;
        Deleted::Hidden
    };
    let details = json!({"slug": app.slug, "from": app.name, "to": null});
    let order = Order {
        app: AppSlug::default_app(),
        ..order.clone()
    };
    order.audit(&mut tx, None, "app_delete", details).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// Deletes some more of an app that is being deleted. Returns true if more is left, of this app or
/// of another.
///
/// # Errors
/// When the store failed. Earlier steps stay done.
pub async fn carry_on(store: &Store) -> Result<bool, StoreError> {
    let Some((app, _)) = store.read().await?.app_delete_next().await? else {
        return Ok(false);
    };
    let mut tx = store.begin_in(&app).await?;
    if !tx.lock_upkeep("app_deletions").await? {
        return Ok(false);
    }
    // Another worker may have made the last step since.
    let next = tx.app_delete_next().await?;
    let Some((_, place)) = next.filter(|(next, _)| *next == app) else {
        return Ok(true);
    };
    if !tx.app_delete_step(&app, place).await? {
        tx.app_delete(&app).await?;
        tracing::info!(%app, "deleted an app with all that was in it");
    }
    tx.commit().await?;
    Ok(true)
}
