//! Figures for those who watch. They are of one app or of all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{acknowledged, spool};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::endpoint_receipt::LastWebhook;
use crate::store::reconcile::Reconcile;
use crate::store::{AcknowledgedWaiting, PausedApp, Store, StoreError};

/// How far back recent events go.
const RECENT: Duration = Duration::from_hours(24);

/// The figures of one moment, by the words of statuses and outcomes. A word that nothing has is
/// missing.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Customers that are shown, by status.
    pub customers: BTreeMap<String, u64>,
    /// All events of the ledger, by outcome.
    pub events: BTreeMap<String, u64>,
    /// Events of the last day, by outcome.
    pub recent_events: BTreeMap<String, u64>,
    /// When the event came that has waited longest for its next try.
    pub oldest_pending: Option<Timestamp>,
    /// Webhooks that were acknowledged and are not in the ledger.
    pub acknowledged: AcknowledgedWaiting,
    /// Webhooks of all apps that the queue did not take yet.
    pub spool: u64,
    /// The last comparison with each provider that read everything.
    pub reconciles: Vec<Reconcile>,
    /// The apps that are paused.
    pub paused: Vec<PausedApp>,
    /// The last webhooks of endpoints.
    pub webhooks: Vec<LastWebhook>,
}

/// Counts customers, events and spooled webhooks.
///
/// # Errors
/// When the store failed.
pub async fn stats(
    store: &Store,
    app: Option<&AppSlug>,
    now: Timestamp,
) -> Result<Stats, StoreError> {
    let mut tx = store.read().await?;
    let recent = tx.stats_events_since(now.minus(RECENT)).await?;
    Ok(Stats {
        customers: tx.stats_customers(app).await?,
        events: tx.stats_events(app).await?,
        recent_events: tx.stats_events_from(app, recent).await?,
        oldest_pending: tx.stats_oldest_pending(app).await?,
        acknowledged: acknowledged::waiting(&mut tx, app, now).await?,
        spool: spool::depth(&mut tx).await?,
        reconciles: tx.reconcile_latest(app).await?,
        paused: tx.pause_list(app).await?,
        webhooks: tx.receipt_list(app, now).await?,
    })
}
