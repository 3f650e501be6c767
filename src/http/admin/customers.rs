//! Customers: making, finding, changing and deleting them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{Filters, List, Listing, Paging, PagingQuery};
use super::view::{self, CustomerView};
use super::{FieldErrors, instant, order_of, problem, shown_customer, yes_or_no};
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::http::input::CheckedJson;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, Acted, Created, Deletion, GotOrCreated, SameEmail};
use crate::pipeline::order::Order;
use crate::store::{CustomerFilter, Listed, Match};

/// Longest text that is searched for, in bytes: the longest e-mail address of a provider.
const MAX_SEARCH: usize = 512;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get_or_create))
        .routes(routes!(by_external))
        .routes(routes!(by_external_id))
        .routes(routes!(by_email))
        .routes(routes!(show, update, delete));
    openapi::resource("customers", "Who has access.", routes)
}

/// A customer that was just made, with the one showing of its token.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedCustomer)]
pub(in crate::http) struct CreatedView {
    #[serde(flatten)]
    customer: CustomerView,
    /// An access token. It is shown only here.
    token: String,
}

/// A customer after an act.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomer)]
pub(in crate::http) struct ActedView {
    #[serde(flatten)]
    customer: CustomerView,
    /// False if it was so before.
    changed: bool,
}

/// Dresses a customer after an act.
pub(in crate::http) async fn acted(
    state: &AppState,
    app: &AppSlug,
    acted: Acted,
) -> Result<Json<ActedView>, ApiError> {
    let customer = dressed(state, app, acted.customer).await?;
    Ok(Json(ActedView {
        customer,
        changed: acted.changed,
    }))
}

async fn dressed(
    state: &AppState,
    app: &AppSlug,
    customer: Customer,
) -> Result<CustomerView, ApiError> {
    let mut tx = state.store.read().await?;
    Ok(view::customer(&mut tx, app, customer).await?)
}

/// Dresses a customer that was just made.
pub(in crate::http) async fn created(
    state: &AppState,
    app: &AppSlug,
    created: Created,
) -> Result<(StatusCode, Json<CreatedView>), ApiError> {
    let customer = dressed(state, app, created.customer).await?;
    let token = created.token.expose().to_owned();
    Ok((StatusCode::CREATED, Json(CreatedView { customer, token })))
}

/// Makes a customer.
#[utoipa::path(
    post,
    path = "/customers",
    request_body = ProfileChange,
    responses(
        (status = 201, description = "The customer, with its first access token.", body = CreatedView),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    CheckedJson(change): CheckedJson<ProfileChange>,
) -> Result<(StatusCode, Json<CreatedView>), ApiError> {
    let order = order_of(&admin, &state);
    let made = customers::create(&state.store, &order, &change, SameEmail::Refused).await?;
    created(&state, &order.app, made).await
}

/// A customer that was there, or one that was made.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::http) enum FoundOrMade {
    Found(Box<CustomerView>),
    Made(Box<CreatedView>),
}

/// Finds a customer by external id, then by e-mail address, or makes it.
///
/// Whoever asks at the same time gets the same customer.
#[utoipa::path(
    post,
    path = "/customers/get-or-create",
    request_body = ProfileChange,
    responses(
        (status = 200, description = "The customer that was there.", body = CustomerView),
        (status = 201, description = "The customer that was made.", body = CreatedView),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer."),
    )
)]
async fn get_or_create(
    State(state): State<AppState>,
    admin: Admin,
    CheckedJson(change): CheckedJson<ProfileChange>,
) -> Result<(StatusCode, Json<FoundOrMade>), ApiError> {
    found_or_made(&state, &order_of(&admin, &state), &change).await
}

/// Gets or makes a customer, and dresses it.
pub(in crate::http) async fn found_or_made(
    state: &AppState,
    order: &Order,
    change: &ProfileChange,
) -> Result<(StatusCode, Json<FoundOrMade>), ApiError> {
    match customers::get_or_create(&state.store, order, change).await? {
        GotOrCreated::Got(customer) => {
            let customer = dressed(state, &order.app, *customer).await?;
            Ok((StatusCode::OK, Json(FoundOrMade::Found(Box::new(customer)))))
        }
        GotOrCreated::Created(made) => {
            let (status, Json(made)) = created(state, &order.app, *made).await?;
            Ok((status, Json(FoundOrMade::Made(Box::new(made)))))
        }
    }
}

/// By what a customer is looked up.
pub(in crate::http) enum Named<'a> {
    /// Its own id.
    Id(&'a str),
    /// An external id or the id of a billing account, in any spelling.
    External(&'a str),
    /// An e-mail address, in whatever case.
    Email(&'a str),
}

/// Finds a customer, and dresses it.
pub(in crate::http) async fn found(
    state: &AppState,
    app: &AppSlug,
    named: Named<'_>,
) -> Result<Json<CustomerView>, ApiError> {
    let mut tx = state.store.read().await?;
    let found = match named {
        Named::Id(id) => Some(shown_customer(&mut tx, app, id).await?),
        Named::External(external_id) => {
            tx.customer_find_by_external(app, external_id, Match::Loose)
                .await?
        }
        Named::Email(email) => {
            // A `+` that was not encoded arrives as a blank, and no address has one.
            let email = email.trim().replace(' ', "+");
            tx.customer_find_by_email(app, &email, Match::Loose).await?
        }
    };
    let customer = found.ok_or_else(problem::customer_not_found)?;
    Ok(Json(view::customer(&mut tx, app, customer).await?))
}

/// Shows a customer.
#[utoipa::path(
    get,
    path = "/customers/{id}",
    responses((status = 200, description = "The customer.", body = CustomerView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<CustomerView>, ApiError> {
    found(&state, &admin.app_or_default(), Named::Id(&id)).await
}

/// Finds a customer by its external id or billing account.
#[utoipa::path(
    get,
    path = "/customers/by-external/{external_id}",
    responses((status = 200, description = "The customer.", body = CustomerView))
)]
async fn by_external(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(external_id): ValidPath<String>,
) -> Result<Json<CustomerView>, ApiError> {
    let named = Named::External(&external_id);
    found(&state, &admin.app_or_default(), named).await
}

/// Whom to look up by an external id.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExternalIdQuery {
    /// As in the path of `by-external`.
    pub(in crate::http) external_id: String,
}

/// Finds a customer by its external id or billing account, given in the query.
#[utoipa::path(
    get,
    path = "/customers/by-external-id",
    params(ExternalIdQuery),
    responses(
        (status = 200, description = "The customer.", body = CustomerView),
        (status = 404, description = "`customer_not_found`."),
    )
)]
async fn by_external_id(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(query): ValidQuery<ExternalIdQuery>,
) -> Result<Json<CustomerView>, ApiError> {
    let named = Named::External(&query.external_id);
    found(&state, &admin.app_or_default(), named).await
}

/// Whom to look up by an e-mail address.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct EmailQuery {
    /// The whole address.
    pub(in crate::http) email: String,
}

/// Finds a customer by its e-mail address, in any case.
#[utoipa::path(
    get,
    path = "/customers/by-email",
    params(EmailQuery),
    responses(
        (status = 200, description = "The customer.", body = CustomerView),
        (status = 404, description = "`customer_not_found`."),
    )
)]
async fn by_email(
    State(state): State<AppState>,
    admin: Admin,
    ValidQuery(query): ValidQuery<EmailQuery>,
) -> Result<Json<CustomerView>, ApiError> {
    let named = Named::Email(&query.email);
    found(&state, &admin.app_or_default(), named).await
}

/// The filters of the list. Texts throughout, so that each has its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListQuery {
    /// A part of the e-mail address.
    #[param(max_length = 512)]
    email: Option<String>,
    /// The whole external id.
    external_id: Option<String>,
    /// The whole id of the user.
    user_id: Option<String>,
    #[param(schema_with = words::status)]
    status: Option<String>,
    /// A part of a name, an address or an id.
    #[param(max_length = 512)]
    q: Option<String>,
    /// Only those that were made later than this time. Empty, as a form sends it, it says nothing.
    #[param(example = "2026-01-31T09:30:00Z")]
    created_after: Option<String>,
    /// Only those with an access token, or without.
    #[param(value_type = Option<bool>)]
    has_token: Option<String>,
    /// Also those that were deleted softly.
    #[param(value_type = Option<bool>)]
    include_deleted: Option<String>,
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
    Ok(paging.answer(part))
}

/// Part of the list, dressed.
pub(in crate::http) async fn listed(
    state: &AppState,
    app: &AppSlug,
    filter: &CustomerFilter,
    paging: &Paging,
) -> Result<Listed<CustomerView>, ApiError> {
    let mut tx = state.store.read().await?;
    let Listed { rows, total, next } = tx.customer_list(app, filter, &paging.0).await?;
    let rows = view::customers(&mut tx, app, rows).await?;
    Ok(Listed { rows, total, next })
}

/// `?email=` is what a form sends that leaves a field empty.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A text that is searched for.
fn searched(field: &str, text: Option<String>) -> Result<Option<String>, FieldError> {
    // Engines refuse patterns beyond some length, and nothing that is searched is longer.
    match text {
        Some(text) if text.len() > MAX_SEARCH => {
            let message = format!("must be at most {MAX_SEARCH} bytes long");
            Err(FieldError::new(field, message))
        }
        text => Ok(filled(text)),
    }
}

fn status(text: Option<String>) -> Result<Option<String>, FieldError> {
    match filled(text) {
        Some(word) if !Status::WORDS.contains(&word.as_str()) => {
            let message = "must be active, suspended, frozen or expired";
            Err(FieldError::new("status", message))
        }
        word => Ok(word),
    }
}

impl Filters for ListQuery {
    type Filter = CustomerFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> CustomerFilter {
        let created_after = filled(self.created_after);
        let created_after = created_after.map(|text| instant("created_after", &text));
        let has_token = yes_or_no("has_token", self.has_token.as_deref());
        let include_deleted = yes_or_no("include_deleted", self.include_deleted.as_deref());
        CustomerFilter {
            email: field_errors.note(searched("email", self.email)).flatten(),
            external_id: filled(self.external_id),
            user_id: filled(self.user_id),
            status: field_errors.note(status(self.status)).flatten(),
            text: field_errors.note(searched("q", self.q)).flatten(),
            created_after: created_after.and_then(|it| field_errors.note(it)),
            has_token: field_errors.note(has_token).flatten(),
            include_deleted: field_errors
                .note(include_deleted)
                .flatten()
                .unwrap_or_default(),
        }
    }
}

/// Changes a customer.
///
/// Only the given fields change; null clears.
#[utoipa::path(
    method(put, patch),
    path = "/customers/{id}",
    request_body = ProfileChange,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`email_taken` or `external_id_taken`: it belongs to another customer; `customer_deleted`: it takes no changes."),
    )
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    CheckedJson(change): CheckedJson<ProfileChange>,
) -> Result<Json<ActedView>, ApiError> {
    let (order, id) = (order_of(&admin, &state), super::customer_id(&id)?);
    let updated = customers::update(&state.store, &order, &id, &change, SameEmail::Refused).await?;
    acted(&state, &order.app, updated).await
}

// A misspelt `soft` must not delete for good.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Whether to keep the row, with `deleted_at`.
    #[param(value_type = Option<bool>)]
    soft: Option<String>,
}

/// Deletes a customer with all that belongs to it.
#[utoipa::path(
    delete,
    path = "/customers/{id}",
    params(DeleteQuery),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidQuery(query): ValidQuery<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let soft = yes_or_no("soft", query.soft.as_deref())
        .map_err(|error| ApiError::invalid_query(vec![error]))?;
    let deletion = if soft == Some(true) {
        Deletion::Soft
    } else {
        Deletion::Permanent
    };
    let (order, id) = (order_of(&admin, &state), super::customer_id(&id)?);
    customers::delete(&state.store, &order, &id, deletion).await?;
    Ok(StatusCode::NO_CONTENT)
}
