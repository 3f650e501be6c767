//! Replay of events of the ledger: of one, and of all that a filter names.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::event_filter::FilterBody;
use super::events::{EventErrorView, EventQuery};
use crate::domain::id::ReplayId;
use crate::domain::validate::FieldError;
use crate::http::api::list::{self, Filters, List, Paging, PagingQuery};
use crate::http::api::{order_of, time};
use crate::http::field_errors::FieldErrors;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonBody, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, request_id};
use crate::pipeline::bulk_replay::{self, How, MAX_PER_SECOND};
use crate::pipeline::replay::{Preview, ReplayError, preview_one, replay_one};
use crate::store::replay::{BulkReplay, Replayable};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(replay_many))
        .routes(routes!(replay))
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(cancel));
    openapi::resource("replays", "Replaying events of the ledger.", routes)
}

/// Options of a replay.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ReplayBody {
    /// Replays the event even if it was applied.
    force: bool,
    /// Only shows what the replay would change.
    dry_run: bool,
}

/// The same, and why.
type ReplayWithReason = Reasoned<ReplayBody>;

/// A replay that was ordered.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
struct ReplayView {
    id: String,
    /// True: it is in the queue. `GET /events/{id}` shows its outcome.
    replayed: bool,
}

/// A preview of a replay.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayPreview)]
struct PreviewView {
    id: String,
    dry_run: bool,
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    error: Option<EventErrorView>,
    customer_id: Option<String>,
    /// The state before and after. A customer that would be created has a different id each time.
    changes: Value,
}

impl PreviewView {
    fn of(id: String, preview: Preview) -> Self {
        Self {
            id,
            dry_run: true,
            outcome: preview.outcome.as_str(),
            error: preview.error.map(EventErrorView::from),
            customer_id: preview.customer.map(Into::into),
            changes: crate::domain::shown_times::shown(preview.changes),
        }
    }
}

/// Replays an event: puts it into the queue again.
#[utoipa::path(
    post,
    path = "/events/{id}/replay",
    request_body = Option<ReplayWithReason>,
    responses(
        (status = 200, description = "With `dry_run`: a preview.", body = PreviewView),
        (status = 202, description = "It is in the queue.", body = ReplayView),
        (status = 409, description = "`already_applied`: it was, and `force` is not given. `payload_removed`: its payload is not kept any more."),
    )
)]
async fn replay(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReplayWithReason>>,
) -> Result<Response, ApiError> {
    let (ReplayBody { force, dry_run }, reason) = Reasoned::parts_of(body);
    let order = order_of(&admin, &state).because(reason);
    if dry_run {
        let preview = preview_one(&state.store, &order.app, &id, force, order.now).await?;
        return Ok(Json(PreviewView::of(id, preview)).into_response());
    }
    let (store, publisher) = (&state.store, &*state.publisher);
    let origin = request_id::origin();
    replay_one(store, publisher, &order, &id, force, origin).await?;
    let view = ReplayView { id, replayed: true };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// The events to replay, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkReplayOrder)]
struct BulkBody {
    filter: FilterBody,
    /// Replays events even if they were applied.
    #[serde(default)]
    force: bool,
    /// The most events a second. Without it, as many as go without keeping webhooks waiting.
    #[schema(minimum = 1, maximum = 1_000)]
    #[serde(default)]
    per_second: Option<i64>,
    /// Only shows the events that match.
    #[serde(default)]
    dry_run: bool,
}

/// The same, and why.
type BulkWithReason = Reasoned<BulkBody>;

/// A preview of a bulk replay.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkReplayPreview)]
struct BulkPreviewView {
    dry_run: bool,
    matched: u64,
    /// The number of those whose payloads were removed, which would be skipped.
    skipped: u64,
    /// The first ids of the others, oldest first.
    first: Vec<String>,
}

impl From<Replayable> for BulkPreviewView {
    fn from(about: Replayable) -> Self {
        Self {
            dry_run: true,
            matched: about.count,
            skipped: about.skipped,
            first: about.first,
        }
    }
}

/// A replay of many events.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkReplay)]
pub(super) struct BulkReplayView {
    #[schema(examples("rpl_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(schema_with = words::replay_status)]
    status: &'static str,
    /// The filter as it was ordered.
    filter: FilterBody,
    force: bool,
    /// The most events a second, if a pace was ordered.
    per_second: Option<u32>,
    /// The number of events that matched when it was ordered.
    matched: i64,
    /// The number of events that have been published. At the end it and `skipped` together may be
    /// less than `matched`, if some events had their effect in the meantime.
    published: i64,
    /// The number of events that were skipped, because their payloads were removed.
    skipped: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// When the last of them was published, or it was canceled.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    #[schema(format = DateTime)]
    canceled_at: Option<String>,
}

impl From<BulkReplay> for BulkReplayView {
    fn from(replay: BulkReplay) -> Self {
        Self {
            status: replay.status().as_str(),
            id: replay.id.into(),
            filter: replay.filter.into(),
            force: replay.force,
            per_second: replay.per_second,
            matched: replay.matched,
            published: replay.published,
            skipped: replay.skipped,
            created_at: replay.created_at.to_string(),
            finished_at: time(replay.finished_at),
            canceled_at: time(replay.canceled_at),
        }
    }
}

/// Replays all events that match a filter. The workers carry it out, batch by batch.
#[utoipa::path(
    post,
    path = "/events/replay",
    request_body = BulkWithReason,
    responses(
        (status = 200, description = "With `dry_run`: the events that match.", body = BulkPreviewView),
        (status = 202, description = "It is ordered.", body = BulkReplayView),
        (status = 409, description = "`already_applied`: the filter asks for events that were, and `force` is not given. `replay_open`: the app has one that is open."),
    )
)]
async fn replay_many(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<BulkWithReason>,
) -> Result<Response, ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let mut field_errors = FieldErrors::default();
    let filter = EventQuery::from(body.filter).filter(order.now, &mut field_errors);
    let mut field_errors = field_errors.within("filter");
    let per_second = body.per_second.map(pace);
    let per_second = per_second.and_then(|it| field_errors.note(it));
    let filter = field_errors.finish(Some(filter))?;
    if body.dry_run {
        let about = bulk_replay::preview(&state.store, &order.app, &filter, body.force).await?;
        return Ok(Json(BulkPreviewView::from(about)).into_response());
    }
    let how = How {
        force: body.force,
        per_second,
    };
    let replay = bulk_replay::order(&state.store, &order, &filter, how).await?;
    // The one line that has this id beside that of its request: the events have the replay's.
    tracing::info!(
        app = %order.app,
        replay.id = %replay.id,
        messages = replay.matched,
        "replay ordered"
    );
    let view = BulkReplayView::from(replay);
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// Reads a pace.
fn pace(number: i64) -> Result<u32, FieldError> {
    let known = u32::try_from(number).ok();
    let known = known.filter(|pace| (1..=MAX_PER_SECOND).contains(pace));
    let wrong = || format!("must be a whole number from 1 to {MAX_PER_SECOND}");
    known.ok_or_else(|| FieldError::new("per_second", wrong()))
}

/// Lists the replays of many events.
#[utoipa::path(
    get,
    path = "/replays",
    params(PagingQuery),
    responses((status = 200, description = "The replays, the newest first.", body = List<BulkReplayView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<BulkReplayView>>, ApiError> {
    let part = bulk_replay::list(&state.store, &admin.app_or_default(), &paging.window).await?;
    paging.answer(list::map(part, BulkReplayView::from))
}

/// Shows the progress of a bulk replay.
#[utoipa::path(
    get,
    path = "/replays/{id}",
    responses((status = 200, description = "The replay.", body = BulkReplayView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<BulkReplayView>, ApiError> {
    let id = replay_id(&id)?;
    let found = bulk_replay::find(&state.store, &admin.app_or_default(), &id).await?;
    Ok(Json(found.ok_or(ReplayError::ReplayNotFound)?.into()))
}

/// A replay, and whether it was open until now.
#[derive(Serialize, ToSchema)]
#[schema(as = CanceledReplay)]
struct CanceledView {
    #[serde(flatten)]
    replay: BulkReplayView,
    changed: bool,
}

/// Cancels a bulk replay: nothing more of it is published.
///
/// What is in the queue already is still processed, a few hundred events at most. A new replay with
/// the same filter goes on where this one stopped, because events that were replayed with success
/// have not failed any more.
#[utoipa::path(
    post,
    path = "/replays/{id}/cancel",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "It is canceled, or had ended before.", body = CanceledView))
)]
async fn cancel(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<CanceledView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let (replay, changed) = bulk_replay::cancel(&state.store, &order, &replay_id(&id)?).await?;
    let replay = replay.into();
    Ok(Json(CanceledView { replay, changed }))
}

fn replay_id(text: &str) -> Result<ReplayId, ReplayError> {
    text.parse().map_err(|_| ReplayError::ReplayNotFound)
}
