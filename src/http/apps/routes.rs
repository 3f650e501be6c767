//! The routes of this dialect.

use utoipa_axum::router::OpenApiRouter;

use super::{activations, customers, licenses};
use crate::http::{AppState, openapi};

/// Returns everything below `/api/v1/apps/{slug}`, apart from the app itself and its endpoints.
pub(in crate::http) fn router() -> OpenApiRouter<AppState> {
    let routes = customers::router()
        .merge(licenses::router())
        .merge(activations::router());
    openapi::guarded(OpenApiRouter::default().nest("/api/v1/apps/{slug}", routes))
}
