//! Tells operators of endpoints that providers have stopped sending to.
//!
//! A provider that cannot deliver gives up and disables an endpoint, and somebody can remove one in its
//! dashboard: then nothing fails here, and customers who stop paying keep their access. That nothing
//! comes is all there is to see of it.

use serde_json::json;

use crate::domain::announcement::{Announcement, ENDPOINT_SILENT};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::silence::is_to_be_told;
use crate::domain::span::Span;
use crate::domain::time::Timestamp;
use crate::provider;
use crate::store::endpoint_receipt::{LastWebhook, QuietEndpoint};
use crate::store::{Store, StoreError};

/// Tells of the endpoints that had no webhook for `limit`, each once until something comes. Without a
/// limit nobody is told, and what was told is forgotten. Returns the number told of.
///
/// # Errors
/// When the store failed; then nobody was told.
pub async fn tell(store: &Store, limit: Option<Span>, now: Timestamp) -> Result<usize, StoreError> {
    let Some(limit) = limit else {
        let mut tx = store.begin().await?;
        tx.receipt_forget_told().await?;
        tx.commit().await?;
        return Ok(0);
    };
    let since = now.minus(limit.duration());
    let quiet = store.read().await?.receipt_list_quiet(since, now).await?;
    let untold = |it: &QuietEndpoint| is_to_be_told(Some(it.last_at), it.told_of, limit, now);
    if !quiet.iter().any(untold) {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    if !tx.lock_upkeep("silence").await? {
        return Ok(0);
    }
    let mut told = Vec::new();
    for endpoint in quiet.into_iter().filter(untold) {
        if tx.receipt_tell(&endpoint).await? {
            told.push(endpoint);
        }
    }
    let changes = told.iter().map(|endpoint| announcement(endpoint, now));
    tx.change_add(changes.collect()).await?;
    tx.commit().await?;
    for endpoint in &told {
        tracing::warn!(
            app = %endpoint.app,
            provider = %endpoint.provider,
            last_received_at = %endpoint.last_at,
            "no webhook came to an endpoint for a long time; see whether the provider still sends"
        );
    }
    Ok(told.len())
}

/// Returns the last webhooks of an app's endpoints. An endpoint that is not among them never had one.
///
/// # Errors
/// When the store failed.
pub async fn last_webhooks(
    store: &Store,
    app: &AppSlug,
    now: Timestamp,
) -> Result<Vec<LastWebhook>, StoreError> {
    store.read().await?.receipt_list(Some(app), now).await
}

fn announcement(endpoint: &QuietEndpoint, now: Timestamp) -> Announcement {
    let data = json!({
        "provider": endpoint.provider, "last_received_at": endpoint.last_at.to_string(),
    });
    Announcement {
        app: endpoint.app.clone(),
        customer: None,
        kind: ENDPOINT_SILENT,
        occurred_at: now,
        data: data.as_object().cloned().unwrap_or_default(),
    }
}

/// Forgets at the start of a receiver which endpoints had a secret in the settings that is no longer
/// there: nothing comes to those, and nobody misses it. `fixed`: the providers that have one.
///
/// # Errors
/// When the store failed.
pub async fn keep_settings(store: &Store, fixed: &[Provider]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for provider in provider::names().filter(|it| !fixed.contains(it)) {
        tx.receipt_without_settings(&AppSlug::default_app(), provider)
            .await?;
    }
    tx.commit().await
}
