//! Activations of licences.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::license::activation::{
    ActivateBody, ActivatedView, ActivationView, DeactivateBody, DeactivatedView, activate_in,
    deactivate_in, delete_in, list_in,
};
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::order_of;
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::reason::ReasonQuery;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(activate))
        .routes(routes!(deactivate))
        .routes(routes!(list))
        .routes(routes!(delete));
    let about = "Where licences are in use, and how many places they have.";
    openapi::resource("activations", about, routes)
}

/// Activates a licence on a machine.
///
/// The fingerprint takes one of the licence's places (`activations_limit`) until it is deactivated. One
/// that is active already keeps its place and its name, so the request may be repeated.
#[utoipa::path(
    post,
    path = "/licenses/activate",
    request_body = ActivateBody,
    responses(
        (status = 200, description = "The activation, which was there already.", body = ActivatedView),
        (status = 201, description = "The new activation.", body = ActivatedView),
        (status = 404, description = "`license_not_found`: no licence has this key."),
        (status = 409, description = "`activations_full`: all places are taken; without a limit there are ten thousand. Any other code is the one that `POST /licenses/validate` has for a licence that is not valid."),
    )
)]
async fn activate(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<ActivateBody>,
) -> Result<(StatusCode, Option<Location>, Json<ActivatedView>), ApiError> {
    let (status, license, view) = activate_in(&state, &order_of(&admin, &state), body).await?;
    let location = license.map(|license| Location::of(["licenses", &license, "activations"]));
    Ok((status, location, view))
}

/// Deactivates a licence on a machine, and so frees its place. A licence that is not valid is
/// deactivated too, and what is not active is left as it is.
#[utoipa::path(
    post,
    path = "/licenses/deactivate",
    request_body = DeactivateBody,
    responses(
        (status = 200, description = "The places of the licence.", body = DeactivatedView),
        (status = 404, description = "`license_not_found`: no licence has this key."),
    )
)]
async fn deactivate(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<DeactivateBody>,
) -> Result<Json<DeactivatedView>, ApiError> {
    deactivate_in(&state, &order_of(&admin, &state), body).await
}

/// Lists the activations of a licence.
#[utoipa::path(
    get,
    path = "/licenses/{id}/activations",
    params(PagingQuery),
    responses((status = 200, description = "Activations, the newest first.", body = List<ActivationView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<ActivationView>>, ApiError> {
    let part = list_in(&state, &admin.app_or_default(), &id, &paging.window).await?;
    paging.answer(part)
}

/// Removes an activation of a licence, and so frees its place.
#[utoipa::path(
    delete,
    path = "/licenses/{id}/activations/{activation_id}",
    params(ReasonQuery),
    responses((status = 204, description = "Removed."))
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((license, id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    delete_in(&state, &order_of(&admin, &state), (&license, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
