//! Licences of customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::license::change::{
    LicenseChangeWithReason, RenewalWithReason, change_in, delete_in, reissue_in, renew_in,
};
use crate::http::api::license::issue::{LicenseWithReason, create_in};
use crate::http::api::license::validation::{KeyBody, ValidationView, validate_in};
use crate::http::api::license::{
    LicenseQuery, LicenseView, OrderedLicenseView, list_in, listed, reinstate_in, revoke_in,
    show_in,
};
use crate::http::api::list::{List, Listing, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag, Tagged};
use crate::http::reason::{ReasonBody, ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, Reading, ValidJson, ValidPath};
use crate::pipeline::licenses;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(show, change, delete))
        .routes(routes!(revoke))
        .routes(routes!(reinstate))
        .routes(routes!(renew))
        .routes(routes!(reissue))
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
    request_body = LicenseWithReason,
    responses(
        (status = 201, description = "The licence.", body = LicenseView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`license_key_taken`, `customer_deleted`, or `licenses_too_many`: the customer has ten thousand."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<LicenseWithReason>,
) -> Result<(StatusCode, Location, Tag, Json<LicenseView>), ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let (tag, made) = create_in(&state, &order, body).await?;
    let location = Location::of(["licenses", made.id()]);
    Ok((StatusCode::CREATED, location, tag, made))
}

/// Shows a licence.
#[utoipa::path(
    get,
    path = "/licenses/{id}",
    responses((status = 200, description = "The licence.", body = LicenseView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Tagged<LicenseView>, ApiError> {
    show_in(&state, &admin.app_or_default(), &id).await
}

/// Revokes a licence.
#[utoipa::path(
    post,
    path = "/licenses/{id}/revoke",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The licence.", body = OrderedLicenseView))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    revoke_in(&state, &order, &id, &only_if).await
}

/// Reinstates a licence.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reinstate",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The licence.", body = OrderedLicenseView),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reinstate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    reinstate_in(&state, &order, &id, &only_if).await
}

/// Changes the end, the limit of activations or the metadata of a licence.
#[utoipa::path(
    patch,
    path = "/licenses/{id}",
    params(IfMatchHeader),
    request_body = LicenseChangeWithReason,
    responses((status = 200, description = "The licence.", body = OrderedLicenseView))
)]
async fn change(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned { body, reason }): ValidJson<LicenseChangeWithReason>,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state).because(reason);
    change_in(&state, &order, &id, body, &only_if).await
}

/// Removes a licence. Its key is unknown from then on, and free. Revoke it instead to keep it.
#[utoipa::path(
    delete,
    path = "/licenses/{id}",
    params(ReasonQuery, IfMatchHeader),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`license_bought`: a plan names it for what was bought, and it would be made again."),
    )
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
) -> Result<StatusCode, ApiError> {
    delete_in(&state, &order_of(&admin, &state), &id, &only_if).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renews a licence: gives it a later end. One that was revoked stays revoked.
///
/// Days are counted from the present end on, or from now on if that is past. Each request with `days`
/// adds them, so send an `Idempotency-Key` with it.
#[utoipa::path(
    post,
    path = "/licenses/{id}/renew",
    params(IfMatchHeader),
    request_body = RenewalWithReason,
    responses(
        (status = 200, description = "The licence.", body = OrderedLicenseView),
        (status = 409, description = "`license_endless`: it never ends. `customer_deleted`: it would be valid for nobody."),
    )
)]
async fn renew(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned { body, reason }): ValidJson<RenewalWithReason>,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let order = order_of(&admin, &state).because(reason);
    renew_in(&state, &order, &id, body, &only_if).await
}

/// Gives a licence another key, made here. The one before is unknown at once.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reissue",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The licence with its new key.", body = LicenseView),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reissue(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<LicenseView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    reissue_in(&state, &order, &id, &only_if).await
}

/// Validates a licence key; with a `fingerprint`, where it is used. A viewer is enough.
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
    Ok(Json(validate_in(&state, &app, body).await?))
}
