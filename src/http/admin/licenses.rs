//! Licences of customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::body::{EmptyBody, ReasonBody};
use crate::http::api::license::{
    KeyBody, LicenseBody, LicenseQuery, LicenseView, OrderedLicenseView, ValidationView, create_in,
    list_in, listed, reinstate_in, revoke_in, show_in, validate_in,
};
use crate::http::api::list::{List, Listing, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, Reading, ValidJson, ValidPath};
use crate::pipeline::licenses;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(show))
        .routes(routes!(revoke))
        .routes(routes!(reinstate))
        .routes(routes!(of_customer));
    openapi::resource(
        "licenses",
        "Licence keys that were sold to customers.",
        routes,
    )
}

/// Lists licences.
#[utoipa::path(
    get,
    path = "/licenses",
    params(PagingQuery, LicenseQuery),
    responses((status = 200, description = "Licences, the newest first.", body = List<LicenseView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Listing { paging, filter }: Listing<LicenseQuery>,
) -> Result<Json<List<LicenseView>>, ApiError> {
    let part = list_in(&state, &admin.app_or_default(), &filter, &paging.window).await?;
    paging.answer(part)
}

/// Lists a customer's licences.
#[utoipa::path(
    get,
    path = "/customers/{id}/licenses",
    params(PagingQuery),
    responses((status = 200, description = "Licences, the newest first.", body = List<LicenseView>))
)]
async fn of_customer(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<LicenseView>>, ApiError> {
    let app = admin.app_or_default();
    let customer = customer_id(&id)?;
    let page = licenses::list_of(&state.store, &app, &customer, &paging.window).await?;
    paging.answer(listed(&state.vault, &app, page, state.clock.now()))
}

/// Issues a licence to a customer.
#[utoipa::path(
    post,
    path = "/licenses",
    request_body = LicenseBody,
    responses(
        (status = 201, description = "The licence.", body = LicenseView),
        (status = 409, description = "`license_key_taken`, `customer_deleted`, or `licenses_too_many`: the customer has ten thousand."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<LicenseBody>,
) -> Result<(StatusCode, Location, Json<LicenseView>), ApiError> {
    let made = create_in(&state, &order_of(&admin, &state), body).await?;
    let location = Location::of(["licenses", made.id()]);
    Ok((StatusCode::CREATED, location, Json(made)))
}

/// Shows a licence.
#[utoipa::path(
    get,
    path = "/licenses/{id}",
    responses((status = 200, description = "The licence.", body = LicenseView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<LicenseView>, ApiError> {
    Ok(Json(show_in(&state, &admin.app_or_default(), &id).await?))
}

/// Revokes a licence.
#[utoipa::path(
    post,
    path = "/licenses/{id}/revoke",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The licence.", body = OrderedLicenseView))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state);
    Ok(Json(revoke_in(&state, &order, &id, body).await?))
}

/// Reinstates a licence.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reinstate",
    request_body = Option<EmptyBody>,
    responses(
        (status = 200, description = "The licence.", body = OrderedLicenseView),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reinstate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    _body: Option<ValidJson<EmptyBody>>,
) -> Result<Json<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state);
    Ok(Json(reinstate_in(&state, &order, &id).await?))
}

/// Validates a licence key. A viewer is enough.
#[utoipa::path(
    post,
    path = "/licenses/validate",
    request_body = KeyBody,
    responses((status = 200, description = "The verdict, and the reason.", body = ValidationView))
)]
async fn validate(
    State(state): State<AppState>,
    Reading(admin): Reading,
    ValidJson(body): ValidJson<KeyBody>,
) -> Result<Json<ValidationView>, ApiError> {
    let app = admin.app_or_default();
    Ok(Json(validate_in(&state, &app, &body).await?))
}
