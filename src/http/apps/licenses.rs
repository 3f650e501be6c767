//! Licences of an app's customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::envelope::{Data, DataList};
use super::{InApp, ReadingInApp};
use crate::http::api::body::{EmptyBody, ReasonBody};
use crate::http::api::license::{
    KeyBody, LicenseBody, LicenseQuery, LicenseView, OrderedLicenseView, ValidationView, create_in,
    list_in, reinstate_in, revoke_in, show_in, validate_in,
};
use crate::http::api::list::{Listing, PagingQuery};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::{ApiError, AppState, ValidJson, ValidPath};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(show))
        .routes(routes!(revoke))
        .routes(routes!(reinstate));
    let about = "Licences of an app that the path names, each object under `data`.";
    openapi::resource("app-licenses", about, routes)
}

/// Lists the licences of an app.
#[utoipa::path(
    get,
    path = "/licenses",
    params(PagingQuery, LicenseQuery),
    responses((status = 200, description = "Licences, the newest first.", body = DataList<LicenseView>))
)]
async fn list(
    State(state): State<AppState>,
    within: InApp,
    Listing { paging, filter }: Listing<LicenseQuery>,
) -> Result<Json<DataList<LicenseView>>, ApiError> {
    let part = list_in(&state, &within.app, &filter, &paging.window).await?;
    DataList::of(&paging, part)
}

/// Issues a licence to a customer of an app.
#[utoipa::path(
    post,
    path = "/licenses",
    request_body = LicenseBody,
    responses(
        (status = 201, description = "The licence.", body = Data<LicenseView>),
        (status = 409, description = "`license_key_taken`, `customer_deleted`, or `licenses_too_many`: the customer has ten thousand."),
    )
)]
async fn create(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(body): ValidJson<LicenseBody>,
) -> Result<(StatusCode, Location, Json<Data<LicenseView>>), ApiError> {
    let made = create_in(&state, &within.order(&state), body).await?;
    let location = Location::of(["apps", within.app.as_str(), "licenses", made.id()]);
    Ok((StatusCode::CREATED, location, Data::of(Json(made))))
}

/// Shows a licence of an app.
#[utoipa::path(
    get,
    path = "/licenses/{id}",
    responses((status = 200, description = "The licence.", body = Data<LicenseView>))
)]
async fn show(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<Json<Data<LicenseView>>, ApiError> {
    Ok(Data::of(Json(show_in(&state, &within.app, &id).await?)))
}

/// Revokes a licence of an app.
#[utoipa::path(
    post,
    path = "/licenses/{id}/revoke",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The licence.", body = Data<OrderedLicenseView>))
)]
async fn revoke(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<Data<OrderedLicenseView>>, ApiError> {
    let revoked = revoke_in(&state, &within.order(&state), &id, body).await?;
    Ok(Data::of(Json(revoked)))
}

/// Reinstates a licence of an app.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reinstate",
    request_body = Option<EmptyBody>,
    responses(
        (status = 200, description = "The licence.", body = Data<OrderedLicenseView>),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reinstate(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    _body: Option<ValidJson<EmptyBody>>,
) -> Result<Json<Data<OrderedLicenseView>>, ApiError> {
    let reinstated = reinstate_in(&state, &within.order(&state), &id).await?;
    Ok(Data::of(Json(reinstated)))
}

/// Validates a licence key of an app. A viewer is enough.
#[utoipa::path(
    post,
    path = "/licenses/validate",
    request_body = KeyBody,
    responses((status = 200, description = "The verdict, and the reason.", body = Data<ValidationView>))
)]
async fn validate(
    State(state): State<AppState>,
    ReadingInApp(within): ReadingInApp,
    ValidJson(body): ValidJson<KeyBody>,
) -> Result<Json<Data<ValidationView>>, ApiError> {
    let judged = validate_in(&state, &within.app, &body).await?;
    Ok(Data::of(Json(judged)))
}
