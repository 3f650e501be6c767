//! Licences of an app's customers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::envelope::{Data, DataList};
use super::{InApp, ReadingInApp};
use crate::http::admin::licenses::{
    KeyBody, LicenseBody, LicenseQuery, LicenseView, OrderedLicenseView, ValidationView, create_in,
    list_in, reinstate_in, revoke_in, show_in, validate_in,
};
use crate::http::admin::list::Paging;
use crate::http::admin::operations::{EmptyBody, ReasonBody};
use crate::http::{ApiError, AppState, ValidJson, ValidPath, ValidQuery};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/licenses", get(list).post(create))
        .route("/licenses/validate", post(validate))
        .route("/licenses/{id}", get(show))
        .route("/licenses/{id}/revoke", post(revoke))
        .route("/licenses/{id}/reinstate", post(reinstate))
}

async fn list(
    State(state): State<AppState>,
    within: InApp,
    paging: Paging,
    ValidQuery(query): ValidQuery<LicenseQuery>,
) -> Result<Json<DataList<LicenseView>>, ApiError> {
    let part = list_in(&state, &within.app, query, &paging.0).await?;
    Ok(DataList::of(&paging, part))
}

async fn create(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(body): ValidJson<LicenseBody>,
) -> Result<(StatusCode, Json<Data<LicenseView>>), ApiError> {
    let made = create_in(&state, &within.order(&state), body).await?;
    Ok((StatusCode::CREATED, Data::of(Json(made))))
}

async fn show(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<Json<Data<LicenseView>>, ApiError> {
    Ok(Data::of(Json(show_in(&state, &within.app, &id).await?)))
}

async fn revoke(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<Data<OrderedLicenseView>>, ApiError> {
    let revoked = revoke_in(&state, &within.order(&state), &id, body).await?;
    Ok(Data::of(Json(revoked)))
}

async fn reinstate(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    _body: Option<ValidJson<EmptyBody>>,
) -> Result<Json<Data<OrderedLicenseView>>, ApiError> {
    let reinstated = reinstate_in(&state, &within.order(&state), &id).await?;
    Ok(Data::of(Json(reinstated)))
}

/// Changes nothing, so a viewer may ask.
async fn validate(
    State(state): State<AppState>,
    ReadingInApp(within): ReadingInApp,
    ValidJson(body): ValidJson<KeyBody>,
) -> Result<Json<Data<ValidationView>>, ApiError> {
    let judged = validate_in(&state, &within.app, &body).await?;
    Ok(Data::of(Json(judged)))
}
