//! Pausing what workers do for an app, and letting it go on.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::apps::AppView;
use crate::domain::id::AppSlug;
use crate::http::api::order_in_path;
use crate::http::openapi;
use crate::http::reason::ReasonBody;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::{apps, pauses};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(pause))
        .routes(routes!(resume));
    openapi::resource("apps", "Tenants.", routes)
}

/// An app after an operation.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedApp)]
struct PausedView {
    #[serde(flatten)]
    app: AppView,
    /// False if it was like this before.
    changed: bool,
}

/// Pauses what workers do for an app.
///
/// Webhooks are received and acknowledged as ever, and wait: nothing of them is applied, nothing is
/// lost, and no try is used up. Due times, replays and comparisons wait too. What admins do themselves
/// takes effect, and access checks are answered.
#[utoipa::path(
    post,
    path = "/apps/{slug}/pause",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The app.", body = PausedView))
)]
async fn pause(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<PausedView>, ApiError> {
    let order = order_in_path(&admin, &state, &slug).await?;
    let order = order.because(ReasonBody::of(body));
    let changed = pauses::pause(&state.store, &order).await?;
    shown(&state, &order.app, changed).await
}

/// Lets a paused app go on. What has waited is processed from now on.
#[utoipa::path(
    post,
    path = "/apps/{slug}/resume",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The app.", body = PausedView))
)]
async fn resume(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<PausedView>, ApiError> {
    let order = order_in_path(&admin, &state, &slug).await?;
    let order = order.because(ReasonBody::of(body));
    let changed = pauses::resume(&state.store, &order).await?;
    shown(&state, &order.app, changed).await
}

async fn shown(
    state: &AppState,
    slug: &AppSlug,
    changed: bool,
) -> Result<Json<PausedView>, ApiError> {
    let app = apps::show(&state.store, slug).await?;
    let app = AppView::new(app, state);
    Ok(Json(PausedView { app, changed }))
}
