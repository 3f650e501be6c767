//! Customers of an app.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::InApp;
use super::body::{CustomerUpdate, NewCustomer};
use super::envelope::{Data, DataList};
use crate::http::api::customer::{
    self, ActedView, CreatedView, CustomerView, EmailQuery, ExternalIdQuery, FoundOrMade,
    ListQuery, found_or_made, listed,
};
use crate::http::api::customer_id;
use crate::http::api::deletion::DeleteQuery;
use crate::http::api::list::{Listing, PagingQuery};
use crate::http::input::CheckedJson;
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag, Tagged};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{ApiError, AppState, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, SameEmail};

/// The same, and why.
type NewCustomerWithReason = Reasoned<NewCustomer>;

/// The same, and why.
type CustomerUpdateWithReason = Reasoned<CustomerUpdate>;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get_or_create))
        .routes(routes!(by_email))
        .routes(routes!(by_external_id))
        .routes(routes!(show, update, delete));
    let about = "Customers of an app that the path names, each object under `data`.";
    openapi::resource("app-customers", about, routes)
}

/// Lists the customers of an app.
#[utoipa::path(
    get,
    path = "/customers",
    params(PagingQuery, ListQuery),
    responses((status = 200, description = "Customers, the newest first.", body = DataList<CustomerView>))
)]
async fn list(
    State(state): State<AppState>,
    within: InApp,
    Listing { paging, filter }: Listing<ListQuery>,
) -> Result<Json<DataList<CustomerView>>, ApiError> {
    let part = listed(&state, &within.app, &filter, &paging).await?;
    DataList::of(&paging, part)
}

/// Creates a customer in an app.
#[utoipa::path(
    post,
    path = "/customers",
    request_body = NewCustomerWithReason,
    responses(
        (status = 201, description = "The customer, with its first access token.", body = Data<CreatedView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer."),
    )
)]
async fn create(
    State(state): State<AppState>,
    within: InApp,
    CheckedJson(Reasoned {
        body: NewCustomer(change),
        reason,
    }): CheckedJson<NewCustomerWithReason>,
) -> Result<(StatusCode, Location, Tag, Json<Data<CreatedView>>), ApiError> {
    let order = within.order(&state).because(reason);
    let made = customers::create(&state.store, &order, &change, SameEmail::Refused).await?;
    let location = Location::below(within.customers(), [made.customer.id.as_str()]);
    let tag = Tag(made.customer.state_tag());
    let view = CreatedView::of(&order.app, made);
    Ok((StatusCode::CREATED, location, tag, Data::of(Json(view))))
}

/// Finds a customer of an app by external id, then by e-mail address, or creates one.
#[utoipa::path(
    post,
    path = "/customers/get-or-create",
    request_body = NewCustomerWithReason,
    responses(
        (status = 200, description = "The customer that was found.", body = Data<CustomerView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 201, description = "The customer that was created.", body = Data<CreatedView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`identity_conflict`: the external id and the e-mail address name two customers, or the one with the address has another external id."),
    )
)]
async fn get_or_create(
    State(state): State<AppState>,
    within: InApp,
    CheckedJson(Reasoned {
        body: NewCustomer(change),
        reason,
    }): CheckedJson<NewCustomerWithReason>,
) -> Result<(StatusCode, Option<Location>, Tag, Json<Data<FoundOrMade>>), ApiError> {
    let order = within.order(&state).because(reason);
    let answer = found_or_made(&state, &order, &change, within.customers()).await?;
    let (status, location, tag, customer) = answer;
    Ok((status, location, tag, Data::of(customer)))
}

/// Shows a customer of an app.
#[utoipa::path(
    get,
    path = "/customers/{id}",
    responses((status = 200, description = "The customer.", body = Data<CustomerView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
) -> Result<Tagged<Data<CustomerView>>, ApiError> {
    let (tag, customer) = customer::by_id(&state, &within.app, &id).await?;
    Ok((tag, Data::of(customer)))
}

/// Finds a customer of an app by its e-mail address, in any case.
#[utoipa::path(
    get,
    path = "/customers/by-email",
    params(EmailQuery),
    responses((status = 200, description = "The customer.", body = Data<CustomerView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn by_email(
    State(state): State<AppState>,
    within: InApp,
    ValidQuery(query): ValidQuery<EmailQuery>,
) -> Result<Tagged<Data<CustomerView>>, ApiError> {
    let (tag, customer) = customer::by_email(&state, &within.app, &query.email).await?;
    Ok((tag, Data::of(customer)))
}

/// Finds a customer of an app by its external id or billing account.
#[utoipa::path(
    get,
    path = "/customers/by-external-id",
    params(ExternalIdQuery),
    responses((status = 200, description = "The customer.", body = Data<CustomerView>, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn by_external_id(
    State(state): State<AppState>,
    within: InApp,
    ValidQuery(query): ValidQuery<ExternalIdQuery>,
) -> Result<Tagged<Data<CustomerView>>, ApiError> {
    let (tag, customer) = customer::by_external_id(&state, &within.app, query).await?;
    Ok((tag, Data::of(customer)))
}

/// Changes a customer of an app.
///
/// Only the given fields change; null clears a field, but not the e-mail address.
#[utoipa::path(
    method(put, patch),
    path = "/customers/{id}",
    params(IfMatchHeader),
    request_body = CustomerUpdateWithReason,
    responses(
        (status = 200, description = "The customer.", body = Data<ActedView>),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer; `customer_deleted`: it takes no changes."),
    )
)]
async fn update(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    CheckedJson(Reasoned {
        body: CustomerUpdate(change),
        reason,
    }): CheckedJson<CustomerUpdateWithReason>,
) -> Result<Tagged<Data<ActedView>>, ApiError> {
    let (order, id) = (within.order(&state).because(reason), customer_id(&id)?);
    let same_email = SameEmail::Refused;
    let updated =
        customers::update(&state.store, &order, &id, &change, same_email, &only_if).await?;
    let (tag, customer) = ActedView::tagged(&order.app, updated);
    Ok((tag, Data::of(customer)))
}

/// Deletes a customer of an app with all that belongs to it.
#[utoipa::path(
    delete,
    path = "/customers/{id}",
    params(ReasonQuery, DeleteQuery, IfMatchHeader),
    responses((status = 204, description = "Deleted."))
)]
async fn delete(
    State(state): State<AppState>,
    within: InApp,
    ValidPath((_, id)): ValidPath<(String, String)>,
    ValidQuery(query): ValidQuery<DeleteQuery>,
    IfMatch(only_if): IfMatch,
) -> Result<StatusCode, ApiError> {
    let (order, id) = (within.order(&state), customer_id(&id)?);
    customers::delete(&state.store, &order, &id, query.deletion()?, &only_if).await?;
    Ok(StatusCode::NO_CONTENT)
}
