//! Packages of a customer: grants by hand, and those from its plans.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::constraint::Constraint;
use crate::domain::access::plan::{PackageGrant, grants};
use crate::domain::customer::row::Customer;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of};
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::grants::{self as hand_grants, Given, GrantError};
use crate::store::{Granted, HandGrant};

/// Most packages of one order.
const MAX_PACKAGES: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `vendor%2Fname` is one part of the path, `vendor/name` two.
    let routes = OpenApiRouter::default()
        .routes(routes!(list, grant, replace))
        .routes(routes!(revoke))
        .routes(routes!(revoke_in_two_parts));
    openapi::resource("packages", "Packages that customers may have.", routes)
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Customer(error) => error.into(),
            GrantError::NotFound => {
                let detail = "the customer has no grant by hand for this package; what its plans \
                              give ends with them";
                Self::not_found("grant_not_found", detail)
            }
            GrantError::Store(error) => error.into(),
        }
    }
}

/// The origin of a grant: by hand, or by a plan.
fn grant_source() -> Object {
    words::one_of(["manual", "plan"])
}

/// A package that a customer may have, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerPackage)]
pub(super) struct PackageView {
    pub(super) package: String,
    constraint: String,
    /// By hand, or by a plan.
    #[schema(schema_with = grant_source)]
    source: &'static str,
    /// Only for grants of a plan.
    #[schema(examples("stripe"))]
    provider: Option<String>,
    /// Only for grants of a plan.
    price_id: Option<String>,
    /// The subscription that pays for a plan.
    subscription_id: Option<String>,
    /// Only for grants by hand: the time of the grant.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

impl PackageView {
    fn by_hand(it: &HandGrant) -> Self {
        Self {
            package: it.grant.package.clone(),
            constraint: it.grant.constraint.clone(),
            source: "manual",
            provider: None,
            price_id: None,
            subscription_id: None,
            created_at: Some(it.created_at.to_string()),
        }
    }

    fn key(&self) -> String {
        let Self {
            package,
            constraint,
            price_id,
            subscription_id,
            ..
        } = self;
        format!("{package} {constraint} {price_id:?} {subscription_id:?}")
    }
}

/// Everything that grants packages to a customer, by package.
pub(super) fn packages_of(customer: &Customer, granted: &Granted) -> Vec<PackageView> {
    let by_hand = granted.by_hand.get(&customer.id).into_iter().flatten();
    let mut packages: Vec<PackageView> = by_hand.map(PackageView::by_hand).collect();
    for entitlement in &customer.derived.entitlements {
        for grant in grants(&granted.plans, entitlement).unwrap_or_default() {
            packages.push(PackageView {
                package: grant.package.clone(),
                constraint: grant.constraint.clone(),
                source: "plan",
                provider: Some(entitlement.provider.into()),
                price_id: Some(entitlement.price.clone()),
                subscription_id: Some(entitlement.subscription.id.clone()),
                created_at: None,
            });
        }
    }
    packages.sort_by_key(PackageView::key);
    packages
}

/// Lists the packages that a customer may have, by hand and by its plans.
#[utoipa::path(
    get,
    path = "/customers/{id}/packages",
    params(PagingQuery),
    responses((status = 200, description = "Packages, by name.", body = List<PackageView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<PackageView>>, ApiError> {
    let app = admin.app_or_default();
    let found = hand_grants::list(&state.store, &app, &customer_id(&id)?).await?;
    let packages = packages_of(&found.customer, &found.granted);
    Ok(paging.cut(packages, PackageView::key))
}

/// A package of an order.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `package` and perhaps `constraint`"
)]
pub(super) struct GrantBody {
    /// `vendor/package` in lower case.
    #[schema(examples("acme/tool"))]
    package: String,
    /// A version constraint, as Composer writes it; `*` by default.
    #[schema(examples("^2.0"))]
    constraint: Option<String>,
}

impl GrantBody {
    /// The grant, its faults noted under `at`, the path of this object with its dot.
    fn check(self, field_errors: &mut FieldErrors, at: &str) -> Option<PackageGrant> {
        let package = checked(&format!("{at}package"), validate::package(&self.package));
        let constraint = self.constraint.unwrap_or_else(|| "*".to_owned());
        let parsed = Constraint::parse(&constraint).map_err(|error| error.to_string());
        let parsed = checked(&format!("{at}constraint"), parsed);
        let (package, parsed) = (field_errors.note(package), field_errors.note(parsed));
        Some(PackageGrant {
            package: package?,
            constraint: parsed?.as_str().to_owned(),
        })
    }
}

/// Reads a list of packages; 422 with every fault.
pub(super) fn grants_of(bodies: Vec<GrantBody>) -> Result<Vec<PackageGrant>, ApiError> {
    if bodies.len() > MAX_PACKAGES {
        let message = format!("must be at most {MAX_PACKAGES} packages");
        return Err(ApiError::invalid_field("packages", message));
    }
    let mut field_errors = FieldErrors::default();
    let mut seen = BTreeSet::new();
    let mut grants = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let at = format!("packages[{index}].");
        if let Some(grant) = body.check(&mut field_errors, &at) {
            if !seen.insert(grant.package.clone()) {
                field_errors.add(format!("{at}package"), "is there twice");
            }
            grants.push(grant);
        }
    }
    field_errors.into_result()?;
    Ok(grants)
}

/// A grant by hand after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackage)]
struct GrantedView {
    #[serde(flatten)]
    package: PackageView,
    changed: bool,
}

/// Grants a package by hand.
///
/// It replaces earlier grants by hand for the same package.
#[utoipa::path(
    post,
    path = "/customers/{id}/packages",
    request_body = GrantBody,
    responses(
        (status = 200, description = "The grant, which was there before or had another constraint.", body = GrantedView),
        (status = 201, description = "The new grant.", body = GrantedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn grant(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(body): ValidJson<GrantBody>,
) -> Result<(StatusCode, Json<GrantedView>), ApiError> {
    let mut field_errors = FieldErrors::default();
    let grant = body.check(&mut field_errors, "");
    let grant = field_errors.finish(grant)?;
    let order = order_of(&admin, &state);
    let given = hand_grants::grant(&state.store, &order, &customer_id(&id)?, grant).await?;
    let Given {
        grant,
        is_new,
        changed,
    } = given;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let package = PackageView::by_hand(&grant);
    Ok((status, Json(GrantedView { package, changed })))
}

/// All grants by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PackagesBody {
    #[schema(max_items = 1_000)]
    packages: Vec<GrantBody>,
}

/// All packages of a customer after its grants were replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackages)]
struct ReplacedView {
    data: Vec<PackageView>,
    changed: bool,
}

/// Replaces all grants by hand of a customer.
#[utoipa::path(
    put,
    path = "/customers/{id}/packages",
    request_body = PackagesBody,
    responses(
        (status = 200, description = "The packages that the customer may have now.", body = ReplacedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn replace(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(body): ValidJson<PackagesBody>,
) -> Result<Json<ReplacedView>, ApiError> {
    let wanted = grants_of(body.packages)?;
    let order = order_of(&admin, &state);
    let id = customer_id(&id)?;
    let replaced = hand_grants::replace(&state.store, &order, &id, &wanted).await?;
    let details = replaced.details;
    Ok(Json(ReplacedView {
        data: packages_of(&details.customer, &details.granted),
        changed: replaced.changed,
    }))
}

/// Revokes a grant by hand.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{package}",
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, package)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let order = order_of(&admin, &state);
    hand_grants::revoke(&state.store, &order, &customer_id(&id)?, &package).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a grant by hand; the package is written with a slash.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{vendor}/{name}",
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn revoke_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((id, vendor, name)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    revoke(state, admin, ValidPath((id, format!("{vendor}/{name}")))).await
}
