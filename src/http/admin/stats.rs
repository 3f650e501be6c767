//! Figures for those who watch. Of one app for tokens that are bound to it; queue and spool are
//! shared by all apps, and shown to tokens of all apps alone.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::reconciles::ReconcileView;
use crate::causes::chain;
use crate::domain::time::Timestamp;
use crate::http::api::pause::PauseView;
use crate::http::api::visible_app;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidQuery};
use crate::pipeline::stats::{Stats, stats};
use crate::queue::Depths;
use crate::store::AcknowledgedWaiting;
use crate::store::endpoint_receipt::LastWebhook;
use crate::store::reconcile::Reconcile;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(show));
    openapi::resource("stats", "Figures for monitoring.", routes)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StatsQuery {
    /// The app to show figures of, for tokens of all apps.
    app: Option<String>,
}

/// The figures.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
struct StatsView {
    /// The app that the figures are of; null for all apps.
    app: Option<String>,
    customers: CustomerCounts,
    events: EventStatsView,
    /// The last comparison with each provider that read everything; of all apps, without one.
    reconciles: Vec<LastReconcileView>,
    /// The apps that are paused; of one, at most that.
    paused: Vec<PauseView>,
    /// When the last webhook of a provider came to each endpoint that ever had one; of all apps, at most a
    /// thousand.
    webhooks: Vec<LastWebhookView>,
    /// Shown only to tokens of all apps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queue: Option<QueueView>,
}

/// The last webhook of a provider that came to an endpoint with a good signature.
#[derive(Serialize, ToSchema)]
#[schema(as = LastWebhook)]
struct LastWebhookView {
    #[schema(examples("default"))]
    app: String,
    #[schema(schema_with = words::provider)]
    provider: String,
    /// Receivers write it every ten seconds.
    #[schema(format = DateTime)]
    last_received_at: String,
    last_received_seconds_ago: i64,
    /// True if operators were told that nothing has come since for `TOLLGATE_ENDPOINT_SILENT_AFTER`.
    silent: bool,
}

impl LastWebhookView {
    fn of(it: LastWebhook, now: Timestamp) -> Self {
        Self {
            silent: it.is_silent(),
            app: it.app.into(),
            provider: it.provider.to_string(),
            last_received_at: it.last_at.to_string(),
            last_received_seconds_ago: (now.seconds() - it.last_at.seconds()).max(0),
        }
    }
}

/// The last comparison with a provider that read everything.
#[derive(Serialize, ToSchema)]
#[schema(as = LastReconcile)]
struct LastReconcileView {
    app: String,
    provider: String,
    /// How long ago it ended.
    last_finished_seconds_ago: Option<i64>,
    last: ReconcileView,
}

impl LastReconcileView {
    fn of(it: Reconcile, now: Timestamp) -> Self {
        let ended = it.finished_at;
        Self {
            app: it.app.to_string(),
            provider: it.provider.to_string(),
            last_finished_seconds_ago: ended.map(|at| (now.seconds() - at.seconds()).max(0)),
            last: it.into(),
        }
    }
}

/// Customers that are shown, by status.
#[derive(Serialize, ToSchema)]
struct CustomerCounts {
    total: u64,
    active: u64,
    suspended: u64,
    frozen: u64,
    expired: u64,
}

impl From<BTreeMap<String, u64>> for CustomerCounts {
    fn from(counts: BTreeMap<String, u64>) -> Self {
        let count = |word: &str| counts.get(word).copied().unwrap_or_default();
        Self {
            total: counts.values().sum(),
            active: count("active"),
            suspended: count("suspended"),
            frozen: count("frozen"),
            expired: count("expired"),
        }
    }
}

/// Events, by outcome.
#[derive(Serialize, ToSchema)]
struct EventCounts {
    total: u64,
    pending: u64,
    applied: u64,
    unchanged: u64,
    superseded: u64,
    ignored: u64,
    failed: u64,
}

impl From<BTreeMap<String, u64>> for EventCounts {
    fn from(counts: BTreeMap<String, u64>) -> Self {
        let count = |word: &str| counts.get(word).copied().unwrap_or_default();
        Self {
            total: counts.values().sum(),
            pending: count("pending"),
            applied: count("applied"),
            unchanged: count("unchanged"),
            superseded: count("superseded"),
            ignored: count("ignored"),
            failed: count("failed"),
        }
    }
}

/// Events of the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = EventStats)]
struct EventStatsView {
    all: EventCounts,
    last_24_hours: EventCounts,
    /// The age of the event that has waited longest for its next try; null if none waits.
    oldest_pending_seconds: Option<i64>,
    /// Webhooks that were acknowledged and have no outcome yet, as of the last look.
    acknowledged_without_outcome: AcknowledgedView,
}

/// Webhooks that were acknowledged and have no outcome yet, not even a failed try, by age. Each is
/// compared with the ledger after 15 seconds, then in growing intervals of up to five minutes.
#[derive(Serialize, ToSchema)]
#[schema(as = AcknowledgedStats)]
struct AcknowledgedView {
    total: u64,
    /// Some of these may have an outcome by now.
    under_1_minute: u64,
    under_10_minutes: u64,
    under_2_hours: u64,
    /// Longer than an event is ever retried: have the provider send these again.
    older: u64,
    /// The age of the oldest; null if there is none.
    oldest_seconds: Option<i64>,
}

impl AcknowledgedView {
    fn of(waiting: AcknowledgedWaiting, now: Timestamp) -> Self {
        let AcknowledgedWaiting {
            under_1_minute,
            under_10_minutes,
            under_2_hours,
            older,
            oldest,
        } = waiting;
        Self {
            total: under_1_minute + under_10_minutes + under_2_hours + older,
            under_1_minute,
            under_10_minutes,
            under_2_hours,
            older,
            oldest_seconds: oldest.map(|since| (now.seconds() - since.seconds()).max(0)),
        }
    }
}

impl EventStatsView {
    fn of(stats: &Stats, now: Timestamp) -> Self {
        let age = |since: Timestamp| (now.seconds() - since.seconds()).max(0);
        Self {
            all: stats.events.clone().into(),
            last_24_hours: stats.recent_events.clone().into(),
            oldest_pending_seconds: stats.oldest_pending.map(age),
            acknowledged_without_outcome: AcknowledgedView::of(stats.acknowledged, now),
        }
    }
}

/// The depth of the queue. If the queue does not answer, everything but the spool is null.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueStats)]
struct QueueView {
    /// Waiting to be processed.
    work: Option<u64>,
    /// Waiting for their next try.
    retry: Option<Vec<RestView>>,
    /// Dead letters on their way into the ledger.
    failed: Option<u64>,
    /// Webhooks that the queue has not taken yet.
    spool: u64,
}

/// Messages that wait equally long.
#[derive(Serialize, ToSchema)]
#[schema(as = RestStats)]
struct RestView {
    delay_seconds: u64,
    messages: u64,
}

impl QueueView {
    fn of(depths: Option<Depths>, spool: u64) -> Self {
        let rest = |(delay, messages): (Duration, u64)| RestView {
            delay_seconds: delay.as_secs(),
            messages,
        };
        let (work, retry, failed) = depths.map_or((None, None, None), |it| {
            let retry = it.retry.into_iter().map(rest).collect();
            (Some(it.work), Some(retry), Some(it.failed))
        });
        Self {
            work,
            retry,
            failed,
            spool,
        }
    }
}

/// Shows figures: customers by status, events by outcome, and the depth of the queue.
///
/// Counts of all events take longer the longer the ledger is; ask by the minute, not the second.
#[utoipa::path(
    get,
    path = "/stats",
    params(StatsQuery),
    responses(
        (status = 200, description = "The figures.", body = StatsView),
        (status = 404, description = "`app_not_found`: there is no such app, or none of this token's."),
    )
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(query): ValidQuery<StatsQuery>,
) -> Result<Json<StatsView>, ApiError> {
    let app = match query.app {
        Some(slug) => Some(visible_app(&state, &admin, &slug).await?.slug),
        None => admin.app.clone(),
    };
    let now = state.clock.now();
    let figures = stats(&state.store, app.as_ref(), now).await?;
    // No transaction stays open across a network call, so the queue is asked after the store.
    let queue = match admin.app {
        None => Some(QueueView::of(depths(&state).await, figures.spool)),
        Some(_) => None,
    };
    Ok(Json(StatsView {
        app: app.map(Into::into),
        events: EventStatsView::of(&figures, now),
        customers: figures.customers.into(),
        reconciles: figures
            .reconciles
            .into_iter()
            .map(|it| LastReconcileView::of(it, now))
            .collect(),
        paused: figures.paused.into_iter().map(Into::into).collect(),
        webhooks: figures
            .webhooks
            .into_iter()
            .map(|it| LastWebhookView::of(it, now))
            .collect(),
        queue,
    }))
}

/// Asks the queue for its depths. The other figures are worth having without them.
async fn depths(state: &AppState) -> Option<Depths> {
    match state.publisher.depths().await {
        Ok(depths) => Some(depths),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "the queue does not say how full it is"
            );
            None
        }
    }
}
