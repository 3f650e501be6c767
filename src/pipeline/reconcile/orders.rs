//! Ordering comparisons, and looking at them.

use std::time::Duration;

use serde_json::json;

use super::error::ReconcileError;
use crate::domain::id::{AppSlug, Provider, ReconcileId};
use crate::domain::reconcile::{Found, Stage};
use crate::domain::time::Timestamp;
use crate::pipeline::apis::Apis;
use crate::pipeline::order::Order;
use crate::random;
use crate::store::reconcile::Reconcile;
use crate::store::{Listed, Store, StoreError, Window};

/// How far before the last comparison payments, disputes and refunds are read again: an invoice may be
/// collected for two months (<https://docs.stripe.com/billing/revenue-recovery/smart-retries>).
const SETTLED_AFTER: Duration = Duration::from_hours(90 * 24);

/// How far before the last comparison events are read again: a cursor in time skips what shares its
/// second, and events are listed a moment after they were made.
const EVENTS_AGAIN: Duration = Duration::from_hours(24);

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// With whom.
    pub provider: Provider,
    /// Only what was made since, by the provider's clock. What is gone is not looked for then.
    pub since: Option<Timestamp>,
    /// Changes nothing.
    pub dry_run: bool,
}

/// Orders a comparison, which the workers carry out. There must be none open of the app and provider.
///
/// # Errors
/// See [`ReconcileError`].
pub async fn order(
    store: &Store,
    apis: &Apis,
    by: &Order,
    wanted: Wanted,
) -> Result<Reconcile, ReconcileError> {
    let Wanted {
        provider,
        since,
        dry_run,
    } = wanted;
    let mut tx = store.begin().await?;
    if tx.app_find(&by.app).await?.is_none() {
        return Err(ReconcileError::AppNotFound);
    }
    if apis.find(&mut tx, &by.app, provider).await?.is_none() {
        return Err(ReconcileError::KeyNeeded { provider });
    }
    let last = tx.reconcile_last_done(&by.app, provider).await?;
    let read_until = last.as_ref().and_then(|last| last.provider_time);
    let before = |overlap| read_until.map(|at| at.minus(overlap));
    let reconcile = Reconcile {
        id: ReconcileId::from_uuid(random::uuid(by.now)?),
        app: by.app.clone(),
        provider,
        dry_run,
        ordered_since: since,
        since: since.or_else(|| before(SETTLED_AFTER)),
        events_since: since.or_else(|| before(EVENTS_AGAIN)),
        provider_time: None,
        stage: Stage::Customers,
        cursor: None,
        step: 0,
        failures: 0,
        found: last.map_or_else(Found::default, |last| going_on(last.found)),
        created_at: by.now,
        started_at: None,
        finished_at: None,
        outcome: None,
        error: None,
        leased_until: by.now,
    };
    if !tx.reconcile_add(&reconcile).await? {
        // Should it have ended just now, the answer names the new one, which was not kept.
        let open = tx.reconcile_open(&by.app, provider).await?;
        let id = open.map_or(reconcile.id, |open| open.id);
        return Err(ReconcileError::Open { id });
    }
    let details = json!({
        "id": reconcile.id, "provider": provider, "dry_run": dry_run,
        "since": since.map(|at| at.to_string()),
    });
    by.audit(&mut tx, None, "reconcile", details).await?;
    tx.commit().await?;
    Ok(reconcile)
}

/// What of the last comparison's findings still holds before the next has read anything.
fn going_on(last: Found) -> Found {
    Found {
        features_asked_at: last.features_asked_at,
        not_read: last.not_read,
        ..Found::default()
    }
}

/// Cancels a comparison: nothing more is read. What was repaired stays. Returns it, and false if it
/// had ended before.
///
/// # Errors
/// [`ReconcileError::NotFound`], or when the store failed.
pub async fn cancel(
    store: &Store,
    by: &Order,
    id: &ReconcileId,
) -> Result<(Reconcile, bool), ReconcileError> {
    let mut tx = store.begin().await?;
    let changed = tx.reconcile_cancel(&by.app, id, by.now).await?;
    let found = tx.reconcile_find(&by.app, id).await?;
    let found = found.ok_or(ReconcileError::NotFound)?;
    if changed {
        let details = json!({"id": id, "read": found.found.total().read});
        by.audit(&mut tx, None, "reconcile_cancel", details).await?;
        tx.commit().await?;
    }
    Ok((found, changed))
}

/// Lists the comparisons of an app, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    window: &Window,
) -> Result<Listed<Reconcile>, StoreError> {
    store.read().await?.reconcile_list(app, window).await
}

/// Finds a comparison.
///
/// # Errors
/// [`ReconcileError::NotFound`], or when the store failed.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    id: &ReconcileId,
) -> Result<Reconcile, ReconcileError> {
    let found = store.read().await?.reconcile_find(app, id).await?;
    found.ok_or(ReconcileError::NotFound)
}

/// Finds the comparison of an app with a provider that is open.
///
/// # Errors
/// When the store failed.
pub async fn find_open(
    store: &Store,
    app: &AppSlug,
    provider: Provider,
) -> Result<Option<Reconcile>, StoreError> {
    store.read().await?.reconcile_open(app, provider).await
}
