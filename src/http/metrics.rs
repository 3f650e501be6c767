//! Figures for Prometheus.
//!
//! Every role serves them. On an address for operators alone they are open; on the public one they
//! need a token for all apps, because the figures are of all apps. A scrape is answered whatever is
//! away: what cannot be read within its time is missing, and the figures say so.

use axum::extract::{FromRequestParts, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::{AppState, openapi, scraper};
use crate::metrics::Format;

/// The route on the public address.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(show));
    openapi::resource("metrics", "Figures for monitoring systems.", routes)
}

/// The route on the address for operators.
pub(super) fn open_router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(show_openly))
}

/// A caller with a token for all apps.
struct Scraper;

impl FromRequestParts<AppState> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        scraper::admit(parts, state).await.map(|()| Self)
    }
}

/// Shows the figures of this process, as Prometheus reads them.
///
/// In OpenMetrics for those who ask for `application/openmetrics-text`, else in Prometheus's own text
/// format. Served without a token, and only there, on the address of `TOLLGATE_OPS_LISTEN` if that is
/// set.
#[utoipa::path(
    get,
    path = "/metrics",
    security(("admin_token" = [])),
    responses(
        (status = 200, description = "The figures.", body = String, content_type = "text/plain"),
        (status = 401, description = "`token_missing`, `token_unknown` or `token_expired`."),
        (status = 403, description = "`token_bound`: the token is of one app, and the figures are of all."),
        (status = 503, description = "`unavailable`: the store is away, and the token was not seen here lately."),
    )
)]
async fn show(
    State(state): State<AppState>,
    _scraper: Scraper,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(&state, &headers).await
}

/// Shows the figures of this process to everybody who reaches this address.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain"))
)]
async fn show_openly(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(&state, &headers).await
}

async fn answer(state: &AppState, headers: &HeaderMap) -> Result<Response, ApiError> {
    let accept = headers.get(ACCEPT).and_then(|it| it.to_str().ok());
    let format = Format::accepted(accept);
    let read = state.figures.read(&state.health).await;
    let text = state.metrics.text(format, read);
    let text = text.map_err(ApiError::internal)?;
    let content_type = HeaderValue::from_static(format.content_type());
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
