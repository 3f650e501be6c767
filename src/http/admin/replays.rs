//! Replay of events of the ledger: of one, and of all that a filter names.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::events::EventQuery;
use super::order_of;
use super::view::{EventErrorView, time};
use crate::domain::validate::FieldError;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::bulk_replay;
use crate::pipeline::process::Preview;
use crate::pipeline::replay::{preview_one, replay_one};
use crate::store::replay::{BulkReplay, Replayable};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/events/replay", post(replay_many))
        .route("/events/{id}/replay", post(replay))
        .route("/replays/{id}", get(show))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReplayBody {
    force: bool,
    dry_run: bool,
}

/// A replay that was ordered.
#[derive(Serialize)]
struct ReplayView {
    id: String,
    /// It is in the queue; `GET /events/{id}` shows what became of it.
    replayed: bool,
}

/// What a replay would do.
#[derive(Serialize)]
struct PreviewView {
    id: String,
    dry_run: bool,
    outcome: &'static str,
    error: Option<EventErrorView>,
    customer_id: Option<String>,
    changes: serde_json::Value,
}

impl PreviewView {
    fn of(id: String, preview: Preview) -> Self {
        Self {
            id,
            dry_run: true,
            outcome: preview.outcome.as_str(),
            error: preview.error.map(EventErrorView::from),
            customer_id: preview.customer.map(Into::into),
            changes: preview.changes,
        }
    }
}

async fn replay(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReplayBody>>,
) -> Result<Response, ApiError> {
    let ReplayBody { force, dry_run } = body.map(|ValidJson(body)| body).unwrap_or_default();
    let order = order_of(&admin, &state);
    if dry_run {
        let preview = preview_one(&state.store, &order.app, &id, force, order.now).await?;
        return Ok(Json(PreviewView::of(id, preview)).into_response());
    }
    let (store, publisher) = (&state.store, &*state.publisher);
    replay_one(store, publisher, &order.app, &id, force, order.now).await?;
    let mut tx = state.store.begin().await?;
    let details = json!({"event_id": id, "force": force});
    order.audit(&mut tx, None, "event_replay", details).await?;
    tx.commit().await?;
    let view = ReplayView { id, replayed: true };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkBody {
    filter: FilterBody,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    dry_run: bool,
}

/// The filters of the list of events; `{}` for all events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    outcome: Option<String>,
    status: Option<String>,
    provider: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    customer_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl From<FilterBody> for EventQuery {
    fn from(body: FilterBody) -> Self {
        Self {
            outcome: body.outcome,
            status: body.status,
            provider: body.provider,
            event_type: body.event_type,
            customer_id: body.customer_id,
            since: body.since,
            until: body.until,
        }
    }
}

/// What a replay of many events would be about.
#[derive(Serialize)]
struct BulkPreviewView {
    dry_run: bool,
    matched: u64,
    /// The first of their ids, oldest first.
    first: Vec<String>,
}

impl From<Replayable> for BulkPreviewView {
    fn from(about: Replayable) -> Self {
        Self {
            dry_run: true,
            matched: about.count,
            first: about.first,
        }
    }
}

/// A replay of many events.
#[derive(Serialize)]
struct BulkReplayView {
    id: String,
    force: bool,
    /// How many events it was about when it was ordered.
    matched: i64,
    /// How many have been published. Fewer than `matched` at the end if others had their effect
    /// in the meantime.
    published: i64,
    created_at: String,
    finished_at: Option<String>,
}

impl From<BulkReplay> for BulkReplayView {
    fn from(replay: BulkReplay) -> Self {
        Self {
            id: replay.id.into(),
            force: replay.force,
            matched: replay.matched,
            published: replay.published,
            created_at: replay.created_at.to_string(),
            finished_at: time(replay.finished_at),
        }
    }
}

async fn replay_many(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<BulkBody>,
) -> Result<Response, ApiError> {
    let filter = EventQuery::from(body.filter).filter().map_err(|fault| {
        let field = format!("filter.{}", fault.field);
        ApiError::invalid(vec![FieldError::new(field, fault.message)])
    })?;
    let order = order_of(&admin, &state);
    if body.dry_run {
        let about = bulk_replay::preview(&state.store, &order.app, &filter, body.force).await?;
        return Ok(Json(BulkPreviewView::from(about)).into_response());
    }
    let replay = bulk_replay::order(&state.store, &order, filter, body.force).await?;
    let view = BulkReplayView::from(replay);
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<BulkReplayView>, ApiError> {
    let unknown = || ApiError::not_found("replay_not_found", "there is no such replay");
    let id = id.parse().map_err(|_| unknown())?;
    let mut tx = state.store.read().await?;
    let found = tx.replay_find(&admin.app_or_default(), &id).await?;
    Ok(Json(found.ok_or_else(unknown)?.into()))
}
