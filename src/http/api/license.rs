//! Licences as the admin API and the dialect of apps show them, and what can be done with them.
//! The rules of validity are in [`domain::access::license`](crate::domain::access::license).

pub(in crate::http) mod activation;
pub(in crate::http) mod change;
pub(in crate::http) mod issue;
pub(in crate::http) mod validation;

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::license_source::LicenseSourceView;
use super::list::Filters;
use super::{list, problem};
use crate::domain::access::license::{LicenseCode, LicenseStatus};
use crate::domain::access::license_key::TypedKey;
use crate::domain::access::plan::Plans;
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::precondition::Precondition;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::http::field_errors::{FieldErrors, word_of};
use crate::http::openapi::words;
use crate::http::precondition::{Tag, Tagged};
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses::{self, Changed, LicenseError, LicensePage, OwnedLicense};
use crate::pipeline::order::Order;
use crate::store::{LicenseFilter, Listed, SealedLicense, Window};
use crate::vault::Vault;

/// A licence and its validity now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = License)]
pub(in crate::http) struct LicenseView {
    id: String,
    app: String,
    /// The customer who holds it now.
    customer_id: String,
    product: String,
    /// Null if it was sealed with a key that is not set any more (`tollgate rotate-key`). The licence
    /// is found by it and valid all the same.
    #[schema(examples("0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8"))]
    key: Option<String>,
    /// Its own state, whoever holds it: `active`, `revoked` or `expired`.
    #[schema(schema_with = words::license_status)]
    status: &'static str,
    /// True if it opens something now: it is active, and its customer's status allows it.
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
    /// How many activations it may have at once, by itself or by the plan that gives it; null: as many
    /// as are wanted.
    #[schema(minimum = 1, maximum = 10_000)]
    activations_limit: Option<u32>,
    /// How many it has.
    activations: u64,
    /// What it was bought with; null for one that an admin issued.
    source: Option<LicenseSourceView>,
}

impl LicenseView {
    /// Returns its id.
    pub(in crate::http) fn id(&self) -> &str {
        &self.id
    }

    /// A licence in the hands of a customer.
    fn of(
        vault: &Vault,
        app: &AppSlug,
        SealedLicense {
            license, sealed, ..
        }: SealedLicense,
        activations: u64,
        (customer, plans): (&Customer, &Plans),
        now: Timestamp,
    ) -> Self {
        let source = LicenseSourceView::of(&license, customer, plans);
        let key = licenses::key_of(vault, app, &license.id, &sealed);
        let code = license.judge(customer, plans, now);
        let status = license.status(now).as_str();
        let activations_limit = license.activations_allowed(customer, plans);
        let (revoked_at, revoked_reason) = license
            .revoked
            .map_or((None, None), |it| (Some(it.at.to_string()), it.reason));
        Self {
            id: license.id.into(),
            app: app.to_string(),
            customer_id: customer.id.to_string(),
            product: license.product,
            key,
            status,
            valid: code.is_valid(),
            code,
            metadata: license.metadata,
            created_at: license.created_at.to_string(),
            expires_at: license.expires_at.map(|at| at.to_string()),
            revoked_at,
            revoked_reason,
            activations_limit,
            activations,
            source,
        }
    }
}

/// A licence after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedLicense)]
pub(in crate::http) struct OrderedLicenseView {
    #[serde(flatten)]
    license: LicenseView,
    changed: bool,
}

impl OrderedLicenseView {
    fn tagged(
        state: &AppState,
        order: &Order,
        Changed { owned, changed }: Changed,
    ) -> Tagged<Self> {
        let (tag, Json(license)) = tagged(state, &order.app, owned, order.now);
        (tag, Json(Self { license, changed }))
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct LicenseQuery {
    /// Only licences of this customer.
    customer_id: Option<String>,
    /// The whole name of the product.
    product: Option<String>,
    #[param(schema_with = words::license_status)]
    status: Option<String>,
    /// The whole key. One that was made here is found however it is typed.
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
            key: self.key.as_deref().map(TypedKey::read),
        }
    }
}

/// The fault of a body that names a customer who is not there.
fn no_customer(error: &ActError) -> FieldError {
    let message = match error {
        ActError::Merged { into } => format!("turned out to be the same customer as {into}"),
        ActError::Unknown | ActError::Deleted | ActError::UnknownAccount => {
            "must be the id of a customer".to_owned()
        }
    };
    FieldError::new("customer_id", message)
}

fn license_not_found() -> ApiError {
    ApiError::not_found("license_not_found", "there is no such licence")
}

impl From<LicenseError> for ApiError {
    fn from(error: LicenseError) -> Self {
        match error {
            LicenseError::NotFound => license_not_found(),
            LicenseError::KeyTaken => {
                Self::conflict("license_key_taken", "another licence has this key")
            }
            LicenseError::NoCustomer(error) => Self::invalid(vec![no_customer(&error)]),
            LicenseError::CustomerDeleted => problem::customer_deleted(),
            LicenseError::TooLate => Self::invalid_field("days", error.to_string()),
            LicenseError::Endless => Self::conflict("license_endless", error.to_string()),
            LicenseError::EndsLater(end) => Self::invalid(vec![FieldError::new(
                "expires_at",
                format!("must not be before the present end, {end}"),
            )]),
            LicenseError::Bought => Self::conflict("license_bought", error.to_string()),
            LicenseError::Invalid(code) => Self::conflict(code.as_str(), error.to_string()),
            LicenseError::Full { .. } => Self::conflict("activations_full", error.to_string()),
            LicenseError::NotActive => Self::not_found("activation_not_found", error.to_string()),
            LicenseError::Stale(error) => error.into(),
            LicenseError::TooMany => Self::conflict("licenses_too_many", error.to_string()),
            LicenseError::Store(error) => error.into(),
            LicenseError::Random(error) => error.into(),
            LicenseError::Vault(error) => error.into(),
        }
    }
}

/// A licence's id from a path. A text that is no id names no licence.
fn license_id(text: &str) -> Result<LicenseId, ApiError> {
    text.parse().map_err(|_| license_not_found())
}

/// Lists part of an app's licences.
pub(in crate::http) async fn list_in(
    state: &AppState,
    app: &AppSlug,
    filter: &LicenseFilter,
    window: &Window,
) -> Result<Listed<LicenseView>, ApiError> {
    let page = licenses::list(&state.store, app, filter, window).await?;
    Ok(listed(&state.vault, app, page, state.clock.now()))
}

/// Some licences. One whose customer is gone is left out.
pub(in crate::http) fn listed(
    vault: &Vault,
    app: &AppSlug,
    page: LicensePage,
    now: Timestamp,
) -> Listed<LicenseView> {
    let view = |found: SealedLicense| {
        let customer = page.customers.get(&found.license.customer)?;
        let activations = page.activations.get(&found.license.id);
        let activations = activations.copied().unwrap_or_default();
        let whose = (customer, &page.plans);
        Some(LicenseView::of(vault, app, found, activations, whose, now))
    };
    let views = list::map(page.part, view);
    Listed {
        rows: views.rows.into_iter().flatten().collect(),
        total: views.total,
        next: views.next,
    }
}

/// Shows a licence.
pub(in crate::http) async fn show_in(
    state: &AppState,
    app: &AppSlug,
    id: &str,
) -> Result<Tagged<LicenseView>, ApiError> {
    let found = licenses::find(&state.store, app, &license_id(id)?).await?;
    Ok(tagged(state, app, found, state.clock.now()))
}

fn tagged(
    state: &AppState,
    app: &AppSlug,
    owned: OwnedLicense,
    now: Timestamp,
) -> Tagged<LicenseView> {
    let tag = Tag(owned.state_tag());
    let OwnedLicense {
        license,
        key_hash,
        sealed,
        activations,
        customer,
        plans,
    } = owned;
    let found = SealedLicense {
        license,
        key_hash,
        sealed,
    };
    let whose = (&customer, &plans);
    let view = LicenseView::of(&state.vault, app, found, activations, whose, now);
    (tag, Json(view))
}

/// Revokes a licence.
pub(in crate::http) async fn revoke_in(
    state: &AppState,
    order: &Order,
    id: &str,
    only_if: &Precondition,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let (id, reason) = (license_id(id)?, order.reason.clone());
    let changed = licenses::revoke(&state.store, order, &id, reason, only_if).await?;
    Ok(OrderedLicenseView::tagged(state, order, changed))
}

/// Reinstates a licence.
pub(in crate::http) async fn reinstate_in(
    state: &AppState,
    order: &Order,
    id: &str,
    only_if: &Precondition,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let id = license_id(id)?;
    let changed = licenses::reinstate(&state.store, order, &id, only_if).await?;
    Ok(OrderedLicenseView::tagged(state, order, changed))
}
