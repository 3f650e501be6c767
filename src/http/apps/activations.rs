//! Activations of the licences of an app's customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::InApp;
use super::envelope::{Data, DataList};
use crate::http::api::license::activation::{
    ActivateBody, ActivatedView, ActivationView, DeactivateBody, DeactivatedView, activate_in,
    deactivate_in, delete_in, list_in,
};
use crate::http::api::list::{Paging, PagingQuery};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::reason::ReasonQuery;
use crate::http::{ApiError, AppState, ValidJson, ValidPath};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(activate))
        .routes(routes!(deactivate))
        .routes(routes!(list))
        .routes(routes!(delete));
    let about =
        "Where licences of an app that the path names are in use, each object under `data`.";
    openapi::resource("app-activations", about, routes)
}

/// Activates a licence of an app on a machine.
///
/// The fingerprint takes one of the licence's places (`activations_limit`) until it is deactivated. One
/// that is active already keeps its place and its name, so the request may be repeated.
#[utoipa::path(
    post,
    path = "/licenses/activate",
    request_body = ActivateBody,
    responses(
        (status = 200, description = "The activation, which was there already.", body = Data<ActivatedView>),
        (status = 201, description = "The new activation.", body = Data<ActivatedView>),
        (status = 404, description = "`license_not_found`: no licence has this key."),
        (status = 409, description = "`activations_full`: all places are taken; without a limit there are ten thousand. Any other code is the one that `POST /licenses/validate` has for a licence that is not valid."),
    )
)]
async fn activate(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(body): ValidJson<ActivateBody>,
) -> Result<(StatusCode, Option<Location>, Json<Data<ActivatedView>>), ApiError> {
    let (status, license, view) = activate_in(&state, &within.order(&state), body).await?;
    let location = license.map(|license| {
        let app = within.app.as_str();
        Location::of(["apps", app, "licenses", &license, "activations"])
    });
    Ok((status, location, Data::of(view)))
}

/// Deactivates a licence of an app on a machine, and so frees its place. A licence that is not valid is
/// deactivated too, and what is not active is left as it is.
#[utoipa::path(
    post,
    path = "/licenses/deactivate",
    request_body = DeactivateBody,
    responses(
        (status = 200, description = "The places of the licence.", body = Data<DeactivatedView>),
        (status = 404, description = "`license_not_found`: no licence has this key."),
    )
)]
async fn deactivate(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(body): ValidJson<DeactivateBody>,
) -> Result<Json<Data<DeactivatedView>>, ApiError> {
    let view = deactivate_in(&state, &within.order(&state), body).await?;
    Ok(Data::of(view))
}

/// Lists the activations of a licence of an app.
#[utoipa::path(
    get,
    path = "/licenses/{id}/activations",
    params(PagingQuery),
    responses((status = 200, description = "Activations, the newest first.", body = DataList<ActivationView>))
)]
async fn list(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<DataList<ActivationView>>, ApiError> {
    let part = list_in(&state, &within.app, &id, &paging.window).await?;
    DataList::of(&paging, part)
}

/// Removes an activation of a licence of an app, and so frees its place.
#[utoipa::path(
    delete,
    path = "/licenses/{id}/activations/{activation_id}",
    params(ReasonQuery),
    responses((status = 204, description = "Removed."))
)]
async fn delete(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, license, id)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    delete_in(&state, &within.order(&state), (&license, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
