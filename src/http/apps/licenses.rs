//! Licences of an app's customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::envelope::{Data, DataList};
use super::{InApp, ReadingInApp};
use crate::http::api::license::change::{
    LicenseChangeWithReason, RenewalWithReason, change_in, delete_in, reissue_in, renew_in,
};
use crate::http::api::license::issue::{LicenseWithReason, create_in};
use crate::http::api::license::validation::{KeyBody, ValidationView, validate_in};
use crate::http::api::license::{
    LicenseQuery, LicenseView, OrderedLicenseView, list_in, reinstate_in, revoke_in, show_in,
};
use crate::http::api::list::{Listing, PagingQuery};
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag, Tagged};
use crate::http::reason::{ReasonBody, ReasonQuery, Reasoned};
use crate::http::{ApiError, AppState, ValidJson, ValidPath};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(show, change, delete))
        .routes(routes!(revoke))
        .routes(routes!(reinstate))
        .routes(routes!(renew))
        .routes(routes!(reissue));
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
    request_body = LicenseWithReason,
    responses(
        (status = 201, description = "The licence.", body = Data<LicenseView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`license_key_taken`, `customer_deleted`, or `licenses_too_many`: the customer has ten thousand."),
    )
)]
async fn create(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(Reasoned { body, reason }): ValidJson<LicenseWithReason>,
) -> Result<(StatusCode, Location, Tag, Json<Data<LicenseView>>), ApiError> {
    let order = within.order(&state).because(reason);
    let (tag, made) = create_in(&state, &order, body).await?;
    let location = Location::of(["apps", within.app.as_str(), "licenses", made.id()]);
    Ok((StatusCode::CREATED, location, tag, Data::of(made)))
}

/// Shows a licence of an app.
#[utoipa::path(
    get,
    path = "/licenses/{id}",
    responses((status = 200, description = "The licence.", body = Data<LicenseView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<Tagged<Data<LicenseView>>, ApiError> {
    let (tag, license) = show_in(&state, &within.app, &id).await?;
    Ok((tag, Data::of(license)))
}

/// Revokes a licence of an app.
#[utoipa::path(
    post,
    path = "/licenses/{id}/revoke",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "The licence.", body = Data<OrderedLicenseView>))
)]
async fn revoke(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<Data<OrderedLicenseView>>, ApiError> {
    let order = within.order(&state).because(ReasonBody::of(body));
    let (tag, license) = revoke_in(&state, &order, &id, &only_if).await?;
    Ok((tag, Data::of(license)))
}

/// Reinstates a licence of an app.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reinstate",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The licence.", body = Data<OrderedLicenseView>),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reinstate(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<Data<OrderedLicenseView>>, ApiError> {
    let order = within.order(&state).because(ReasonBody::of(body));
    let (tag, license) = reinstate_in(&state, &order, &id, &only_if).await?;
    Ok((tag, Data::of(license)))
}

/// Changes the end, the limit of activations or the metadata of a licence of an app.
#[utoipa::path(
    patch,
    path = "/licenses/{id}",
    params(IfMatchHeader),
    request_body = LicenseChangeWithReason,
    responses((status = 200, description = "The licence.", body = Data<OrderedLicenseView>))
)]
async fn change(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned { body, reason }): ValidJson<LicenseChangeWithReason>,
) -> Result<Tagged<Data<OrderedLicenseView>>, ApiError> {
    let order = within.order(&state).because(reason);
    let (tag, license) = change_in(&state, &order, &id, body, &only_if).await?;
    Ok((tag, Data::of(license)))
}

/// Removes a licence of an app. Its key is unknown from then on, and free. Revoke it instead to keep it.
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
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
) -> Result<StatusCode, ApiError> {
    delete_in(&state, &within.order(&state), &id, &only_if).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renews a licence of an app: gives it a later end. One that was revoked stays revoked.
///
/// Days are counted from the present end on, or from now on if that is past. Each request with `days`
/// adds them, so send an `Idempotency-Key` with it.
#[utoipa::path(
    post,
    path = "/licenses/{id}/renew",
    params(IfMatchHeader),
    request_body = RenewalWithReason,
    responses(
        (status = 200, description = "The licence.", body = Data<OrderedLicenseView>),
        (status = 409, description = "`license_endless`: it never ends. `customer_deleted`: it would be valid for nobody."),
    )
)]
async fn renew(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned { body, reason }): ValidJson<RenewalWithReason>,
) -> Result<Tagged<Data<OrderedLicenseView>>, ApiError> {
    let order = within.order(&state).because(reason);
    let (tag, license) = renew_in(&state, &order, &id, body, &only_if).await?;
    Ok((tag, Data::of(license)))
}

/// Gives a licence of an app another key, made here. The one before is unknown at once.
#[utoipa::path(
    post,
    path = "/licenses/{id}/reissue",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The licence with its new key.", body = Data<LicenseView>),
        (status = 409, description = "`customer_deleted`: it would be valid for nobody."),
    )
)]
async fn reissue(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<Data<LicenseView>>, ApiError> {
    let order = within.order(&state).because(ReasonBody::of(body));
    let (tag, license) = reissue_in(&state, &order, &id, &only_if).await?;
    Ok((tag, Data::of(license)))
}

/// Validates a licence key of an app; with a `fingerprint`, where it is used. A viewer is enough.
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
    let judged = validate_in(&state, &within.app, body).await?;
    Ok(Data::of(Json(judged)))
}
