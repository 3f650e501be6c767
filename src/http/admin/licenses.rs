//! Licences of customers. What makes one valid is in [`domain::access::license`](crate::domain::access::license).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{Filters, List, Listing, Paging, PagingQuery};
use super::operations::{EmptyBody, ReasonBody};
use super::{FieldErrors, checked, end, order_of, problem, shown_customer, word_of};
use crate::domain::access::license::{License, LicenseCode, LicenseStatus};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::time::Timestamp;
use crate::domain::validate::{self, FieldError};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, Reading, ValidJson, ValidPath};
use crate::pipeline::licenses::{self, Judged, LicenseOrder};
use crate::pipeline::order::Order;
use crate::store::{LicenseFilter, Listed, StoreError, Tx, Window};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(show))
        .routes(routes!(revoke))
        .routes(routes!(reinstate))
        .routes(routes!(of_customer));
    openapi::resource("licenses", "Keys that customers were sold.", routes)
}

/// A licence, as it counts now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = License)]
pub(in crate::http) struct LicenseView {
    id: String,
    app: String,
    /// Whose it is now.
    customer_id: String,
    product: String,
    key: String,
    /// What it is by itself: `active`, `revoked` or `expired`.
    #[schema(schema_with = words::license_status)]
    status: &'static str,
    /// Whether it opens anything now: it is active, and its customer's status allows.
    valid: bool,
    #[schema(schema_with = words::license_code)]
    code: LicenseCode,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    revoked_reason: Option<String>,
}

impl LicenseView {
    fn of(app: &AppSlug, license: License, customer: &Customer, now: Timestamp) -> Self {
        let code = license.judge(customer, now);
        let status = license.status(now).as_str();
        let (revoked_at, revoked_reason) = license
            .revoked
            .map_or((None, None), |it| (Some(it.at.to_string()), it.reason));
        Self {
            id: license.id.into(),
            app: app.to_string(),
            customer_id: customer.id.to_string(),
            product: license.product,
            key: license.key,
            status,
            valid: code.is_valid(),
            code,
            metadata: license.metadata,
            created_at: license.created_at.to_string(),
            expires_at: license.expires_at.map(|at| at.to_string()),
            revoked_at,
            revoked_reason,
        }
    }
}

/// A licence after an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedLicense)]
pub(in crate::http) struct OrderedLicenseView {
    #[serde(flatten)]
    license: LicenseView,
    changed: bool,
}

/// Whether a key is valid, and what it is for.
#[derive(Serialize, ToSchema)]
#[schema(as = LicenseValidation)]
pub(in crate::http) struct ValidationView {
    valid: bool,
    #[schema(schema_with = words::license_code)]
    code: LicenseCode,
    license_id: Option<String>,
    product: Option<String>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    customer_id: Option<String>,
    customer_status: Option<&'static str>,
    /// For a frozen customer: what came out later is not part of what it keeps.
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
}

impl From<Judged> for ValidationView {
    fn from(judged: Judged) -> Self {
        let code = judged.code;
        let (license, customer) = judged.license.unzip();
        let shown = customer.as_ref().map(|it| &it.derived);
        let expires_at = license.as_ref().and_then(|it| it.expires_at);
        let frozen_at = shown.and_then(|it| it.frozen_at);
        Self {
            valid: code.is_valid(),
            code,
            expires_at: expires_at.map(|at| at.to_string()),
            customer_status: shown.map(|it| it.status.as_str()),
            frozen_at: frozen_at.map(|at| at.to_string()),
            customer_id: customer.map(|it| it.id.into()),
            license_id: license.as_ref().map(|it| it.id.to_string()),
            product: license.map(|it| it.product),
        }
    }
}

/// The filters of the list. Texts throughout, so that each has its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct LicenseQuery {
    /// Only those of this customer.
    customer_id: Option<String>,
    /// The whole name of the product.
    product: Option<String>,
    #[param(schema_with = words::license_status)]
    status: Option<String>,
    /// The whole key.
    key: Option<String>,
}

impl Filters for LicenseQuery {
    type Filter = LicenseFilter;

    fn filter(self, now: Timestamp, field_errors: &mut FieldErrors) -> LicenseFilter {
        let customer = word_of("customer_id", self.customer_id);
        let customer: Option<Option<CustomerId>> = field_errors.note(customer);
        let status: Option<Option<LicenseStatus>> =
            field_errors.note(word_of("status", self.status));
        LicenseFilter {
            customer: customer.flatten(),
            product: self.product,
            status: status.flatten().map(|status| (status, now)),
            key: self.key,
        }
    }
}

/// A licence to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LicenseBody {
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    customer_id: String,
    /// What it is for. One line.
    #[schema(min_length = 1, max_length = 255, examples("acme-desktop"))]
    product: String,
    /// A key that was sold elsewhere; made here unless given.
    key: Option<String>,
    /// When it ends; never unless given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Anything, as an object of at most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl LicenseBody {
    /// What is ordered, and for whom. The customer is looked up, because a body may name anybody.
    async fn check(self, tx: &mut Tx, order: &Order) -> Result<(LicenseOrder, Customer), ApiError> {
        let mut field_errors = FieldErrors::default();
        let customer = holder(tx, &order.app, &self.customer_id).await?;
        let customer = field_errors.note(customer);
        let product = field_errors.note(checked("product", validate::line(&self.product)));
        let key = self
            .key
            .and_then(|key| field_errors.note(checked("key", validate::license_key(&key))));
        let end = end("expires_at", self.expires_at.as_deref(), order.now);
        let expires_at = field_errors.note(end).flatten();
        let metadata = self
            .metadata
            .and_then(|it| field_errors.note(checked("metadata", validate::metadata(&it))));
        let (customer, product) = field_errors.finish(customer.zip(product))?;
        if customer.deleted_at.is_some() {
            return Err(problem::customer_deleted());
        }
        let wanted = LicenseOrder {
            customer: customer.id.clone(),
            product,
            key,
            expires_at,
            metadata: metadata.unwrap_or_default(),
        };
        Ok((wanted, customer))
    }
}

/// The customer that a body names: the store's error outside, what is wrong with the field
/// inside.
async fn holder(
    tx: &mut Tx,
    app: &AppSlug,
    id: &str,
) -> Result<Result<Customer, FieldError>, StoreError> {
    let wrong = |message: String| Err(FieldError::new("customer_id", message));
    let found = match id.parse() {
        Ok(id) => tx.customer_find(app, &id).await?,
        Err(_) => None,
    };
    Ok(match found {
        None => wrong("must be the id of a customer".to_owned()),
        Some(Customer {
            merged_into: Some(into),
            ..
        }) => wrong(format!("turned out to be the same customer as {into}")),
        Some(customer) => Ok(customer),
    })
}

/// A key to look up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct KeyBody {
    key: String,
}

fn license_not_found() -> ApiError {
    ApiError::not_found("license_not_found", "there is no such licence")
}

/// A licence of a path, and whose it is now.
async fn known(tx: &mut Tx, app: &AppSlug, id: &str) -> Result<(License, Customer), ApiError> {
    let id: LicenseId = id.parse().map_err(|_| license_not_found())?;
    let found = tx.license_find(app, &id).await?;
    let license = found.ok_or_else(license_not_found)?;
    let mut customers = tx.customers_of_rows(app, [&license.customer]).await?;
    let customer = customers.remove(&license.customer);
    Ok((license, customer.ok_or_else(license_not_found)?))
}

/// Part of the licences of an app.
pub(in crate::http) async fn list_in(
    state: &AppState,
    app: &AppSlug,
    filter: &LicenseFilter,
    window: &Window,
) -> Result<Listed<LicenseView>, ApiError> {
    let now = state.clock.now();
    let mut tx = state.store.read().await?;
    Ok(dressed(&mut tx, app, filter, window, now).await?)
}

async fn dressed(
    tx: &mut Tx,
    app: &AppSlug,
    filter: &LicenseFilter,
    window: &Window,
    now: Timestamp,
) -> Result<Listed<LicenseView>, StoreError> {
    let Listed { rows, total, next } = tx.license_list(app, filter, window).await?;
    let customers = tx
        .customers_of_rows(app, rows.iter().map(|it| &it.customer))
        .await?;
    let view = |license: License| {
        let customer = customers.get(&license.customer)?;
        Some(LicenseView::of(app, license, customer, now))
    };
    let rows = rows.into_iter().filter_map(view).collect();
    Ok(Listed { rows, total, next })
}

/// Makes a licence.
pub(in crate::http) async fn create_in(
    state: &AppState,
    order: &Order,
    body: LicenseBody,
) -> Result<LicenseView, ApiError> {
    let mut tx = state.store.begin_in(&order.app).await?;
    let (wanted, customer) = body.check(&mut tx, order).await?;
    let license = licenses::issue(&mut tx, order, wanted).await?;
    tx.commit().await?;
    Ok(LicenseView::of(&order.app, license, &customer, order.now))
}

/// A licence.
pub(in crate::http) async fn show_in(
    state: &AppState,
    app: &AppSlug,
    id: &str,
) -> Result<LicenseView, ApiError> {
    let mut tx = state.store.read().await?;
    let (license, customer) = known(&mut tx, app, id).await?;
    Ok(LicenseView::of(app, license, &customer, state.clock.now()))
}

/// Takes a licence back.
pub(in crate::http) async fn revoke_in(
    state: &AppState,
    order: &Order,
    id: &str,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<OrderedLicenseView, ApiError> {
    let reason = ReasonBody::of(body)?;
    let mut tx = state.store.begin_in(&order.app).await?;
    let (mut license, customer) = known(&mut tx, &order.app, id).await?;
    let changed = licenses::revoke(&mut tx, order, &mut license, reason).await?;
    tx.commit().await?;
    let license = LicenseView::of(&order.app, license, &customer, order.now);
    Ok(OrderedLicenseView { license, changed })
}

/// Gives a licence back. Refused while its customer is deleted: it would be valid again for
/// nobody.
pub(in crate::http) async fn reinstate_in(
    state: &AppState,
    order: &Order,
    id: &str,
) -> Result<OrderedLicenseView, ApiError> {
    let mut tx = state.store.begin_in(&order.app).await?;
    let (mut license, customer) = known(&mut tx, &order.app, id).await?;
    if customer.deleted_at.is_some() {
        return Err(problem::customer_deleted());
    }
    let changed = licenses::reinstate(&mut tx, order, &mut license).await?;
    tx.commit().await?;
    let license = LicenseView::of(&order.app, license, &customer, order.now);
    Ok(OrderedLicenseView { license, changed })
}

/// Whether a key is valid. Blanks around it, which copying leaves there, do not count.
pub(in crate::http) async fn validate_in(
    state: &AppState,
    app: &AppSlug,
    body: &KeyBody,
) -> Result<ValidationView, ApiError> {
    let (key, now) = (body.key.trim(), state.clock.now());
    let mut tx = state.store.read().await?;
    let judged = licenses::validate(&mut tx, app, key, now).await?;
    Ok(judged.into())
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
    let part = list_in(&state, &admin.app_or_default(), &filter, &paging.0).await?;
    Ok(paging.answer(part))
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
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let filter = LicenseFilter {
        customer: Some(customer.id),
        ..LicenseFilter::default()
    };
    let part = dressed(&mut tx, &app, &filter, &paging.0, state.clock.now()).await?;
    Ok(paging.answer(part))
}

/// Makes a licence for a customer.
#[utoipa::path(
    post,
    path = "/licenses",
    request_body = LicenseBody,
    responses(
        (status = 201, description = "The licence.", body = LicenseView),
        (status = 409, description = "`license_key_taken` or `customer_deleted`."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<LicenseBody>,
) -> Result<(StatusCode, Json<LicenseView>), ApiError> {
    let made = create_in(&state, &order_of(&admin, &state), body).await?;
    Ok((StatusCode::CREATED, Json(made)))
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

/// Takes a licence back.
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

/// Gives a licence back.
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

/// Tells whether a key is valid. A viewer is enough.
#[utoipa::path(
    post,
    path = "/licenses/validate",
    request_body = KeyBody,
    responses((status = 200, description = "Whether, and why.", body = ValidationView))
)]
async fn validate(
    State(state): State<AppState>,
    Reading(admin): Reading,
    ValidJson(body): ValidJson<KeyBody>,
) -> Result<Json<ValidationView>, ApiError> {
    let app = admin.app_or_default();
    Ok(Json(validate_in(&state, &app, &body).await?))
}
