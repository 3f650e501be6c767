//! Sessions of the console: ending one before its time, and what every page of one has to know.

use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{Pause, Store, StoreError};

/// What every page has to know.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Somebody ended the session.
    pub is_ended: bool,
    /// The app that is looked at: that of the session, or `default`, which always exists, if somebody
    /// deleted it.
    pub app: AppSlug,
    /// The pause of that app.
    pub pause: Option<Pause>,
}

/// Returns how a session stands, which looked at an app.
///
/// # Errors
/// When the store failed.
pub async fn standing(store: &Store, session: &str, app: AppSlug) -> Result<Standing, StoreError> {
    let mut tx = store.read().await?;
    let app = match tx.app_find(&app).await? {
        Some(found) => found.slug,
        None => AppSlug::default_app(),
    };
    Ok(Standing {
        is_ended: tx.ended_session_has(session).await?,
        pause: tx.pause_find(&app).await?,
        app,
    })
}

/// Ends a session that would have lasted until an instant.
///
/// # Errors
/// When the store failed; then the session goes on.
pub async fn end(store: &Store, session: &str, ends_at: Timestamp) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.ended_session_add(session, ends_at).await?;
    tx.commit().await
}
