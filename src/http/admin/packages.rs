//! Packages of a customer: grants by hand, and those that its plans give.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{List, Paging, PagingQuery};
use super::{FieldErrors, checked, living_customer, order_of, shown_customer};
use crate::domain::access::constraint::Constraint;
use crate::domain::access::plan::{PackageGrant, grants};
use crate::domain::customer::row::Customer;
use crate::domain::id::CustomerId;
use crate::domain::validate;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::order::Order;
use crate::store::{Granted, HandGrant, StoreError, Tx};

/// Most packages of one order.
const MAX_PACKAGES: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `vendor%2Fname` is one part of the path, `vendor/name` two.
    let routes = OpenApiRouter::default()
        .routes(routes!(list, grant, replace))
        .routes(routes!(revoke))
        .routes(routes!(revoke_in_two_parts));
    openapi::resource("packages", "What customers may have.", routes)
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
    /// Of a plan.
    #[schema(examples("stripe"))]
    provider: Option<&'static str>,
    /// Of a plan.
    price_id: Option<String>,
    /// The subscription that pays for a plan.
    subscription_id: Option<String>,
    /// When it was granted by hand.
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
                provider: Some(entitlement.provider.as_str()),
                price_id: Some(entitlement.price.clone()),
                subscription_id: Some(entitlement.subscription.id.clone()),
                created_at: None,
            });
        }
    }
    packages.sort_by_key(PackageView::key);
    packages
}

/// Lists what a customer may have, by hand and by its plans.
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
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let granted = tx
        .access_granted(&app, std::slice::from_ref(&customer))
        .await?;
    Ok(paging.cut(packages_of(&customer, &granted), PackageView::key))
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
    /// As Composer writes it; `*` unless given.
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

/// A grant by hand after an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackage)]
struct GrantedView {
    #[serde(flatten)]
    package: PackageView,
    changed: bool,
}

/// Grants a package by hand.
///
/// It takes the place of what was granted by hand for the same package.
#[utoipa::path(
    post,
    path = "/customers/{id}/packages",
    request_body = GrantBody,
    responses(
        (status = 200, description = "The grant, which was there or had another constraint.", body = GrantedView),
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
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let known = tx.grant_list(&order.app, [&customer.id]).await?;
    let known = known.get(&customer.id).into_iter().flatten();
    let known: Vec<&HandGrant> = known
        .filter(|it| it.grant.package == grant.package)
        .collect();
    let (given, changed) = match known.as_slice() {
        [only] if only.grant == grant => ((*only).clone(), false),
        _ => (
            give(&mut tx, &order, customer.id, grant, &known).await?,
            true,
        ),
    };
    tx.commit().await?;
    let status = if known.is_empty() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let package = PackageView::by_hand(&given);
    Ok((status, Json(GrantedView { package, changed })))
}

/// Gives a customer one grant for a package in place of those that it has; merged rows can have
/// left several.
async fn give(
    tx: &mut Tx,
    order: &Order,
    given_to: CustomerId,
    grant: PackageGrant,
    known: &[&HandGrant],
) -> Result<HandGrant, StoreError> {
    tx.grant_delete(&order.app, &given_to, [grant.package.as_str()])
        .await?;
    let grants = std::slice::from_ref(&grant);
    tx.grant_put(&order.app, &given_to, grants, order.now)
        .await?;
    let from: Vec<&str> = known
        .iter()
        .map(|it| it.grant.constraint.as_str())
        .collect();
    let details = json!({"source": "manual", "package": grant.package, "from": from,
        "to": [grant.constraint]});
    order.audit(tx, Some(&given_to), "grant", details).await?;
    Ok(HandGrant {
        given_to,
        grant,
        created_at: order.now,
    })
}

/// All grants by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PackagesBody {
    #[schema(max_items = 1_000)]
    packages: Vec<GrantBody>,
}

/// All grants by hand after an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedCustomerPackages)]
struct ReplacedView {
    data: Vec<PackageView>,
    changed: bool,
}

/// Sets all grants by hand.
#[utoipa::path(
    put,
    path = "/customers/{id}/packages",
    request_body = PackagesBody,
    responses(
        (status = 200, description = "What the customer may have now.", body = ReplacedView),
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
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let known = tx.grant_list(&order.app, [&customer.id]).await?;
    let known = known.get(&customer.id).cloned().unwrap_or_default();
    let before: BTreeSet<&PackageGrant> = known.iter().map(|it| &it.grant).collect();
    let after: BTreeSet<&PackageGrant> = wanted.iter().collect();
    let changed = before != after || known.len() != wanted.len();
    if changed {
        let gone = before.difference(&after).map(|it| it.package.as_str());
        tx.grant_delete(&order.app, &customer.id, gone.collect::<Vec<_>>())
            .await?;
        let new: Vec<PackageGrant> = after.difference(&before).map(|&it| it.clone()).collect();
        tx.grant_put(&order.app, &customer.id, &new, order.now)
            .await?;
        let details = json!({"source": "manual", "from": before, "to": after});
        order
            .audit(&mut tx, Some(&customer.id), "grant", details)
            .await?;
    }
    let granted = tx
        .access_granted(&order.app, std::slice::from_ref(&customer))
        .await?;
    tx.commit().await?;
    Ok(Json(ReplacedView {
        data: packages_of(&customer, &granted),
        changed,
    }))
}

/// Takes back a grant by hand.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{package}",
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, package)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let known = tx.grant_list(&order.app, [&customer.id]).await?;
    let before: Vec<&str> = known
        .get(&customer.id)
        .into_iter()
        .flatten()
        .filter(|it| it.grant.package == package)
        .map(|it| it.grant.constraint.as_str())
        .collect();
    if before.is_empty() {
        let detail = "the customer has no grant by hand for this package; what its plans give \
                      ends with them";
        return Err(ApiError::not_found("grant_not_found", detail));
    }
    tx.grant_delete(&order.app, &customer.id, [package.as_str()])
        .await?;
    let details = json!({"source": "manual", "package": package, "from": before, "to": []});
    order
        .audit(&mut tx, Some(&customer.id), "revoke", details)
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back a grant by hand, its package written with a slash.
#[utoipa::path(
    delete,
    path = "/customers/{id}/packages/{vendor}/{name}",
    responses(
        (status = 204, description = "It is gone."),
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
