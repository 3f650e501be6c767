//! Customers of a merchant.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::stream;
use super::view::{CustomerBody, MerchantCustomer, NOT_FOUND, PLACE};
use crate::domain::customer::profile::ProfileChange;
use crate::http::api::{customer_id, order_of};
use crate::http::input::CheckedJson;
use crate::http::location::Location;
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, CustomerError, Deletion};

const EMAIL_MISSING: &str = "Email is required";
const TAKEN_AT_CREATION: &str = "A customer with this email already exists";
const TAKEN_AT_CHANGE: &str = "Another customer with this email already exists. \
                               Use dangerouslyAllowSameEmailForDifferentCustomers to allow.";

/// The same, and why.
type BodyWithReason = Reasoned<CustomerBody>;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete));
    let about = "Customers of a merchant, in camel case; every refusal is `{\"error\": …}`.";
    openapi::resource("merchant-customers", about, routes)
}

/// One customer.
#[derive(Serialize, ToSchema)]
#[schema(as = MerchantCustomerAnswer)]
struct CustomerAnswer {
    customer: MerchantCustomer,
}

/// All customers, however many there are.
#[derive(ToSchema)]
#[schema(as = MerchantCustomerList)]
#[expect(
    dead_code,
    reason = "the list is written as it is read, and never held"
)]
struct CustomersAnswer {
    customers: Vec<MerchantCustomer>,
}

/// The query of the list, which is always whole.
#[derive(Deserialize)]
struct NoParameters {}

/// A success that leaves nothing to show.
#[derive(Serialize, ToSchema)]
#[schema(as = MerchantSuccess)]
struct SuccessAnswer {
    success: bool,
}

fn not_found() -> ApiError {
    ApiError::not_found("customer_not_found", NOT_FOUND)
}

/// Says of a customer that cannot be shown or changed that it does not exist: another merchant's,
/// a merged or a deleted one.
fn hidden(error: ApiError) -> ApiError {
    match error.status() {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => not_found(),
        _ => error,
    }
}

/// Puts the reason why a customer was not made or changed into this dialect's words.
fn refused(error: CustomerError, taken: &'static str) -> ApiError {
    match error {
        CustomerError::EmailTaken { .. } => ApiError::conflict("email_taken", taken),
        CustomerError::Act(_) => not_found(),
        CustomerError::Stale(error) => error.into(),
        // What is invalid was refused when the body was read.
        CustomerError::Invalid { .. }
        | CustomerError::ExternalIdTaken { .. }
        | CustomerError::IdentityConflict { .. }
        | CustomerError::NoAccount { .. }
        | CustomerError::AccountAmbiguous
        | CustomerError::Store(_)
        | CustomerError::Random(_) => error.into(),
    }
}

/// 400 for an address that is missing or empty.
fn email_missing() -> ApiError {
    ApiError::BadRequest {
        code: "email_missing",
        detail: EMAIL_MISSING.into(),
    }
}

/// Lists all customers of a merchant.
#[utoipa::path(
    get,
    path = "/",
    responses(
        (status = 200, description = "All of them, the newest first.", body = CustomersAnswer),
        (status = 400, description = "A parameter: there are none."),
    )
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(NoParameters {}): ValidQuery<NoParameters>,
) -> Result<impl IntoResponse, ApiError> {
    let customers = stream::customers(state.store.clone(), admin.app_or_default()).await?;
    Ok((
        [(CONTENT_TYPE, "application/json")],
        Body::from_stream(customers),
    ))
}

/// Shows a customer of a merchant.
#[utoipa::path(
    get,
    path = "/{id}",
    responses((status = 200, description = "The customer.", body = CustomerAnswer, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<(Tag, Json<CustomerAnswer>), ApiError> {
    let app = admin.app_or_default();
    let id = customer_id(&id).map_err(hidden)?;
    let found = customers::find_living(&state.store, &app, &id).await;
    let customer = found.map_err(|error| hidden(error.into()))?;
    let tag = Tag(customer.state_tag());
    let customer = MerchantCustomer::of(&app, customer);
    Ok((tag, Json(CustomerAnswer { customer })))
}

/// Creates a customer of a merchant.
#[utoipa::path(
    post,
    path = "/",
    request_body = BodyWithReason,
    responses(
        (status = 201, description = "The customer.", body = CustomerAnswer, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 400, description = "Not JSON, no e-mail address, or `details` says which fields are wrong or unknown."),
        (status = 409, description = "Another customer has the e-mail address, and that is not allowed."),
        (status = 422, description = "The `Idempotency-Key` came with another request."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    CheckedJson(Reasoned { body, reason }): CheckedJson<BodyWithReason>,
) -> Result<(StatusCode, Location, Tag, Json<CustomerAnswer>), ApiError> {
    if body.email.is_none() || body.takes_email_away() {
        return Err(email_missing());
    }
    let order = order_of(&admin, &state).because(reason);
    let same_email = body.same_email();
    let made = customers::create(&state.store, &order, &body.into(), same_email).await;
    let made = made.map_err(|error| refused(error, TAKEN_AT_CREATION))?;
    let location = Location::below(PLACE, [made.customer.id.as_str()]);
    let tag = Tag(made.customer.state_tag());
    let customer = MerchantCustomer::of(&order.app, made.customer);
    let answer = Json(CustomerAnswer { customer });
    Ok((StatusCode::CREATED, location, tag, answer))
}

/// Changes a customer of a merchant.
///
/// Only the given fields change; null clears a field.
#[utoipa::path(
    post,
    path = "/{id}",
    params(IfMatchHeader),
    request_body = BodyWithReason,
    responses(
        (status = 200, description = "The customer.", body = CustomerAnswer),
        (status = 400, description = "Not JSON, an empty e-mail address, or `details` says which fields are wrong or unknown."),
        (status = 409, description = "Another customer has the e-mail address, and that is not allowed."),
        (status = 422, description = "The `Idempotency-Key` came with another request."),
    )
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
    CheckedJson(Reasoned { body, reason }): CheckedJson<BodyWithReason>,
) -> Result<(Tag, Json<CustomerAnswer>), ApiError> {
    if body.takes_email_away() {
        return Err(email_missing());
    }
    let id = customer_id(&id).map_err(hidden)?;
    let order = order_of(&admin, &state).because(reason);
    let same_email = body.same_email();
    let change = ProfileChange::from(body);
    let updated = customers::update(&state.store, &order, &id, &change, same_email, &only_if).await;
    let updated = updated.map_err(|error| refused(error, TAKEN_AT_CHANGE))?;
    let tag = Tag(updated.customer.state_tag());
    let customer = MerchantCustomer::of(&order.app, updated.customer);
    Ok((tag, Json(CustomerAnswer { customer })))
}

/// Deletes a customer of a merchant softly.
#[utoipa::path(
    delete,
    path = "/{id}",
    params(ReasonQuery, IfMatchHeader),
    responses((status = 200, description = "Deleted.", body = SuccessAnswer))
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    IfMatch(only_if): IfMatch,
) -> Result<Json<SuccessAnswer>, ApiError> {
    let (order, id) = (order_of(&admin, &state), customer_id(&id).map_err(hidden)?);
    let deleted = customers::delete(&state.store, &order, &id, Deletion::Soft, &only_if).await;
    if deleted.map_err(|error| refused(error, TAKEN_AT_CHANGE))? {
        Ok(Json(SuccessAnswer { success: true }))
    } else {
        Err(not_found())
    }
}
