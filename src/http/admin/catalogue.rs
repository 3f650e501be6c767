//! The packages of an app, how their versions are read, and the customers who may have one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::releases::{package_not_found, package_of};
use crate::domain::access::check::{Holder, PackageAccess};
use crate::domain::access::versions::{Scheme, SchemeError};
use crate::domain::customer::row::Customer;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery, map};
use crate::http::api::order_of;
use crate::http::api::package::{PackageView, packages_of};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::customers::CustomerPage;
use crate::pipeline::packages::{self, PackageError};
use crate::store::{Granted, NamedPackage};

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `vendor%2Fname` is one part of the path, `vendor/name` two; so with `@scope/name`.
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show, declare, undeclare))
        .routes(routes!(
            show_in_two_parts,
            declare_in_two_parts,
            undeclare_in_two_parts
        ))
        .routes(routes!(holders))
        .routes(routes!(holders_in_two_parts));
    openapi::resource(
        "catalogue",
        "All packages, how their versions are read, and the customers who may have one.",
        routes,
    )
}

/// A package that is declared, or named by releases, plans or grants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedPackage)]
struct NamedPackageView {
    package: String,
    /// How its versions and constraints are read.
    #[schema(schema_with = words::scheme)]
    versions: &'static str,
    /// The number of known releases.
    releases: i64,
}

impl From<NamedPackage> for NamedPackageView {
    fn from(it: NamedPackage) -> Self {
        Self {
            package: it.package,
            versions: it.scheme.as_str(),
            releases: it.releases,
        }
    }
}

/// Lists all packages.
///
/// Packages that are declared, or named by releases, plans or grants by hand.
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
    let position = |it: &NamedPackage| it.package.clone();
    paging.cut(all, position, NamedPackageView::from)
}

impl From<PackageError> for ApiError {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::NotFound => package_not_found(),
            PackageError::Name(wrong) => {
                Self::invalid_field("versions", format!("does not fit: the name {wrong}"))
            }
            PackageError::InUse { .. } => Self::conflict("package_in_use", error.to_string()),
            PackageError::TooMany => {
                Self::conflict("declared_packages_too_many", error.to_string())
            }
            PackageError::Store(error) => error.into(),
        }
    }
}

/// Shows a package.
#[utoipa::path(
    get,
    path = "/packages/{package}",
    responses((status = 200, description = "The package.", body = NamedPackageView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
) -> Result<Json<NamedPackageView>, ApiError> {
    let package = package_of(&name)?;
    let found = packages::find(&state.store, &admin.app_or_default(), &package).await?;
    Ok(Json(found.into()))
}

/// How the versions of a package are read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeclareBody {
    /// `composer`, as without any declaration, or `semver`: SemVer 2.0 and Cargo's requirements, for
    /// npm, Cargo and plain downloads.
    #[schema(schema_with = words::scheme)]
    versions: String,
}

/// The same, and why.
type DeclareWithReason = Reasoned<DeclareBody>;

/// A declaration after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = DeclaredPackage)]
struct DeclaredView {
    package: String,
    /// How its versions and constraints are read.
    #[schema(schema_with = words::scheme)]
    versions: &'static str,
    changed: bool,
}

/// Declares how the versions of a package are read.
///
/// It holds for all its constraints, versions and releases, and for whoever is granted the package. A
/// scheme that cannot read what is there already is refused, and the answer names what is in its way.
/// A package of `semver` may be named `name` or `@scope/name` (`@scope%2Fname`).
#[utoipa::path(
    put,
    path = "/packages/{package}",
    request_body = DeclareWithReason,
    responses(
        (status = 200, description = "The package, which was declared before.", body = DeclaredView),
        (status = 201, description = "The package, declared now.", body = DeclaredView),
        (status = 409, description = "`package_in_use`: plans, grants or releases of it cannot be read so; `declared_packages_too_many`: there are ten thousand."),
    )
)]
async fn declare(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<DeclareWithReason>,
) -> Result<(StatusCode, Option<Location>, Json<DeclaredView>), ApiError> {
    let package = validate::any_package(&name);
    let package = package.map_err(|wrong| ApiError::invalid_field("package", wrong))?;
    let scheme: Result<Scheme, SchemeError> = body.versions.parse();
    let scheme = scheme.map_err(|error| ApiError::invalid_field("versions", error.to_string()))?;
    let order = order_of(&admin, &state).because(reason);
    let declared = packages::declare(&state.store, &order, &package, scheme).await?;
    let (status, location) = if declared.is_new {
        let location = Location::of(["packages", package.as_str()]);
        (StatusCode::CREATED, Some(location))
    } else {
        (StatusCode::OK, None)
    };
    let view = DeclaredView {
        package,
        versions: scheme.as_str(),
        changed: declared.changed,
    };
    Ok((status, location, Json(view)))
}

/// Removes the declaration of a package: its versions are read as Composer's again.
#[utoipa::path(
    delete,
    path = "/packages/{package}",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Removed. Plans, grants and releases of the package stay."),
        (status = 409, description = "`package_in_use`: plans, grants or releases of it cannot be read so."),
    )
)]
async fn undeclare(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    let package = package_of(&name)?;
    let order = order_of(&admin, &state);
    packages::undeclare(&state.store, &order, &package).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows a package whose name has two parts.
#[utoipa::path(
    get,
    path = "/packages/{vendor}/{name}",
    responses((status = 200, description = "The package.", body = NamedPackageView))
)]
async fn show_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
) -> Result<Json<NamedPackageView>, ApiError> {
    show(state, admin, ValidPath(format!("{vendor}/{name}"))).await
}

/// Declares how the versions of a package are read whose name has two parts.
///
/// See `PUT /packages/{package}`.
#[utoipa::path(
    put,
    path = "/packages/{vendor}/{name}",
    request_body = DeclareWithReason,
    responses(
        (status = 200, description = "The package, which was declared before.", body = DeclaredView),
        (status = 201, description = "The package, declared now.", body = DeclaredView),
        (status = 409, description = "`package_in_use`: plans, grants or releases of it cannot be read so; `declared_packages_too_many`: there are ten thousand."),
    )
)]
async fn declare_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    body: ValidJson<DeclareWithReason>,
) -> Result<(StatusCode, Option<Location>, Json<DeclaredView>), ApiError> {
    declare(state, admin, ValidPath(format!("{vendor}/{name}")), body).await
}

/// Removes the declaration of a package whose name has two parts.
#[utoipa::path(
    delete,
    path = "/packages/{vendor}/{name}",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Removed. Plans, grants and releases of the package stay."),
        (status = 409, description = "`package_in_use`: plans, grants or releases of it cannot be read so."),
    )
)]
async fn undeclare_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    undeclare(state, admin, ValidPath(format!("{vendor}/{name}"))).await
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
            schemes: &granted.schemes,
        };
        let code = PackageAccess::new(holder, package, now).asked(None);
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
    path = "/packages/{package}/customers",
    params(PagingQuery),
    responses((status = 200, description = "Customers, the newest first.", body = List<HolderView>))
)]
async fn holders(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(name): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<HolderView>>, ApiError> {
    let package = package_of(&name)?;
    let app = admin.app_or_default();
    let now = state.clock.now();
    let page = packages::holders(&state.store, &app, &package, &paging.window, now).await?;
    let CustomerPage { part, granted } = page;
    let view = |customer| HolderView::new(customer, &package, &granted, now);
    paging.answer(map(part, view))
}

/// Lists the customers who may have a package whose name has two parts.
#[utoipa::path(
    get,
    path = "/packages/{vendor}/{name}/customers",
    params(PagingQuery),
    responses((status = 200, description = "Customers, the newest first.", body = List<HolderView>))
)]
async fn holders_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath((vendor, name)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<List<HolderView>>, ApiError> {
    holders(state, admin, ValidPath(format!("{vendor}/{name}")), paging).await
}
