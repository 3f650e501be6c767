//! Explaining a customer's status, in one call.

mod account;
mod failures;
mod source;
mod subscription;
mod view;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::customer_id;
use crate::http::api::flag::flags;
use crate::http::{Admin, ApiError, AppState, ValidPath, openapi};
use crate::pipeline::explain::explain;
use view::{ExplanationView, of_deleted, of_living};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(show));
    openapi::resource(
        "explanations",
        "Explanations of a customer's status.",
        routes,
    )
}

/// Explains a customer's status.
///
/// In sentences and as data: every hold with its cause, its events and who set it; how each
/// subscription, purchase and grant by hand counts under the policy and what it gives; how each billing account was linked; the next steps of
/// the timers.
#[utoipa::path(
    get,
    path = "/customers/{id}/explain",
    responses((status = 200, description = "The explanation.", body = ExplanationView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<ExplanationView>, ApiError> {
    let app = admin.app_or_default();
    let id = customer_id(&id)?;
    let found = explain(&state.store, &app, &id, state.clock.now()).await?;
    let customer = found.details.customer;
    let flags = flags(&customer, &found.details.granted);
    let view = match found.explained {
        Some(explained) => of_living(customer, explained, flags),
        None => of_deleted(customer, flags),
    };
    Ok(Json(view))
}
