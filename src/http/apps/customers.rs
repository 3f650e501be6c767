//! Customers of an app.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::InApp;
use super::envelope::{Data, DataList};
use crate::domain::profile::ProfileChange;
use crate::http::admin::customer_id;
use crate::http::admin::customers::{
    ActedView, CreatedView, EmailQuery, ExternalIdQuery, FoundOrMade, ListQuery, Named, acted,
    created, found, found_or_made, listed,
};
use crate::http::admin::list::Paging;
use crate::http::admin::view::CustomerView;
use crate::http::{ApiError, AppState, ValidJson, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, Deletion, SameEmail};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers", get(list).post(create))
        .route("/customers/get-or-create", post(get_or_create))
        .route("/customers/by-email", get(by_email))
        .route("/customers/by-external-id", get(by_external_id))
        .route(
            "/customers/{id}",
            get(show).put(update).patch(update).delete(delete),
        )
}

async fn list(
    State(state): State<AppState>,
    within: InApp,
    paging: Paging,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Json<DataList<CustomerView>>, ApiError> {
    let part = listed(&state, &within.app, query, &paging).await?;
    Ok(DataList::of(&paging, part))
}

async fn create(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(change): ValidJson<ProfileChange>,
) -> Result<(StatusCode, Json<Data<CreatedView>>), ApiError> {
    let order = within.order(&state);
    let made = customers::create(&state.store, &order, &change, SameEmail::Refused).await?;
    let (status, made) = created(&state, &order.app, made).await?;
    Ok((status, Data::of(made)))
}

async fn get_or_create(
    State(state): State<AppState>,
    within: InApp,
    ValidJson(change): ValidJson<ProfileChange>,
) -> Result<(StatusCode, Json<Data<FoundOrMade>>), ApiError> {
    let (status, customer) = found_or_made(&state, &within.order(&state), &change).await?;
    Ok((status, Data::of(customer)))
}

async fn show(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<Json<Data<CustomerView>>, ApiError> {
    let customer = found(&state, &within.app, Named::Id(&id)).await?;
    Ok(Data::of(customer))
}

async fn by_email(
    State(state): State<AppState>,
    within: InApp,
    ValidQuery(query): ValidQuery<EmailQuery>,
) -> Result<Json<Data<CustomerView>>, ApiError> {
    let customer = found(&state, &within.app, Named::Email(&query.email)).await?;
    Ok(Data::of(customer))
}

async fn by_external_id(
    State(state): State<AppState>,
    within: InApp,
    ValidQuery(query): ValidQuery<ExternalIdQuery>,
) -> Result<Json<Data<CustomerView>>, ApiError> {
    let named = Named::External(&query.external_id);
    let customer = found(&state, &within.app, named).await?;
    Ok(Data::of(customer))
}

async fn update(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    ValidJson(change): ValidJson<ProfileChange>,
) -> Result<Json<Data<ActedView>>, ApiError> {
    let (order, id) = (within.order(&state), customer_id(&id)?);
    let updated = customers::update(&state.store, &order, &id, &change, SameEmail::Refused).await?;
    let customer = acted(&state, &order.app, updated).await?;
    Ok(Data::of(customer))
}

/// Permanent, with everything that belongs to the customer.
async fn delete(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (order, id) = (within.order(&state), customer_id(&id)?);
    customers::delete(&state.store, &order, &id, Deletion::Permanent).await?;
    Ok(StatusCode::NO_CONTENT)
}
