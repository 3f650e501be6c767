//! The packages of an app, and the customers who may have one.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::releases::package_of;
use crate::domain::access::check::{Holder, decide};
use crate::domain::customer::row::Customer;
use crate::domain::time::Timestamp;
use crate::http::api::list::{List, Paging, PagingQuery, map};
use crate::http::api::package::{PackageView, packages_of};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::customers::CustomerPage;
use crate::pipeline::packages;
use crate::store::{Granted, NamedPackage};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(holders));
    openapi::resource(
        "catalogue",
        "All packages, and the customers who may have one.",
        routes,
    )
}

/// A package named by releases, plans or grants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedPackage)]
struct NamedPackageView {
    package: String,
    /// The number of known releases.
    releases: i64,
}

impl From<NamedPackage> for NamedPackageView {
    fn from(it: NamedPackage) -> Self {
        Self {
            package: it.package,
            releases: it.releases,
        }
    }
}

/// Lists all packages.
///
/// Packages named by releases, plans or grants by hand.
#[utoipa::path(
    get,
    path = "/packages",
    params(PagingQuery),
    responses((status = 200, description = "Packages, by name.", body = List<NamedPackageView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<NamedPackageView>>, ApiError> {
    let all = packages::list(&state.store, &admin.app_or_default()).await?;
    let all = all.into_iter().map(NamedPackageView::from).collect();
    Ok(paging.cut(all, |it| it.package.clone()))
}

/// A customer to whom a package is granted, and the grants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PackageHolder)]
struct HolderView {
    customer_id: String,
    name: Option<String>,
    email: Option<String>,
    external_id: Option<String>,
    #[schema(schema_with = words::status)]
    status: &'static str,
    /// True if some version may be had now. For a frozen customer, there may be none that was
    /// released in time.
    allowed: bool,
    #[schema(schema_with = words::access_code)]
    code: &'static str,
    grants: Vec<PackageView>,
}

impl HolderView {
    fn new(customer: Customer, package: &str, granted: &Granted, now: Timestamp) -> Self {
        let all = granted.of(&customer);
        let holder = Holder {
            token: None,
            derived: &customer.derived,
            grants: &all,
            releases: &granted.releases,
        };
        let code = decide(holder, package, None, now);
        let mut grants = packages_of(&customer, granted);
        grants.retain(|grant| grant.package == package);
        let shown = customer.derived;
        Self {
            customer_id: customer.id.into(),
            name: shown.contact.name,
            email: shown.contact.email,
            external_id: shown.external_id,
            status: shown.status.as_str(),
            allowed: code.is_allowed(),
            code: code.as_str(),
            grants,
        }
    }
}

/// Lists the customers who may have a package.
///
/// The active and frozen customers to whom it is granted, by hand or by what they pay for.
#[utoipa::path(
    get,
    path = "/packages/{vendor}/{name}/customers",
    params(PagingQuery),
    responses((status = 200, description = "Customers, the newest first.", body = List<HolderView>))
)]
async fn holders(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<List<HolderView>>, ApiError> {
    let package = package_of(&vendor, &name)?;
    let app = admin.app_or_default();
    let now = state.clock.now();
    let page = packages::holders(&state.store, &app, &package, &paging.0, now).await?;
    let CustomerPage { part, granted } = page;
    let view = |customer| HolderView::new(customer, &package, &granted, now);
    Ok(paging.answer(map(part, view)))
}
