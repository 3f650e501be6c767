//! Customers: making, finding, changing and deleting them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::customer::profile::ProfileChange;
use crate::http::api::customer::{
    self, ActedView, CreatedView, CustomerView, EmailQuery, ExternalIdQuery, FoundOrMadeAnswer,
    ListQuery, found, found_or_made, listed,
};
use crate::http::api::deletion::DeleteQuery;
use crate::http::api::list::{List, Listing, PagingQuery};
use crate::http::api::{customer_id, order_of};
use crate::http::input::CheckedJson;
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag, Tagged};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, Named, SameEmail};

/// The same, and why.
type ProfileChangeWithReason = Reasoned<ProfileChange>;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get_or_create))
        .routes(routes!(by_external))
        .routes(routes!(by_external_id))
        .routes(routes!(by_email))
        .routes(routes!(show, update, delete));
    openapi::resource(
        "customers",
        "Customers, whose access Tollgate keeps.",
        routes,
    )
}

/// Creates a customer.
#[utoipa::path(
    post,
    path = "/customers",
    request_body = ProfileChangeWithReason,
    responses(
        (status = 201, description = "The customer, with its first access token.", body = CreatedView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    CheckedJson(Reasoned {
        body: change,
        reason,
    }): CheckedJson<ProfileChangeWithReason>,
) -> Result<(StatusCode, Location, Tag, Json<CreatedView>), ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let made = customers::create(&state.store, &order, &change, SameEmail::Refused).await?;
    let location = Location::of(["customers", made.customer.id.as_str()]);
    let tag = Tag(made.customer.state_tag());
    let view = CreatedView::of(&order.app, made);
    Ok((StatusCode::CREATED, location, tag, Json(view)))
}

/// Finds a customer by external id, then by e-mail address, or creates one.
///
/// Concurrent requests get the same customer.
#[utoipa::path(
    post,
    path = "/customers/get-or-create",
    request_body = ProfileChangeWithReason,
    responses(
        (status = 200, description = "The customer that was found.", body = CustomerView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 201, description = "The customer that was created.", body = CreatedView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 409, description = "`identity_conflict`: the external id and the e-mail address name two customers, or the one with the address has another external id."),
    )
)]
async fn get_or_create(
    State(state): State<AppState>,
    admin: Admin,
    CheckedJson(Reasoned {
        body: change,
        reason,
    }): CheckedJson<ProfileChangeWithReason>,
) -> Result<FoundOrMadeAnswer, ApiError> {
    let collection = "/api/v1/customers".to_owned();
    found_or_made(
        &state,
        &order_of(&admin, &state).because(reason),
        &change,
        collection,
    )
    .await
}

/// Shows a customer.
#[utoipa::path(
    get,
    path = "/customers/{id}",
    responses((status = 200, description = "The customer.", body = CustomerView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Tagged<CustomerView>, ApiError> {
    customer::by_id(&state, &admin.app_or_default(), &id).await
}

/// Finds a customer by its external id or billing account.
#[utoipa::path(
    get,
    path = "/customers/by-external/{external_id}",
    responses((status = 200, description = "The customer.", body = CustomerView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn by_external(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(external_id): ValidPath<String>,
) -> Result<Tagged<CustomerView>, ApiError> {
    let named = Named::External(&external_id);
    found(&state, &admin.app_or_default(), named).await
}

/// Finds a customer by its external id or billing account, given in the query.
#[utoipa::path(
    get,
    path = "/customers/by-external-id",
    params(ExternalIdQuery),
    responses(
        (status = 200, description = "The customer.", body = CustomerView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 404, description = "`customer_not_found`."),
    )
)]
async fn by_external_id(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(query): ValidQuery<ExternalIdQuery>,
) -> Result<Tagged<CustomerView>, ApiError> {
    customer::by_external_id(&state, &admin.app_or_default(), query).await
}

/// Finds a customer by its e-mail address, in any case.
#[utoipa::path(
    get,
    path = "/customers/by-email",
    params(EmailQuery),
    responses(
        (status = 200, description = "The customer.", body = CustomerView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 404, description = "`customer_not_found`."),
    )
)]
async fn by_email(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(query): ValidQuery<EmailQuery>,
) -> Result<Tagged<CustomerView>, ApiError> {
    customer::by_email(&state, &admin.app_or_default(), &query.email).await
}

/// Lists customers.
#[utoipa::path(
    get,
    path = "/customers",
    params(PagingQuery, ListQuery),
    responses((status = 200, description = "Customers, the newest first.", body = List<CustomerView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Listing { paging, filter }: Listing<ListQuery>,
) -> Result<Json<List<CustomerView>>, ApiError> {
    let part = listed(&state, &admin.app_or_default(), &filter, &paging).await?;
    paging.answer(part)
}

/// Changes a customer.
///
/// Only the given fields change; null clears a field.
#[utoipa::path(
    method(put, patch),
    path = "/customers/{id}",
    params(IfMatchHeader),
    request_body = ProfileChangeWithReason,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer; `customer_deleted`: it takes no changes."),
    )
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    CheckedJson(Reasoned {
        body: change,
        reason,
    }): CheckedJson<ProfileChangeWithReason>,
) -> Result<Tagged<ActedView>, ApiError> {
    let (order, id) = (order_of(&admin, &state).because(reason), customer_id(&id)?);
    let same_email = SameEmail::Refused;
    let updated =
        customers::update(&state.store, &order, &id, &change, same_email, &only_if).await?;
    Ok(ActedView::tagged(&order.app, updated))
}

/// Deletes a customer with all that belongs to it.
#[utoipa::path(
    delete,
    path = "/customers/{id}",
    params(ReasonQuery, DeleteQuery, IfMatchHeader),
    responses((status = 204, description = "Deleted."))
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidQuery(query): ValidQuery<DeleteQuery>,
    IfMatch(only_if): IfMatch,
) -> Result<StatusCode, ApiError> {
    let deletion = query.deletion()?;
    let (order, id) = (order_of(&admin, &state), customer_id(&id)?);
    customers::delete(&state.store, &order, &id, deletion, &only_if).await?;
    Ok(StatusCode::NO_CONTENT)
}
